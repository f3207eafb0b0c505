// Rendezvous hashing, highest random weight (Thaler & Ravishankar, 1998), weighted by the logarithm method: every
// member gets a lot for the key, the best lot that the gate admits wins. Removing one of n moves exactly its own keys.
// O(n) hashes a pick, no tables. Also serves `ip-hash`.

import type { Random } from '../../kit/random.ts'
import type { Balancer, Group } from '../group.ts'
import { Reason } from '../reason.ts'
import { Gate, rankOf } from './gate.ts'

export class Rendezvous implements Balancer {
  reason: number = Reason.none
  readonly #ownReason: number
  readonly #gate: Gate
  #hashes = new Uint32Array(0)
  #weights = new Float64Array(0)
  #weighted = false

  constructor(ownReason: number, loadFactor: number) {
    this.#ownReason = ownReason
    this.#gate = new Gate(loadFactor)
  }

  rebuild(group: Group): void {
    this.#hashes = new Uint32Array(group.count)
    this.#weights = new Float64Array(group.count)
    this.#weighted = false
    for (let i = 0; i < group.count; i++) {
      this.#hashes[i] = group.hash(i)
      this.#weights[i] = group.weight(i)
      if (this.#weights[i] !== this.#weights[0]) this.#weighted = true
    }
  }

  pick(group: Group, now: number, key: number, _random: Random): number {
    if (this.#hashes.length !== group.count) this.rebuild(group)
    this.#gate.begin(group, now)
    let chosen = -1
    let best = -1
    let top = -1
    let why = this.#ownReason
    for (let i = 0; i < this.#hashes.length; i++) {
      const score = this.#score(i, key)
      // The gate is asked only about members that would win: ln n of them on average.
      if (score <= best) continue
      const admitted = this.#gate.admits(group, i, now, key)
      if (score > top) {
        top = score
        why = admitted ? this.#ownReason : this.#gate.passedOver
      }
      if (!admitted) continue
      best = score
      chosen = i
    }
    if (chosen < 0) chosen = this.#gate.lastResort(group, now, key)
    this.reason = chosen < 0 ? Reason.noneEligible : why
    return chosen
  }

  /** Grows with the rank; for equal weights the rank itself, which orders as the weighted form does. */
  #score(i: number, key: number): number {
    const rank = rankOf(this.#hashes[i]!, key)
    return this.#weighted ? -this.#weights[i]! / Math.log((rank + 0.5) / 4_294_967_296) : rank
  }
}
