import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CheckedLimit } from '../../file/checked-guard.ts'
import { type FakeClock, fakeClock } from '../../kit/clock.ts'
import { verdict } from '../passage.ts'
import { FakePassage, type FakeRequest } from '../testing/fake-passage.ts'
import { policyOf } from '../testing/spec.ts'
import { type VisitSetup, visitFor } from '../testing/visits.ts'
import { countedLimit } from './counted-limit.ts'
import { LimitStep } from './limit-step.ts'
import { createLimitMemory, LimitCells } from './memory.ts'

interface Stage {
  readonly cells: LimitCells
  readonly clock: FakeClock
  /** One request from its beginning to its end: what became of it. */
  ask(request?: FakeRequest, setup?: VisitSetup, risk?: number): number
  begin(request?: FakeRequest): { passage: FakePassage; answer: number }
}

function stage(...limits: Partial<CheckedLimit>[]): Stage {
  const clock = fakeClock(1_800_000_000_000_000)
  const cells = new LimitCells(createLimitMemory(1, clock), 0, clock)
  const { limits: checked } = policyOf('trial', {
    limits: limits.map((change, at) => ({
      name: `limit-${at}`,
      kind: 'rate',
      algorithm: 'gcra',
      amount: 10,
      perMs: 60_000,
      burst: 10,
      by: [{ by: 'ip' }],
      missingShare: 0.2,
      adaptiveShare: 1,
      local: false,
      banAfter: 0,
      detectOnly: false,
      ...change,
    })),
  })
  const place = { shared: false, share: 1, detects: false }
  const counted = checked.map(one => countedLimit('trial', one, [1, 2], place))
  const step = new LimitStep(counted, { cells, worker: 0, shared: null })
  const begin: Stage['begin'] = request => {
    const passage = new FakePassage(request)
    const visit = visitFor(passage, { steps: [{ step, detectOnly: false }] })
    return { passage, answer: visit.begin() }
  }
  return {
    cells,
    clock,
    begin,
    ask: (request, setup, risk = 0) => {
      const passage = new FakePassage(request)
      const visit = visitFor(passage, { steps: [{ step, detectOnly: false }], ...setup })
      visit.addRisk(risk, 'as the test says')
      const answer = visit.begin()
      passage.over(false)
      return answer
    },
  }
}

const passes = (ask: () => number): number => {
  let count = 0
  while (count < 100 && ask() === verdict.pass) count++
  return count
}

test('a limit that adapts tightens with risk and with the load of the worker, whichever is worse', () => {
  for (const [risk, load, expected] of [
    [0, 0, 10],
    [50, 0, 6],
    [100, 0, 2],
    [0, 1, 2],
    [20, 0.5, 6],
  ] as const) {
    const { cells, ask } = stage({ adaptiveShare: 0.2 })
    cells.load.write(0, load)
    assert.equal(
      passes(() => ask({}, {}, risk)),
      expected,
      `risk ${risk}, load ${load}`,
    )
  }
})

test('who is on the allow list is not counted by address, but as an account he is', () => {
  const isAllowed = (): boolean => true
  assert.equal(
    passes(() => stage({}).ask({}, { isAllowed })),
    100,
  )
  const byAccount = stage({ by: [{ by: 'header', name: 'x-account' }] })
  assert.equal(
    passes(() => byAccount.ask({ fields: 'X-Account: 7\r\n' }, { isAllowed })),
    10,
  )
  const all = stage({ by: [{ by: 'all' }] })
  assert.equal(
    passes(() => all.ask({}, { isAllowed })),
    10,
  )
})

test('parts of a key can not be moved from one to the other', () => {
  const two = stage({ by: ['a', 'b'].map(name => ({ by: 'header', name }) as const) })
  const asked = (a: string, b: string): number => two.ask({ fields: `A: ${a}\r\nB: ${b}\r\n` })
  assert.equal(
    passes(() => asked('x', 'yz')),
    10,
  )
  assert.equal(
    passes(() => asked('xy', 'z')),
    10,
  )
  assert.equal(
    passes(() => asked('1:x', 'z')),
    10,
  )
})

test('what one limit counted is given back when another one refuses, and at once when it was a place', () => {
  const { ask, cells } = stage(
    { kind: 'concurrency', amount: 5, by: [{ by: 'all' }] },
    { by: [{ by: 'all' }], amount: 20, burst: 20 },
    {},
  )
  assert.equal(
    passes(() => ask({ address: '192.0.2.1' })),
    10,
  )
  for (let i = 0; i < 50; i++) ask({ address: '192.0.2.1' })
  assert.equal(cells.concurrency.underWay, 0)
  assert.equal(
    passes(() => ask({ address: '192.0.2.2' })),
    10,
  )
})

test('a request that is refused is told when to come again, and does pass then', () => {
  const { begin, clock } = stage({})
  for (let i = 0; i < 10; i++) assert.equal(begin().answer, verdict.pass)
  const { passage, answer } = begin()
  assert.equal(answer, verdict.refuse)
  assert.equal(passage.refusal?.fields, 'Retry-After: 6\r\n')
  assert.match(
    passage.extraFields,
    /^RateLimit-Policy: "limit-0";q=10;w=60\r\nRateLimit: "limit-0";r=0;t=6\r\n$/,
  )
  clock.advance(6_000_000)
  assert.equal(begin().answer, verdict.pass)
})

test('refusals in a row ask for a ban, one that passes between begins them anew', () => {
  const { ask, clock } = stage({ banAfter: 3 })
  const bans: string[] = []
  const asked = (): number => ask({}, { ban: (_visit, rule) => bans.push(rule) })
  for (let i = 0; i < 12; i++) asked()
  clock.advance(6_000_000)
  assert.equal(asked(), verdict.pass)
  for (let i = 0; i < 2; i++) assert.equal(asked(), verdict.refuse)
  assert.deepEqual(bans, [])
  asked()
  assert.deepEqual(bans, ['limit:limit-0'])
})

test('on a machine whose clock was never set limits limit, and nobody is refused for that', () => {
  const clock = fakeClock(5_000_000)
  const cells = new LimitCells(createLimitMemory(1, clock), 0, clock)
  assert.ok(cells.now() >= 0)
  const before = cells.now()
  clock.advance(1_000)
  assert.equal(cells.now() - before, 1_000)
})
