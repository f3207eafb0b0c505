// Opens many keep-alive connections, sends one request on each and then leaves them idle. A program of its own:
//   node idle-holder.ts PORT COUNT PATH   ->   `open N` when all have been answered; holds them until it is ended.

import { connect } from 'node:net'

const atOnce = 200

function hold(port: number, path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.once('connect', () => socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`))
    socket.once('data', () => resolve(true))
    socket.on('error', () => resolve(false))
    socket.once('close', () => resolve(false))
  })
}

if (import.meta.main) {
  const [port = '0', count = '0', path = '/'] = process.argv.slice(2)
  let open = 0
  for (let index = 0; index < Number(count); index += atOnce) {
    const wave = Array.from({ length: Math.min(atOnce, Number(count) - index) }, () =>
      hold(Number(port), path),
    )
    open += (await Promise.all(wave)).filter(Boolean).length
  }
  console.log(`open ${open}`)
  setInterval(() => {}, 60_000)
}
