// What a judgement becomes: findings for operators, words for the client. The client never hears which rule it was.

import type { PassageRefusal } from '../passage.ts'
import type { Finding } from '../visit.ts'
import type { WafJudgement, WafMatch } from './transaction.ts'

export const wafRefusals: Readonly<Record<'refused' | 'bad' | 'tooMuch', PassageRefusal>> = {
  refused: {
    code: 'GUARD_RULES',
    status: 403,
    text: 'The request looks like an attack and was not passed on. If you think that this is a mistake, tell us the request id below.',
  },
  bad: { code: 'GUARD_RULES_MALFORMED', status: 400, text: 'The request is not well-formed.' },
  tooMuch: {
    code: 'GUARD_RULES_WORK',
    status: 403,
    text: 'The request is too large or too intricate to be looked at here.',
  },
}

/** Findings of one request; the rest is counted. */
const findingsMax = 16

export function findingsOf(judgement: WafJudgement): Omit<Finding, 'detected'>[] {
  const found = judgement.matches.slice(0, findingsMax).map(match => ({
    step: 'waf',
    rule: match.rule,
    text: sentenceOf(match),
  }))
  const rest = judgement.matches.length - findingsMax
  if (rest > 0) found.push({ step: 'waf', rule: 'waf:more', text: `${rest} further rules matched.` })
  return found
}

function sentenceOf({ message, variable, excerpt }: WafMatch): string {
  const where = variable === '' ? '' : ` In ${variable}`
  const what = excerpt === '' ? '' : `: '${excerpt}'`
  return `${message}${where === '' ? '' : `.${where}${what}`}`
}

/** Null: nothing speaks against it. */
export function verdictOf(
  judgement: WafJudgement,
): { finding: Omit<Finding, 'detected'>; refusal: PassageRefusal } | null {
  if (judgement.exhausted) {
    return {
      finding: {
        step: 'waf',
        rule: 'waf:work',
        text: 'The rules were not asked to their end: the request has too many arguments, or is too dear to look at.',
        would: 'Fewer or shorter arguments, or this route without rules.',
      },
      refusal: wafRefusals.tooMuch,
    }
  }
  const { refused } = judgement
  if (refused === null) return null
  const rules = [...new Set(judgement.matches.map(match => match.rule))].filter(rule => rule !== refused.rule)
  const because = rules.length === 0 ? '' : ` Because of ${rules.slice(0, findingsMax).join(', ')}.`
  return {
    finding: {
      step: 'waf',
      rule: refused.rule,
      text: `${refused.message || 'The rule refuses it'}.${because}`,
      would: 'The same without what these rules found, or with them in waf.exclude.',
    },
    refusal: refused.status === 400 ? wafRefusals.bad : wafRefusals.refused,
  }
}
