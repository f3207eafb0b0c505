// The truth about reads: did one show less than what had been acknowledged when it was sent? Keeps the last writes of keys
// that some copy may still lack, and nothing older.

import { Sketch } from '../core/statistics.ts'

interface Written {
  position: number
  at: number
  /** The acknowledged write before it. */
  positionBefore: number
  atBefore: number
}

export class Staleness {
  reads = 0
  stale = 0
  readonly ages: Sketch = new Sketch()
  readonly #written = new Map<number, Written>()
  #sweepAt = 1_024

  /** A write of this key was acknowledged. */
  wrote(key: number, position: number, now: number): void {
    const known = this.#written.get(key)
    if (known === undefined)
      this.#written.set(key, { position, at: now, positionBefore: 0, atBefore: Number.POSITIVE_INFINITY })
    else if (position > known.position) {
      known.positionBefore = known.position
      known.atBefore = known.at
      known.position = position
      known.at = now
    }
  }

  /** A read was served by what has replayed `replayed`. @param since when it was sent @param counts within the window */
  read(key: number, replayed: number, since: number, now: number, counts: boolean): void {
    if (counts) this.reads++
    const known = this.#written.get(key)
    if (known === undefined) return
    const missed = this.#missed(known, replayed, since)
    if (missed < 0 || !counts) return
    this.stale++
    this.ages.add(now - missed)
  }

  /** When the oldest of the two remembered writes that it should have shown was acknowledged; -1: it showed all. */
  #missed(known: Written, replayed: number, since: number): number {
    if (known.atBefore <= since && known.positionBefore > replayed) return known.atBefore
    return known.at <= since && known.position > replayed ? known.at : -1
  }

  /** Every copy has replayed up to here. */
  everywhere(position: number): void {
    if (this.#written.size < this.#sweepAt) return
    for (const [key, written] of this.#written) if (written.position <= position) this.#written.delete(key)
    this.#sweepAt = Math.max(1_024, this.#written.size * 2)
  }

  /** This very write of a key is lost, and nobody can show it. */
  dropped(key: number, position: number): void {
    if (this.#written.get(key)?.position === position) this.#written.delete(key)
  }

  /** A failover: what lay above is lost, and nobody can show it. */
  lost(above: number): void {
    for (const [key, written] of this.#written) if (written.position > above) this.#written.delete(key)
  }
}
