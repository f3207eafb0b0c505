// The pages: asks the JSON service at API_URL and renders. Holds no state, so any number of these can run. Pages of the
// catalogue are the same for everybody, and say to caches how long they are right; all others are for who asked.

import { createHash, randomUUID } from 'node:crypto'
import Fastify from 'fastify'
import { errorPage, filmPage, listPage, orderPage, page, seatsPage } from './pages.mjs'
import { createVisitors } from './visitors.mjs'

const instance = process.env.TENFOLD_INSTANCE ?? `web (${process.pid})`
const apiUrl = process.env.API_URL
if (!apiUrl) {
  console.error('web: API_URL is not set; give the address of the api service, e.g. http://127.0.0.1:3001')
  process.exit(2)
}
const apiTimeoutMs = 10_000
const visitors = await createVisitors({ redis: process.env.CACHE_URL, secret: process.env.SESSION_SECRET })

const app = Fastify({ bodyLimit: 64 * 1024, forceCloseConnections: 'idle', return503OnClosing: false })
app.addContentTypeParser(
  'application/x-www-form-urlencoded',
  { parseAs: 'string' },
  (_request, body, done) => {
    done(null, new URLSearchParams(body))
  },
)

class ApiError extends Error {
  constructor(status, message) {
    super(message)
    this.status = status
  }
}

async function api(path, init) {
  let response
  try {
    response = await fetch(`${apiUrl}${path}`, { ...init, signal: AbortSignal.timeout(apiTimeoutMs) })
  } catch (cause) {
    throw new ApiError(502, 'The box office does not answer. Please try again in a moment.', { cause })
  }
  const body = await response.json().catch(() => ({}))
  if (response.ok) return body
  throw new ApiError(
    response.status,
    body.error?.message ?? body.message ?? 'The box office could not answer.',
  )
}

/** For a page that caches keep: as it is in the database now, not as somebody else keeps it. */
const current = path => api(path, { headers: { 'cache-control': 'no-cache' } })

/** For a visitor: limits count the visitor, and not us. */
const post = (path, order, visitor) =>
  api(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(visitor && { 'x-forwarded-for': visitor }) },
    body: JSON.stringify(order),
  })

function show(reply, content, status = 200) {
  return send(reply.code(status).header('cache-control', 'no-store'), page({ ...content, instance }))
}

const send = (reply, text) =>
  reply.type('text/html; charset=utf-8').header('x-served-by', instance).send(text)

const secondsMax = 3_600
const dayMs = 86_400_000

/** Days on pages begin and end at midnight UTC. Rounded down: a page may end early, and never late. */
const secondsLeft = nowMs => Math.min(secondsMax, Math.floor((dayMs - (nowMs % dayMs)) / 1_000))

/**
 * A page that is the same for everybody. The edge keeps it until something on it changes, as it hears of that, and at most
 * for so long after `askedMs`; browsers, which hear of nothing, ask each time whether theirs is still right.
 */
function showShared(reply, content, askedMs) {
  const text = page({ ...content, instance })
  const etag = `"${createHash('sha256').update(text).digest('base64url').slice(0, 22)}"`
  reply.headers({
    'cache-control': 'no-cache',
    'cdn-cache-control': `max-age=${secondsLeft(askedMs)}`,
    etag,
  })
  return send(reply, text)
}

const segment = encodeURIComponent
const screeningPath = ({ film, screening }) => `/films/${segment(film)}/screenings/${segment(screening)}`

app.get('/healthz', async () => ({ ok: true, instance }))

app.get('/', async (request, reply) => {
  const askedMs = Date.now()
  const { q = '', genre = '', sort = 'popular', page = '1' } = request.query
  const found = await current(`/films?${new URLSearchParams({ q, genre, sort, page })}`)
  return showShared(reply, listPage({ q, genre, sort }, found), askedMs)
})

app.get('/films/:film', async (request, reply) => {
  const askedMs = Date.now()
  const found = await current(`/films/${segment(request.params.film)}`)
  return showShared(reply, filmPage(found), askedMs)
})

/** Never from a cache: a seat that is gone must not be offered. */
app.get('/films/:film/screenings/:screening', async (request, reply) => {
  const [found, values] = await Promise.all([
    api(screeningPath(request.params)),
    visitors.recall(request.headers.cookie),
  ])
  return show(reply, seatsPage(found, { key: randomUUID(), values }))
})

app.post('/films/:film/screenings/:screening/orders', async (request, reply) => {
  if (request.headers['sec-fetch-site'] === 'cross-site')
    throw new ApiError(403, 'Please order from our own pages.')
  const form = request.body
  const values = {
    seats: form.getAll('seat'),
    name: form.get('name'),
    email: form.get('email'),
    key: form.get('key'),
  }
  try {
    const { order } = await post(
      `${screeningPath(request.params)}/orders`,
      values,
      request.headers['x-forwarded-for'],
    )
    const cookie = await visitors.remember(request.headers.cookie, values)
    if (cookie) reply.header('set-cookie', cookie)
    reply.header('cache-control', 'no-store')
    return reply.redirect(`/films/${segment(request.params.film)}/orders/${segment(order.id)}`, 303)
  } catch (error) {
    if (![400, 409].includes(error.status)) throw error
    const again = await api(screeningPath(request.params))
    return show(reply, seatsPage(again, { key: randomUUID(), refused: error.message, values }), error.status)
  }
})

app.get('/films/:film/orders/:order', async (request, reply) => {
  const { film, order } = request.params
  return show(reply, orderPage(await api(`/films/${segment(film)}/orders/${segment(order)}`)))
})

app.setNotFoundHandler((_request, reply) => show(reply, errorPage(404, 'There is no such page.'), 404))
app.setErrorHandler((error, _request, reply) => {
  const status = error.status ?? error.statusCode ?? 500
  if (status >= 500) console.error(error)
  return show(reply, errorPage(status, status === 500 ? 'That was our mistake.' : error.message), status)
})

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, async () => {
    await app.close()
    await visitors.close()
    process.exit(0)
  })
}

await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
console.log(`${instance}: pages on port ${app.server.address().port}, api at ${apiUrl}`)
