import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { seededRandom } from '../../kit/random.ts'
import { lateOrder } from '../lottery/lottery.ts'
import { admitOne, emptyBucket, fullBucket } from './admission.ts'
import { awakeMs, movesMax, type RoomAsk, type RoomRules, tokenKind } from './contract.ts'
import { nextAskMs } from './estimate.ts'
import { Line } from './line.ts'
import { Room, type RoomChange } from './room.ts'

const second = 1_000_000
const wall = 1_800_000_000_000_000

const rules: RoomRules = {
  activeMax: 2,
  perMinute: 60_000,
  opensAtMs: 0,
  preQueueFromMs: 0,
  lottery: false,
  sessionMs: 60_000,
  graceMs: 300_000,
  grantMs: 30_000,
  placesMax: 1_000,
}

const ask = (change: Partial<RoomAsk> = {}): RoomAsk => ({
  kind: 'enter',
  token: tokenKind.none,
  id: 0,
  nonce: 0,
  code: 0,
  draw: 1,
  binding: 1,
  direct: true,
  forever: false,
  ...change,
})

const roomOf = (change: Partial<RoomRules> = {}): Room => new Room({ ...rules, ...change }, 0)

test('at most perMinute are let in in any 60 seconds, whenever somebody asks', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 3_000 }),
      fc.array(fc.integer({ min: 0, max: 9_000_000 }), { minLength: 1, maxLength: 400 }),
      (perMinute, pauses) => {
        const bucket = fullBucket(0, perMinute)
        const times: number[] = []
        let now = 0
        for (const pause of pauses) {
          now += pause
          while (admitOne(bucket, now, perMinute)) times.push(now)
          // No window that ends now holds more.
          const inMinute = times.filter(time => time > now - 60 * second).length
          assert.ok(inMinute <= perMinute, `${inMinute} of ${perMinute}`)
        }
      },
    ),
    { numRuns: 200 },
  )
})

test('who asks often enough gets at least 98 % of the people a minute', () => {
  for (const perMinute of [1, 7, 60, 600, 30_000, 60_000_000 / 100]) {
    const bucket = emptyBucket(0)
    let admitted = 0
    for (let now = 0; now <= 600 * second; now += second / 5)
      while (admitOne(bucket, now, perMinute)) admitted++
    assert.ok(admitted >= perMinute * 10 * 0.98 - 1 && admitted <= perMinute * 10 + 1, `${admitted}`)
  }
})

test('a line knows who is ahead, whoever leaves, like a plain list', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(500)), { maxLength: 800 }), steps => {
      const line = new Line<{ at: number; order: number }>()
      const list: { at: number; order: number }[] = []
      let order = 0
      for (const [joins, which] of steps) {
        if (joins || list.length === 0) {
          const item = { at: -1, order: order++ }
          line.push(item)
          list.push(item)
        } else {
          const [item] = list.splice(which % list.length, 1)
          line.remove(item!)
        }
        assert.equal(line.length, list.length)
        assert.equal(line.first(), list[0])
      }
      for (const [index, item] of list.entries()) assert.equal(line.ahead(item), index)
      for (const limit of [0, 3, 50, 1_000])
        assert.equal(
          line.aheadWhile(item => item.order < limit),
          list.filter(item => item.order < limit).length,
        )
    }),
    { numRuns: 200 },
  )
})

test('a room lets in at once while there is room, then makes a line', () => {
  const room = roomOf()
  assert.equal(room.ask(0, wall, ask()).state, 'in')
  assert.equal(room.ask(0, wall, ask()).state, 'in')
  const third = room.ask(0, wall, ask())
  const fourth = room.ask(0, wall, ask())
  assert.deepEqual([third.state, third.ahead, fourth.state, fourth.ahead], ['waiting', 0, 'waiting', 1])
  assert.ok(third.estimateMs > 0 && fourth.estimateMs >= third.estimateMs)
})

test('only a request that reads is let in without a grant; the others get one to show', () => {
  const room = roomOf()
  const first = room.ask(0, wall, ask({ direct: false }))
  assert.equal(first.state, 'granted')
  const grant = { token: tokenKind.grant, id: first.id, nonce: first.nonce, direct: false }
  assert.equal(room.ask(0, wall, ask(grant)).state, 'in')
})

test('a grant works once, whoever shows it', () => {
  const room = roomOf()
  const { id, nonce } = room.ask(0, wall, ask({ direct: false }))
  const states = Array.from({ length: 100 }, (_, i) =>
    room.ask(0, wall, ask({ token: tokenKind.grant, id, nonce, binding: i, direct: i % 2 === 0 })),
  ).map(answer => answer.state)
  assert.equal(states.filter(state => state === 'in').length, 1)
  assert.equal(states.filter(state => state === 'used').length, 99)
})

test('a grant that is not used in time is gone, and its place inside is free', () => {
  const room = roomOf({ activeMax: 1 })
  const first = room.ask(0, wall, ask({ direct: false }))
  const second_ = room.ask(0, wall, ask())
  assert.equal(second_.state, 'waiting')
  const later = 30 * second
  const late = room.ask(later, wall, ask({ token: tokenKind.grant, id: first.id, nonce: first.nonce }))
  assert.equal(late.state, 'used')
  const next = room.ask(later, wall, ask({ token: tokenKind.ticket, id: second_.id }))
  assert.equal(next.state, 'in')
})

test('an admission ends when its time is over, however it is used, and when they are done', () => {
  const room = roomOf({ activeMax: 1 })
  const { id, nonce } = room.ask(0, wall, ask())
  const session = { token: tokenKind.session, id, nonce, direct: false }
  for (let now = 0; now < rules.sessionMs * 1_000; now += second)
    assert.equal(room.ask(now, wall, ask(session)).state, 'in')
  assert.notEqual(room.ask(rules.sessionMs * 1_000, wall, ask(session)).state, 'in')
  const third = roomOf({ activeMax: 1 })
  const inside = third.ask(0, wall, ask())
  third.ask(0, wall, ask({ kind: 'done', token: tokenKind.session, id: inside.id, nonce: inside.nonce }))
  assert.equal(third.counts(0).active, 0)
})

test('a session that goes round between clients ends', () => {
  const room = roomOf({ activeMax: 1 })
  const { id, nonce } = room.ask(0, wall, ask({ binding: 1 }))
  const states: string[] = []
  for (let i = 0; i < movesMax + 3; i++) {
    const binding = 2 + (i % 2)
    states.push(room.ask(0, wall, ask({ token: tokenKind.session, id, nonce, binding, direct: false })).state)
  }
  assert.deepEqual(states.slice(0, movesMax), new Array(movesMax).fill('in'))
  assert.ok(states.slice(movesMax).every(state => state !== 'in'))
})

test('a session of one account is worth nothing to another one', () => {
  const room = roomOf({ activeMax: 1 })
  const { id, nonce } = room.ask(0, wall, ask({ code: 7 }))
  assert.equal(room.ask(0, wall, ask({ code: 8, token: tokenKind.session, id, nonce })).state, 'waiting')
  assert.equal(room.ask(0, wall, ask({ code: 0, token: tokenKind.session, id, nonce })).state, 'waiting')
  assert.equal(room.ask(0, wall, ask({ code: 7, token: tokenKind.session, id, nonce })).state, 'in')
})

test('tabs and devices of one person have one place', () => {
  const room = roomOf({ activeMax: 1 })
  room.ask(0, wall, ask({ code: 1 }))
  const ids = Array.from({ length: 20 }, (_, i) => room.ask(0, wall, ask({ code: 2, binding: i })).id)
  assert.equal(new Set(ids).size, 1)
  assert.equal(room.counts(0).waiting, 1)
})

test('who logs in while waiting keeps the place', () => {
  const room = roomOf({ activeMax: 1 })
  room.ask(0, wall, ask())
  const { id } = room.ask(0, wall, ask())
  room.ask(0, wall, ask())
  const after = room.ask(0, wall, ask({ code: 5, token: tokenKind.ticket, id }))
  assert.deepEqual([after.id, after.ahead], [id, 0])
  assert.equal(room.ask(0, wall, ask({ code: 5 })).id, id)
})

test('a silent place is kept for the grace and passed over meanwhile; on return it comes first', () => {
  const room = roomOf({ activeMax: 1, sessionMs: 600_000 })
  const inside = room.ask(0, wall, ask())
  const silent = room.ask(0, wall, ask())
  const awake = room.ask(0, wall, ask())
  const later = (awakeMs + 10_000) * 1_000
  room.ask(later, wall, ask({ token: tokenKind.ticket, id: awake.id }))
  room.ask(later, wall, ask({ kind: 'done', token: tokenKind.session, id: inside.id, nonce: inside.nonce }))
  assert.equal(room.ask(later, wall, ask({ token: tokenKind.ticket, id: awake.id })).state, 'in')
  const back = room.ask(later, wall, ask({ token: tokenKind.ticket, id: silent.id }))
  assert.deepEqual([back.state, back.ahead], ['waiting', 0])
  const other = room.ask(later, wall, ask())
  assert.equal(other.ahead, 1)
  const gone = later + 301 * second
  const after = room.ask(gone, wall, ask({ token: tokenKind.ticket, id: silent.id, kind: 'look' }))
  assert.equal(after.state, 'gone')
})

test('a suspect waits for ever, moves on like the others, and takes nobody a place', () => {
  const room = roomOf({ activeMax: 1, graceMs: 10_000_000 })
  room.ask(0, wall, ask())
  for (let i = 0; i < 50; i++) room.ask(0, wall, ask())
  const suspect = room.ask(0, wall, ask({ forever: true }))
  const behind = room.ask(0, wall, ask())
  assert.deepEqual([suspect.state, suspect.ahead, behind.ahead], ['waiting', 50, 50])
  let now = 0
  let state = ''
  let ahead = 50
  for (let minute = 0; minute < 200; minute++) {
    now += 60 * second
    const answer = room.ask(now, wall, ask({ forever: true, token: tokenKind.ticket, id: suspect.id }))
    state = answer.state
    assert.ok(answer.ahead <= ahead, 'never backwards')
    ahead = answer.ahead
  }
  assert.equal(state, 'waiting')
  assert.equal(room.counts(now).suspects, 1)
  const cleared = room.ask(now, wall, ask({ token: tokenKind.ticket, id: suspect.id }))
  assert.ok(cleared.state === 'in' || cleared.state === 'waiting')
  assert.equal(room.counts(now).suspects, 0)
})

test('before the opening nobody enters; the lottery makes the order, and late ones line up behind', () => {
  const opensAtMs = wall / 1_000 + 60_000
  const room = roomOf({ activeMax: 1, opensAtMs, lottery: true })
  const draws = [500, 3, 90, 7]
  const ids = draws.map((draw, i) => {
    const answer = room.ask(0, wall, ask({ code: 100 + i, draw }))
    assert.equal(answer.state, 'early')
    return answer.id
  })
  assert.equal(room.ask(0, wall, ask({ code: 0 })).state, 'person')
  const open = wall + 60 * second
  const late = room.ask(60 * second, open, ask({ code: 200, draw: 1 }))
  assert.equal(late.ahead, 3)
  const ahead = ids.map(id => room.ask(60 * second, open, ask({ kind: 'look', token: tokenKind.ticket, id })))
  assert.deepEqual(
    ahead.map(answer => [answer.state, answer.ahead]),
    [
      ['waiting', 2],
      ['granted', 0],
      ['waiting', 1],
      ['waiting', 0],
    ],
  )
  assert.deepEqual(room.places, [101, 103, 102, 100])
})

test('nobody gets a place before the pre-queue, nor in a closed, sold out or full room', () => {
  const opensAtMs = wall / 1_000 + 60_000
  const early = roomOf({ opensAtMs, preQueueFromMs: opensAtMs - 10_000 })
  assert.equal(early.ask(0, wall, ask()).state, 'before')
  const full = roomOf({ activeMax: 1, placesMax: 2 })
  const states = Array.from({ length: 4 }, () => full.ask(0, wall, ask()).state)
  assert.deepEqual(states, ['in', 'waiting', 'waiting', 'full'])
  full.setMode('sold-out')
  assert.equal(full.ask(0, wall, ask()).state, 'sold-out')
})

test('a paused room admits nobody and gives no estimate; opened again it goes on', () => {
  const room = roomOf({ activeMax: 1 })
  room.setMode('paused')
  const first = room.ask(0, wall, ask())
  assert.deepEqual([first.state, first.estimateMs], ['waiting', -1])
  room.setMode('open')
  assert.equal(room.ask(second, wall, ask({ token: tokenKind.ticket, id: first.id })).state, 'in')
})

test('a room made of its changes is the room it was: order, admissions, spent grants', () => {
  const seed = Date.now() >>> 0
  const random = seededRandom(seed)
  const room = roomOf({ activeMax: 20, perMinute: 600 })
  const journal: RoomChange[] = []
  const places: { id: number; nonce: number }[] = []
  let now = 0
  for (let step = 0; step < 3_000; step++) {
    now += random.below(second)
    const known = places[random.below(places.length + 1)]
    const kind = random.below(20) === 0 ? ('done' as const) : ('enter' as const)
    const token = known === undefined ? tokenKind.none : random.below(3) + 1
    const answer = room.ask(now, wall, {
      ...ask({ kind, token, code: 0, direct: random.below(2) === 0, forever: random.below(30) === 0 }),
      id: known?.id ?? 0,
      nonce: known?.nonce ?? 0,
    })
    if (answer.id > 0) places.push({ id: answer.id, nonce: answer.nonce })
    journal.push(...room.changes.splice(0))
  }
  // Whose grace has ended is gone in both: restored ones have all of it again.
  now += second
  room.advance(now, wall)
  journal.push(...room.changes.splice(0))
  for (const changes of [journal, [...room.snapshot()]]) {
    const again = roomOf({ activeMax: 20, perMinute: 600 })
    again.restore(changes, now)
    const [was, is] = [room.counts(now), again.counts(now)]
    assert.deepEqual(
      [is.waiting, is.granted, is.active, is.suspects],
      [was.waiting, was.granted, was.active, was.suspects],
      `seed ${seed}`,
    )
    for (const { id } of new Set(places)) {
      const look = ask({ kind: 'look', token: tokenKind.ticket, id })
      const [one, other] = [room, again].map(each => each.ask(now, wall, look))
      assert.deepEqual([other!.state, other!.nonce], [one!.state, one!.nonce], `place ${id}, seed ${seed}`)
      // Who was absent stands in line again.
      if (was.waiting === is.waiting && one!.ahead >= 0) assert.ok(other!.ahead >= 0)
    }
    assert.deepEqual(again.changes, [])
  }
})

test('the ticket of a place that is gone is not the ticket of a later place, however often the room was restarted', () => {
  let room = roomOf({ activeMax: 1 })
  const restart = (): void => {
    const again = roomOf({ activeMax: 1 })
    again.restore([...room.snapshot()], 0)
    room = again
  }
  room.ask(0, wall, ask())
  const { id } = room.ask(0, wall, ask())
  room.ask(0, wall, ask({ kind: 'leave', token: tokenKind.ticket, id }))
  restart()
  restart()
  const other = room.ask(0, wall, ask())
  assert.notEqual(other.id, id)
  const looked = room.ask(0, wall, ask({ kind: 'look', token: tokenKind.ticket, id }))
  assert.deepEqual([looked.state, looked.id], ['gone', 0])
})

test('an opening that is moved before it was drawn keeps places; another one after it begins anew', () => {
  const opensAtMs = wall / 1_000 + 60_000
  const room = roomOf({ activeMax: 1, opensAtMs, lottery: true })
  const { id } = room.ask(0, wall, ask({ code: 5, draw: 9 }))
  room.setRules({ ...room.rules, opensAtMs: opensAtMs + 60_000 })
  const look = ask({ kind: 'look', token: tokenKind.ticket, id })
  assert.equal(room.ask(61 * second, wall + 61 * second, look).state, 'early')
  assert.equal(room.edition, opensAtMs)
  assert.equal(room.ask(121 * second, wall + 121 * second, look).state, 'granted')
  room.setRules({ ...room.rules, activeMax: 2 })
  assert.equal(room.ask(122 * second, wall + 122 * second, look).state, 'granted')
  room.setRules({ ...room.rules, opensAtMs: opensAtMs + 3_600_000 })
  assert.equal(room.ask(123 * second, wall + 123 * second, look).state, 'gone')
  assert.equal(room.edition, opensAtMs + 3_600_000)
})

test('orders of the draw lie below those of late arrivals', () => {
  assert.ok(lateOrder > 2 ** 52 - 1 && Number.isSafeInteger(lateOrder + 1e9))
})

/** People come, ask when they are told to, stay for a while, some give up; what they were told against what they waited. */
function simulate(
  seed: number,
  change: Partial<RoomRules>,
  stayMs: () => number,
  comeEvery: number,
): { told: number[]; waited: number[]; overActive: number } {
  const random = seededRandom(seed)
  const room = roomOf({ placesMax: 100_000, ...change })
  type Person = { id: number; nonce: number; nextAt: number; cameAt: number; told: number; leavesAt: number }
  let people: Person[] = []
  const told: number[] = []
  const waited: number[] = []
  let overActive = 0
  let came = 0
  for (let now = 0; now < 3 * 3_600 * second; now += second) {
    for (; came < Math.min(2_000, now / comeEvery); came++)
      people.push({ id: 0, nonce: 0, nextAt: now, cameAt: now, told: -1, leavesAt: Number.POSITIVE_INFINITY })
    for (let part = 5; part > 0; part--) room.advance(now - (part * second) / 5, wall + now)
    for (const one of people) {
      if (one.leavesAt <= now) {
        room.ask(
          now,
          wall + now,
          ask({ kind: 'done', token: tokenKind.session, id: one.id, nonce: one.nonce }),
        )
        one.nextAt = Number.POSITIVE_INFINITY
        one.leavesAt = Number.POSITIVE_INFINITY
        continue
      }
      if (one.nextAt > now) continue
      const token = one.nonce > 0 ? tokenKind.session : one.id > 0 ? tokenKind.ticket : tokenKind.none
      const answer = room.ask(now, wall + now, ask({ token, id: one.id, nonce: one.nonce, binding: 1 }))
      one.id = answer.id
      if (answer.state === 'in') {
        if (one.nonce === 0 && one.told >= 0) {
          told.push(one.told)
          waited.push((now - one.cameAt) / 1_000)
        }
        if (one.nonce === 0) one.leavesAt = now + stayMs() * 1_000
        one.nonce = answer.nonce
        one.nextAt = now + 20 * second
      } else {
        if (one.told < 0) one.told = answer.estimateMs
        one.nextAt = now + nextAskMs(answer.estimateMs, rules, random.float()) * 1_000
      }
    }
    people = people.filter(one => one.nextAt !== Number.POSITIVE_INFINITY)
    const { active, granted } = room.counts(now)
    overActive = Math.max(overActive, active + granted - room.rules.activeMax)
    room.changes.length = 0
    if (people.length === 0 && came === 2_000) break
  }
  return { told, waited, overActive }
}

const mean = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0) / list.length

// Averages of chance: three courses together, the same in every run. Nobody has left yet when most are told, so that
// whole sessions are reckoned with: up to 3.4 times what it then takes where people stay for a third of one.
test('estimates are not shorter than the real wait on average, nor a multiple of it', () => {
  const seeds = [11, 22, 33]
  const random = seededRandom(seeds[0] as number)
  const exponential = (meanMs: number) => () => 1_000 - Math.log(1 - random.float()) * meanMs
  const cases: [string, Partial<RoomRules>, () => number, number][] = [
    ['rate bound', { activeMax: 1_000, perMinute: 120, sessionMs: 300_000 }, exponential(60_000), 10_000],
    [
      'bound by those inside',
      { activeMax: 50, perMinute: 6_000, sessionMs: 300_000 },
      exponential(90_000),
      10_000,
    ],
    ['a steady stay', { activeMax: 50, perMinute: 6_000, sessionMs: 300_000 }, () => 120_000, 10_000],
    ['a slow crowd', { activeMax: 100, perMinute: 600, sessionMs: 300_000 }, exponential(120_000), 400_000],
  ]
  for (const [name, change, stay, every] of cases) {
    const courses = seeds.map(seed => simulate(seed, change, stay, every))
    const told = courses.flatMap(course => course.told)
    const waited = courses.flatMap(course => course.waited)
    const overActive = Math.max(...courses.map(course => course.overActive))
    assert.ok(told.length > 1_500, `${name}: ${told.length} waited`)
    assert.ok(overActive <= 0, `${name}: ${overActive} too many inside`)
    const words = `${name}: told ${mean(told)}, waited ${mean(waited)}`
    assert.ok(mean(told) >= mean(waited), words)
    assert.ok(mean(told) <= mean(waited) * 3.5, words)
  }
})
