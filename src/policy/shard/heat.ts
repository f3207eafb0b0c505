// Counts where the statements of a sharded database go: by shard, by slot and, for the hottest, by key. Old counts fade: half of
// them in each `halfLifeMs`. No clock: whoever counts says how much time has passed.

import type { Placed, ShardMap } from './contract.ts'
import { FrequentKeys } from './frequent.ts'
import type { FamilyHeat, HeatReport, KeyHeat, SlotHeat } from './heat-contract.ts'

const halfLifeMs = 60_000
/** Keys of a family that are counted at once. */
const keysMax = 512
/** Of a report. */
const keysTold = 20

/** A key of one integer comes as it is: no text is made for it. */
export type HeatKey = string | number

/** Of a key with several columns, between their values. */
export const separator = '\0'
/** What has faded to less is nothing. */
const least = 0.05

class FamilyCounters {
  /** Reads and writes of each slot in turn. */
  slots: Float64Array = new Float64Array(0)
  /** The same by the index of the shard: of rules without slots, and of keys that have a place of their own. */
  byShard: Float64Array = new Float64Array(0)
  readonly keys: FrequentKeys<HeatKey> = new FrequentKeys(keysMax)

  fit(slots: number, shards: number): void {
    if (this.slots.length !== 2 * slots) this.slots = new Float64Array(2 * slots)
    this.byShard = new Float64Array(2 * shards)
  }
}

export class ShardHeatCounters {
  #map: ShardMap
  readonly #families = new Map<string, FamilyCounters>()
  /** Of statements without keys, by the index of the shard: reads, then writes. */
  #spread: Float64Array
  #elapsedMs = 0
  /** Since the start, never fading: reads, then writes, by the id of the shard. */
  readonly totals: Map<string, [number, number]> = new Map()
  #totals: [number, number][] = []

  constructor(map: ShardMap) {
    this.#map = map
    this.#spread = new Float64Array(2 * map.shards.length)
    this.use(map)
  }

  /** Slots and keys stay as hot as they are, wherever they are. */
  use(map: ShardMap): void {
    this.#map = map
    const { shards } = map
    this.#spread = new Float64Array(2 * shards.length)
    for (const id of shards) if (!this.totals.has(id)) this.totals.set(id, [0, 0])
    this.#totals = shards.map(id => this.totals.get(id) as [number, number])
    for (const name of this.#families.keys())
      if (map.families[name] === undefined) this.#families.delete(name)
    for (const [name, { rule }] of Object.entries(map.families)) {
      const counters = this.#families.get(name) ?? new FamilyCounters()
      counters.fit('slots' in rule ? rule.slots.length : 0, shards.length)
      this.#families.set(name, counters)
    }
  }

  /** One key of a statement. @param slot -1: it has none */
  key(family: string, shard: number, slot: number, key: HeatKey, writes: boolean): void {
    const counters = this.#families.get(family)
    if (counters === undefined) return
    const at = writes ? 1 : 0
    if (slot >= 0) counters.slots[2 * slot + at]!++
    else counters.byShard[2 * shard + at]!++
    counters.keys.add(key, writes)
    const total = this.#totals[shard]
    if (total !== undefined) total[at]++
  }

  /** A statement without keys, on each of its shards. */
  shard(shard: number, writes: boolean): void {
    const at = writes ? 1 : 0
    this.#spread[2 * shard + at]!++
    const total = this.#totals[shard]
    if (total !== undefined) total[at]++
  }

  /** So much time has passed. */
  advance(ms: number): void {
    const factor = 2 ** (-ms / halfLifeMs)
    this.#elapsedMs += ms
    faded(this.#spread, factor)
    for (const { slots, byShard, keys } of this.#families.values()) {
      faded(slots, factor)
      faded(byShard, factor)
      keys.fade(factor)
    }
  }

  /** @param place where a key is now, of values in their one form */
  report(place: (family: string, values: readonly string[]) => Placed): HeatReport {
    const { shards } = this.#map
    const sums = Float64Array.from(this.#spread)
    const families: Record<string, FamilyHeat> = {}
    for (const [name, counters] of this.#families) families[name] = this.#family(name, counters, sums, place)
    return {
      format: 1,
      // What a steady load's count converges to, seen from its beginning.
      overMs: Math.round((halfLifeMs / Math.LN2) * (1 - 2 ** (-this.#elapsedMs / halfLifeMs))),
      shards: shards.map((shard, at) => ({ shard, ...pair(sums, at) })),
      families,
    }
  }

  #family(
    name: string,
    { slots, byShard, keys }: FamilyCounters,
    sums: Float64Array,
    place: (family: string, values: readonly string[]) => Placed,
  ): FamilyHeat {
    const { shards, families } = this.#map
    const rule = families[name]?.rule
    const places = rule !== undefined && 'slots' in rule ? rule.slots : null
    const total = new Float64Array(2)
    const add = (shard: number, counts: Float64Array, at: number): void => {
      for (const kind of [0, 1]) {
        const count = counts[2 * at + kind] ?? 0
        sums[2 * shard + kind]! += count
        total[kind]! += count
      }
    }
    for (const at of shards.keys()) add(at, byShard, at)
    const hot: SlotHeat[] = []
    for (const [slot, shard] of (places ?? []).entries()) {
      if ((slots[2 * slot] ?? 0) + (slots[2 * slot + 1] ?? 0) < least) continue
      add(shard, slots, slot)
      hot.push({ slot, shard: shards[shard] as string, ...pair(slots, slot) })
    }
    return {
      ...pair(total, 0),
      slots: places === null ? null : hot,
      keys: keysOf(keys, values => {
        const placed = place(name, values)
        return 'shard' in placed ? (shards[placed.shard] ?? '') : ''
      }),
    }
  }
}

/** The same key may have come as a number and as a text. */
function keysOf(keys: FrequentKeys<HeatKey>, shardOf: (values: readonly string[]) => string): KeyHeat[] {
  const byText = new Map<string, KeyHeat>()
  for (const { key, count, error, writes } of keys.top(2 * keysTold)) {
    // What may be all error says nothing.
    if (count - error < least) continue
    const text = String(key)
    const known = byText.get(text)
    const values = text.split(separator)
    byText.set(text, {
      key: values,
      shard: known?.shard ?? shardOf(values),
      count: rounded(count + (known?.count ?? 0)),
      error: rounded(error + (known?.error ?? 0)),
      writes: rounded(writes + (known?.writes ?? 0)),
    })
  }
  return [...byText.values()].sort((one, other) => other.count - one.count).slice(0, keysTold)
}

function faded(counts: Float64Array, factor: number): void {
  for (let at = 0; at < counts.length; at++) counts[at]! *= factor
}

function pair(counts: Float64Array, at: number): { readonly reads: number; readonly writes: number } {
  return { reads: rounded(counts[2 * at] ?? 0), writes: rounded(counts[2 * at + 1] ?? 0) }
}

const rounded = (count: number): number => Math.round(count * 10) / 10
