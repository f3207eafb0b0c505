// What the exchanges of one thread wait for: the end of a fill that somebody leads, or more bytes of a body that is being
// written. All are looked at after a ring (`bells.ts`), and ended when their time is over.

import type { Clock } from '../../kit/clock.ts'
import { Bells } from './bells.ts'
import type { Wait, WaitEnd } from './contract.ts'
import type { StoreViews } from './layout.ts'
import { type Lead, type Leads, leadEnd } from './leads.ts'

const endNames: Readonly<Record<number, WaitEnd>> = {
  [leadEnd.stored]: 'stored',
  [leadEnd.failed]: 'failed',
  [leadEnd.alone]: 'alone',
}

interface Waiter {
  readonly untilUs: number
  readonly told: (end: WaitEnd) => void
}

interface Crowd {
  readonly lead: Lead
  readonly waiters: Set<Waiter>
}

/** Null: not yet. */
type MoreOf = () => boolean | null

export class Waits {
  readonly bells: Bells
  readonly #leads: Leads
  readonly #clock: Clock
  /** By place; there may be two turns of one place for a moment. */
  readonly #crowds = new Map<string, Crowd>()
  readonly #more = new Map<MoreOf, (ok: boolean) => void>()

  constructor(views: StoreViews, row: number, leads: Leads, clock: Clock) {
    this.bells = new Bells(views, row, () => this.#look())
    this.#leads = leads
    this.#clock = clock
  }

  forLead(lead: Lead | null, waitUs: number, told: (end: WaitEnd) => void): Wait {
    if (lead === null) return later(() => told('stored'))
    const name = `${lead.place} ${lead.turn}`
    const crowd = this.#crowds.get(name) ?? { lead, waiters: new Set() }
    if (crowd.waiters.size === 0) this.#crowds.set(name, crowd)
    const waiter: Waiter = { untilUs: this.#clock.monotonic() + waitUs, told }
    crowd.waiters.add(waiter)
    this.bells.count(1)
    // It may have ended before the others could know that somebody waits here.
    this.bells.soon()
    return {
      cancel: () => {
        if (!crowd.waiters.delete(waiter)) return
        if (crowd.waiters.size === 0) this.#crowds.delete(name)
        this.bells.count(-1)
      },
    }
  }

  forMore(moreOf: MoreOf, told: (ok: boolean) => void): void {
    this.#more.set(moreOf, told)
    this.bells.count(1)
    this.bells.soon()
  }

  forgetMore(moreOf: MoreOf): void {
    if (this.#more.delete(moreOf)) this.bells.count(-1)
  }

  #look(): void {
    for (const [name, crowd] of this.#crowds) this.#lookAt(name, crowd)
    for (const [moreOf, told] of this.#more) {
      const ok = moreOf()
      if (ok === null) continue
      this.forgetMore(moreOf)
      told(ok)
    }
  }

  #lookAt(name: string, { lead, waiters }: Crowd): void {
    const end = this.#leads.endOf(lead)
    const now = this.#clock.monotonic()
    for (const waiter of waiters) {
      if (end === null && waiter.untilUs > now) continue
      waiters.delete(waiter)
      if (waiters.size === 0) this.#crowds.delete(name)
      this.bells.count(-1)
      waiter.told(end === null ? 'late' : (endNames[end] as WaitEnd))
    }
  }
}

/** In a later turn, unless it is cancelled before. */
export function later(tell: () => void): Wait {
  let wanted = true
  queueMicrotask(() => {
    if (wanted) tell()
  })
  return {
    cancel: () => {
      wanted = false
    },
  }
}
