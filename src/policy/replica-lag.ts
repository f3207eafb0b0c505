// How old what a replica shows may be, by one clock: the monotonic one of who samples. A replica that has replayed what
// the primary's log held at a sample shows nothing older than the moment when that sample began. Time stamps of servers
// are not used: they stand still without writes, and their clocks jump.

const keptMax = 256

export class LagHistory {
  readonly #spacingUs: number
  readonly #times: number[] = []
  readonly #lsns: number[] = []

  /** Samples closer than this are not all kept: a lag then reads up to so much longer. */
  constructor(spacingUs: number) {
    this.#spacingUs = spacingUs
  }

  /** @param beganAt when the sample was sent: what was written before is at or below `lsn` */
  sampled(beganAt: number, lsn: number): void {
    const last = this.#times.at(-1)
    if (last !== undefined && beganAt - last < this.#spacingUs) return
    if (this.#times.length === keptMax) {
      this.#times.shift()
      this.#lsns.shift()
    }
    this.#times.push(beganAt)
    this.#lsns.push(lsn)
  }

  /** The latest moment whose writes are all at or below `lsn`; -1: not known. */
  asOf(lsn: number): number {
    for (let at = this.#times.length - 1; at >= 0; at--)
      if ((this.#lsns[at] as number) <= lsn) return this.#times[at] as number
    return -1
  }

  forget(): void {
    this.#times.length = this.#lsns.length = 0
  }
}
