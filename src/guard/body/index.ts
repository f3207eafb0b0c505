// The guard's part that reads bodies: once a request, before the rules. Others ask `bodyOf` for what it saw.

import type { CheckedGuardPolicy, CheckedUploads, CheckedWaf } from '../../file/checked-guard.ts'
import type { GuardPart, GuardStep, GuardSurroundings } from '../part.ts'
import { type Passage, verdict } from '../passage.ts'
import type { GuardVisit } from '../visit.ts'
import { type BodyBounds, readBody, type SeenBody, saysMultipart } from './reader.ts'

export { type BodyRefusal, bodyRefusals } from './failures.ts'
export type { SeenBody } from './reader.ts'

/** What is looked at where a policy has uploads and no rules. */
const bytesMaxWithoutRules = 128 << 10

const seenBodies = new WeakMap<GuardVisit, SeenBody>()

/** What the request's body is; undefined: the policy has no use for this part, or the request has not come so far. */
export function bodyOf(visit: GuardVisit): SeenBody | undefined {
  return seenBodies.get(visit)
}

export function createPart(_surroundings: GuardSurroundings): GuardPart {
  return {
    name: 'body',
    step: policy => (policy.waf === undefined && policy.uploads === undefined ? null : new BodyStep(policy)),
  }
}

class BodyStep implements GuardStep {
  readonly name = 'body'
  readonly #bounds: BodyBounds
  readonly detects: boolean
  /** Uploads have no mode of their own: rules that only detect don't take them out of force. */
  readonly #enforcesUploads: boolean

  constructor({ waf, uploads, detectOnly }: CheckedGuardPolicy) {
    this.#bounds = boundsOf(waf, uploads)
    this.detects = waf?.mode === 'detect' || detectOnly.includes('waf')
    this.#enforcesUploads = uploads !== undefined && !detectOnly.includes('waf')
  }

  enter(passage: Passage, visit: GuardVisit): number {
    const { serial } = passage
    const seen = readBody(passage, this.#bounds, late =>
      visit.resume(serial, this.#judge(passage, visit, late)),
    )
    return seen === null ? verdict.pending : this.#judge(passage, visit, seen)
  }

  #judge(passage: Passage, visit: GuardVisit, seen: SeenBody): number {
    seenBodies.set(visit, seen)
    if (seen.refusal === null) return verdict.pass
    const { rule, text, would, refusal } = seen.refusal
    // A form that can't be read for certain could hold any file.
    const detects = this.detects && !(this.#enforcesUploads && saysMultipart(passage))
    return visit.refuse({ step: this.name, rule, text, would }, refusal, detects)
  }
}

function boundsOf(waf: CheckedWaf | undefined, uploads: CheckedUploads | undefined): BodyBounds {
  return {
    bytesMax: waf?.bodyBytesMax ?? bytesMaxWithoutRules,
    unreadTypes: waf?.unreadTypes ?? [],
    uploads: uploads ?? null,
  }
}
