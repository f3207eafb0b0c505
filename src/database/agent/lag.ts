// How far replicas are behind in time: the positions of the primary over the last minutes, and when each was seen.

import type { Lsn } from '../contract.ts'

const samplesMax = 256
const betweenUs = 250_000

export class LagClock {
  readonly #samples: { readonly atUs: number; readonly lsn: Lsn }[] = []

  /** The primary was there at this time; kept four times a second. */
  saw(atUs: number, lsn: Lsn): void {
    const last = this.#samples.at(-1)
    // Another primary, further back: what was seen of the former one says nothing.
    if (last !== undefined && lsn < last.lsn) this.#samples.length = 0
    else if (last !== undefined && (lsn === last.lsn || atUs - last.atUs < betweenUs)) return
    this.#samples.push({ atUs, lsn })
    if (this.#samples.length > samplesMax) this.#samples.shift()
  }

  /** Milliseconds since the primary went past this position; null: longer ago than is remembered. */
  behindMs(nowUs: number, lsn: Lsn): number | null {
    const beyond = this.#samples.findIndex(one => one.lsn > lsn)
    if (beyond < 0) return 0
    if (beyond === 0 && this.#samples.length === samplesMax) return null
    return Math.max(0, Math.round((nowUs - this.#samples[beyond]!.atUs) / 1_000))
  }
}
