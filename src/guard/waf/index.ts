// The guard's part that asks rules: the Core Rule Set, others in SecLang, or the built-in ones. After the body was read
// (guard/body), before rooms and quotas. See README.md.

import type { CheckedGuardPolicy, CheckedWaf } from '../../file/checked-guard.ts'
import { bodyOf } from '../body/index.ts'
import type {
  GuardPart,
  GuardSpec,
  GuardStep,
  GuardSurroundings,
  MainGuardPart,
  MainPartSurroundings,
} from '../part.ts'
import { type Passage, verdict } from '../passage.ts'
import type { GuardVisit } from '../visit.ts'
import { RuleLibrary } from './library.ts'
import { findingsOf, verdictOf } from './refusal.ts'
import type { RuleBook } from './rules.ts'
import type { WafField, WafRequest, WafTransaction } from './transaction.ts'

export { findingsOf, verdictOf, wafRefusals } from './refusal.ts'
export type { WafAnswer, WafJudgement, WafTransaction } from './transaction.ts'

const transactions = new WeakMap<GuardVisit, WafTransaction>()

/** What looked at the request, for who looks at the answer; undefined: the policy has no rules, or it never came here. */
export function transactionOf(visit: GuardVisit): WafTransaction | undefined {
  return transactions.get(visit)
}

export function createPart(surroundings: GuardSurroundings): GuardPart {
  const library = new RuleLibrary(true)
  return {
    name: 'waf',
    prepare: async spec => {
      const notes = await library.take(wafsOf(spec))
      if (surroundings.index === 0 && notes.length > 0) {
        surroundings.tell('guard', `rules that are left out on purpose: ${notes.join(', ')}`)
      }
    },
    step: policy =>
      policy.waf === undefined ? null : new WafStep(policy, policy.waf, library.book(policy.waf)),
  }
}

/** Refuses rules that can't be used before any worker gets them. */
export function createMainPart(_surroundings: MainPartSurroundings): MainGuardPart {
  const library = new RuleLibrary(false)
  return {
    name: 'waf',
    take: async spec => {
      await library.take(wafsOf(spec))
    },
  }
}

function wafsOf(spec: GuardSpec): CheckedWaf[] {
  return Object.values(spec.policies).flatMap(({ waf }) => waf ?? [])
}

class WafStep implements GuardStep {
  readonly name = 'waf'
  readonly #book: RuleBook
  readonly detects: boolean

  constructor(policy: CheckedGuardPolicy, waf: CheckedWaf, book: RuleBook) {
    this.#book = book
    this.detects = waf.mode === 'detect' || policy.detectOnly.includes('waf')
  }

  enter(passage: Passage, visit: GuardVisit): number {
    const transaction = this.#book.open()
    transactions.set(visit, transaction)
    transaction.requestHead(requestOf(passage))
    transaction.requestBody(bodyOf(visit)?.body ?? null)
    const { judgement } = transaction
    if (judgement.matches.length === 0 && judgement.refused === null && !judgement.exhausted)
      return verdict.pass
    const said = verdictOf(judgement)
    const detected = this.detects || said === null
    for (const finding of findingsOf(judgement)) visit.note({ ...finding, detected })
    return said === null ? verdict.pass : visit.refuse(said.finding, said.refusal, this.detects)
  }
}

export function requestOf(passage: Passage): WafRequest {
  const { head, client } = passage
  const headers: WafField[] = []
  for (let index = 0; index < head.count; index += 1) headers.push([head.nameAt(index), head.valueAt(index)])
  return {
    method: head.method,
    target: head.target,
    protocol: `HTTP/${client?.httpVersion ?? `1.${head.versionMinor}`}`,
    address: passage.address,
    requestId: passage.requestId,
    headers,
  }
}
