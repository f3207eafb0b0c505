// What a client may say now, as PostgreSQL itself judges it (postgres.c, copyfromparse.c): one per client connection.
// Knows of types only. Replies to clients, errors and what is forwarded are the session's matter.
//
// login: only 'p' until `loggedIn`. ready: anything but 'p'. After an error that was answered inside an extended batch
// (`failed`) everything is passed over until Sync, a simple Query too. While the client copies in (`copyBegan` until its
// CopyDone or CopyFail, or `copyEnded` when the server gave up) only CopyData, CopyDone, CopyFail, Flush and Sync come;
// outside, the copy messages are a leftover of a COPY that failed, and ignored.

import { type Problem, violation } from './problem.ts'
import { frontend } from './types.ts'

/** pass: it counts. ignore: drop it, say nothing. refuse: FATAL, with `refusal`. abort: ERROR; the COPY has failed. */
export type Order = 'pass' | 'ignore' | 'refuse' | 'abort'

const beforeLogin = violation('Only a password is expected before the login is done.')
const afterLogin = violation('A password came after the login was done.')
const duringCopy = violation('Only data may come while COPY FROM STDIN is under way.')

export class FrontendOrder {
  #loggedIn = false
  #copying = false
  #skipping = false
  #batchOpen = false
  refusal: Problem | null = null

  /** Messages of the extended protocol were said since the last Sync: the server connection is not free. */
  get batchOpen(): boolean {
    return this.#batchOpen
  }

  /** Everything is passed over until Sync. */
  get skipping(): boolean {
    return this.#skipping
  }

  get copying(): boolean {
    return this.#copying
  }

  /** A message of this type comes; its type was checked by `frontendFrameBytes`. */
  take(type: number): Order {
    if (!this.#loggedIn) return type === frontend.password ? 'pass' : this.#refuse(beforeLogin)
    if (type === frontend.password) return this.#refuse(afterLogin)
    if (type === frontend.terminate) return 'pass'
    if (isCopy(type)) return this.#takeCopy(type)
    if (this.#copying) return this.#takeAmidCopy(type)
    if (type === frontend.sync) return this.#takeSync()
    if (this.#skipping) return 'ignore'
    if (type !== frontend.query && type !== frontend.functionCall) this.#batchOpen = true
    return 'pass'
  }

  loggedIn(): void {
    this.#loggedIn = true
  }

  /** An ErrorResponse went to the client. Inside a batch what follows is passed over; after a simple Query nothing is. */
  failed(): void {
    this.#copying = false
    this.#skipping = this.#batchOpen
  }

  copyBegan(): void {
    this.#copying = true
  }

  copyEnded(): void {
    this.#copying = false
  }

  #takeCopy(type: number): Order {
    if (!this.#copying) return 'ignore'
    if (type !== frontend.copyData) this.#copying = false
    return 'pass'
  }

  #takeAmidCopy(type: number): Order {
    // Clients that sent Execute, Sync at once have sent this Sync before they knew of the COPY.
    if (type === frontend.sync || type === frontend.flush) return 'ignore'
    this.#copying = false
    this.refusal = duringCopy
    return 'abort'
  }

  #takeSync(): Order {
    this.#skipping = false
    this.#batchOpen = false
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
