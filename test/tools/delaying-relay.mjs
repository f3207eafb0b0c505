// For tests: a TCP relay that stands for distance. Each byte arrives DELAY milliseconds later, in both directions; each
// request line that passes is printed. Arguments: listen port, target address, target port, delay.

import { connect, createServer } from 'node:net'

const [listen, host, port, delay] = process.argv.slice(2)

function later(from, to) {
  from.on('data', chunk => {
    const timer = setTimeout(() => to.write(chunk), Number(delay))
    from.once('close', () => timer.unref())
  })
  from.on('end', () => setTimeout(() => to.end(), Number(delay)))
  from.on('error', () => to.destroy())
}

createServer({ allowHalfOpen: true }, near => {
  const far = connect({ port: Number(port), host, allowHalfOpen: true })
  near.on('data', chunk => {
    for (const [line] of chunk.toString('latin1').matchAll(/^(?:GET|HEAD) \S+ HTTP/gm)) console.log(line)
  })
  later(near, far)
  later(far, near)
}).listen(Number(listen), '127.0.0.1', () => console.log('relays'))
