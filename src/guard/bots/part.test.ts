import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { CheckedGuardPolicy, CheckedRisk } from '../../file/checked-guard.ts'
import { hostClock } from '../../io/clock.ts'
import { seededRandom } from '../../kit/random.ts'
import type { GuardSurroundings, MainPartSurroundings } from '../part.ts'
import { verdict } from '../passage.ts'
import type { RequestVisit } from '../request-visit.ts'
import type { SourceHooks } from '../sources.ts'
import { FakePassage, type FakeRequest } from '../testing/fake-passage.ts'
import { policyOf, specOf } from '../testing/spec.ts'
import { visitFor } from '../testing/visits.ts'
import { noteChallenge } from './deeds.ts'
import { isFilledIn, isForm } from './honeypot-fields.ts'
import { createMainBots } from './main-part.ts'
import { BotsPart } from './part.ts'

const risk: CheckedRisk = { slowAt: 20, challengeAt: 40, queueAt: 60, refuseAt: 95, slowMs: 5 }
const honeypots = ['/trap']

interface Trial {
  readonly hooks: SourceHooks
  readonly part: BotsPart
  /** The verdict of the step, and what it left. */
  enter(request: FakeRequest, session?: string): { answer: number; visit: RequestVisit; passage: FakePassage }
}

async function trialOf(t: TestContext, change: Partial<CheckedGuardPolicy> = {}): Promise<Trial> {
  const hooks: SourceHooks = { country: null, asn: address => (address === '192.0.2.66' ? '64500' : '1') }
  const common = {
    clock: hostClock,
    random: seededRandom(1),
    tell: () => {},
    audit: () => {},
    send: () => {},
  }
  const main: MainPartSurroundings = { ...common, stateDirectory: '', workers: 1, memory: {} }
  const memory = createMainBots(main).memory?.(1) ?? {}
  const surroundings: GuardSurroundings = { ...common, index: 0, memory, hooks }
  const part = new BotsPart(surroundings, { confirmed: async () => [], close: () => {} })
  t.after(() => part.close())
  const policy = policyOf('trial', { risk, ...change })
  const spec = specOf([policy], { bots: { ...specOf().bots, honeypots, dataCentreAsns: [64_500] } })
  await part.prepare(spec)
  const step = part.step(policy, { id: 'route-1', path: '/*' }, spec)!
  return {
    hooks,
    part,
    enter: (request, session = '') => {
      const passage = new FakePassage(request)
      const visit = visitFor(passage, { hooks, steps: [{ step, detectOnly: false }] })
      if (session !== '') visit.setIdentity('session', session)
      return { answer: visit.begin(), visit, passage }
    },
  }
}

const tool = { fields: 'User-Agent: curl/8\r\n' }
const app = { fields: 'User-Agent: Shop/7\r\n' }

test('a policy without risk has no step, and one with it lets who has none pass without a finding', async t => {
  const { part, enter } = await trialOf(t)
  assert.equal(part.step(policyOf('none'), { id: 'r', path: '/*' }, specOf()), null)
  const { answer, visit } = enter(app)
  assert.deepEqual([answer, visit.risk, visit.findings], [verdict.pass, 0, []])
})

test('a slowed request goes on by itself; one that ends before leaves no timer', async t => {
  const { part, enter } = await trialOf(t)
  const slow = enter(tool)
  assert.equal(slow.answer, verdict.pending)
  while (slow.passage.resumed.length === 0) await new Promise(resolve => setImmediate(resolve))
  assert.deepEqual(slow.passage.resumed, [verdict.pass])
  const left = enter(tool)
  left.passage.over(true)
  assert.equal(part.slowed.size, 0)
})

test('when too many are slowed, the next one is told to come back', async t => {
  const { enter } = await trialOf(t, { risk: { ...risk, slowMs: 30_000 } })
  for (let i = 0; i < 512; i++) assert.equal(enter(tool).answer, verdict.pending)
  const { answer, passage } = enter(tool)
  assert.deepEqual([answer, passage.refusal?.status], [verdict.refuse, 429])
})

test('a data centre counts by its number; together with a tool it is a challenge', async t => {
  const { enter } = await trialOf(t)
  const { answer, visit } = enter({ ...tool, address: '192.0.2.66' })
  assert.deepEqual(
    [answer, visit.wantsChallenge, visit.queueForEver, visit.risk],
    [verdict.pass, true, false, 40],
  )
  assert.equal(visit.findings[0]?.rule, 'risk:challenge')
})

test('who is to wait for ever does so only where there is a room, and is challenged elsewhere', async t => {
  const none = (await trialOf(t)).enter({ ...app, target: '/trap' }).visit
  assert.deepEqual([none.risk, none.wantsChallenge, none.queueForEver], [60, true, false])
  const room = (await trialOf(t, { room: 'sale' })).enter({ ...app, target: '/trap' }).visit
  assert.deepEqual([room.wantsChallenge, room.queueForEver], [true, true])
})

test('a part that only detects says what it would have done, and does nothing', async t => {
  const { enter, part } = await trialOf(t, { detectOnly: ['bots'], room: 'sale' })
  for (const request of [
    tool,
    { ...app, target: '/trap' },
    { ...tool, target: '/trap', address: '192.0.2.66' },
  ]) {
    const { answer, visit } = enter(request)
    assert.deepEqual([answer, visit.wantsChallenge, visit.queueForEver], [verdict.pass, false, false])
    assert.equal(visit.findings[0]?.detected, true)
  }
  assert.equal(part.slowed.size, 0)
})

test('what others of a client did counts half for a session that was there before, in full for a new one', async t => {
  const { enter } = await trialOf(t)
  const at = (seconds: number, session: string, target = '/'): number =>
    enter({ ...app, target, now: seconds * 1e6 }, session).visit.risk
  for (let i = 0; i < 4; i++) assert.equal(at(i * 5, 'known'), 0)
  assert.equal(at(20, 'bad', '/trap'), 60)
  assert.equal(at(21, 'known'), 30)
  // Never so much that it would wait for ever (60).
  assert.equal(at(21, 'new'), 59)
  assert.equal(at(21, 'bad'), 60)
  assert.equal(at(20 + 3_601, 'new'), 0)
})

test('challenges that a client failed are remembered through the part that gives them', async t => {
  const { enter, hooks } = await trialOf(t)
  const { passage, visit } = enter(app)
  assert.equal(visit.hooks, hooks)
  for (let i = 0; i < 3; i++) noteChallenge(passage, visit, 'failed')
  assert.deepEqual(enter(app).visit.riskReasons, ['it failed challenges lately'])
})

test('what a client without a session of its own did is a challenge at most, whatever it adds up to', async t => {
  const { enter, hooks } = await trialOf(t)
  const { passage, visit } = enter({ ...app, target: '/trap' })
  assert.equal(visit.risk, 60)
  for (let i = 0; i < 10; i++) {
    noteChallenge(passage, visit, 'failed')
    noteChallenge(passage, visit, 'passed')
  }
  const neighbour = enter(app).visit
  assert.deepEqual([neighbour.risk, neighbour.wantsChallenge, neighbour.queueForEver], [59, true, false])
  assert.equal(hooks, visit.hooks)
})

test('a honeypot that another site leads a browser to counts against nobody', async t => {
  const { enter } = await trialOf(t)
  const browser = 'User-Agent: Mozilla/5.0 (X11; rv:115.0) Gecko/20100101 Firefox/115.0\r\n'
  const image = `${browser}Accept: image/*\r\nAccept-Language: en\r\nAccept-Encoding: gzip\r\n`
  for (const sent of [
    'Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n',
    'Referer: https://evil.example/\r\n',
    '',
  ])
    enter({ fields: image + sent, target: '/trap' })
  const names = (fields: string): readonly string[] => enter({ fields }).visit.riskReasons
  assert.ok(!names(image).some(reason => reason.includes('led to')))
  enter({ fields: `${image.replace('image/*', 'text/html')}`, target: '/trap' })
  assert.ok(names(image).some(reason => reason.includes('led to')))
})

test('an account that uses clearances got elsewhere is told by their number, and so is a busy network', async t => {
  const { enter } = await trialOf(t)
  const { passage, visit } = enter(app, 'farm')
  for (let i = 0; i < 8; i++) noteChallenge(passage, visit, 'used')
  assert.equal(enter(app, 'other').visit.risk, 0)
  const texts = enter(app, 'farm').visit.riskReasons
  assert.deepEqual(texts, ['it passed more challenges than one client needs'])
  for (let i = 0; i < 305; i++) {
    const one = enter({ ...app, address: `198.51.100.${i % 250}` })
    noteChallenge(one.passage, one.visit, 'passed')
  }
  const far = enter({ ...app, address: '203.0.113.9' }).visit
  assert.deepEqual([far.risk, far.riskReasons.length], [10, 1])
  assert.equal(enter({ ...app, address: '192.0.2.66' }).visit.riskReasons.length, 1, 'another network')
})

test('a hidden field is seen in each kind of form when it is filled in, and is no field when it is empty', () => {
  const fields = ['website']
  const form = 'application/x-www-form-urlencoded'
  const parts = (value: string): Buffer =>
    Buffer.from(`--x\r\nContent-Disposition: form-data; name="website"\r\n\r\n${value}\r\n--x--\r\n`)
  const multipart = 'multipart/form-data; boundary=x'
  const cases: readonly [Buffer | string, string, boolean][] = [
    ['name=a&website=b', form, true],
    ['name=a&w%65bsite=b', form, true],
    ['name=a&website=+', form, false],
    ['website=&website=x', form, true],
    [parts('b'), multipart, true],
    [parts(''), multipart, false],
    ['{"website":"b"}', 'application/json', true],
    ['{"website":""}', 'application/json', false],
    ['{"__proto__":{"website":"b"}}', 'application/json', false],
    ['not json', 'application/json', false],
  ]
  for (const [body, type, filled] of cases)
    assert.equal(isFilledIn(Buffer.from(body as string), type, fields), filled, String(body))
  assert.deepEqual(['text/plain', 'APPLICATION/JSON; charset=utf-8', ''].map(isForm), [false, true, false])
})
