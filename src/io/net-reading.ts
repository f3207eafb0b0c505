// The reading side that all drivers of the seam in `net.ts` share: what must wait (bytes given back, bytes or an end that
// arrive while nobody may hear them), and in which order it is delivered. Never touches a socket: a driver says how
// reading is stopped and started.
//
// A stream reads while it is neither paused nor holding anything. What is held goes first, then the end, then the close.

import { type StreamHandler, sharedReadBytes } from './net.ts'

export abstract class ReadingSide {
  handler: StreamHandler
  paused = false
  /** Ended by us (`destroy`, `reset`) or failed: only `closed` is still to come. */
  protected dead = false
  /** Where reads should land; null: anywhere. */
  protected wanted: Buffer | null = null
  #held: Buffer | null = null
  #heldEnd = false
  #heldClose = false
  #scheduled = false

  constructor(handler: StreamHandler) {
    this.handler = handler
  }

  protected abstract startReading(): void
  protected abstract stopReading(): void
  protected abstract callData(bytes: Buffer, length: number): void
  protected abstract callEnded(): void
  protected abstract callClosed(): void

  /** May bytes that arrive be delivered at once? */
  protected get open(): boolean {
    return !this.paused && this.#held === null && !this.dead
  }

  pause(): void {
    if (this.paused) return
    this.paused = true
    this.stopReading()
  }

  resume(): void {
    if (!this.paused) return
    this.paused = false
    if (this.#held !== null || this.#heldEnd || this.#heldClose) this.#schedule()
    else this.startReading()
  }

  unshift(bytes: Buffer): void {
    if (bytes.length === 0 || this.dead) return
    this.#held = this.#held === null ? Buffer.from(bytes) : Buffer.concat([bytes, this.#held])
    this.stopReading()
    if (!this.paused) this.#schedule()
  }

  /** Delivers, by way of the wanted buffer if there is one; holds what may not be delivered now. */
  protected deliver(bytes: Buffer, length: number): void {
    for (let from = 0; from < length && !this.dead; ) {
      if (!this.open) {
        this.#hold(bytes.subarray(from, length))
        return
      }
      const wanted = this.wanted
      const size = Math.min(wanted?.length ?? sharedReadBytes, length - from)
      const part = wanted ?? bytes.subarray(from)
      if (wanted !== null) bytes.copy(wanted, 0, from, from + size)
      from += size
      this.callData(part, size)
    }
  }

  /** Behind what is held already: these bytes came later. */
  #hold(bytes: Buffer): void {
    this.#held = this.#held === null ? Buffer.from(bytes) : Buffer.concat([this.#held, bytes])
    this.stopReading()
    if (!this.paused) this.#schedule()
  }

  protected deliverEnd(): void {
    if (this.dead) return
    if (this.open) this.callEnded()
    else this.#heldEnd = true
  }

  /** An orderly close waits for what is held; any other makes it worthless. */
  protected deliverClose(orderly: boolean): void {
    if (orderly && (this.#held !== null || this.#heldEnd)) {
      this.#heldClose = true
      return
    }
    this.dead = true
    this.#held = null
    this.callClosed()
  }

  /** Bytes that wait, for whoever reads from now on; and did the peer's end wait behind them? */
  protected takeHeld(): { bytes: Buffer | null; ended: boolean } {
    const taken = { bytes: this.#held, ended: this.#heldEnd || this.#heldClose }
    this.#held = null
    this.#heldEnd = false
    this.#heldClose = false
    return taken
  }

  /** After our own `destroy` or `reset` nobody waits for what is held. */
  protected dropHeld(): void {
    this.dead = true
    this.#held = null
    this.#heldEnd = false
    if (!this.#heldClose) return
    this.#heldClose = false
    queueMicrotask(() => this.callClosed())
  }

  /** What waited for something else than `resume`. */
  protected deliverWaiting(): void {
    if (!this.paused && (this.#held !== null || this.#heldEnd || this.#heldClose)) this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(deliverHeld, this)
  }

  deliverHeld(): void {
    this.#scheduled = false
    if (this.paused || this.dead) return
    const bytes = this.#held
    this.#held = null
    if (bytes !== null) this.deliver(bytes, bytes.length)
    if (!this.dead && this.open) this.#afterHeld()
  }

  #afterHeld(): void {
    if (this.#heldEnd) {
      this.#heldEnd = false
      this.callEnded()
    } else if (!this.#heldClose) this.startReading()
    if (this.#heldClose && !this.dead) {
      this.#heldClose = false
      this.dead = true
      this.callClosed()
    }
  }
}

function deliverHeld(side: ReadingSide): void {
  side.deliverHeld()
}
