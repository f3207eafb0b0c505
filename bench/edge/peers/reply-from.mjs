// @fastify/reply-from as its documentation starts it, bodies streamed: node reply-from.mjs PORT ORIGIN_PORT

import replyFrom from '@fastify/reply-from'
import Fastify from 'fastify'

const [port, originPort] = process.argv.slice(2).map(Number)
const app = Fastify({ keepAliveTimeout: 120_000 })
app.removeAllContentTypeParsers()
app.addContentTypeParser('*', (_request, body, done) => done(null, body))
app.register(replyFrom, {
  base: `http://127.0.0.1:${originPort}`,
  undici: { connections: 256, pipelining: 1 },
})
app.all('/*', (request, reply) => reply.from(request.url))
await app.listen({ port, host: '127.0.0.1' })
