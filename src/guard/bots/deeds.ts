// What other parts tell of a client: that it was asked for a challenge, failed or passed one. Told to whoever remembers clients for the same
// worker; where no policy scores risk, to nobody.

import type { Passage } from '../passage.ts'
import type { SourceHooks } from '../sources.ts'
import type { GuardVisit } from '../visit.ts'

/** `used`: the account uses a clearance for the first time that was got before it was known. */
export type ChallengeOutcome = 'asked' | 'failed' | 'passed' | 'used'
export type Recorder = (passage: Passage, visit: GuardVisit, outcome: ChallengeOutcome) => void

/** By what all parts of one worker share. */
const recorders = new WeakMap<SourceHooks, Recorder>()

export function noteChallenge(passage: Passage, visit: GuardVisit, outcome: ChallengeOutcome): void {
  recorders.get(visit.hooks)?.(passage, visit, outcome)
}

export function recordDeeds(hooks: SourceHooks, recorder: Recorder): void {
  recorders.set(hooks, recorder)
}
