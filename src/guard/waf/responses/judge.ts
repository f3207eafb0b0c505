// What rules say of an answer: findings for operators, never with a piece of the answer, and whether it is kept back.

import type { PassageRefusal } from '../../passage.ts'
import { verdict } from '../../passage.ts'
import type { Finding, GuardVisit } from '../../visit.ts'
import type { WafTransaction } from '../transaction.ts'

export const answerRefusals: Readonly<Record<'leak', PassageRefusal>> = {
  leak: {
    code: 'GUARD_ANSWER_LEAK',
    status: 502,
    text: 'The answer was kept back, because it shows what it should not.',
  },
}

const matchesMax = 8

export interface AnswerJudge {
  readonly transaction: WafTransaction
  readonly visit: GuardVisit
  readonly detects: boolean
  readonly threshold: number
}

/** As `judgeAnswer`, after `look`: rules that fail on a strange answer have not let it pass, and never end the worker. */
export function judgeSafely(judge: AnswerJudge, last: boolean, look: () => void): PassageRefusal | null {
  try {
    look()
    return judgeAnswer(judge, last)
  } catch (error) {
    const text = `The rules failed on the answer, which is a mistake of Tenfold: ${(error as Error).message}`
    const finding = { ...findingOf('waf:fault', text), would: 'Perhaps the same without waf.responses.' }
    const said = judge.visit.refuse(finding, answerRefusals.leak, judge.detects)
    return said === verdict.refuse ? answerRefusals.leak : null
  }
}

/** Null: it passes. @param last Rules of the head speak first, and are told with those of the body. */
function judgeAnswer(judge: AnswerJudge, last: boolean): PassageRefusal | null {
  const { visit, detects, threshold } = judge
  const { outboundScore, matches } = judge.transaction.judgement
  const over = outboundScore >= threshold && outboundScore > 0
  if (!last && !over) return null
  // Rules of the request come first: their messages are not those of an answer.
  const found = outboundScore > 0 ? matches.slice(-matchesMax) : []
  for (const match of found)
    visit.note({ ...findingOf(match.rule, `${match.message}. In the answer.`), detected: detects || !over })
  if (!over) return null
  const finding = findingOf('outbound-score', `The score of the answer is ${outboundScore}.`)
  const said = visit.refuse(
    { ...finding, would: `A score below ${threshold}.` },
    answerRefusals.leak,
    detects,
  )
  return said === verdict.refuse ? answerRefusals.leak : null
}

function findingOf(rule: string, text: string): Omit<Finding, 'detected'> {
  return { step: 'waf', rule, text }
}
