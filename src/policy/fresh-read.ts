// What a read must see, in positions of the primary's log, and from when on that is known. A sample asks the primary where
// its log ends; one that began after a write was acknowledged covers that write and all before it. Samples are numbered,
// so "covers" is a comparison of numbers, and many writes share one sample. Decides, asks nobody: the shell samples.

/** A timeline and a position in it; the same shape as the database's `LogPosition`. */
export interface LogPlace {
  readonly timeline: number
  readonly lsn: number
}

/** What one session wrote or was told. When `lastWrite` is set, its sample covers what `after` stands for, too. */
export interface SessionNeed {
  lastWrite: number
  after: LogPlace | null
}

/** What `freshNeed` and `sessionNeed` found: nothing; the position `lsn`; a sample `sample` first; or a timeline that we do not know. */
export const Need = { nothing: 0, position: 1, sample: 2, otherTimeline: 3 } as const
export type NeedCode = (typeof Need)[keyof typeof Need]

/** Sessions whose last write is older than this many samples need the oldest that is kept: never less than theirs. */
const keptSamples = 64

/**
 * One database's horizon, in one of two states:
 * blind   `timeline` = 0: nothing is known of this primary (start, new epoch, connection lost). Exit: a sample -> sighted.
 * sighted `timeline` > 0: `lsn` is where its log ended at the last sample. Exit: `forget` -> blind.
 * Invariant: samples begun before the last `forget` never count, so nothing of an old primary is believed of a new one.
 */
export class ReadHorizon {
  /** Of the last sample; 0 = blind. */
  timeline = 0
  /** Where the log ended at the last sample. */
  lsn = 0
  /** Results of the last `freshNeed` or `sessionNeed`. */
  needLsn = 0
  needSample = 0
  #begun = 0
  #believedFrom = 1
  /** The first sample that covers every write acknowledged so far. */
  #needed = 1
  /** `#needed` as it was when `#settledLsn` was found. */
  #settled = 0
  #settledLsn = 0
  /** First position seen on this timeline: at or above the point where the timeline began. */
  #firstLsn = 0
  readonly #numbers: number[] = []
  readonly #lsns: number[] = []

  /** The number that the next sample will have. */
  get next(): number {
    return this.#begun + 1
  }

  /** A write was acknowledged: returns the first sample that will cover it. */
  wrote(): number {
    this.#needed = this.#begun + 1
    return this.#needed
  }

  /** Does a fresh read now have to wait for a sample that has not ended? */
  get unsettled(): boolean {
    return this.timeline === 0 || this.#settled !== this.#needed
  }

  /** A sample is sent now; its number goes to `sampled`. */
  began(): number {
    return ++this.#begun
  }

  /** False: it speaks of a primary, or a life of it, that does not count any more. */
  sampled(sample: number, timeline: number, lsn: number): boolean {
    if (sample < this.#believedFrom) return false
    if (this.timeline !== timeline) {
      this.#numbers.length = this.#lsns.length = 0
      this.#firstLsn = lsn
    }
    this.timeline = timeline
    this.lsn = lsn
    if (this.#numbers.length === keptSamples) {
      this.#numbers.shift()
      this.#lsns.shift()
    }
    this.#numbers.push(sample)
    this.#lsns.push(lsn)
    if (this.#settled !== this.#needed && sample >= this.#needed) {
      this.#settled = this.#needed
      this.#settledLsn = lsn
    }
    return true
  }

  /** Another primary, or another life of it: what was sampled and what is under way is void. */
  forget(): void {
    this.timeline = this.lsn = 0
    this.#numbers.length = this.#lsns.length = 0
    this.#needed = this.#believedFrom = this.#begun + 1
  }

  /** The position of the first kept sample that covers number `sample`; -1: it has not ended. */
  lsnOf(sample: number): number {
    const last = this.#numbers.length - 1
    if (last < 0 || (this.#numbers[last] as number) < sample) return -1
    let at = last
    while (at > 0 && (this.#numbers[at - 1] as number) >= sample) at--
    return this.#lsns[at] as number
  }

  /** A read that must see every write acknowledged to anybody. `shared`: others write too, so only a sample from now on tells. */
  freshNeed(shared: boolean): NeedCode {
    if (shared) return this.#sample(this.next)
    if (this.unsettled) return this.#sample(this.#needed)
    return this.#position(this.#settledLsn)
  }

  /** A read that must see what its session wrote or was told of. */
  sessionNeed(state: SessionNeed): NeedCode {
    if (state.lastWrite > 0) {
      const lsn = this.lsnOf(state.lastWrite)
      if (lsn < 0) return this.#sample(state.lastWrite)
      this.#fold(state, lsn)
    }
    const { after } = state
    if (after === null) return Need.nothing
    if (this.timeline === 0) return this.#sampleFor(state)
    if (after.timeline > this.timeline) return Need.otherTimeline
    // What survived the switch lies at or below the point where this timeline began, so the first position seen on it is
    // enough; what lay above is lost, and nobody has it.
    if (after.timeline < this.timeline) return this.#position(Math.min(after.lsn, this.#firstLsn))
    // More than the primary had: another session is ahead of our last sample, or the token is wrong. A sample tells.
    return after.lsn > this.lsn ? this.#sampleFor(state) : this.#position(after.lsn)
  }

  /** The session was given a token: its reads see at least what that stands for. */
  told(state: SessionNeed, token: LogPlace): void {
    const { after } = state
    const later =
      after === null || token.timeline > after.timeline
        ? token
        : token.timeline === after.timeline && token.lsn > after.lsn
          ? token
          : after
    state.after = later
    // Its own write is covered by a later sample too, and that one covers the token.
    if (state.lastWrite > 0) state.lastWrite = this.next
  }

  #fold(state: SessionNeed, lsn: number): void {
    state.lastWrite = 0
    if (state.after === null || state.after.timeline <= this.timeline)
      state.after = { timeline: this.timeline, lsn }
  }

  #sampleFor(state: SessionNeed): NeedCode {
    state.lastWrite = this.next
    return this.#sample(state.lastWrite)
  }

  #sample(sample: number): NeedCode {
    this.needSample = sample
    return Need.sample
  }

  #position(lsn: number): NeedCode {
    this.needLsn = lsn
    return Need.position
  }
}

/** How much one wait counts in the mean. */
const waitShare = 1 / 8
/** In this time the mean loses 63 %: so long at most a database whose replicas stood still is not waited for. */
const waitFadeUs = 1_000_000

/**
 * Is it worth while to wait for a replica? While waits lately took less than a read may wait, yes. A wait in vain counts
 * twice the limit: some of them in a row, and reads go to the primary at once; the mean fades, and one is tried again.
 */
export class WaitEstimate {
  #meanUs = 0
  #at = 0

  ended(tookUs: number, now: number): void {
    const before = this.meanUs(now)
    this.#meanUs = before + (tookUs - before) * waitShare
    this.#at = now
  }

  meanUs(now: number): number {
    return this.#meanUs * Math.exp(-Math.max(0, now - this.#at) / waitFadeUs)
  }

  worth(now: number, limitUs: number): boolean {
    return limitUs > 0 && this.meanUs(now) <= limitUs
  }
}
