// A small ordinary service for tests of whole systems. It writes a line `id instance pid` into the ledger (a file opened
// for appending, named by LEDGER) when it has a request whole, so that executions can be counted per id; then it answers.
//   ?delay=MS waits before it answers · ?size=BYTES pads the answer · /events SSE · /ws WebSocket echo · /whoami who it is

import { openSync, readFileSync, writeSync } from 'node:fs'
import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'

const { PORT, LEDGER, TENFOLD_INSTANCE: instance = '?', GREETING: greeting = '' } = process.env
const ledger = LEDGER === undefined ? null : openSync(LEDGER, 'a')
const streams = new Set()
let ending = false

function execute(request, response) {
  const url = new URL(request.url, 'http://service')
  const id = url.searchParams.get('id')
  if (id !== null && ledger !== null) writeSync(ledger, `${id} ${instance} ${process.pid}\n`)
  if (url.pathname === '/events') return events(response)
  if (url.pathname === '/whoami') return answer(response, { ...whoami(), headers: request.headers })
  const text = { id, instance, pid: process.pid, greeting, tag: request.headers['x-tag'] ?? '' }
  const pad = 'x'.repeat(Number(url.searchParams.get('size') ?? 0))
  const delayMs = Number(url.searchParams.get('delay') ?? 0)
  if (delayMs === 0) answer(response, { ...text, pad })
  else setTimeout(() => answer(response, { ...text, pad }), delayMs)
}

function answer(response, value) {
  const body = JSON.stringify(value)
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
  response.end(body)
}

function events(response) {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  const send = () => response.write(`data: ${instance}\n\n`)
  send()
  const timer = setInterval(send, 100)
  streams.add(response)
  response.once('close', () => {
    clearInterval(timer)
    streams.delete(response)
  })
}

function whoami() {
  const read = file => {
    try {
      return readFileSync(file, 'utf8')
    } catch (cause) {
      return cause.code
    }
  }
  const { TOKEN_FILE: tokenFile } = process.env
  return {
    instance,
    uid: process.getuid?.(),
    groups: process.getgroups?.(),
    token: tokenFile ? read(tokenFile) : null,
  }
}

const server = createServer((request, response) => {
  if (request.url === '/healthz') return answer(response, { ok: true })
  request.resume().once('end', () => execute(request, response))
})
const sockets = new WebSocketServer({ server, path: '/ws' })
sockets.on('connection', socket => {
  socket.send(instance)
  socket.on('message', data => socket.send(`${instance}: ${data}`))
})
server.keepAliveTimeout = 30_000
server.listen(Number(PORT), '127.0.0.1', () => console.log(`${instance} listens on port ${PORT}`))

// As a team would write it: streams end politely, what is in flight is answered.
process.on('SIGTERM', () => {
  if (ending) return
  ending = true
  for (const stream of streams) stream.end('event: bye\ndata: bye\n\n')
  for (const socket of sockets.clients) socket.close(1001, 'the instance is ending')
  server.close(() => process.exit(0))
  server.closeIdleConnections()
})
