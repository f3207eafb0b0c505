// What clients have used of their limits, one state a key, shared by all threads of the edge: a decision is one exchange of
// one word, so that it is exact over threads. An entry that says nothing any more (a client who has been away long enough)
// gives way to a new key; one that still limits never does. Where a bucket is full of those, whoever comes new shares one
// entry with all others of that kind (`overflow`), which is stricter than what he would have had.

import {
  type KeyHash,
  type LimitOutcome,
  type LimitRule,
  limitDebit,
  limitMirror,
  limitNext,
  limitRefund,
  limitResetUs,
} from '../../policy/limit/index.ts'
import { KeyedTable, keyedTableBytes, type TableSize } from './keyed-table.ts'

/** `idleAt` counts quarters of a second since the limits' epoch: enough for 17 years. */
const idleUnitUs = 250_000

/** Others can hinder one exchange, never all of a thread's for so long. */
const triesMax = 100_000

export function limitTableBytes(size: TableSize): number {
  return keyedTableBytes(size)
}

export function idleUnits(nowUs: number): number {
  return Math.floor(nowUs / idleUnitUs)
}

/** A rule of one limit as the table needs it: where its keys' overflow goes. */
export interface TableRule {
  readonly rule: LimitRule
  /** Of the entry for keys that find no place. */
  readonly overflow: KeyHash
}

export interface KeptEntry {
  readonly low: number
  readonly high: number
  readonly state: number
  readonly idleAt: number
}

export class LimitTable {
  readonly table: KeyedTable

  constructor(buffer: SharedArrayBuffer, size: TableSize, worker: number) {
    this.table = new KeyedTable(
      buffer,
      size,
      worker,
      (entry, _state, now) => (this.table.idleAt[entry] as number) <= now,
    )
  }

  /** Decides and counts; writes `out`. */
  take(
    { rule, overflow }: TableRule,
    key: KeyHash,
    nowUs: number,
    cost: number,
    share: number,
    out: LimitOutcome,
  ): boolean {
    const { table } = this
    const now = idleUnits(nowUs)
    let { low, high } = key
    for (let tries = 0; tries < triesMax; tries++) {
      let entry = table.find(low, high)
      if (entry < 0) {
        limitNext(rule, 0, nowUs, cost, share, out)
        if (!out.allowed) return false
        entry = table.place(low, high, now)
      }
      if (entry < 0) {
        // Its own bucket is full of live entries as well: nothing more can be counted, so nothing more passes.
        if (low === overflow.low && high === overflow.high) break
        low = overflow.low
        high = overflow.high
        continue
      }
      const lowHalf = table.lowHalf(entry)
      const highHalf = table.highHalf(entry)
      if (!table.halfFits(highHalf, high)) {
        table.place(low, high, now)
        continue
      }
      const isIdle = (table.idleAt[entry] as number) <= now
      const state = isIdle ? 0 : table.stateOfHalves(lowHalf, highHalf)
      const after = limitNext(rule, state, nowUs, cost, share, out)
      if (!out.allowed) {
        if (table.holds(entry, lowHalf, highHalf)) return false
        continue
      }
      // Before the exchange: a thread that dies between leaves an entry that stays too long, never one that goes too soon.
      table.raiseIdleAt(entry, now + 2 + Math.ceil(out.resetAfterUs / idleUnitUs))
      if (table.exchangeHalves(entry, lowHalf, highHalf, after)) return true
    }
    refuseAll(rule, out)
    return false
  }

  /** Decides and counts nothing. */
  look(
    { rule }: TableRule,
    key: KeyHash,
    nowUs: number,
    cost: number,
    share: number,
    out: LimitOutcome,
  ): boolean {
    limitNext(rule, this.#stateOf(key, nowUs), nowUs, cost, share, out)
    return out.allowed
  }

  #stateOf({ low, high }: KeyHash, nowUs: number): number {
    const { table } = this
    const entry = table.find(low, high)
    if (entry < 0 || (table.idleAt[entry] as number) <= idleUnits(nowUs)) return 0
    const word = table.load(entry)
    return table.fits(word, high) ? table.stateOf(word) : 0
  }

  /** Counts what has passed, room or not. */
  debit({ rule, overflow }: TableRule, key: KeyHash, nowUs: number, cost: number): void {
    this.#change(key, overflow, nowUs, rule, state => limitDebit(rule, state, nowUs, cost))
  }

  /** Undoes what `take` counted at `thenUs`. */
  refund({ rule }: TableRule, key: KeyHash, thenUs: number, cost: number, share: number): void {
    this.#change(key, null, thenUs, rule, state => limitRefund(rule, state, thenUs, cost, share))
  }

  /** Makes it at least as strict as what another host or life knows of it. */
  raise(
    { rule, overflow }: TableRule,
    key: KeyHash,
    nowUs: number,
    theirs: number,
    theirNowUs: number,
  ): void {
    this.#change(key, overflow, nowUs, rule, state => limitMirror(rule, state, nowUs, theirs, theirNowUs))
  }

  /** Forgets what the key has used. */
  forget({ rule }: TableRule, key: KeyHash, nowUs: number): void {
    this.#change(key, null, nowUs, rule, () => 0)
  }

  /** @param overflow null: a key that is not there is left alone */
  #change(
    key: KeyHash,
    overflow: KeyHash | null,
    nowUs: number,
    rule: LimitRule,
    next: (state: number) => number,
  ): void {
    const { table } = this
    const now = idleUnits(nowUs)
    const { low, high } = key
    for (let tries = 0; tries < triesMax; tries++) {
      let entry = table.find(low, high)
      if (entry < 0 && overflow === null) return
      if (entry < 0) entry = table.place(low, high, now)
      if (entry < 0) {
        if (overflow !== null && (low !== overflow.low || high !== overflow.high))
          this.#change(overflow, overflow, nowUs, rule, next)
        return
      }
      const word = table.load(entry)
      if (!table.fits(word, high)) {
        table.place(low, high, now)
        continue
      }
      const state = (table.idleAt[entry] as number) <= now ? 0 : table.stateOf(word)
      const after = next(state)
      if (after === state) return
      const resetUs = limitResetUs(rule, after, nowUs)
      table.raiseIdleAt(entry, now + 2 + Math.ceil(resetUs / idleUnitUs))
      if (table.exchange(entry, word, after)) return
    }
  }

  /** What a former life has kept: taken over where it is stricter. False: there was no place, or it is idle by now. */
  restore({ low, high }: KeyHash, state: number, idleAt: number, nowUs: number): boolean {
    const { table } = this
    const now = idleUnits(nowUs)
    if (idleAt <= now) return false
    for (let tries = 0; tries < triesMax; tries++) {
      const entry = table.place(low, high, now)
      if (entry < 0) return false
      const word = table.load(entry)
      if (!table.fits(word, high)) continue
      const mine = (table.idleAt[entry] as number) <= now ? 0 : table.stateOf(word)
      table.raiseIdleAt(entry, idleAt)
      if (mine >= state || table.exchange(entry, word, state)) return true
    }
    return false
  }

  /** Entries that still limit, as they are at this moment. */
  kept(nowUs: number): KeptEntry[] {
    const now = idleUnits(nowUs)
    const found: KeptEntry[] = []
    this.table.each((entry, low, high, state) => {
      const idleAt = this.table.idleAt[entry] as number
      if (idleAt > now && state > 0) found.push({ low, high, state, idleAt })
    })
    return found
  }

  /** Entries that still limit at this moment. */
  live(nowUs: number): number {
    const now = idleUnits(nowUs)
    let count = 0
    this.table.each(entry => {
      if ((this.table.idleAt[entry] as number) > now) count++
    })
    return count
  }
}

function refuseAll(rule: LimitRule, out: LimitOutcome): void {
  out.allowed = false
  out.remaining = 0
  out.retryAfterUs = Math.min(rule.perUs, 1_000_000)
  out.resetAfterUs = rule.perUs
}
