// Who fills which key: one fill a key over all threads. A place holds two hashes of the key, not the key: a collision makes
// somebody wait for the wrong answer and look again, nothing worse. `turn` is odd while the place is led; a waiter remembers
// the turn and learns its end from the place. Beside it: keys whose answers were not to be shared lately.

import { hashText } from '../../policy/hash.ts'
import { aloneSlots, leadSets, leadWays, type StoreViews } from './layout.ts'

export const leadEnd = { stored: 0, failed: 1, alone: 2 } as const
export type LeadEnd = (typeof leadEnd)[keyof typeof leadEnd]

const fingerSeed = 0x27d4eb2f

/** A place and the turn it is led in; `place` -1: nobody else will know of it. */
export interface Lead {
  readonly place: number
  readonly turn: number
}

export class Leads {
  readonly #views: StoreViews

  constructor(views: StoreViews) {
    this.#views = views
  }

  #fingerTwo(key: string): number {
    return hashText(key, this.#views.seed ^ fingerSeed) | 0
  }

  /** Under the lock. Null: somebody leads it. */
  begin(key: string, hash: number, life: number): Lead | null {
    const { lead } = this.#views
    const two = this.#fingerTwo(key)
    const from = (hash & (leadSets - 1)) * leadWays
    let free = -1
    for (let place = from; place < from + leadWays; place++) {
      const led = ((lead.turn[place] as number) & 1) === 1
      if (!led) free = place
      else if (lead.finger[place] === (hash | 0) && lead.fingerTwo[place] === two) return null
    }
    // All places of the set are led: this one leads beside whoever else asks for the key.
    if (free < 0) return { place: -1, turn: 0 }
    lead.finger[free] = hash | 0
    lead.fingerTwo[free] = two
    lead.owner[free] = life
    Atomics.store(lead.begun, free, 0)
    return { place: free, turn: Atomics.add(lead.turn, free, 1) + 1 }
  }

  /** Its head is known: waiters may read along. */
  tellBegun({ place, turn }: Lead): void {
    if (place >= 0 && Atomics.load(this.#views.lead.turn, place) === turn)
      Atomics.store(this.#views.lead.begun, place, 1)
  }

  end({ place, turn }: Lead, how: LeadEnd): void {
    const { lead } = this.#views
    if (place < 0 || Atomics.load(lead.turn, place) !== turn) return
    lead.end[place] = how
    Atomics.compareExchange(lead.turn, place, turn, (turn + 1) | 0)
  }

  /** Who leads the key now; null: nobody. */
  of(key: string, hash: number): Lead | null {
    const { lead } = this.#views
    const two = this.#fingerTwo(key)
    const from = (hash & (leadSets - 1)) * leadWays
    for (let place = from; place < from + leadWays; place++) {
      const turn = Atomics.load(lead.turn, place)
      if ((turn & 1) === 1 && lead.finger[place] === (hash | 0) && lead.fingerTwo[place] === two)
        return { place, turn }
    }
    return null
  }

  /** Null: it goes on, and nothing can be read yet. A turn that is long over is looked up again, as after `stored`. */
  endOf({ place, turn }: Lead): LeadEnd | null {
    const { lead } = this.#views
    const now = Atomics.load(lead.turn, place)
    if (now === turn) return Atomics.load(lead.begun, place) === 1 ? leadEnd.stored : null
    const how = lead.end[place] as LeadEnd
    return Atomics.load(lead.turn, place) === ((turn + 1) | 0) ? how : leadEnd.stored
  }

  /** That thread is dead: what it led has failed. */
  repair(life: number): void {
    const { lead } = this.#views
    for (let place = 0; place < leadSets * leadWays; place++) {
      const turn = Atomics.load(lead.turn, place)
      if ((turn & 1) === 1 && lead.owner[place] === life) this.end({ place, turn }, leadEnd.failed)
    }
  }

  // --- keys for which nobody waits ----------------------------------------------------------------------------

  setAlone(key: string, hash: number, untilUs: number): void {
    const { alone } = this.#views
    const place = hash & (aloneSlots - 1)
    alone.finger[place] = this.#fingerTwo(key)
    alone.untilUs[place] = untilUs
  }

  isAlone(key: string, hash: number, nowUs: number): boolean {
    const { alone } = this.#views
    const place = hash & (aloneSlots - 1)
    return (alone.untilUs[place] as number) > nowUs && alone.finger[place] === this.#fingerTwo(key)
  }
}
