// Asks the shared address again and again, each time on a new connection, and writes a line for each answer:
// `BEGUN ENDED TEXT`, times in milliseconds. A request that fails has `!CODE` for a text. Ends on TERM.

import { request } from 'node:http'

const [url, everyMs, patienceMs] = process.argv.slice(2)
let inFlight = 0

function ask() {
  if (inFlight >= 1000) return
  inFlight += 1
  const begun = Date.now()
  let text = ''
  let told = false
  const tell = word => {
    if (told) return
    told = true
    inFlight -= 1
    process.stdout.write(`${begun} ${Date.now()} ${word}\n`)
  }
  const asked = request(url, { agent: false, timeout: Number(patienceMs) }, response => {
    response.setEncoding('utf8')
    response.on('data', part => (text += part))
    response.on('end', () => tell(response.statusCode === 200 ? text : `!${response.statusCode}`))
    response.on('error', error => tell(`!${error.code}`))
  })
  asked.on('timeout', () => asked.destroy(Object.assign(new Error('late'), { code: 'LATE' })))
  asked.on('error', error => tell(`!${error.code}`))
  asked.end()
}

setInterval(ask, Number(everyMs))
