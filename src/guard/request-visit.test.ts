import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GuardStep } from './part.ts'
import { type Passage, verdict } from './passage.ts'
import type { RequestVisit } from './request-visit.ts'
import { FakePassage } from './testing/fake-passage.ts'
import { visitFor } from './testing/visits.ts'
import type { GuardVisit } from './visit.ts'

const refusal = { code: 'NO', status: 403, text: 'no' }
const finding = { step: 'trial', rule: 'rule-1', text: 'noticed' }

interface Asked {
  readonly passage: FakePassage
  readonly visit: RequestVisit
  readonly seen: string[]
  begin(): number
}

type Enter = (passage: Passage, visit: GuardVisit) => number

/** A request before these steps, and in which order they are entered and left. */
function asked(enters: readonly Enter[], detectOnly: readonly number[] = []): Asked {
  const seen: string[] = []
  const passage = new FakePassage()
  const steps = enters.map((enter, at) => {
    const step: GuardStep = {
      name: `step-${at}`,
      enter: (one, visit) => {
        seen.push(`enter ${at}`)
        return enter(one, visit)
      },
      over: (_passage, _visit, aborted) => seen.push(`over ${at} ${aborted}`),
    }
    return { step, detectOnly: detectOnly.includes(at) }
  })
  const visit = visitFor(passage, { steps })
  return { passage, visit, seen, begin: () => visit.begin() }
}

const pass: Enter = () => verdict.pass
const refuse: Enter = (_, visit) => visit.refuse(finding, refusal, false)
const wait: Enter = () => verdict.pending

test('steps are asked in order until one refuses; each that was entered hears of the end, once', () => {
  const { passage, visit, seen, begin } = asked([pass, refuse, pass])
  assert.equal(begin(), verdict.refuse)
  assert.deepEqual([passage.refusal, visit.refusedBy?.rule], [refusal, 'rule-1'])
  passage.over(false)
  visit.over(passage, false)
  assert.deepEqual(seen, ['enter 0', 'enter 1', 'over 0 false', 'over 1 false'])
})

test('a step that waits stops the request until it has decided; then the next ones are asked', () => {
  const { passage, visit, seen, begin } = asked([wait, pass, wait, refuse])
  const { serial } = passage
  assert.equal(begin(), verdict.pending)
  visit.resume(serial, verdict.pass)
  assert.deepEqual([seen, passage.resumed], [['enter 0', 'enter 1', 'enter 2'], []])
  visit.resume(serial, verdict.pass)
  assert.deepEqual(passage.resumed, [verdict.refuse])
  visit.resume(serial, verdict.pass)
  assert.deepEqual(passage.resumed, [verdict.refuse], 'who decides again is not heard')
})

test('a step that resumes from inside its enter has decided', () => {
  const early: Enter = (passage, visit) => {
    visit.resume(passage.serial, verdict.pass)
    return verdict.pending
  }
  const { passage, seen, begin } = asked([early, pass])
  assert.equal(begin(), verdict.pass)
  assert.deepEqual([seen, passage.resumed], [['enter 0', 'enter 1'], []])
})

test('a decision that comes after the end changes nothing, also when the same object carries another request by then', () => {
  const { passage, visit, seen, begin } = asked([wait, pass])
  const { serial } = passage
  begin()
  passage.over(true)
  visit.resume(serial, verdict.pass)
  visit.resume(passage.serial, verdict.pass)
  assert.deepEqual([seen, passage.resumed], [['enter 0', 'over 0 true'], []])
})

test('a part that only detects never refuses, bans nobody, and what it found is kept', () => {
  const bans: string[] = []
  const passage = new FakePassage()
  const step: GuardStep = {
    name: 'trial',
    enter: (_, visit) => {
      visit.ban('rule-1', 'a test')
      return visit.refuse(finding, refusal, false)
    },
  }
  const visit = visitFor(passage, {
    steps: [{ step, detectOnly: true }],
    ban: (_, rule) => bans.push(rule),
  })
  assert.equal(visit.begin(), verdict.pass)
  assert.deepEqual([visit.findings, passage.refusal, bans], [[{ ...finding, detected: true }], null, []])
})

test('who is on the allow list is never banned; risk stays within 100; findings are bounded', () => {
  const bans: string[] = []
  const visit = visitFor(new FakePassage(), { isAllowed: () => true, ban: (_, rule) => bans.push(rule) })
  visit.ban('rule-1', 'a test')
  for (let i = 0; i < 200; i++) {
    visit.addRisk(3, `reason ${i}`)
    visit.note({ ...finding, detected: true })
  }
  visit.addRisk(-50, 'less')
  visit.addRisk(Number.NaN, 'nothing')
  assert.deepEqual([bans, visit.risk, visit.findings.length, visit.riskReasons.length], [[], 100, 64, 64])
  assert.equal(visit.nonce, visit.nonce)
})

test('a step that throws has not let the request pass, unless it only detects; all that were entered hear of the end', () => {
  const fail: Enter = () => {
    throw new TypeError('a strange request')
  }
  const closed = asked([pass, fail, pass])
  assert.equal(closed.begin(), verdict.refuse)
  assert.deepEqual(
    [closed.passage.refusal?.code, closed.visit.refusedBy?.rule],
    ['GUARD_FAULT', 'step-1:fault'],
  )
  closed.passage.over(false)
  closed.visit.over(closed.passage, false)
  assert.deepEqual(closed.seen, ['enter 0', 'enter 1', 'over 0 false', 'over 1 false'])
  assert.equal(asked([fail, pass], [0]).begin(), verdict.pass)
  const passage = new FakePassage()
  const detecting: GuardStep = { name: 'trial', detects: true, enter: () => fail(passage, visit) }
  const visit = visitFor(passage, { steps: [{ step: detecting, detectOnly: false }] })
  assert.deepEqual([visit.begin(), visit.findings[0]?.rule], [verdict.pass, 'trial:fault'])
})

test('a step that throws after others have waited refuses; one that throws at the end keeps nobody from hearing of it', () => {
  const fail: Enter = () => {
    throw new Error('late')
  }
  const { passage, visit, begin } = asked([wait, fail])
  begin()
  visit.resume(passage.serial, verdict.pass)
  assert.deepEqual(passage.resumed, [verdict.refuse])
  const left: string[] = []
  const leaving = (name: string, over: () => void): GuardStep => ({ name, enter: () => verdict.pass, over })
  const steps = [
    leaving('first', () => {
      throw new Error('not given back')
    }),
    leaving('second', () => left.push('second')),
  ]
  const other = new FakePassage()
  const ending = visitFor(other, { steps: steps.map(step => ({ step, detectOnly: false })) })
  ending.begin()
  ending.over(other, true)
  assert.deepEqual([left, ending.findings.map(({ rule }) => rule)], [['second'], ['first:fault']])
})

test('a step that throws at a held body refuses, or has detected and lets pass; a page of ours that does is refused', () => {
  const error = new Error('a strange body')
  const closed = asked([pass, wait, pass])
  closed.begin()
  assert.equal(closed.visit.failed(closed.passage, error), true)
  assert.deepEqual([closed.passage.resumed, closed.visit.refusedBy?.rule], [[verdict.refuse], 'step-1:fault'])
  assert.equal(closed.passage.refusal?.code, 'GUARD_FAULT')
  const open = asked([wait, pass], [0])
  open.begin()
  assert.equal(open.visit.failed(open.passage, error), true)
  assert.deepEqual(
    [open.passage.resumed, open.visit.findings.map(({ rule, detected }) => [rule, detected])],
    [[verdict.pass], [['step-0:fault', true]]],
  )
  const page = asked([])
  assert.equal(page.visit.failed(page.passage, error), false)
  assert.deepEqual([page.passage.refusal?.code, page.visit.outcome], ['GUARD_FAULT', verdict.refuse])
})

test('an answer says its id where something was noted and the request passed, and else nothing', () => {
  const quiet = asked([pass])
  quiet.begin()
  assert.equal(quiet.passage.extraFields, '')
  const noting: Enter = (_passage, visit) => {
    visit.note({ step: 'waf', rule: '942100', text: 'SQL', detected: true })
    return verdict.pass
  }
  const noted = asked([noting])
  assert.equal(noted.begin(), verdict.pass)
  assert.equal(noted.passage.extraFields, `X-Request-Id: ${noted.passage.requestId}\r\n`)
})
