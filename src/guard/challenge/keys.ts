// The keys of challenges, one for each use, all from the system's secret: so restarts and several edges share them, and
// what was signed for one use is worth nothing for another.

import { deriveKey } from '../keys.ts'

export interface ChallengeKeys {
  /** Signs clearances. */
  readonly clearance: Buffer
  /** Signs what a page knows of the request that it stands for, and tickets to wait with. */
  readonly page: Buffer
  /** Of proofs of work: of what is asked, and of its answer. Hexadecimal, as altcha-lib takes texts. */
  readonly proof: string
  readonly proofAnswer: string
  /** What instances are told of humans, and what they ask. */
  readonly human: Buffer
  /** Names accounts in clearances, which clients can read. */
  readonly names: Buffer
}

export function challengeKeys(secretKey: string): ChallengeKeys {
  return {
    clearance: deriveKey(secretKey, 'challenge clearance'),
    page: deriveKey(secretKey, 'challenge page'),
    proof: deriveKey(secretKey, 'challenge proof').toString('hex'),
    proofAnswer: deriveKey(secretKey, 'challenge proof answer').toString('hex'),
    human: deriveKey(secretKey, 'human'),
    names: deriveKey(secretKey, 'challenge names'),
  }
}

/** For instances, in `TENFOLD_GUARD_KEY`: verifies `Tenfold-Human` and signs what they ask; base64url. */
export function humanKey(secretKey: string): string {
  return deriveKey(secretKey, 'human').toString('base64url')
}
