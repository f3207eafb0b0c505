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
  const found: Omit<Finding, 'detected'>[] = judgement.matches.slice(0, findingsMax).map(match => ({
    step: 'waf',
    rule: match.rule,
    text: sentenceOf(match),
    ...wouldOf([match]),
  }))
  const rest = judgement.matches.length - findingsMax
  if (rest > 0) found.push({ step: 'waf', rule: 'waf:more', text: `${rest} further rules matched.` })
  return found
}

/** The line of the system file that would have let it pass: for who knows that it is no attack. */
function wouldOf(matches: readonly WafMatch[]): { would?: string } {
  const lines = [...new Set(matches.map(exclusionOf))].filter(line => line !== '').slice(0, findingsMax)
  if (lines.length === 0) return {}
  return {
    would: `The same without what was found, or waf.exclude: [${lines.map(one => `'${one}'`).join(', ')}]`,
  }
}

/** As narrow as it goes. Names that the client made strange are not repeated, and scores are no field. */
function exclusionOf({ rule, variable }: WafMatch): string {
  if (/^(?:TX|&|$)/.test(variable)) return ''
  return /^[A-Z_]+(?::[\w.[\]-]{1,64})?$/.test(variable) ? `${rule};${variable}` : rule
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
      ...wouldOf(judgement.matches),
    },
    refusal: refused.status === 400 ? wafRefusals.bad : wafRefusals.refused,
  }
}
