// What a client may say now, and how many ReadyForQuery its server owes for what was said, as PostgreSQL itself judges it
// (postgres.c, copyfromparse.c). One per client connection; knows of types only. Replies and forwarding are the session's.
//
// login: only 'p' until `loggedIn`. ready: anything but 'p'. skipping (`failed` inside an extended batch): everything is
// passed over until Sync, a simple Query too. copying (`copyBegan` until CopyDone, CopyFail or `copyEnded`): only
// CopyData, CopyDone, CopyFail, and Flush and Sync, which the server then swallows. Copy messages with nothing under way
// are leftovers of a COPY that failed, and ignored.

import { type Problem, violation } from './problem.ts'
import { frontend } from './types.ts'

/** pass: it goes on. ignore: drop it, say nothing. refuse: FATAL with `refusal`. abort: ERROR with it; the COPY failed. */
export type Order = 'pass' | 'ignore' | 'refuse' | 'abort'

const beforeLogin = violation('Only a password is expected before the login is done.')
const afterLogin = violation('A password came after the login was done.')
const duringCopy = violation('Only data may come while COPY FROM STDIN is under way.')

export class FrontendOrder {
  #loggedIn = false
  #copying = false
  #skipping = false
  #batchOpen = false
  #due = 0
  /** What is due, in order, as runs: 3 Queries, then -2 Syncs. Mostly one run; its count is changed in place. */
  readonly #runs: number[] = []
  /** Syncs among them that came before a CopyDone whose COPY we had not heard of yet; -1: no such CopyDone. */
  #syncsBeforeCopyEnd = -1
  refusal: Problem | null = null

  /** Messages of the extended protocol were said since the last Sync: the server connection is not free. */
  get batchOpen(): boolean {
    return this.#batchOpen
  }

  get skipping(): boolean {
    return this.#skipping
  }

  get copying(): boolean {
    return this.#copying
  }

  /** ReadyForQuery that are still to come for what passed. */
  get due(): number {
    return this.#due
  }

  /** A message of this type comes; the type itself was checked by `frontendFrameBytes`. */
  take(type: number): Order {
    if (!this.#loggedIn) return type === frontend.password ? 'pass' : this.#refuse(beforeLogin)
    if (type === frontend.password) return this.#refuse(afterLogin)
    if (type === frontend.terminate) return 'pass'
    if (isCopy(type)) return this.#takeCopy(type)
    if (this.#copying) return this.#takeAmidCopy(type)
    if (type === frontend.sync) return this.#takeSync()
    if (this.#skipping) return 'ignore'
    if (type === frontend.query || type === frontend.functionCall) this.#expect(1)
    else this.#batchOpen = true
    return 'pass'
  }

  loggedIn(): void {
    this.#loggedIn = true
  }

  /** ReadyForQuery came from the server (or was said in its place). */
  ready(): void {
    this.#copying = false
    if (this.#due === 0) return
    if (--this.#due === 0) this.#syncsBeforeCopyEnd = -1
    const first = this.#runs[0] as number
    if (first < 0 && this.#syncsBeforeCopyEnd > 0) this.#syncsBeforeCopyEnd--
    const left = first > 0 ? first - 1 : first + 1
    if (left === 0) this.#runs.shift()
    else this.#runs[0] = left
  }

  /** The batch that is open now got an ErrorResponse: what follows is passed over. */
  failed(): void {
    this.#copying = false
    this.#skipping = this.#batchOpen
  }

  /** CopyInResponse. A Sync that was sent right behind the Execute is swallowed by the COPY: nothing answers it. */
  copyBegan(): void {
    const ended = this.#syncsBeforeCopyEnd >= 0
    const swallowed = this.#dropSyncs(ended ? this.#syncsBeforeCopyEnd : this.#syncsDue())
    this.#syncsBeforeCopyEnd = -1
    this.#copying = !ended
    if (swallowed > 0 && !ended) this.#batchOpen = true
  }

  /** The server gave the COPY up (ErrorResponse). */
  copyEnded(): void {
    this.#copying = false
  }

  #takeCopy(type: number): Order {
    const underWay = this.#copying || this.#due > 0 || (this.#batchOpen && !this.#skipping)
    if (!underWay) return 'ignore'
    if (type === frontend.copyData) return 'pass'
    if (!this.#copying && this.#syncsBeforeCopyEnd < 0) this.#syncsBeforeCopyEnd = this.#syncsDue()
    this.#copying = false
    return 'pass'
  }

  #takeAmidCopy(type: number): Order {
    if (type === frontend.sync || type === frontend.flush) return 'ignore'
    this.#copying = false
    this.refusal = duringCopy
    return 'abort'
  }

  #takeSync(): Order {
    this.#skipping = false
    this.#batchOpen = false
    this.#expect(-1)
    return 'pass'
  }

  /** 1: a Query, -1: a Sync. */
  #expect(kind: number): void {
    this.#due++
    const last = this.#runs.length - 1
    const run = last < 0 ? 0 : (this.#runs[last] as number)
    if (run * kind > 0) this.#runs[last] = run + kind
    else this.#runs.push(kind)
  }

  #syncsDue(): number {
    return -this.#runs.reduce((sum, run) => sum + Math.min(run, 0), 0)
  }

  /** Takes the first `count` Syncs out of what is due. */
  #dropSyncs(count: number): number {
    let left = count
    for (const [index, run] of this.#runs.entries()) {
      const taken = Math.min(left, Math.max(-run, 0))
      this.#runs[index] = run + taken
      left -= taken
    }
    const kept = this.#runs.filter(run => run !== 0)
    this.#runs.splice(0, this.#runs.length, ...kept)
    this.#due -= count - left
    return count - left
  }

  #refuse(problem: Problem): Order {
    this.refusal = problem
    return 'refuse'
  }
}

function isCopy(type: number): boolean {
  return type === frontend.copyData || type === frontend.copyDone || type === frontend.copyFail
}
