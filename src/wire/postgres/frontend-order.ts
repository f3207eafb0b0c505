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
  #queriesDue = 0
  #syncsDue = 0
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
    return this.#queriesDue + this.#syncsDue
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
    if (type === frontend.query || type === frontend.functionCall) this.#queriesDue++
    else this.#batchOpen = true
    return 'pass'
  }

  loggedIn(): void {
    this.#loggedIn = true
  }

  /** ReadyForQuery came from the server (or was said in its place). */
  ready(): void {
    this.#copying = false
    this.#syncsBeforeCopyEnd = -1
    // Which of both it answers does not matter: only their sum is told.
    if (this.#syncsDue > 0) this.#syncsDue--
    else if (this.#queriesDue > 0) this.#queriesDue--
  }

  /** The batch that is open now got an ErrorResponse: what follows is passed over. */
  failed(): void {
    this.#copying = false
    this.#skipping = this.#batchOpen
  }

  /** CopyInResponse. A Sync that was sent right behind the Execute is swallowed by the COPY: nothing answers it. */
  copyBegan(): void {
    const ended = this.#syncsBeforeCopyEnd >= 0
    const swallowed = ended ? this.#syncsBeforeCopyEnd : this.#syncsDue
    this.#syncsDue -= Math.min(swallowed, this.#syncsDue)
    this.#syncsBeforeCopyEnd = -1
    this.#copying = !ended
    if (swallowed > 0 && !ended) this.#batchOpen = true
  }

  /** The server gave the COPY up (ErrorResponse). */
  copyEnded(): void {
    this.#copying = false
  }

  #takeCopy(type: number): Order {
    const underWay = this.#copying || this.due > 0 || (this.#batchOpen && !this.#skipping)
    if (!underWay) return 'ignore'
    if (type === frontend.copyData) return 'pass'
    if (!this.#copying && this.#syncsBeforeCopyEnd < 0) this.#syncsBeforeCopyEnd = this.#syncsDue
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
    this.#syncsDue++
    return 'pass'
  }

  #refuse(problem: Problem): Order {
    this.refusal = problem
    return 'refuse'
  }
}

function isCopy(type: number): boolean {
  return type === frontend.copyData || type === frontend.copyDone || type === frontend.copyFail
}
