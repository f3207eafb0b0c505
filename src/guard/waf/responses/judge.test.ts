import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakePassage } from '../../testing/fake-passage.ts'
import { visitFor } from '../../testing/visits.ts'
import type { WafTransaction } from '../transaction.ts'
import { answerRefusals, judgeSafely } from './judge.ts'

test('rules that fail on an answer keep it back, or note it where they only detect; they never throw', () => {
  const transaction = {
    judgement: { refused: null, inboundScore: 0, outboundScore: 0, matches: [], exhausted: false },
  } as unknown as WafTransaction
  for (const detects of [false, true]) {
    const visit = visitFor(new FakePassage())
    const judge = { transaction, visit, detects, threshold: 4 }
    const fail = (): void => {
      throw new RangeError('a strange answer')
    }
    assert.equal(judgeSafely(judge, true, fail), detects ? null : answerRefusals.leak)
    assert.deepEqual(
      visit.findings.map(({ rule, detected }) => [rule, detected]),
      [['waf:fault', detects]],
    )
    assert.equal(
      judgeSafely(judge, true, () => {}),
      null,
    )
  }
})
