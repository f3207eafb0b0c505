// The contract of quotas, held against both implementations: the one in memory with its journal, and the script in Redis.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { eventually, type RedisServer, startRedis } from '../../../test/tools/redis-server.ts'
import { systemClock } from '../../kit/clock.ts'
import { seededRandom } from '../../kit/random.ts'
import type { QuotaAnswer, QuotaRules, QuotaWish } from '../../policy/quota/quota.ts'
import { LocalQuota } from './local-quota.ts'
import { quantityAt, readOrder, textAt } from './order.ts'
import type { QuotaStore } from './quota-store.ts'
import { SharedQuotas } from './shared-quotas.ts'

const rules: QuotaRules = { stock: 50, holdMs: 300, resetMs: 0, idempotent: false }

const wish = (name: string, quantity = 1, change: Partial<QuotaWish> = {}): QuotaWish => ({
  keys: [{ name, amount: 4 }],
  quantity,
  idempotency: '',
  ...change,
})

const one = async (store: QuotaStore, asked: QuotaWish): Promise<QuotaAnswer> =>
  (await store.reserve([asked]))[0]!

type Open = (change?: Partial<QuotaRules>) => Promise<QuotaStore>

function folderOf(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-quotas-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function openLocal(context: TestContext): Open {
  const folder = folderOf(context)
  return async (change = {}) => {
    const options = { path: join(folder, 'q.jsonl'), rules: { ...rules, ...change }, clock: systemClock }
    const store = new LocalQuota({ ...options, tell: () => {} })
    context.after(() => store.close())
    return store
  }
}

/** @param edges that a server which began anew waits for. */
function sharedQuotas(context: TestContext, redis: RedisServer, edges = 1, renewMs = 60_000): SharedQuotas {
  const shared = { redis: redis.url, prefix: 't:', timeoutMs: 5_000, whenAway: 'local', edges } as const
  const more = {
    clock: systemClock,
    random: seededRandom(3),
    tell: () => {},
    folder: folderOf(context),
    renewMs,
  }
  const quotas = new SharedQuotas(shared, more)
  context.after(() => quotas.close())
  return quotas
}

async function openShared(context: TestContext): Promise<Open> {
  const redis = await startRedis(context)
  return async (change = {}) => {
    const store = sharedQuotas(context, redis).open('q', { ...rules, ...change })
    context.after(() => store.close())
    await eventually('Redis answers', () =>
      store.counts().then(
        () => true,
        () => false,
      ),
    )
    return store
  }
}

const kinds: [string, (context: TestContext) => Promise<Open>][] = [
  ['in memory', async context => openLocal(context)],
  ['in Redis', openShared],
]

for (const [kind, opener] of kinds) {
  test(`1,000 parallel orders of a quota ${kind} are never above stock or quota`, async context => {
    const open = await opener(context)
    const store = await open()
    const other = kind === 'in Redis' ? await open() : store
    const answers = await Promise.all(
      Array.from({ length: 1_000 }, (_, i) => one(i % 2 === 0 ? store : other, wish(`buyer ${i % 100}`))),
    )
    assert.equal(answers.filter(({ state }) => state === 'held').length, 50)
    const greedy = await open({ stock: 0 })
    const tries = await Promise.all(Array.from({ length: 100 }, () => one(greedy, wish('greedy', 1))))
    assert.equal(tries.filter(({ state }) => state === 'held').length, 4)
  })

  test(`a quota ${kind} takes, gives back, and gives back what nobody heard of`, async context => {
    const store = await (await opener(context))()
    const [taken, free, lost] = [
      await one(store, wish('a', 4)),
      await one(store, wish('b', 4)),
      await one(store, wish('c', 4)),
    ]
    store.end(taken.id, 'taken')
    store.end(free.id, 'free')
    store.end(lost.id, 'unknown')
    await eventually('it is counted', async () => (await store.counts()).taken === 4)
    const over = await one(store, wish('a'))
    assert.deepEqual([over.state, over.left, over.which], ['over', 0, 0])
    await eventually('b is free', async () => (await one(store, wish('b', 4))).state === 'held')
    await eventually(
      'c is free after its time',
      async () => (await one(store, wish('c', 4))).state === 'held',
    )
    assert.deepEqual(await store.counts(), { held: 8, taken: 4, keys: kind === 'in Redis' ? 1 : 3 })
  })

  test(`a quota ${kind} reserves all keys or none, and knows an order again`, async context => {
    const store = await (await opener(context))()
    const keys = [
      { name: 'account', amount: 4 },
      { name: 'card', amount: 1 },
    ]
    assert.equal((await one(store, wish('', 2, { keys }))).which, 1)
    assert.equal((await store.counts()).held, 0)
    const order = wish('d', 2, { idempotency: 'order 1' })
    const first = await one(store, order)
    assert.equal((await one(store, order)).state, 'repeated')
    store.end(first.id, 'taken')
    await eventually('it is taken', async () => (await store.counts()).taken === 2)
    assert.equal((await one(store, order)).state, 'repeated')
    store.setRules({ ...rules, idempotent: true })
    assert.equal((await one(store, order)).state, 'counted')
    assert.equal((await one(store, { ...order, quantity: 1 })).state, 'repeated')
    const shared = wish('e', 1, { idempotency: 'order 2' })
    const [one_, two] = [await one(store, shared), await one(store, shared)]
    assert.deepEqual([two.state, two.id], ['held', one_.id])
    store.end(one_.id, 'free')
    store.end(two.id, 'taken')
    await eventually('it is counted once', async () => (await store.counts()).taken === 3)
  })

  test(`a key of a quota ${kind} begins anew after its time`, async context => {
    const store = await (await opener(context))({ resetMs: 300, stock: 0 })
    const first = await one(store, wish('f', 4))
    store.end(first.id, 'taken')
    await eventually('it is taken', async () => (await store.counts()).taken === 4)
    await eventually('it begins anew', async () => (await one(store, wish('f', 4))).state === 'held')
  })
}

test('a quota in memory survives its process: what was sold stays sold, what was open is given back', async context => {
  const open = openLocal(context)
  const store = await open()
  store.end((await one(store, wish('a', 4))).id, 'taken')
  const inFlight = await one(store, wish('b', 4))
  assert.equal(inFlight.state, 'held')
  const again = await open()
  assert.equal((await one(again, wish('a'))).state, 'over')
  assert.deepEqual((await again.counts()).taken, 4)
  await eventually('what was open is free', async () => (await one(again, wish('b', 4))).state === 'held')
  assert.equal((await one(store, wish('z'))).state, 'away', 'the former process sells nothing any more')
})

test('an order that goes through after its time is counted, and once', async context => {
  const redis = await startRedis(context)
  const store = sharedQuotas(context, redis).open('q', rules)
  context.after(() => store.close())
  await eventually('Redis answers', () =>
    store.counts().then(
      () => true,
      () => false,
    ),
  )
  const late = await one(store, wish('a', 3))
  await redis.ask('ZADD', 't:{quota:q}:u', '1', String(late.id))
  await eventually('its time is over', async () => (await store.counts()).held === 0)
  store.end(late.id, 'taken')
  await eventually('it is counted', async () => (await store.counts()).taken === 3)
})

test('while Redis is away nothing is sold, and endings are told when it is back', async context => {
  const redis = await startRedis(context)
  const store = sharedQuotas(context, redis).open('q', { ...rules, holdMs: 60_000 })
  context.after(() => store.close())
  await eventually('Redis answers', () =>
    store.counts().then(
      () => true,
      () => false,
    ),
  )
  const { id } = await one(store, wish('a', 3))
  const other = sharedQuotas(context, redis)
  assert.equal((await one(other.open('q', rules), wish('b'))).state, 'away', 'before it is connected')
  await redis.ask('CLIENT', 'KILL', 'TYPE', 'normal')
  store.end(id, 'taken')
  await eventually('the ending is told', async () => {
    const counts = await store.counts().catch(() => null)
    return counts?.taken === 3 && counts.held === 0
  })
})

test('an order says how many are wanted in one way only', () => {
  const json = (text: string, path = 'quantity', target = '/'): number | null => {
    const order = readOrder(['application/json'], Buffer.from(text), target)
    return order === null ? null : quantityAt(order, path)
  }
  assert.equal(json('{"quantity":3}'), 3)
  assert.equal(json('{"quantity":"3"}'), 3)
  assert.equal(json('{"items":[{"quantity":2},{"quantity":5}]}', 'items.*.quantity'), 7)
  const bad = [
    '{"quantity":0}',
    '{"quantity":-1}',
    '{"quantity":1.5}',
    '{"quantity":1e9}',
    '{"quantity":[1]}',
    '{"quantity":"3 "}',
    '{"quantity":"0x10"}',
    '{"quantity":null}',
    '{"quantity":true}',
    '{}',
    '{"quantity":1,"quantity":9}',
    '{"Quantity":1}',
    '[{"quantity":1}]',
    '{"quantity":1}{"quantity":9}',
    '{"__proto__":{"quantity":1}}',
    'quantity=1',
    '{"quantity":1,"Quantity":9}',
    '{"quantity":1,"QUANT\\u0131TY":9}',
  ]
  for (const text of bad) assert.equal(json(text), null, text)
  assert.equal(json('{"items":[{"quantity":2},{}]}', 'items.*.quantity'), null)
  assert.equal(json('{"items":[]}', 'items.*.quantity'), null)
  assert.equal(json('{"seats":2}', 'seats', '/buy?seat=7'), 2)
  assert.equal(json('{"seats":2}', 'seats', '/buy?seats=7'), null)
  assert.equal(json('{"seats":2,"\u017feats":7}', 'seats'), null)
  assert.equal(json('{"order":{"seats":2},"Order":{"seats":9}}', 'order.seats'), null)
  const form = (text: string, path = 'quantity', target = '/'): number | null => {
    const order = readOrder(['application/x-www-form-urlencoded'], Buffer.from(text), target)
    return order === null ? null : quantityAt(order, path)
  }
  assert.equal(form('a=b&quantity=4'), 4)
  assert.equal(form('seat_kind=a&seat_count=4&seat_count_text=four', 'seat_count', '/?a=b'), 4)
  for (const other of [
    'seat.count',
    'seat+count',
    'Seat_Count',
    'seat[count]',
    'seat_count[]',
    '+seat_count',
  ])
    assert.equal(form(`seat_count=1&${other}=9`, 'seat_count'), null, other)
  for (const query of ['?quantity=9', '?a=b&%71uantity=9', '?quantity[]=9', '?Quantity'])
    assert.equal(form('quantity=1', 'quantity', `/buy${query}`), null, query)
  for (const text of [
    'quantity=1&quantity=9',
    'quantity=1&quantity[]=9',
    'a=b',
    'quantity=%34x',
    'quantity=',
  ])
    assert.equal(form(text), null, text)
  const order = readOrder(['application/json'], Buffer.from('{"payment":{"fingerprint":"abc"}}'), '/')
  assert.equal(textAt(order!, 'payment.fingerprint'), 'abc')
  assert.equal(textAt(order!, 'payment'), null)
  assert.equal(readOrder(['text/plain'], Buffer.from('{"quantity":1}'), '/'), null)
  assert.equal(readOrder(['application/json', 'text/plain'], Buffer.from('{}'), '/'), null)
})

for (const [what, saves] of [
  ['comes back empty', false],
  ['comes back as it was a while ago', true],
] as const)
  test(`a Redis that is killed in the middle of a sale and ${what} sells nothing twice`, async context => {
    const redis = await startRedis(context)
    const open = (): QuotaStore => {
      const store = sharedQuotas(context, redis, 2).open('q', { ...rules, stock: 60, holdMs: 60_000 })
      context.after(() => store.close())
      return store
    }
    const stores = [open(), open()] as const
    const sold = new Map<string, number>()
    let total = 0
    let buyer = 0
    /** An order as an instance makes it; what it took is the truth. */
    const buy = async (store: QuotaStore): Promise<string> => {
      const name = `buyer ${buyer++ % 30}`
      const { state, id } = await one(store, wish(name, 1))
      if (state !== 'held') return state
      if (id % 4 === 0) {
        store.end(id, 'free')
        return 'refused'
      }
      sold.set(name, (sold.get(name) ?? 0) + 1)
      total++
      store.end(id, 'taken')
      return 'sold'
    }
    const sellsSome = async (): Promise<boolean> =>
      (await Promise.all(stores.map(buy))).includes('sold') && total > 0
    await eventually('both have told what they know, and it sells', sellsSome)
    const open1 = await one(stores[0], wish('slow', 2))
    assert.equal(open1.state, 'held')
    if (saves) await redis.ask('SAVE')
    while (total < 20) for (const store of stores) await buy(store)
    // Some are under way when it dies.
    const cut = Array.from({ length: 10 }, (_, i) => buy(stores[i % 2] as QuotaStore))
    await redis.kill()
    await Promise.all(cut)
    await redis.start()
    await eventually('it sells again', sellsSome)
    const rounds = async (): Promise<boolean> => {
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, i) => buy(stores[i % 2] as QuotaStore)),
      )
      return answers.every(state => state === 'sold-out' || state === 'over')
    }
    await eventually('all is sold', rounds)
    assert.equal(total, 58, 'two are still under way')
    for (const [name, count] of sold) assert.ok(count <= 4, `${name}: ${count}`)
    stores[0].end(open1.id, 'taken')
    await eventually('all is counted', async () => {
      const { taken, held } = await stores[1].counts()
      return taken === 60 && held === 0
    })
  })

test('an edge whose ledger does not come back is not waited for without end', async context => {
  const redis = await startRedis(context)
  const store = sharedQuotas(context, redis, 2).open('q', rules)
  context.after(() => store.close())
  await eventually('Redis answers', () =>
    store.counts().then(
      () => true,
      () => false,
    ),
  )
  assert.equal((await one(store, wish('a'))).state, 'away', 'the other one may have sold')
  await eventually('it sells', async () => (await one(store, wish('a'))).state === 'held', 40_000)
})

test('what an edge has open holds until its last request has ended, whatever the hold', async context => {
  const redis = await startRedis(context)
  const store = sharedQuotas(context, redis, 1, 100).open('q', { ...rules, holdMs: 1 })
  context.after(() => store.close())
  await eventually('it sells', async () => (await one(store, wish('probe'))).state === 'held')
  const shared = wish('d', 2, { idempotency: 'order' })
  store.setRules({ ...rules, holdMs: 1, idempotent: true })
  const [first, second] = [await one(store, shared), await one(store, shared)]
  assert.equal(second.id, first.id)
  // Nobody heard the end of the first request; the second of the same order is still under way.
  store.end(first.id, 'unknown')
  const ends = async (): Promise<number> =>
    Number(await redis.ask('ZSCORE', 't:{quota:q}:u', String(first.id)))
  assert.ok((await ends()) > Date.now() + 60_000)
  await redis.ask('ZADD', 't:{quota:q}:u', String(Date.now() + 30_000), String(first.id))
  await eventually('it is renewed', async () => (await ends()) > Date.now() + 60_000)
  store.end(second.id, 'free')
  await eventually('then it is free after its time', async () => (await store.counts()).held === 1)
})
