import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type FakeClock, fakeClock } from '../../kit/clock.ts'
import { Failure } from '../../kit/failure.ts'
import { seededRandom } from '../../kit/random.ts'
import { recordDeeds } from '../bots/deeds.ts'
import type { GuardSurroundings } from '../part.ts'
import { verdict } from '../passage.ts'
import type { RequestVisit } from '../request-visit.ts'
import { FakePassage, type FakeRequest } from '../testing/fake-passage.ts'
import { policyOf, specOf } from '../testing/spec.ts'
import { visitFor } from '../testing/visits.ts'
import { loadAssets } from './assets.ts'
import type { ClearedBy } from './clearance.ts'
import { Desk } from './desk.ts'
import { createMainPart, createPart } from './index.ts'
import { challengeMemory } from './memory.ts'
import { challengeStep } from './step.ts'

interface Trial {
  readonly desk: Desk
  readonly clock: FakeClock
  readonly deeds: string[]
  /** Asks the step about a request whose risk is this; gives what it answered. */
  ask(
    risk: number,
    cookie?: string,
    wants?: boolean,
  ): { verdict: number; visit: RequestVisit; passage: FakePassage }
  clear(by: ClearedBy, risk: number): string
}

async function trial(t: TestContext, challenge: 'suspicious' | 'always' = 'suspicious'): Promise<Trial> {
  const clock = fakeClock()
  const hooks = { country: null, asn: null }
  const deeds: string[] = []
  recordDeeds(hooks, (_passage, _visit, outcome) => deeds.push(outcome))
  const surroundings: GuardSurroundings = {
    index: 0,
    clock,
    random: seededRandom(1),
    memory: challengeMemory(1),
    hooks,
    send: () => {},
    tell: () => {},
    audit: () => {},
  }
  const policy = policyOf('trial', { challenge })
  const desk = new Desk(surroundings, specOf([policy]), await loadAssets())
  t.after(() => desk.close())
  const step = challengeStep(desk, policy)
  const request = (more: FakeRequest = {}): { passage: FakePassage; visit: RequestVisit } => {
    const passage = new FakePassage(more)
    return { passage, visit: visitFor(passage, { hooks }) }
  }
  return {
    desk,
    clock,
    deeds,
    ask: (risk, cookie, wants = risk >= 50) => {
      const { passage, visit } = request(
        cookie === undefined ? {} : { fields: `Cookie: tenfold_clear=${cookie}\r\n` },
      )
      visit.addRisk(risk, 'of the test')
      visit.wantsChallenge = wants
      return { verdict: step.enter(passage, visit), visit, passage }
    },
    clear: (by, risk) => {
      const { passage, visit } = request()
      return desk.clear(passage, visit, by, risk).token
    },
  }
}

test('only who is suspected is asked, and told how to pass; the visit knows who is cleared', async t => {
  const { ask, clear, deeds } = await trial(t)
  const quiet = ask(10)
  assert.deepEqual([quiet.verdict, quiet.visit.cleared], [verdict.pass, false])
  const loud = ask(60)
  assert.deepEqual([loud.verdict, loud.passage.answer?.status], [verdict.taken, 403])
  assert.equal(loud.visit.findings[0]?.rule, 'challenge:none')
  const passed = ask(60, clear('pow', 60))
  assert.deepEqual([passed.verdict, passed.visit.cleared], [verdict.pass, true])
  assert.deepEqual(deeds, ['asked', 'passed'])
})

test('clearances of an account are worth nothing once it is banned, until it passes anew; those of others are', async t => {
  const { desk, clock } = await trial(t, 'always')
  const passage = new FakePassage({})
  const as = (account: string, cookie = ''): RequestVisit => {
    const shown = new FakePassage(cookie === '' ? {} : { fields: `Cookie: tenfold_clear=${cookie}\r\n` })
    const visit = visitFor(shown, { hooks: { country: null, asn: null } })
    if (account !== '') visit.setIdentity('account', account)
    return visit
  }
  const clear = (account: string): string => desk.clear(passage, as(account), 'pow', 0).token
  const of = (account: string, cookie: string): unknown =>
    desk.clearanceOf(new FakePassage({ fields: `Cookie: tenfold_clear=${cookie}\r\n` }), as(account, cookie))
  const [ada, bob, nobody] = [clear('ada'), clear('bob'), clear('')]
  clock.advance(1_000_000)
  desk.hear({ kind: 'banned', accounts: ['ada'], atMs: desk.nowMs })
  assert.equal(of('ada', ada), 'revoked')
  assert.equal(of('', ada), 'revoked', 'also where she does not say who she is')
  assert.equal(of('ada', nobody), 'revoked', 'and what she got before she said it')
  assert.equal(typeof of('', nobody), 'object')
  assert.equal(typeof of('bob', bob), 'object')
  clock.advance(1_000_000)
  assert.equal(typeof of('ada', clear('ada')), 'object')
})

test('row 18: a clearance covers the risk at which it was got and a little more, so nobody solves cheaply for later', async t => {
  const { ask, clear } = await trial(t)
  const cheap = clear('pow', 0)
  assert.equal(ask(15, cheap, true).verdict, verdict.pass)
  const grown = ask(60, cheap)
  assert.deepEqual([grown.verdict, grown.visit.cleared], [verdict.taken, false])
  assert.equal(grown.visit.findings[0]?.rule, 'challenge:risk')
  assert.equal(ask(75, clear('pow', 60)).verdict, verdict.pass)
  // The risk itself is what it was: who refuses by it is not bought off.
  assert.equal(ask(75, clear('pow', 60)).visit.risk, 75)
})

test('a clearance ends with its time, sooner for who waited, and at once when it is used up', async t => {
  const { desk, clock, ask, clear } = await trial(t, 'always')
  const [solved, waited] = [clear('pow', 0), clear('wait', 0)]
  assert.deepEqual([ask(0, solved).verdict, ask(0, waited).verdict], [verdict.pass, verdict.pass])
  clock.advance(601_000_000)
  assert.deepEqual([ask(0, solved).verdict, ask(0, waited).verdict], [verdict.pass, verdict.taken])
  const found = desk.clearanceOf(new FakePassage({ fields: `Cookie: tenfold_clear=${solved}\r\n` }), null)
  assert.ok(typeof found !== 'string')
  assert.equal(await desk.spent.spend('clearance', found.id, found.expiresAtMs, desk.nowMs), true)
  const used = ask(0, solved)
  assert.deepEqual([used.verdict, used.visit.findings[0]?.rule], [verdict.taken, 'challenge:revoked'])
  clock.advance(1_800_000_000)
  assert.equal(ask(0, clear('pow', 0)).verdict, verdict.pass)
})

test('the instance is told in one field that clients can not set', async t => {
  const { ask } = await trial(t)
  const { passage } = ask(0)
  assert.match(passage.requestEdits?.add ?? '', /^Tenfold-Human: [\w.-]+\r\n$/)
  assert.deepEqual(passage.requestEdits?.drop, ['tenfold-human', 'tenfold-clearance'])
})

test('a part without its widget, or with keys that let anybody pass, does not begin; one that nobody uses has no step', async () => {
  const code = (wanted: string) => (error: unknown) => error instanceof Failure && error.code === wanted
  await assert.rejects(loadAssets('file:///nowhere/at/all.js'), code('CHALLENGE_WIDGET_MISSING'))
  const clock = fakeClock()
  const memory = challengeMemory(1)
  const main = createMainPart({
    clock,
    random: seededRandom(1),
    stateDirectory: '/nowhere',
    workers: 1,
    memory,
    send: () => {},
    tell: () => {},
    audit: () => {},
  })
  const { challenge } = specOf()
  const wrong = specOf([], { challenge: { ...challenge, provider: 'turnstile' } })
  await assert.rejects(async () => main.take?.(wrong), code('CHALLENGE_KEYS_MISSING'))
  await main.take?.(specOf())
  const part = createPart({
    index: 0,
    clock,
    random: seededRandom(1),
    memory: main.memory?.(1) ?? {},
    hooks: { country: null, asn: null },
    send: () => {},
    tell: () => {},
    audit: () => {},
  })
  await part.prepare?.(specOf())
  const route = { id: 'r', path: '/*' }
  assert.equal(part.step(policyOf('open'), route, specOf()), null)
  assert.notEqual(part.step(policyOf('asked', { challenge: 'always' }), route, specOf()), null)
  const passage = new FakePassage({ target: '/.tenfold/guard/room/x' })
  assert.equal(part.page?.(passage, 'room', 'x', visitFor(passage)), false)
  const own = new FakePassage({ target: '/.tenfold/guard/challenge/page.js' })
  assert.equal(part.page?.(own, 'challenge', 'page.js', visitFor(own)), true)
  assert.equal(own.status, 200)
  assert.match(own.pieces, /altcha-widget/)
  assert.equal(main.status?.().pages, 0)
  main.workerDied?.(0)
  await part.close?.()
})
