// What long work on a database says as it goes, thinned out to what a person can follow.

import type { Progress } from '../database/servers/contract.ts'
import { bytesText } from '../kit/duration.ts'

/** Tells one step: of which database, and what. */
export type Step = (subject: string, text: string) => void

/** The same about the next table, and the next: one a second is enough to see that it goes on. */
const alikeEveryMs = 1_000

/** Sentences as they come, unless they are alike; of bytes each tenth part. */
export function progressOf(name: string, step: Step): Progress {
  let tenthTold = -1
  let last = ''
  let toldAtMs = Number.NEGATIVE_INFINITY
  const beginning = (sentence: string): string => sentence.split(' ', 2).join(' ')
  return (sentence, bytesDone, bytesTotal) => {
    const alike = beginning(sentence) === beginning(last)
    const counted = bytesDone !== undefined && bytesTotal !== undefined && bytesTotal > 0
    const tenth = counted ? Math.floor((bytesDone / bytesTotal) * 10) : -1
    const further = counted && tenth !== tenthTold && sentence === last
    if (alike && !further && performance.now() - toldAtMs < alikeEveryMs) return
    if (sentence === last && !further) return
    last = sentence
    tenthTold = tenth
    toldAtMs = performance.now()
    step(
      name,
      counted
        ? `${sentence}: ${bytesText(bytesDone)} of ${bytesText(Math.max(bytesDone, bytesTotal))}`
        : sentence,
    )
  }
}
