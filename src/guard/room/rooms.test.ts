// The contract of rooms, held against both implementations: the one in memory with its journal, and the script in Redis.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { eventually, type RedisServer, startRedis } from '../../../test/tools/redis-server.ts'
import { type Clock, systemClock } from '../../kit/clock.ts'
import { seededRandom } from '../../kit/random.ts'
import {
  movesMax,
  type RoomAnswer,
  type RoomAsk,
  type RoomRules,
  tokenKind,
} from '../../policy/room/index.ts'
import { LocalRoom } from './local-room.ts'
import type { RoomStore } from './room-store.ts'
import { drawOf, lotterySeed } from './secrets.ts'
import { SharedRooms } from './shared-rooms.ts'

const secretKey = Buffer.alloc(32, 5).toString('base64')
const rules: RoomRules = {
  activeMax: 2,
  perMinute: 600_000,
  opensAtMs: 0,
  preQueueFromMs: 0,
  lottery: false,
  sessionMs: 600_000,
  graceMs: 300_000,
  grantMs: 300_000,
  placesMax: 10_000,
}

type Question = Partial<RoomAsk>

class Desk {
  readonly store: RoomStore
  constructor(store: RoomStore) {
    this.store = store
  }

  async ask(...questions: Question[]): Promise<readonly RoomAnswer[]> {
    const asks = questions.map(
      (one): RoomAsk => ({
        ...{ kind: 'enter', token: tokenKind.none, id: 0, nonce: 0, code: 0, draw: 1, binding: 1 },
        ...{ direct: true, forever: false },
        ...one,
      }),
    )
    return this.store.ask(asks)
  }

  async one(question: Question = {}): Promise<RoomAnswer> {
    return (await this.ask(question))[0]!
  }
}

type Open = (rules: Partial<RoomRules>, name?: string) => Promise<Desk>

const shape = (change: Partial<RoomRules>, name: string) => ({
  rules: { ...rules, ...change },
  clock: systemClock,
  draw: (edition: number, code: number) => drawOf(lotterySeed(secretKey, name, edition), code),
  tell: () => {},
  changed: () => {},
})

function openLocal(context: TestContext, clock: Clock = systemClock): Open {
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-rooms-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  return async (change, name = 'sale') => {
    const store = new LocalRoom({ ...shape(change, name), clock, path: join(folder, `${name}.jsonl`) })
    context.after(() => store.close())
    return new Desk(store)
  }
}

function sharedRooms(context: TestContext, redis: RedisServer): SharedRooms {
  const shared = {
    redis: redis.url,
    prefix: 'trial:',
    timeoutMs: 2_000,
    whenAway: 'local',
    edges: 2,
  } as const
  const rooms = new SharedRooms(shared, { clock: systemClock, random: seededRandom(1), tell: () => {} })
  context.after(() => rooms.close())
  return rooms
}

async function openShared(context: TestContext, server?: RedisServer): Promise<Open> {
  const redis = server ?? (await startRedis(context))
  return async (change, name = 'sale') => {
    const store = sharedRooms(context, redis).open(name, shape(change, name))
    context.after(() => store.close())
    const desk = new Desk(store)
    await eventually('the room answers', async () => (await desk.one({ kind: 'look' })).state === 'gone')
    return desk
  }
}

const kinds: [string, (context: TestContext) => Promise<Open>][] = [
  ['in memory', async context => openLocal(context)],
  ['in Redis', context => openShared(context)],
]

for (const [kind, opener] of kinds) {
  test(`a room ${kind} lets in up to its bound and lines up the rest`, async context => {
    const desk = await (await opener(context))({})
    const answers = await desk.ask({}, {}, {}, {})
    assert.deepEqual(
      answers.map(({ state, ahead }) => [state, ahead]),
      [
        ['in', 0],
        ['in', 0],
        ['waiting', 0],
        ['waiting', 1],
      ],
    )
    assert.ok(answers[2]!.estimateMs > 0)
    const { waiting, active, granted, admittedTotal } = await desk.store.counts()
    assert.deepEqual([waiting, active, granted, admittedTotal], [2, 2, 0, 2])
    const [first] = answers
    await desk.one({ kind: 'done', token: tokenKind.session, id: first!.id, nonce: first!.nonce })
    const next = await desk.one({ token: tokenKind.ticket, id: answers[2]!.id })
    assert.equal(next.state, 'in')
    assert.equal((await desk.one({ kind: 'look', token: tokenKind.ticket, id: answers[3]!.id })).ahead, 0)
  })

  test(`a grant of a room ${kind} works once in 100 parallel redeems`, async context => {
    const desk = await (await opener(context))({})
    const { state, id, nonce } = await desk.one({ direct: false })
    assert.equal(state, 'granted')
    const redeem = { token: tokenKind.grant, id, nonce, direct: false }
    const rounds = await Promise.all(
      Array.from({ length: 100 }, (_, i) => desk.one({ ...redeem, binding: 1 + (i % 3) })),
    )
    assert.equal(rounds.filter(one => one.state === 'in').length, 1)
    assert.equal(rounds.filter(one => one.state === 'used').length, 99)
  })

  test(`a room ${kind} never holds more than its bound in 2,000 parallel asks`, async context => {
    const open = await opener(context)
    const desks = [await open({ activeMax: 25 }), kind === 'in Redis' ? await open({ activeMax: 25 }) : null]
    const all = await Promise.all(
      Array.from({ length: 2_000 }, (_, i) => (desks[i % 2] ?? desks[0]!).one({ code: i + 1 })),
    )
    assert.equal(all.filter(one => one.state === 'in').length, 25)
    assert.equal(all.filter(one => one.state === 'waiting').length, 1_975)
    const aheads = all.filter(one => one.state === 'waiting').map(one => one.ahead)
    assert.equal(new Set(aheads).size, 1_975, 'everybody has a place of their own')
  })

  test(`a room ${kind} gives a person one place, and a session of another person nothing`, async context => {
    const desk = await (await opener(context))({ activeMax: 1 })
    const inside = await desk.one({ code: 7 })
    const [one, two] = await desk.ask({ code: 8, binding: 5 }, { code: 8, binding: 6 })
    assert.equal(one!.id, two!.id)
    const session = { token: tokenKind.session, id: inside.id, nonce: inside.nonce }
    assert.equal((await desk.one({ ...session, code: 9 })).state, 'waiting')
    assert.equal((await desk.one({ ...session, code: 7, direct: false })).state, 'in')
    const nobody = await desk.one({})
    const known = await desk.one({ token: tokenKind.ticket, id: nobody.id, code: 77 })
    assert.equal(known.id, nobody.id, 'who logs in keeps the place')
  })

  test(`a session of a room ${kind} that goes round between clients ends`, async context => {
    const desk = await (await opener(context))({ activeMax: 1 })
    const { id, nonce } = await desk.one({ code: 3, binding: 9 })
    const states: string[] = []
    for (let i = 0; i < movesMax + 2; i++) {
      const asked = { token: tokenKind.session, id, nonce, code: 3, binding: 10 + (i % 2), direct: false }
      states.push((await desk.one(asked)).state)
    }
    assert.deepEqual(states.slice(0, movesMax), new Array(movesMax).fill('in'))
    assert.notEqual(states[movesMax], 'in')
  })

  test(`time ends grants and sessions of a room ${kind}, and silence a place`, async context => {
    const desk = await (await opener(context))({ activeMax: 1, grantMs: 100, graceMs: 400, sessionMs: 300 })
    const granted = await desk.one({ direct: false })
    const { id } = await desk.one({ direct: false })
    await eventually('the grant is over', async () => {
      const look = await desk.one({ kind: 'look', token: tokenKind.ticket, id })
      return look.state !== 'waiting'
    })
    const late = await desk.one({ token: tokenKind.grant, id: granted.id, nonce: granted.nonce })
    assert.equal(late.state, 'used')
    const silent = await desk.one({ direct: false })
    await eventually('silent places and unused grants are gone', async () => {
      const { waiting, granted: unused } = await desk.store.counts()
      return waiting === 0 && unused === 0
    })
    assert.equal((await desk.one({ kind: 'look', token: tokenKind.ticket, id: silent.id })).state, 'gone')
  })

  test(`a suspect of a room ${kind} waits for ever, and nobody behind waits for it`, async context => {
    const desk = await (await opener(context))({ activeMax: 1 })
    const inside = await desk.one({})
    const suspect = await desk.one({ forever: true })
    const honest = await desk.one({})
    assert.deepEqual([suspect.state, honest.ahead], ['waiting', 0])
    assert.ok(suspect.ahead >= 3)
    await desk.one({ kind: 'done', token: tokenKind.session, id: inside.id, nonce: inside.nonce })
    const still = await desk.one({ forever: true, token: tokenKind.ticket, id: suspect.id })
    assert.deepEqual([still.state, still.id], ['waiting', suspect.id])
    assert.equal((await desk.one({ token: tokenKind.ticket, id: honest.id })).state, 'in')
    assert.equal((await desk.store.counts()).suspects, 1)
    const cleared = await desk.one({ token: tokenKind.ticket, id: suspect.id })
    assert.deepEqual([cleared.state, cleared.ahead], ['waiting', 0])
  })

  test(`commands pause, open, close and empty a room ${kind}`, async context => {
    const desk = await (await opener(context))({ activeMax: 1 })
    await desk.store.setMode('paused')
    const first = await desk.one({})
    assert.deepEqual([first.state, first.estimateMs], ['waiting', -1])
    await desk.store.setMode('open')
    const inside = await desk.one({ token: tokenKind.ticket, id: first.id })
    assert.equal(inside.state, 'in')
    const second = await desk.one({})
    await desk.store.setMode('sold-out')
    assert.equal((await desk.one({})).state, 'sold-out')
    assert.equal((await desk.one({ token: tokenKind.ticket, id: second.id })).state, 'sold-out')
    const session = { token: tokenKind.session, id: inside.id, nonce: inside.nonce }
    assert.equal((await desk.one(session)).state, 'in', 'who is inside stays')
    assert.equal(await desk.store.revoke(inside.id), true)
    assert.equal(await desk.store.revoke(9_999), false)
    assert.equal((await desk.store.counts()).active, 0)
  })

  test(`the place of a person of a room ${kind} can be ended, inside and in line, and nobody else's`, async context => {
    const desk = await (await opener(context))({ activeMax: 1 })
    const [inside, waiting, other] = await desk.ask({ code: 7 }, { code: 8 }, { code: 9 })
    assert.deepEqual([inside!.state, waiting!.state, other!.ahead], ['in', 'waiting', 1])
    assert.equal(await desk.store.revokePerson(8), true)
    assert.equal(await desk.store.revokePerson(8), false)
    assert.equal((await desk.one({ kind: 'look', token: tokenKind.ticket, id: other!.id })).ahead, 0)
    assert.equal(await desk.store.revokePerson(7), true)
    assert.equal((await desk.one({ token: tokenKind.ticket, id: other!.id, code: 9 })).state, 'in')
    const session = { token: tokenKind.session, id: inside!.id, nonce: inside!.nonce, code: 7 }
    assert.equal((await desk.one({ ...session, direct: false })).state, 'waiting')
    assert.equal(await desk.store.revokePerson(0), false)
  })

  test(`the lottery of a room ${kind} makes the order that its seed says`, async context => {
    const opensAtMs = Date.now() + 1_500
    const desk = await (await opener(context))({ opensAtMs, lottery: true, activeMax: 1 })
    assert.equal((await desk.one({})).state, 'person')
    const codes = Array.from({ length: 40 }, (_, i) => 1_000 + i)
    const early = await Promise.all(codes.map(code => desk.one({ code, direct: false })))
    assert.ok(early.every(one => one.state === 'early'))
    await eventually('the draw', async () => {
      await desk.one({ kind: 'look', token: tokenKind.ticket, id: early[0]!.id })
      return desk.store.drawn
    })
    const seed = lotterySeed(secretKey, 'sale', opensAtMs)
    const order = [...codes].sort((one, other) => drawOf(seed, one) - drawOf(seed, other))
    assert.deepEqual(await desk.store.places(), order)
    const late = await desk.one({ code: 5_000 })
    assert.equal(late.ahead, 39)
    const looks = await Promise.all(
      order.map(code =>
        desk.one({ kind: 'look', token: tokenKind.ticket, id: early[codes.indexOf(code)]!.id }),
      ),
    )
    assert.deepEqual(
      looks.map(one => [one.state, one.ahead]),
      order.map((_, index) => (index === 0 ? ['granted', 0] : ['waiting', index - 1])),
    )
  })
}

test('a room in memory is there again after its process: nobody loses a place, no grant works twice', async context => {
  const open = openLocal(context)
  const desk = await open({ activeMax: 3 })
  const inside = await desk.one({})
  const granted = await desk.one({ direct: false })
  const used = await desk.one({ direct: false })
  await desk.one({ token: tokenKind.grant, id: used.id, nonce: used.nonce })
  const waiting = await desk.ask(...Array.from({ length: 50 }, () => ({})))
  // Nothing is closed: the next process takes the journal over as it is.
  const again = await open({ activeMax: 3 })
  const session = { token: tokenKind.session, id: inside.id, nonce: inside.nonce, direct: false }
  assert.equal((await again.one(session)).state, 'in')
  assert.equal(
    (await again.one({ token: tokenKind.grant, id: granted.id, nonce: granted.nonce })).state,
    'in',
  )
  assert.equal((await again.one({ token: tokenKind.grant, id: used.id, nonce: used.nonce })).state, 'used')
  for (const [index, place] of waiting.entries()) {
    const look = await again.one({ kind: 'look', token: tokenKind.ticket, id: place.id })
    assert.deepEqual([look.state, look.ahead], ['waiting', index])
  }
  assert.equal((await desk.one({})).state, 'away', 'the former process lets in nobody any more')
})

test('two edges are one room in Redis, and while it is away nobody new is let in', async context => {
  const redis = await startRedis(context)
  const open = async (): Promise<Desk> => {
    const store = sharedRooms(context, redis).open('sale', shape({ activeMax: 1 }, 'sale'))
    context.after(() => store.close())
    return new Desk(store)
  }
  const [one, other] = [await open(), await open()]
  for (const desk of [one, other])
    await eventually('the room answers', async () => (await desk.one({ kind: 'look' })).state === 'gone')
  const inside = await one.one({})
  const waiting = await other.one({})
  assert.deepEqual([inside.state, waiting.state], ['in', 'waiting'])
  redis.pause()
  const away = await other.one({ token: tokenKind.ticket, id: waiting.id })
  assert.equal(away.state, 'away')
  redis.resume()
  await eventually('the place is still there', async () => {
    const look = await one.one({ kind: 'look', token: tokenKind.ticket, id: waiting.id })
    return look.state === 'waiting' && look.ahead === 0
  })
})

test('the room in memory and the one in Redis answer 3,000 random asks alike', async context => {
  const seed = Date.now() >>> 0
  const random = seededRandom(seed)
  const change = { activeMax: 8, perMinute: 60_000_000, placesMax: 60 }
  const redis = await startRedis(context)
  const shared = await (await openShared(context, redis))(change)
  // Each numbers its places from the time of its birth.
  const born = Number(await redis.ask('HGET', 'trial:{room:sale}:h', 'born'))
  const local = await openLocal(context, { ...systemClock, wall: () => born })(change)
  const known: RoomAnswer[] = []
  for (let step = 0; step < 3_000; step++) {
    const one = known.length > 0 && random.below(10) > 0 ? known[random.below(known.length)]! : null
    const kind = (['enter', 'enter', 'enter', 'enter', 'enter', 'look', 'look', 'leave', 'done'] as const)[
      random.below(9)
    ]!
    const asked: Question = {
      kind,
      token: one === null ? tokenKind.none : 1 + random.below(3),
      id: one?.id ?? 0,
      nonce: one === null ? 0 : one.nonce - (random.below(8) === 0 ? 1 : 0),
      code: random.below(4) === 0 ? (one?.code ?? 0) : random.below(40),
      binding: 1 + random.below(12 === step % 13 ? 5 : 2),
      direct: random.below(2) === 0,
      forever: random.below(12) === 0,
    }
    if (random.below(200) === 0) {
      const mode = (['open', 'paused', 'open', 'sold-out'] as const)[random.below(4)]!
      await Promise.all([local.store.setMode(mode), shared.store.setMode(mode)])
    }
    const [mine, theirs] = [await local.one(asked), await shared.one(asked)]
    const facts = ({ state, id, nonce, ahead, code }: RoomAnswer) => ({ state, id, nonce, ahead, code })
    assert.deepEqual(facts(theirs), facts(mine), `step ${step} of seed ${seed}: ${JSON.stringify(asked)}`)
    if (mine.id > 0) known.push(mine)
  }
  const { estimateMs: _, ...counts } = await local.store.counts()
  const { estimateMs: __, ...theirs } = await shared.store.counts()
  assert.deepEqual(theirs, counts)
})

test('a Redis that comes back empty gives nobody the place of another, and everybody their own again, once', async context => {
  const redis = await startRedis(context)
  const store = sharedRooms(context, redis).open('sale', shape({ activeMax: 2 }, 'sale'))
  context.after(() => store.close())
  const desk = new Desk(store)
  const answers = async () => (await desk.one({ kind: 'look' })).state === 'gone'
  await eventually('the room answers', answers)
  const inside = await desk.one({ code: 11, binding: 4 })
  const granted = await desk.one({ code: 12, direct: false })
  const line = await desk.ask({ code: 13 }, { code: 14 }, { code: 15 })
  assert.deepEqual(
    [inside.state, granted.state, ...line.map(({ state }) => state)],
    ['in', 'granted', 'waiting', 'waiting', 'waiting'],
  )
  await redis.kill()
  await redis.start()
  await eventually('the room answers again', answers)
  // Somebody else is first in the new life.
  const first = await desk.one({ code: 99 })
  assert.equal(first.state, 'in')
  const old = new Set([inside.id, granted.id, ...line.map(({ id }) => id)])
  assert.ok(!old.has(first.id))
  const ticket = (index: number, code = 13 + index): Question => ({
    ...{ token: tokenKind.ticket, id: line[index]!.id, code, heldCode: 13 + index },
  })
  assert.equal((await desk.one({ ...ticket(0), kind: 'look', code: 0 })).state, 'away', 'the page loads anew')
  const stolen = await desk.one(ticket(0, 50))
  assert.notEqual(stolen.id, line[0]!.id, "another person's token is worth nothing")
  const session = { token: tokenKind.session, id: inside.id, nonce: inside.nonce, code: 11, heldCode: 11 }
  assert.equal((await desk.one({ ...session, binding: 4, direct: false })).state, 'in')
  // In whatever order they come back.
  for (const index of [2, 1, 0]) assert.equal((await desk.one(ticket(index))).id, line[index]!.id)
  const aheads = await Promise.all([0, 1, 2].map(index => desk.one(ticket(index))))
  assert.deepEqual(
    aheads.map(({ ahead }) => ahead),
    [0, 1, 2],
    'those of the former life are before who came after it',
  )
  const grant = { token: tokenKind.grant, id: granted.id, nonce: granted.nonce, code: 12, heldCode: 12 }
  const redeems = await Promise.all(Array.from({ length: 20 }, () => desk.one(grant)))
  assert.equal(redeems.filter(({ state }) => state === 'in').length, 1)
  await desk.one({ ...grant, kind: 'done', token: tokenKind.session, nonce: 0 })
  assert.notEqual((await desk.one(grant)).id, granted.id, 'who is done does not come back once more')
  await desk.store.setMode('paused')
  await redis.kill()
  await redis.start()
  await eventually('the room answers again', answers)
  assert.equal((await desk.store.counts()).mode, 'paused', 'what an operator closed stays closed')
})
