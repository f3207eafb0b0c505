// The JSON service: films, screenings, seats, orders, and a stream of seat changes. Everything about one film is under
// /films/FILM, so that a balancer can keep a film with one instance.

import Fastify from 'fastify'
import { createBox, programmeOf } from './box.mjs'
import { createCatalogue, sorts } from './catalogue.mjs'

const instance = process.env.TENFOLD_INSTANCE ?? `api (${process.pid})`
const catalogue = createCatalogue()
const box = createBox()
const streams = new Set()
const streamsMax = 2_000

const app = Fastify({ bodyLimit: 64 * 1024, forceCloseConnections: 'idle', return503OnClosing: false })

function fault(reply, { status, code, message }) {
  return reply.code(status).send({ error: { code, message } })
}
const noFilm = { status: 404, code: 'NO_FILM', message: 'There is no such film.' }

app.addHook('onSend', async (_request, reply) => {
  reply.header('x-served-by', instance)
})

app.get('/healthz', async () => ({ ok: true, instance }))

const search = {
  querystring: {
    type: 'object',
    properties: {
      q: { type: 'string', maxLength: 100 },
      genre: { type: 'string', maxLength: 50 },
      sort: { enum: sorts },
      page: { type: 'integer', minimum: 1, maximum: 10_000 },
      size: { type: 'integer', minimum: 1, maximum: 100 },
    },
  },
}
app.get('/films', { schema: search }, async request => catalogue.search(request.query))

app.get('/films/:film', async (request, reply) => {
  const film = catalogue.find(request.params.film)
  if (!film) return fault(reply, noFilm)
  return { film, screenings: programmeOf(film.id) }
})

app.get('/films/:film/screenings/:screening', async (request, reply) => {
  const film = catalogue.find(request.params.film)
  const screening = film && box.screening(film.id, request.params.screening)
  if (!screening)
    return fault(reply, { ...noFilm, code: 'NO_SCREENING', message: 'There is no such screening.' })
  return { film, screening }
})

app.get('/films/:film/screenings/:screening/events', (request, reply) => {
  const { film, screening } = request.params
  if (streams.size >= streamsMax)
    return fault(reply, { status: 503, code: 'BUSY', message: 'Too many streams.' })
  reply.hijack()
  const response = reply.raw
  const send = change => response.write(`event: seats\ndata: ${JSON.stringify(change)}\n\n`)
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-served-by': instance,
  })
  response.write('retry: 2000\n\n')
  const beat = setInterval(() => response.write(': still here\n\n'), 15_000)
  box.changes.on(`${film}/${screening}`, send)
  streams.add(response)
  response.on('close', () => {
    clearInterval(beat)
    streams.delete(response)
    box.changes.off(`${film}/${screening}`, send)
  })
})

const ordering = {
  body: {
    type: 'object',
    required: ['seats', 'name', 'email'],
    properties: {
      seats: { type: 'array', items: { type: 'string', maxLength: 4 }, maxItems: 100 },
      name: { type: 'string', minLength: 1, maxLength: 100 },
      email: { type: 'string', pattern: '^[^@\\s]+@[^@\\s]+$', maxLength: 200 },
      key: { type: 'string', pattern: '^[A-Za-z0-9-]{8,64}$' },
    },
  },
}
app.post('/films/:film/screenings/:screening/orders', { schema: ordering }, async (request, reply) => {
  const film = catalogue.find(request.params.film)
  if (!film) return fault(reply, noFilm)
  const { order, refused, repeated } = box.order(film, request.params.screening, request.body)
  return refused ? fault(reply, refused) : reply.code(repeated ? 200 : 201).send({ film, order })
})

app.get('/films/:film/orders/:order', async (request, reply) => {
  const film = catalogue.find(request.params.film)
  const order = box.orderOf(request.params.order)
  if (!film || order?.film !== film.id) {
    const message = 'There is no such order. Orders are in memory and do not survive their process.'
    return fault(reply, { status: 404, code: 'NO_ORDER', message })
  }
  return { film, order }
})

app.setErrorHandler((error, _request, reply) => {
  if (error.validation?.[0]?.instancePath === '/email') error.message = 'That is not an email address.'
  const status = error.statusCode ?? 500
  if (status >= 500) console.error(error)
  const message = status >= 500 ? 'That was our mistake.' : error.message
  return fault(reply, { status, code: status >= 500 ? 'FAULT' : 'INVALID', message })
})

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, async () => {
    for (const stream of streams) stream.end()
    await app.close()
    process.exit(0)
  })
}

await app.listen({ port: Number(process.env.PORT ?? 3001), host: process.env.HOST ?? '127.0.0.1' })
console.log(`${instance}: ${catalogue.search({}).total} films on port ${app.server.address().port}`)
