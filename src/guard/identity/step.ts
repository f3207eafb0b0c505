// The step `identity`: asks the ways that the policy names, in order, until one of them verifies somebody who has what the
// policy demands. What was verified is what rules after it, and the instance, believe; what was carried and is wrong is
// refused with a reason, and who sends wrong credentials again and again is banned for a while.

import type { CheckedGuardPolicy, CheckedIdentity, CheckedRequirement } from '../../file/checked-guard.ts'
import { addEdits } from '../edits.ts'
import type { GuardStep } from '../part.ts'
import { type Passage, type PassageRefusal, verdict } from '../passage.ts'
import { sourceValue } from '../sources.ts'
import type { GuardVisit } from '../visit.ts'
import type { IdentityAnswer, IdentityFault, IdentityVerifier, VerifiedIdentity } from './contract.ts'
import type { FailureCount } from './failure-count.ts'
import { identityRefusals } from './failures.ts'

export interface StepTools {
  readonly policy: CheckedGuardPolicy
  readonly requirement: CheckedRequirement
  readonly identity: CheckedIdentity
  readonly verifiers: readonly IdentityVerifier[]
  readonly failures: FailureCount
  /** Names of fields that don't reach the instance, and lines that do, for this request. */
  told(
    passage: Passage,
    somebody: VerifiedIdentity,
  ): { readonly drop: readonly string[]; readonly add: string }
}

/** What was found so far of one request. */
interface Found {
  fault: IdentityFault | null
  /** Verified, and not enough. */
  lacks: { readonly kind: 'scope' | 'claim'; readonly name: string } | null
}

/** The client is not to blame for these, or not by bad will. */
const innocent: ReadonlySet<string> = new Set(['outage', 'busy', 'expired', 'early', 'issuer'])

export class IdentityStep implements GuardStep {
  readonly name = 'identity'
  readonly #tools: StepTools
  readonly #detectOnly: boolean

  constructor(tools: StepTools) {
    this.#tools = tools
    this.#detectOnly = tools.policy.detectOnly.includes('identity')
  }

  enter(passage: Passage, visit: GuardVisit): number {
    return this.#ask(passage, visit, 0, { fault: null, lacks: null })
  }

  #ask(passage: Passage, visit: GuardVisit, from: number, found: Found): number {
    const { verifiers } = this.#tools
    for (let at = from; at < verifiers.length; at++) {
      const answer = this.#one(verifiers[at] as IdentityVerifier, at, passage, visit, found)
      if (answer === 'pending') return verdict.pending
      if (this.#takes(answer, passage, visit, found)) return verdict.pass
    }
    return this.#refused(passage, visit, found)
  }

  #one(
    verifier: IdentityVerifier,
    at: number,
    passage: Passage,
    visit: GuardVisit,
    found: Found,
  ): IdentityAnswer | 'pending' {
    const { serial } = passage
    return verifier.verify(passage, visit, answer => {
      // The client has gone, and the passage may carry another request.
      if (passage.serial !== serial) return
      const next = this.#takes(answer, passage, visit, found)
        ? verdict.pass
        : this.#ask(passage, visit, at + 1, found)
      if (next !== verdict.pending) visit.resume(serial, next)
    })
  }

  #takes(answer: IdentityAnswer, passage: Passage, visit: GuardVisit, found: Found): boolean {
    if (answer === null) return false
    if ('reason' in answer) {
      // Of several issuers all but one say that it is another's.
      if (found.fault === null || found.fault.reason === 'issuer') found.fault = answer
      return false
    }
    const lacks = lackOf(answer, this.#tools.requirement)
    if (lacks !== null) {
      found.lacks = lacks
      return false
    }
    this.#believe(answer, passage, visit)
    return true
  }

  #believe(somebody: VerifiedIdentity, passage: Passage, visit: GuardVisit): void {
    const { method, source, subject, claims } = somebody
    if (method === 'jwt' || method === 'oidc') visit.claims = claims
    if (method === 'key') visit.setIdentity('key', `${source}:${subject}`)
    else visit.setIdentity('account', this.#accountOf(passage, visit) ?? `${method}:${source}:${subject}`)
    const { drop, add } = this.#tools.told(passage, somebody)
    addEdits(passage, drop, add)
  }

  /** As `guard.identity.account` has it: only claims are as certain as the token is. */
  #accountOf(passage: Passage, visit: GuardVisit): string | undefined {
    for (const source of this.#tools.identity.account) {
      const value = source.by === 'jwt' ? sourceValue(source, passage, visit) : undefined
      if (value !== undefined) return value
    }
    return undefined
  }

  // --- nobody was verified ------------------------------------------------------------------------------------------

  #refused(passage: Passage, visit: GuardVisit, { fault, lacks }: Found): number {
    if (lacks !== null) return this.#lacking(visit, lacks)
    if (fault !== null) return this.#wrong(visit, fault)
    if (this.#tools.requirement.optional) return verdict.pass
    if (!this.#detectOnly)
      for (const verifier of this.#tools.verifiers)
        if (verifier.invite?.(passage, visit) === true) return verdict.taken
    const text = 'The request carries no credential of those that this route takes.'
    return this.#refuse(visit, 'missing', text, this.#told(identityRefusals.missing), this.#challenges(null))
  }

  #lacking(visit: GuardVisit, { kind, name }: NonNullable<Found['lacks']>): number {
    const fields =
      kind === 'scope'
        ? `WWW-Authenticate: Bearer realm="api", error="insufficient_scope", scope="${name}"\r\n`
        : ''
    return this.#refuse(
      visit,
      kind,
      `Who it is was verified, and has not the ${kind} '${name}'.`,
      identityRefusals[kind],
      fields,
    )
  }

  #wrong(visit: GuardVisit, fault: IdentityFault): number {
    if (fault.outage === true)
      return this.#refuse(visit, fault.reason, fault.text, identityRefusals.outage, 'Retry-After: 2\r\n')
    if (!innocent.has(fault.reason) && this.#tools.failures.isTooMany(visit.addressKey))
      visit.ban('identity:failures', 'Too many wrong credentials within a minute.')
    return this.#refuse(
      visit,
      fault.reason,
      fault.text,
      this.#told(identityRefusals.invalid),
      this.#challenges(fault),
    )
  }

  /** With the addresses at which people log in. */
  #told(refusal: PassageRefusal): PassageRefusal {
    const paths = this.#tools.verifiers.flatMap(({ loginPath }) => loginPath ?? [])
    return paths.length === 0
      ? refusal
      : { ...refusal, text: `${refusal.text} Log in at ${paths.join(' or ')}.` }
  }

  /** RFC 9110 11.6.1: each way once. */
  #challenges(fault: IdentityFault | null): string {
    const all = this.#tools.verifiers.flatMap(verifier => verifier.challenge(fault) ?? [])
    return [...new Set(all)].map(one => `WWW-Authenticate: ${one}\r\n`).join('')
  }

  #refuse(visit: GuardVisit, rule: string, text: string, told: PassageRefusal, fields: string): number {
    const ways = this.#tools.requirement.any.map(({ method, name }) =>
      name === '' ? method : `${method}:${name}`,
    )
    const would = `The same request with a valid credential of ${ways.join(' or ')}${demands(this.#tools.requirement)}.`
    const finding = { step: 'identity', rule: `identity:${rule}`, text, would }
    return visit.refuse(
      finding,
      { ...told, fields: `${fields}Cache-Control: no-store\r\n` },
      this.#detectOnly,
    )
  }
}

function demands({ scopes, claims }: CheckedRequirement): string {
  const asked = [
    ...scopes.map(scope => `the scope '${scope}'`),
    ...Object.keys(claims).map(claim => `the claim '${claim}'`),
  ]
  return asked.length === 0 ? '' : `, with ${asked.join(' and ')}`
}

/** Null: nothing. */
function lackOf({ scopes, claims }: VerifiedIdentity, asked: CheckedRequirement): Found['lacks'] {
  const scope = asked.scopes.find(one => !scopes.includes(one))
  if (scope !== undefined) return { kind: 'scope', name: scope }
  for (const [name, values] of Object.entries(asked.claims))
    if (!holds(Object.hasOwn(claims, name) ? claims[name] : undefined, values)) return { kind: 'claim', name }
  return null
}

function holds(claim: unknown, values: readonly string[]): boolean {
  const all = Array.isArray(claim) ? claim : [claim]
  return all.some(
    one =>
      (typeof one === 'string' || typeof one === 'number' || typeof one === 'boolean') &&
      values.includes(String(one)),
  )
}
