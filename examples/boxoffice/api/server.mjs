// The JSON service: films, screenings, seats, orders, and a stream of seat changes. Everything it knows is in the database
// at DATABASE_URL, so any instance can answer anything. What it keeps of the catalogue it forgets when that changes.

import { createHash } from 'node:crypto'
import Fastify from 'fastify'
import { createBox } from './box.mjs'
import { createCatalogue, sorts } from './catalogue.mjs'
import { createDatabase, forSetup, Refusal } from './database.mjs'
import { createKept } from './kept.mjs'
import { migrate } from './migrate.mjs'
import { createProgramme } from './programme.mjs'
import { createSeatChanges } from './seat-changes.mjs'

const instance = process.env.TENFOLD_INSTANCE ?? `api (${process.pid})`
const databaseUrl = process.env.DATABASE_URL
if (!databaseUrl) {
  console.error('api: DATABASE_URL is not set; give a PostgreSQL database, e.g. postgres://app@127.0.0.1/app')
  process.exit(2)
}
const database = createDatabase(databaseUrl)
const kept = createKept({ feed: process.env.CACHE_FEED, off: process.env.BOXOFFICE_CACHE === 'off' })
const catalogue = createCatalogue(database, kept)
const programme = createProgramme(database, kept)
const box = createBox(database)
const seatChanges = createSeatChanges(database)
const streams = new Set()
const streamsMax = 2_000

const app = Fastify({ bodyLimit: 64 * 1024, forceCloseConnections: 'idle', return503OnClosing: false })

function fault(reply, { status, code, message }) {
  return reply.code(status).send({ error: { code, message } })
}
/**
 * Does the asker keep the answer? The pages do, in the edge: they must not be filled from what we keep. Of two caches that
 * are told of the same change one is told first, and if that is the outer one, it takes the old value back from the inner.
 */
const currentFor = request => ({ current: request.headers['cache-control'] === 'no-cache' })

async function filmOf(id, how) {
  const film = await catalogue.find(id, how)
  if (!film) throw new Refusal(404, 'NO_FILM', 'There is no such film.')
  return film
}

app.addHook('onSend', async (_request, reply) => {
  reply.header('x-served-by', instance)
})

// Says that this process is well. A database that is away must not take every instance out with it.
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
app.get('/films', { schema: search }, async request => catalogue.search(request.query, currentFor(request)))

app.get('/films/:film', async request => {
  const how = currentFor(request)
  const film = await filmOf(request.params.film, how)
  return { film, screenings: await programme.screeningsOf(film.id, how) }
})

/** Who looks again gets the map only if a seat went meanwhile; nobody may show it without having asked. */
app.get('/films/:film/screenings/:screening', async (request, reply) => {
  const film = await filmOf(request.params.film)
  const seats = JSON.stringify({ film, screening: await box.screening(film.id, request.params.screening) })
  const etag = `"${createHash('sha256').update(seats).digest('base64url').slice(0, 22)}"`
  reply.headers({ 'cache-control': 'private, no-cache', etag })
  if (request.headers['if-none-match'] === etag) return reply.code(304).send()
  return reply.type('application/json; charset=utf-8').send(seats)
})

app.get('/films/:film/screenings/:screening/events', async (request, reply) => {
  const { film, screening } = request.params
  if (streams.size >= streamsMax) throw new Refusal(503, 'BUSY', 'Too many streams.')
  await box.screening(film, screening)
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
  const unwatch = seatChanges.watch(film, screening, send)
  streams.add(response)
  response.on('close', () => {
    clearInterval(beat)
    streams.delete(response)
    unwatch()
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
  const film = await filmOf(request.params.film)
  const { order, repeated } = await box.order(film.id, request.params.screening, request.body)
  return reply.code(repeated ? 200 : 201).send({ film, order })
})

app.get('/films/:film/orders/:order', async request => {
  const film = await filmOf(request.params.film)
  const order = await box.orderOf(film.id, request.params.order)
  if (!order) throw new Refusal(404, 'NO_ORDER', 'There is no such order.')
  return { film, order }
})

app.setErrorHandler((error, _request, reply) => {
  if (error instanceof Refusal) return fault(reply, error)
  if (error.validation?.[0]?.instancePath === '/email') error.message = 'That is not an email address.'
  const status = error.statusCode ?? 500
  if (status >= 500) console.error(error)
  const message = status >= 500 ? 'That was our mistake.' : error.message
  return fault(reply, { status, code: status >= 500 ? 'FAULT' : 'INVALID', message })
})

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, async () => {
    seatChanges.stop()
    for (const stream of streams) stream.end()
    await app.close()
    await kept.close()
    await database.end()
    process.exit(0)
  })
}

const setup = createDatabase(databaseUrl, forSetup)
for (const file of await migrate(setup)) console.log(`${instance}: ${file} was applied`)
await setup.end()
const { total } = await catalogue.search({})
await app.listen({ port: Number(process.env.PORT ?? 3001), host: process.env.HOST ?? '127.0.0.1' })
console.log(`${instance}: ${total} films on port ${app.server.address().port}`)
