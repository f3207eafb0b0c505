// One guarded request: runs the steps of its policy in order, stops at one that waits, goes on when it has decided, and
// keeps what they said. A new object for each request, so that a decision which comes late can never be taken for another
// request's.
//
// States: running (a step is asked) -> waiting (it said `pending`) -> running ... -> decided -> over. After `over` nothing
// has an effect.

import { randomBytes } from 'node:crypto'
import type { CheckedIdentity } from '../file/checked-guard.ts'
import { Importance, type ImportanceCode, importanceNames, importanceOf } from '../policy/shed/index.ts'
import { addressKey } from './address-key.ts'
import { guardRefusals } from './failures.ts'
import { nameOf } from './keys.ts'
import type { GuardedRoute, GuardStep } from './part.ts'
import { type Passage, type PassageRefusal, verdict } from './passage.ts'
import { type SourceHooks, sourceValue } from './sources.ts'
import type { Finding, GuardVisit } from './visit.ts'

/** A step with what the policy says of its part. */
export interface PlannedStep {
  readonly step: GuardStep
  /** Its part only records. */
  readonly detectOnly: boolean
}

/** What the visits of one policy and route share. */
export interface VisitPlan {
  readonly policy: string
  readonly route: GuardedRoute
  readonly steps: readonly PlannedStep[]
  readonly identity: CheckedIdentity
  readonly ipv6PrefixBits: number
  /** Names sessions and keys, so that their texts are kept nowhere. */
  readonly nameKey: Buffer
  readonly hooks: SourceHooks
  /** Is this address on an allow list? */
  isAllowed(address: string): boolean
  ban(visit: RequestVisit, rule: string, reason: string): void
  /** Before anything of the request is forgotten. */
  ended(visit: RequestVisit, passage: Passage, aborted: boolean): void
}

const noFindings: readonly Finding[] = []
const noReasons: readonly string[] = []
const findingsMax = 64
const nonceBytes = 16
/** What `#early` holds while no step is asked. */
const nobodyAsked = -1
const undecided = -2
const bitOf = { account: 1, session: 2, key: 4 } as const

export class RequestVisit implements GuardVisit {
  readonly #plan: VisitPlan
  readonly #passage: Passage
  #at = 0
  #entered = 0
  #early = nobodyAsked
  #waiting = false
  #over = false
  #detecting = false
  #account: string | null = null
  #session: string | null = null
  #key: string | null = null
  #looking = false
  #address: string | null = null
  #verified = 0
  #addressKey = ''
  #allowed = -1
  #nonce = ''
  #risk = 0
  #findings: Finding[] | null = null
  #reasons: string[] | null = null
  claims: Readonly<Record<string, unknown>> | null = null
  cleared = false
  wantsChallenge = false
  queueForEver = false
  room = ''
  declared: ImportanceCode | null = null
  /** What refused it; null: nothing did. */
  refusedBy: Finding | null = null
  refusal: PassageRefusal | null = null
  /** One of `verdict` once it is decided; -1 before. */
  outcome = -1

  constructor(plan: VisitPlan, passage: Passage) {
    this.#plan = plan
    this.#passage = passage
  }

  get passage(): Passage {
    return this.#passage
  }
  get route(): GuardedRoute {
    return this.#plan.route
  }
  get policy(): string {
    return this.#plan.policy
  }
  get hooks(): SourceHooks {
    return this.#plan.hooks
  }
  get ipv6PrefixBits(): number {
    return this.#plan.ipv6PrefixBits
  }

  // --- the way through the steps --------------------------------------------------------------------------------

  /** From the gate: one of `verdict`. */
  begin(): number {
    return this.#run()
  }

  #run(): number {
    const { steps } = this.#plan
    while (this.#at < steps.length) {
      const answer = this.#ask(steps[this.#at] as PlannedStep)
      if (answer === verdict.pending) {
        this.#waiting = true
        return verdict.pending
      }
      if (answer !== verdict.pass) return this.#decide(answer)
      this.#at++
    }
    this.#tellId()
    return this.#decide(verdict.pass)
  }

  /** Of a request that passes though something was noted: `tenfold guard explain` asks for it. Refusals say it anyway. */
  #tellId(): void {
    if (this.#findings === null) return
    const { requestId } = this.#passage
    this.#passage.extraFields += `X-Request-Id: ${requestId}\r\n`
  }

  #ask({ step, detectOnly }: PlannedStep): number {
    this.#detecting = detectOnly
    this.#entered = this.#at + 1
    this.#early = undecided
    const answer = this.#enter(step)
    const early = this.#early
    this.#early = nobodyAsked
    return answer === verdict.pending && early !== undecided ? early : answer
  }

  /** What strangers send may never end the worker: a step that fails has not let the request pass. */
  #enter(step: GuardStep): number {
    try {
      return step.enter(this.#passage, this)
    } catch (error) {
      this.#early = undecided
      return this.refuse(faultOf(step.name, error), guardRefusals.fault, step.detects === true)
    }
  }

  #decide(answer: number): number {
    this.outcome = answer
    return answer
  }

  resume(serial: number, answer: number): void {
    const passage = this.#passage
    if (this.#over || serial !== passage.serial) return
    if (this.#early === undecided) {
      this.#early = answer
      return
    }
    if (!this.#waiting) return
    this.#waiting = false
    if (answer === verdict.pass) {
      this.#at++
      const next = this.#run()
      if (next !== verdict.pending && !this.#over) passage.resumeGate(serial, next)
    } else passage.resumeGate(serial, this.#decide(answer))
  }

  /**
   * What a step, or a page of ours, does with a held body has thrown: as if the step had in `enter`. False: nothing
   * waits, and `passage.refusal` says what the client is told.
   */
  failed(passage: Passage, error: unknown): boolean {
    const planned = this.#plan.steps[this.#at]
    if (this.#over || !this.#waiting || planned === undefined) {
      this.#detecting = false
      this.#decide(this.refuse(faultOf('guard', error), guardRefusals.fault, false))
      return false
    }
    const { step, detectOnly } = planned
    this.#detecting = detectOnly
    const { serial } = passage
    this.resume(serial, this.refuse(faultOf(step.name, error), guardRefusals.fault, step.detects === true))
    return true
  }

  over(passage: Passage, aborted: boolean): void {
    if (this.#over) return
    const { steps } = this.#plan
    for (let at = 0; at < this.#entered; at++) this.#leave(steps[at]?.step, aborted)
    this.#plan.ended(this, passage, aborted)
    this.#over = true
  }

  /** Each of them hears of it, whatever another one does: what is held must be given back. */
  #leave(step: GuardStep | undefined, aborted: boolean): void {
    try {
      step?.over?.(this.#passage, this, aborted)
    } catch (error) {
      this.note({ ...faultOf((step as GuardStep).name, error), detected: true })
    }
  }

  // --- what steps say -------------------------------------------------------------------------------------------

  get findings(): readonly Finding[] {
    return this.#findings ?? noFindings
  }

  note(finding: Finding): void {
    // Once the client is gone nobody knows it any more.
    if (this.#findings === null) this.#address ??= this.#passage.address
    this.#findings ??= []
    if (this.#findings.length < findingsMax) this.#findings.push(finding)
  }

  refuse(finding: Omit<Finding, 'detected'>, refusal: PassageRefusal, detectOnly: boolean): number {
    const detected = detectOnly || this.#detecting
    const told: Finding = { ...finding, detected }
    this.note(told)
    if (detected) return verdict.pass
    this.refusedBy = told
    this.refusal = refusal
    this.#passage.refusal = refusal
    return verdict.refuse
  }

  /** By a ban, before any step is asked. */
  refuseBanned(finding: Omit<Finding, 'detected'>, refusal: PassageRefusal): number {
    return this.#decide(this.refuse(finding, refusal, false))
  }

  ban(rule: string, reason: string): void {
    if (!this.allowed && !this.#detecting) this.#plan.ban(this, rule, reason)
  }

  get risk(): number {
    return this.#risk
  }

  /** What the edge asks when there are more requests than places. */
  get importance(): ImportanceCode {
    if (this.declared === null) return Importance.normal
    return importanceOf(this.declared, this.#risk, this.room !== '')
  }

  /** By the edge, which had no place for it. */
  shed(refusal: PassageRefusal, text: string): void {
    if (this.declared === null) return
    const rule = `shed:${importanceNames[this.importance]}`
    this.#detecting = false
    const would = 'The same request when less is asked of the service, or one that matters more.'
    this.#decide(this.refuse({ step: 'shed', rule, text, would }, refusal, false))
  }

  get riskReasons(): readonly string[] {
    return this.#reasons ?? noReasons
  }

  addRisk(points: number, reason: string): void {
    if (!(points > 0)) return
    this.#risk = Math.min(100, this.#risk + points)
    this.#reasons ??= []
    if (this.#reasons.length < findingsMax) this.#reasons.push(reason)
  }

  // --- who it is ------------------------------------------------------------------------------------------------

  get account(): string {
    return (this.#account ??= this.#from('account'))
  }
  get session(): string {
    return (this.#session ??= this.#named('session'))
  }
  get key(): string {
    return (this.#key ??= this.#named('key'))
  }

  setIdentity(kind: 'account' | 'session' | 'key', text: string): void {
    this.#verified |= bitOf[kind]
    if (kind === 'account') this.#account = text
    else if (kind === 'session') this.#session = text
    else this.#key = text
  }

  #from(kind: 'account' | 'session' | 'key'): string {
    // Who names itself as its own source has no value.
    if (this.#looking) return ''
    this.#looking = true
    let found: string | undefined
    for (const source of this.#plan.identity[kind]) {
      found = sourceValue(source, this.#passage, this)
      if (found === undefined) continue
      if (source.by === 'jwt') this.#verified |= bitOf[kind]
      break
    }
    this.#looking = false
    return found ?? ''
  }

  /** Somebody has checked that it is theirs: nobody can be blamed for what another sends. */
  isVerified(kind: 'account' | 'session' | 'key'): boolean {
    return (this.#verified & bitOf[kind]) !== 0
  }

  #named(kind: 'session' | 'key'): string {
    const text = this.#from(kind)
    return text === '' ? '' : nameOf(this.#plan.nameKey, `${kind}\0${text}`)
  }

  get address(): string {
    return (this.#address ??= this.#passage.address)
  }

  get addressKey(): string {
    if (this.#addressKey === '') this.#addressKey = addressKey(this.address, 32, this.ipv6PrefixBits)
    return this.#addressKey
  }

  get allowed(): boolean {
    if (this.#allowed < 0) this.#allowed = this.#plan.isAllowed(this.address) ? 1 : 0
    return this.#allowed === 1
  }

  get nonce(): string {
    if (this.#nonce === '') this.#nonce = randomBytes(nonceBytes).toString('base64')
    return this.#nonce
  }
}

function faultOf(name: string, error: unknown): Omit<Finding, 'detected'> {
  const said = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  return {
    step: name,
    rule: `${name}:fault`,
    text: `This part of the guard failed, which is a mistake of Tenfold: ${said}`,
    would: 'Perhaps the same request without this part (detectOnly); please report it.',
  }
}
