// A small service with sessions for tests of whole systems: /login?user=, /add?item=, /logout, / says who is logged in,
// what is in the cart and which process answered. Sessions are in the Redis of REDIS_URL, so any instance serves any user.

import { createServer, type ServerResponse } from 'node:http'
import { createSessions } from '../../src/app/sessions/index.ts'

const { PORT, REDIS_URL } = process.env
const sessions = createSessions<{ user: string; [item: `item-${string}`]: true }>({
  secrets: ['a-secret-of-the-session-service-for-tests'],
  redis: REDIS_URL!,
  link: { timeoutMs: 5_000 },
})

const answering = sessions.node(async (request: { url: string }, response: ServerResponse, session) => {
  const { pathname, searchParams } = new URL(request.url, 'http://service')
  if (pathname === '/login') {
    await session.regenerate()
    session.set('user', searchParams.get('user')!)
  }
  if (pathname === '/add') session.set(`item-${searchParams.get('item')!}`, true)
  if (pathname === '/logout') await session.end()
  const items = session.names().filter(name => name.startsWith('item-'))
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ user: session.get('user') ?? null, items: items.length, pid: process.pid }))
})

const server = createServer((request, response) => {
  if (request.url === '/healthz') response.end('ok')
  else void answering(request, response)
})
server.listen(Number(PORT), '127.0.0.1')
process.on('SIGTERM', () => {
  server.close(() => process.exit(0))
  server.closeIdleConnections()
})
