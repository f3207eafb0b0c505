// Reads that wait for a replica to have what they must see, and sessions that wait for their token: first in, first out,
// bounded. Keeps them; who may go is the planner's to say.

import type { ReadReason, ReadResume, ReadState } from './contract.ts'

/** Further reads go to the primary at once. */
export const waitingReadsMax = 4_096
const waitingTokensMax = 1_024

export interface WaitingRead {
  readonly resume: ReadResume
  /** The sample that it needs first; 0: the position is known. */
  sample: number
  lsn: number
  /** Whose state learns the position when the sample has ended; null: reads that do not go by the session. */
  readonly state: ReadState | null
  readonly since: number
  readonly deadline: number
}

export interface WaitingToken {
  readonly state: ReadState
  readonly give: (token: string | null) => void
  readonly deadline: number
}

export class WaitingReads {
  /** In the order in which they came. */
  readonly #reads = new Map<ReadResume, WaitingRead>()

  get count(): number {
    return this.#reads.size
  }

  get full(): boolean {
    return this.#reads.size >= waitingReadsMax
  }

  add(read: WaitingRead): void {
    this.#reads.set(read.resume, read)
  }

  remove(resume: ReadResume): void {
    this.#reads.delete(resume)
  }

  /** `judge` says where one goes now, or null: it waits on. */
  settle(
    judge: (read: WaitingRead) => { readonly server: string; readonly reason: ReadReason } | null,
  ): void {
    for (const read of this.#reads.values()) {
      const place = judge(read)
      if (place === null) continue
      this.#reads.delete(read.resume)
      read.resume(place.server, place.reason)
    }
  }
}

export class WaitingTokens {
  #tokens: WaitingToken[] = []

  get count(): number {
    return this.#tokens.length
  }

  /** False: too many wait. */
  add(token: WaitingToken): boolean {
    if (this.#tokens.length >= waitingTokensMax) return false
    this.#tokens.push(token)
    return true
  }

  /** `judge`: the token, null to give up, or undefined: it waits on. */
  settle(judge: (token: WaitingToken) => string | null | undefined): void {
    const waited = this.#tokens
    this.#tokens = []
    for (const one of waited) {
      const text = judge(one)
      if (text === undefined) this.#tokens.push(one)
      else one.give(text)
    }
  }
}
