// Quotas on a real edge with two workers, and with two edges that share Redis: never above stock or quota, whatever buyers do.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { CheckedQuota, CheckedRoom } from '../../src/file/checked-guard.ts'
import type { GuardSpec } from '../../src/guard/part.ts'
import type { QuotaStatus } from '../../src/guard/quota/main.ts'
import { until } from '../tools/edge-harness.ts'
import { answering, ok, type RawOrigin } from '../tools/raw-origin.ts'
import type { RawResponse } from '../tools/raw-peer.ts'
import { startRedis } from '../tools/redis-server.ts'
import { type GuardedEdge, policyOf, specOf, startGuardedEdge } from './harness.ts'

const tickets: CheckedQuota = {
  name: 'tickets',
  keys: [
    { by: [{ by: 'header', name: 'x-user' }], amount: 4 },
    { by: [{ by: 'field', name: 'payment.fingerprint' }], amount: 4 },
  ],
  quantityField: 'quantity',
  idempotent: false,
  stock: 50,
  holdMs: 600_000,
}

const specWith = (quota: Partial<CheckedQuota> = {}, more: Partial<GuardSpec> = {}): GuardSpec =>
  specOf([policyOf('trial', { quota: 'tickets' })], {
    quotas: { tickets: { ...tickets, ...quota } },
    ...more,
  })

interface Wanted {
  readonly user?: string
  readonly card?: string
  readonly quantity?: number
  readonly fields?: string
  readonly path?: string
  readonly body?: string
}

function buy(edge: GuardedEdge, wanted: Wanted = {}): Promise<RawResponse> {
  const { user = 'ada', card = user, quantity = 1, fields = '', path = '/api/orders' } = wanted
  const body = wanted.body ?? JSON.stringify({ quantity, payment: { fingerprint: card } })
  const all = `X-User: ${user}\r\nContent-Type: application/json\r\n${fields}`
  return edge.ask({ method: 'POST', path, fields: all, body })
}

/** What instances really sold: the truth that quotas are held against. */
function soldBy(origin: RawOrigin): number {
  return origin.requests.reduce(
    (sum, { body }) => sum + (JSON.parse(body.toString()) as { quantity: number }).quantity,
    0,
  )
}

const countOf = (responses: readonly RawResponse[], status: number): number =>
  responses.filter(one => one.status === status).length

/** So many at once, not all connections in the same instant. */
async function together<T>(count: number, make: (index: number) => Promise<T>): Promise<T[]> {
  const results: T[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < count) results.push(await make(next++))
  }
  await Promise.all(Array.from({ length: 64 }, worker))
  return results
}

test('1,000 parallel orders over two workers sell neither above the stock nor above a quota', async context => {
  const edge = await startGuardedEdge(context, specWith(), { workers: 2 })
  const responses = await together(1_000, i => buy(edge, { user: `user ${i % 40}` }))
  assert.equal(countOf(responses, 200), 50)
  assert.equal(countOf(responses, 409), 950)
  assert.equal(soldBy(edge.origin), 50)
  const perUser = Map.groupBy(edge.origin.requests, ({ fields }) => fields.get('x-user'))
  for (const [user, orders] of perUser) assert.ok(orders.length <= 4, `${user}: ${orders.length}`)
  await until('all is counted', async () => {
    const [status] = await edge.question<QuotaStatus[]>({ kind: 'quotas' })
    return status?.taken === 50 && status.held === 0
  })
})

test('split baskets, other accounts with the same card, and bodies with two meanings win nothing', async context => {
  const edge = await startGuardedEdge(context, specWith({ stock: 1_000 }), { workers: 2 })
  assert.equal((await buy(edge, { quantity: 5 })).status, 409)
  assert.equal((await buy(edge, { quantity: 3 })).status, 200)
  assert.equal((await buy(edge, { quantity: 2 })).status, 409)
  assert.equal((await buy(edge, { user: 'bob', card: 'ada', quantity: 2 })).status, 409)
  assert.equal((await buy(edge, { user: 'bob', card: 'bob', quantity: 4 })).status, 200)
  const before = edge.origin.requests.length
  for (const body of [
    '{"quantity":1,"quantity":100,"payment":{"fingerprint":"x"}}',
    '{"quantity":-5,"payment":{"fingerprint":"x"}}',
    '{"payment":{"fingerprint":"x"}}',
    'quantity=1',
    '',
  ])
    assert.equal((await buy(edge, { user: 'eve', body })).status, 400, body)
  assert.equal(edge.origin.requests.length, before)
  // Without an account and a card they all count by their address.
  const nobody = (): Promise<RawResponse> =>
    edge.ask({
      method: 'POST',
      path: '/',
      fields: 'Content-Type: application/json\r\n',
      body: '{"quantity":2}',
    })
  assert.deepEqual(
    [(await nobody()).status, (await nobody()).status, (await nobody()).status],
    [200, 200, 409],
  )
  assert.equal((await edge.ask({ path: '/api/orders' })).status, 200, 'looking is not buying')
})

test('what an instance refuses is free again, what failed or was given up by its client is kept', async context => {
  let hold = true
  context.after(() => {
    hold = false
  })
  const script = answering(async request => {
    if (request.startLine.includes('/refuses')) return 'HTTP/1.1 402 No\r\nContent-Length: 0\r\n\r\n'
    if (request.startLine.includes('/fails')) return 'HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n'
    if (request.startLine.includes('/form'))
      return 'HTTP/1.1 303 See Other\r\nLocation: /thanks\r\nContent-Length: 0\r\n\r\n'
    if (request.startLine.includes('/slow'))
      while (hold) await new Promise(resolve => setTimeout(resolve, 10))
    return ok()
  })
  const edge = await startGuardedEdge(context, specWith({ holdMs: 1_000 }), { workers: 2 }, script)
  assert.equal((await buy(edge, { user: 'a', quantity: 4, path: '/refuses' })).status, 402)
  await until('it is free', async () => (await buy(edge, { user: 'a', quantity: 4 })).status === 200)
  assert.equal((await buy(edge, { user: 'b', quantity: 4, path: '/form' })).status, 303)
  assert.equal((await buy(edge, { user: 'b' })).status, 409)
  assert.equal((await buy(edge, { user: 'c', quantity: 4, path: '/fails' })).status, 500)
  const peer = await edge.edge.connect()
  const body = '{"quantity":4,"payment":{"fingerprint":"d"}}'
  peer.write(
    `POST /slow HTTP/1.1\r\nHost: x\r\nX-User: d\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
  await until('it is under way', () => edge.origin.requests.some(one => one.startLine.includes('/slow')))
  assert.equal((await buy(edge, { user: 'd' })).status, 409)
  peer.reset()
  // The edge has to see it before the instance answers, or the order went through.
  await until('the edge sees that its client is gone', async () =>
    (await edge.edge.status()).workers.every(worker => worker.exchanges === 0),
  )
  hold = false
  await until(
    'who left may order again after the time',
    async () => (await buy(edge, { user: 'd' })).status === 200,
  )
  await until('so may who met an error', async () => (await buy(edge, { user: 'c' })).status === 200)
})

test('an order that is repeated with its Idempotency-Key is not made twice', async context => {
  const edge = await startGuardedEdge(context, specWith(), { workers: 2 })
  const again = { user: 'ada', quantity: 2, fields: 'Idempotency-Key: order-1\r\n' }
  const responses = await together(20, () => buy(edge, again))
  assert.equal(countOf(responses, 200), 1)
  assert.equal(countOf(responses, 409), 19)
  assert.equal((await buy(edge, { user: 'ada', quantity: 2 })).status, 200, 'it was counted once')
  // Somebody else's key of the same text is another order.
  assert.equal((await buy(edge, { ...again, user: 'bob' })).status, 200)
  await edge.reload(specWith({ idempotent: true }))
  await until('instances answer it themselves', async () => (await buy(edge, again)).status === 200)
  assert.equal((await buy(edge, { user: 'ada' })).status, 409)
})

test('two edges that share Redis sell one stock', async context => {
  const redis = await startRedis(context as TestContext)
  const shared = {
    redis: redis.url,
    prefix: 'trial:',
    timeoutMs: 5_000,
    whenAway: 'local',
    edges: 2,
  } as const
  const spec = specWith({}, { shared })
  const edges = [await startGuardedEdge(context, spec), await startGuardedEdge(context, spec)] as const
  for (const edge of edges)
    await until('Redis is there', async () => {
      const counted = await edge.question<QuotaStatus[] | null>({ kind: 'quotas' }).catch(() => null)
      return counted !== null
    })
  // It waits until both have told what they know: nothing.
  await until('it sells', async () => {
    const none = await buy(edges[0], { user: 'probe', quantity: 9 })
    return none.status === 409
  })
  const responses = await together(600, i => buy(edges[i % 2] as GuardedEdge, { user: `user ${i % 40}` }))
  assert.equal(countOf(responses, 200), 50)
  assert.equal(soldBy(edges[0].origin) + soldBy(edges[1].origin), 50)
  // A server that comes back empty learns from both what they sold, before it sells anything.
  await redis.kill()
  await redis.start()
  await until('it is sold out still', async () => {
    const late = await buy(edges[1], { user: 'late' })
    assert.notEqual(late.status, 200)
    return late.status === 409
  })
  redis.pause()
  const away = await buy(edges[0], { user: 'late' })
  assert.equal(away.status, 503)
  redis.resume()
})

test('a room whose stock is sold says so to everybody in line, and opens again when there is more', async context => {
  const room: CheckedRoom = {
    ...{
      name: 'sale',
      activeMax: 100,
      perMinute: 600_000,
      order: 'first-come',
      person: [],
      sessionMs: 600_000,
    },
    ...{ graceMs: 300_000, grantMs: 300_000, revokeAfter: [], title: 'Sale', placesMax: 1_000 },
  }
  const spec = (stock: number): GuardSpec =>
    specOf([policyOf('trial', { quota: 'tickets', room: 'sale' })], {
      quotas: { tickets: { ...tickets, stock } },
      rooms: { sale: room },
    })
  const edge = await startGuardedEdge(context, spec(2))
  const html = 'Accept: text/html\r\n'
  const entered = await edge.ask({ fields: html })
  assert.equal(entered.status, 200)
  const cookie = `Cookie: ${entered.fields.get('set-cookie')?.split(';')[0]}\r\n`
  const mode = async () => (await edge.question<{ mode: string }[]>({ kind: 'rooms' }))[0]?.mode
  assert.equal((await buy(edge, { fields: cookie })).status, 200)
  assert.equal(await mode(), 'open')
  assert.equal((await buy(edge, { user: 'bob', fields: cookie })).status, 200)
  await until('the room says so', async () => (await mode()) === 'sold-out')
  assert.match((await edge.ask({ fields: html })).body.toString(), /Everything is sold out/)
  await edge.reload(spec(3))
  await until('it opens again', async () => (await mode()) === 'open')
})
