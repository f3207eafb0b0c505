// One showing that everybody wants, sold at one moment, and the sign-in that it asks for. A service of its own, so that what
// storms it leaves the shop alone. The edge lines people up, counts what each has, and turns bots away; we sell seats.

import { randomUUID } from 'node:crypto'
import Fastify from 'fastify'
import { verifyIdentity } from 'tenfold/guard'
import { createDatabase, forSetup, Refusal } from '../api/database.mjs'
import { migrate } from '../api/migrate.mjs'
import { errorPage, page } from '../web/pages.mjs'
import { createHouse, seatName, seatsPerOrder } from './house.mjs'
import { premierePage, seatsPage, signInPage, ticketsPage } from './pages.mjs'
import { cookieOf, createSignIn } from './sign-in.mjs'

const instance = process.env.TENFOLD_INSTANCE ?? `premiere (${process.pid})`
const databaseUrl = process.env.DATABASE_URL
if (!databaseUrl) {
  console.error(
    'premiere: DATABASE_URL is not set; give a PostgreSQL database, e.g. postgres://app@127.0.0.1/app',
  )
  process.exit(2)
}
const total = Number(process.env.PREMIERE_SEATS ?? 500)
/** What pages offer. Without the guard it is no more than that: `seatsPerOrder` holds for one order, nothing for two. */
const each = Number(process.env.PREMIERE_EACH ?? 2)
const opensAt = process.env.PREMIERE_OPENS ? Date.parse(process.env.PREMIERE_OPENS) : null

const setup = createDatabase(databaseUrl, forSetup)
for (const file of await migrate(setup)) console.log(`${instance}: ${file} was applied`)
await createHouse(setup).prepare(total)
const signIn = await createSignIn(setup)
await setup.end()
const database = createDatabase(databaseUrl)
const house = createHouse(database)

const app = Fastify({ bodyLimit: 16 * 1024, forceCloseConnections: 'idle', return503OnClosing: false })
app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) =>
  done(null, Object.fromEntries(new URLSearchParams(body))),
)

const wantsPage = request => (request.headers.accept ?? '').includes('text/html')

function show(reply, content, status = 200) {
  reply.code(status).headers({ 'cache-control': 'no-store', 'x-served-by': instance })
  return reply.type('text/html; charset=utf-8').send(page({ ...content, instance }))
}

/** What somebody wants to be called: a courtesy, and theirs to choose, so nothing signs it. */
const nameCookie = 'boxoffice-name'
function nameOf(cookies) {
  try {
    return decodeURIComponent(cookieOf(cookies, nameCookie) ?? '').slice(0, 100) || 'guest'
  } catch {
    return 'guest'
  }
}

/** With the guard the edge has verified the token, and tells us. Without it there is nobody but us to do so. */
async function accountOf(request) {
  if (!process.env.TENFOLD_GUARD_KEY) return signIn.accountOf(request.headers.cookie)
  const result = verifyIdentity(request, { by: ['jwt:shop'] })
  return result.known ? result.identity.subject : null
}

/** `{ account, name }`, or null. */
async function personOf(request) {
  const account = await accountOf(request)
  return account === null ? null : { account, name: nameOf(request.headers.cookie) }
}

/** Whom the front page greets: it opens for everybody, so nobody is verified there, and nothing depends on it. */
const greeted = ({ headers: { cookie } }) =>
  cookieOf(cookie) && cookieOf(cookie, nameCookie) ? { name: nameOf(cookie) } : null

async function buyerOf(request) {
  const person = await personOf(request)
  if (!person) throw new Refusal(401, 'SIGN_IN', 'Please sign in first.')
  return person
}

/** A path of ours, never another site's. */
const ownPath = text => (/^\/[a-z][a-z/-]*$/.test(text ?? '') ? text : '/premiere')

app.get('/healthz', async () => ({ ok: true, instance }))

app.get('/sign-in/keys', async (_request, reply) =>
  reply.header('cache-control', 'public, max-age=300').send(signIn.keys),
)
app.get('/sign-in', async (request, reply) => show(reply, signInPage({ next: ownPath(request.query.next) })))

const signingIn = {
  body: {
    type: 'object',
    required: ['name', 'email'],
    properties: {
      name: { type: 'string', minLength: 1, maxLength: 100 },
      email: { type: 'string', pattern: '^[^@\\s]+@[^@\\s]+$', maxLength: 200 },
      next: { type: 'string', maxLength: 200 },
    },
  },
}
app.post('/sign-in', { schema: signingIn }, async (request, reply) => {
  const secure = request.headers['x-forwarded-proto'] === 'https'
  reply.headers({
    'set-cookie': [
      await signIn.cookieFor({ email: request.body.email, secure }),
      `${nameCookie}=${encodeURIComponent(request.body.name)}; Path=/; Max-Age=604800; HttpOnly; SameSite=Lax`,
    ],
    'cache-control': 'no-store',
  })
  return reply.redirect(ownPath(request.body.next), 303)
})

app.get('/premiere', async (request, reply) => {
  const free = await house.free()
  if (!wantsPage(request)) return reply.header('cache-control', 'no-store').send({ free, total })
  return show(reply, premierePage({ free, total, person: greeted(request), opensAt, each }))
})

app.get('/premiere/seats', async (request, reply) => {
  const person = await personOf(request)
  if (!person) return reply.header('cache-control', 'no-store').redirect('/sign-in?next=/premiere', 303)
  return show(reply, seatsPage({ free: await house.free(), person, key: randomUUID(), each }))
})

const ordering = {
  body: {
    type: 'object',
    required: ['seats'],
    properties: {
      seats: { type: 'integer', minimum: 1, maximum: seatsPerOrder },
      key: { type: 'string', pattern: '^[A-Za-z0-9-]{8,64}$' },
    },
  },
}
app.post('/premiere/orders', { schema: ordering }, async (request, reply) => {
  const { account, name } = await buyerOf(request)
  if (opensAt !== null && Date.now() < opensAt) throw new Refusal(409, 'NOT_OPEN', 'Seats are not sold yet.')
  const { seats, key } = request.body
  const { order, repeated } = await house.order({ id: key ?? randomUUID(), account, name, seats })
  if (wantsPage(request)) return reply.redirect(`/premiere/orders/${order.id}`, 303)
  return reply
    .code(repeated ? 200 : 201)
    .send({ order: { id: order.id, seats: order.seats.map(seatName), cents: order.cents } })
})

app.get('/premiere/orders/:order', async (request, reply) => {
  const { account } = await buyerOf(request)
  const order = await house.orderOf(request.params.order)
  if (order?.account !== account) throw new Refusal(404, 'NO_ORDER', 'There is no such order.')
  return show(reply, ticketsPage({ order }))
})

function answered(request, reply, { status, code, message }) {
  if (!wantsPage(request)) return reply.code(status).send({ error: { code, message } })
  return show(reply.header('x-refused', code), errorPage(status, message), status)
}
app.setNotFoundHandler((request, reply) =>
  answered(request, reply, { status: 404, code: 'NOT_FOUND', message: 'There is no such page.' }),
)
app.setErrorHandler((error, request, reply) => {
  if (error instanceof Refusal) return answered(request, reply, error)
  const status = error.statusCode ?? 500
  if (status >= 500) console.error(error)
  const message = status >= 500 ? 'That was our mistake.' : error.message
  return answered(request, reply, { status, code: status >= 500 ? 'FAULT' : 'INVALID', message })
})

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, async () => {
    await app.close()
    await database.end()
    process.exit(0)
  })
}

await app.listen({ port: Number(process.env.PORT ?? 3002), host: process.env.HOST ?? '127.0.0.1' })
console.log(`${instance}: ${total} seats on port ${app.server.address().port}`)
