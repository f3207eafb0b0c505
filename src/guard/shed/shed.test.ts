import { strict as assert } from 'node:assert'
import { type TestContext, test } from 'node:test'
import type { CheckedGuardPolicy } from '../../file/checked-guard.ts'
import { hostClock } from '../../io/clock.ts'
import { seededRandom } from '../../kit/random.ts'
import { Importance } from '../../policy/shed/index.ts'
import { LoadCells, limitMemory } from '../limit/memory.ts'
import type { GuardStep, GuardSurroundings } from '../part.ts'
import { verdict } from '../passage.ts'
import { RequestVisit } from '../request-visit.ts'
import { FakePassage } from '../testing/fake-passage.ts'
import { policyOf } from '../testing/spec.ts'
import { createMainPart, ShedPart, shedMemory } from './index.ts'

const memory = {
  [shedMemory]: new SharedArrayBuffer(4),
  [limitMemory.load]: new SharedArrayBuffer(4),
}

function partOf(t: TestContext): ShedPart {
  const surroundings: GuardSurroundings = {
    index: 0,
    clock: hostClock,
    random: seededRandom(9),
    memory,
    hooks: { country: null, asn: null },
    send: () => {},
    tell: () => {},
    audit: () => {},
  }
  const part = new ShedPart(surroundings)
  t.after(() => part.close())
  return part
}

/** Of a thousand requests of this policy at this load, how many are refused. */
function refused(part: ShedPart, policy: CheckedGuardPolicy, load: number, risk = 0): number {
  const step = part.step(policy) as GuardStep
  part.load = load
  let count = 0
  for (let at = 0; at < 1_000; at++) {
    const passage = new FakePassage({})
    const visit = visitOf(passage, step, policy)
    visit.addRisk(risk, 'a test')
    if (visit.begin() === verdict.refuse) {
      assert.equal(passage.refusal?.status, 503)
      assert.match(passage.refusal?.fields ?? '', /^Retry-After: \d+\r\n$/)
      count++
    }
  }
  return count
}

function visitOf(passage: FakePassage, step: GuardStep, policy: CheckedGuardPolicy): RequestVisit {
  const none = { account: [], session: [], key: [] }
  return new RequestVisit(
    {
      policy: policy.name,
      route: { id: '/*', path: '/*' },
      steps: [{ step, detectOnly: policy.detectOnly.includes('shed') }],
      identity: none,
      ipv6PrefixBits: 64,
      nameKey: Buffer.alloc(32),
      hooks: { country: null, asn: null },
      isAllowed: () => false,
      ban: () => {},
      ended: () => {},
    } as unknown as ConstructorParameters<typeof RequestVisit>[0],
    passage,
  )
}

test('a loaded worker refuses the sheddable, then normal ones, and critical ones never', t => {
  const part = partOf(t)
  const of = (shed: 'critical' | 'normal' | 'sheddable'): CheckedGuardPolicy => policyOf('one', { shed })
  for (const shed of ['critical', 'normal', 'sheddable'] as const)
    assert.equal(refused(part, of(shed), 0.1, 100), 0)
  assert.equal(refused(part, of('sheddable'), 0.8), 1_000)
  const normal = refused(part, of('normal'), 0.8)
  assert.ok(normal > 250 && normal < 550, `${normal}`)
  assert.ok(refused(part, of('normal'), 0.8, 80) > normal, 'the risky before others')
  assert.equal(refused(part, of('critical'), 1, 100), 0)
  // Who was admitted is not known yet.
  assert.equal(refused(part, policyOf('one', { shed: 'sheddable', room: 'sale' }), 0.8), 0)
})

test('with detectOnly nobody is refused, and the class is left unsaid', t => {
  const part = partOf(t)
  const policy = policyOf('one', { shed: 'sheddable', detectOnly: ['shed'] })
  assert.equal(refused(part, policy, 1), 0)
  const passage = new FakePassage({})
  const visit = visitOf(passage, part.step(policy) as GuardStep, policy)
  visit.begin()
  assert.equal(visit.importance, Importance.normal)
  assert.equal(visit.findings[0]?.rule, 'shed:load')
  assert.equal(visit.findings[0]?.detected, true)
})

test('the class follows risk and admission, and a refusal by the edge is one of this policy', t => {
  const part = partOf(t)
  part.load = 0
  const policy = policyOf('one', { shed: 'normal' })
  const visit = visitOf(new FakePassage({}), part.step(policy) as GuardStep, policy)
  assert.equal(visit.begin(), verdict.pass)
  assert.equal(visit.importance, Importance.normal)
  visit.addRisk(70, 'a test')
  assert.equal(visit.importance, Importance.sheddable)
  visit.room = 'sale'
  assert.equal(visit.importance, Importance.normal)
  visit.shed({ code: 'overloaded', status: 503, text: 'Busy.' }, 'No place.')
  assert.equal(visit.outcome, verdict.refuse)
  assert.equal(visit.refusedBy?.rule, 'shed:normal')
})

test('the load of a worker reaches limits that tighten with it, and the status', async t => {
  const main = createMainPart({ workers: 1 } as Parameters<typeof createMainPart>[0])
  const part = partOf(t)
  const limits = new LoadCells(memory[limitMemory.load])
  limits.write(0, 0.77)
  part.load = 0
  const end = performance.now() + 20_000
  while (limits.read(0) === 0.77 && performance.now() < end)
    await new Promise(resolve => setTimeout(resolve, 20))
  assert.notEqual(limits.read(0), 0.77)
  assert.deepEqual(main.status?.(), { load: [0] })
})
