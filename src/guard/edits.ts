// Joins what the guard wants changed in a request as the instance gets it with what others want. Never removes a change.

import type { Passage } from './passage.ts'

/** @param drop lower-case names that clients may not set. @param add ready field lines. */
export function addEdits(passage: Passage, drop: readonly string[], add: string): void {
  const before = passage.requestEdits
  passage.requestEdits =
    before === null ? { drop, add } : { drop: [...before.drop, ...drop], add: before.add + add }
}
