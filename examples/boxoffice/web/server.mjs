// The pages: asks the JSON service at API_URL and renders. Holds no state, so any number of these can run.

import { randomUUID } from 'node:crypto'
import Fastify from 'fastify'
import { errorPage, filmPage, listPage, orderPage, page, seatsPage } from './pages.mjs'

const instance = process.env.TENFOLD_INSTANCE ?? `web (${process.pid})`
const apiUrl = process.env.API_URL
if (!apiUrl) {
  console.error('web: API_URL is not set; give the address of the api service, e.g. http://127.0.0.1:3001')
  process.exit(2)
}
const apiTimeoutMs = 10_000

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

async function api(path, order) {
  const init = order && {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(order),
  }
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

function show(reply, content, status = 200) {
  return reply
    .code(status)
    .type('text/html; charset=utf-8')
    .headers({ 'cache-control': 'no-store', 'x-served-by': instance })
    .send(page({ ...content, instance }))
}

const segment = encodeURIComponent
const screeningPath = ({ film, screening }) => `/films/${segment(film)}/screenings/${segment(screening)}`

app.get('/healthz', async () => ({ ok: true, instance }))

app.get('/', async (request, reply) => {
  const { q = '', genre = '', sort = 'popular', page = '1' } = request.query
  const found = await api(`/films?${new URLSearchParams({ q, genre, sort, page })}`)
  return show(reply, listPage({ q, genre, sort }, found))
})

app.get('/films/:film', async (request, reply) =>
  show(reply, filmPage(await api(`/films/${segment(request.params.film)}`))),
)

app.get('/films/:film/screenings/:screening', async (request, reply) =>
  show(reply, seatsPage(await api(screeningPath(request.params)), { key: randomUUID() })),
)

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
    const { order } = await api(`${screeningPath(request.params)}/orders`, values)
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
    process.exit(0)
  })
}

await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
console.log(`${instance}: pages on port ${app.server.address().port}, api at ${apiUrl}`)
