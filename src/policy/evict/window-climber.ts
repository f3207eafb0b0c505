// How large W-TinyLFU's window is: hill climbing on the hit ratio (Einziger et al., Middleware 2018). After each period it
// compares the ratio with that of the period before: better, and the window goes on in the same direction; worse, and
// it turns round. Steps shrink while it stands near the top of the hill, and start afresh when the ratio jumps: the
// traffic has changed. Where hardly anything is hit the hill is flat and noise would lead: there the window sweeps, in
// long steps and short periods, from one end to the other, until a place is found where something is hit.

import type { Memory } from './memory.ts'

/** Of the capacity. The window begins at a hundredth, which is also the least, and never takes more than four fifths. */
const shareFirst = 0.01
const shareMax = 0.8
const stepFirst = 0.0625
const stepDecay = 0.98
/** A change of the hit ratio by which a new climb begins. */
const restartFrom = 0.05
/** Requests for each entry. */
const period = 10
/** A hit ratio below which the window sweeps: no more than this is at stake. */
const sweepBelow = 0.05
const sweepStep = 0.125
const sweepPeriod = 2

export class WindowClimber {
  readonly #capacity: number
  readonly #first: number
  /** [0] window minus its first size, [1] step (0: the first one), [2] ratio of the period before, [3] requests, [4] hits of this one. */
  readonly #state: Float64Array

  constructor(memory: Memory, capacity: number) {
    this.#capacity = capacity
    this.#first = Math.max(1, Math.floor(capacity * shareFirst))
    this.#state = memory.f64(5)
  }

  get window(): number {
    return this.#first + this.#state[0]!
  }

  hit(): void {
    this.#state[3]! += 1
    this.#state[4]! += 1
  }

  miss(): void {
    this.#state[3]! += 1
  }

  /** @param entries what the cache holds; moves the window when a period is over */
  climb(entries: number): void {
    const state = this.#state
    const requests = state[3]!
    const isFlat = state[4]! < requests * sweepBelow
    if (requests < entries * (isFlat ? sweepPeriod : period)) return
    const ratio = state[4]! / requests
    this.#move(isFlat ? this.#sweepingStep() : this.#nextStep(ratio - state[2]!))
    state[2] = ratio
    state[3] = 0
    state[4] = 0
  }

  clear(): void {
    this.#state.fill(0)
  }

  /** On in its direction; back, if it has just left a place where something was hit. */
  #sweepingStep(): number {
    const direction = this.#state[1]! < 0 ? -1 : 1
    const left = this.#state[2]! >= sweepBelow
    return (left ? -direction : direction) * sweepStep * this.#capacity
  }

  #nextStep(change: number): number {
    const full = stepFirst * this.#capacity
    const before = this.#state[1]! || full
    const length = Math.abs(change) >= restartFrom ? full : Math.min(full, Math.abs(before)) * stepDecay
    return Math.sign(before) * (change >= 0 ? length : -length)
  }

  /** At either end it turns round. */
  #move(step: number): void {
    const wanted = Math.round(this.window + step)
    const most = Math.max(this.#first, Math.floor(this.#capacity * shareMax))
    const window = Math.min(most, Math.max(this.#first, wanted))
    this.#state[0] = window - this.#first
    this.#state[1] = window === wanted ? step : -step
  }
}
