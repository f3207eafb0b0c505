// For tests: asks a URL again and again on one connection, and prints as JSON what came and how long each took.
// Arguments: port, path, Host, how often.

import { Agent, request } from 'node:http'

const [port, path, host, times] = process.argv.slice(2)
const agent = new Agent({ keepAlive: true, maxSockets: 1 })

function once() {
  return new Promise((resolve, reject) => {
    const begun = performance.now()
    const sent = request({ port: Number(port), path, agent, headers: { host } }, response => {
      let body = ''
      response.setEncoding('utf8').on('data', text => (body += text))
      response.on('end', () =>
        resolve({
          status: response.statusCode,
          body,
          cache: response.headers['cache-status'] ?? '',
          ms: performance.now() - begun,
        }),
      )
    })
    sent.on('error', reject)
    sent.end()
  })
}

const answers = []
for (let time = 0; time < Number(times); time++) answers.push(await once())
agent.destroy()
console.log(JSON.stringify(answers))
