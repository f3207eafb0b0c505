// Which shard a key's row belongs on, by the strategy of its table. Every strategy divides the key space into slots, each
// with one owner; whoever reshards moves slots. A key that no slot has is said to have none: nobody guesses, nobody
// broadcasts. Directories and turns need somebody to ask: that is said too.

import { type KeyType, ShardKey } from './key.ts'
import type { Hash64 } from './key-hash.ts'
import { ringSlots, slotsOfRuns } from './slots.ts'

/** What `place` answers instead of a shard's index. */
export const nowhere = {
  /** NULL, or a value that no slot has. */
  unmapped: -1,
  /** Directories: the caller looks the key up (and remembers it). */
  asked: -2,
  /** Round robin: there is no key. Inserts take turns, everything else asks all shards. */
  keyless: -3,
} as const

export type PlacementSpec =
  | HashSpec
  | RingSpec
  | RangeSpec
  | ListSpec
  | TimeSpec
  | DirectorySpec
  | RoundRobinSpec
  | CompositeSpec

interface HashSpec {
  readonly kind: 'hash'
  readonly type: KeyType
  /** A power of two. */
  readonly slots: number
  /** `[owner, count, ...]`. */
  readonly owners: readonly number[]
}

interface RingSpec {
  readonly kind: 'consistent'
  readonly type: KeyType
  readonly slots: number
  readonly points: number
  /** Names of the shards on the ring, with their indices. */
  readonly shards: readonly { readonly name: string; readonly shard: number }[]
}

interface RangeSpec {
  readonly kind: 'range'
  readonly type: KeyType
  /** Ascending by `from`; each ends where the next begins. `from` null: no lower end. Owner null: nobody's. */
  readonly ranges: readonly { readonly from: string | null; readonly owner: number | null }[]
}

/** Also `geo`: its values are regions. */
interface ListSpec {
  readonly kind: 'list'
  readonly type: KeyType
  readonly values: readonly { readonly of: readonly string[]; readonly owner: number }[]
  /** Of all other values; null: they are refused. */
  readonly otherwise: number | null
}

interface TimeSpec {
  readonly kind: 'time'
  readonly type: 'date' | 'timestamp' | 'timestamptz'
  readonly unit: TimeUnit
  /** Ascending by `from` (ISO, UTC); periods before the first are nobody's. Each gives its periods in turn to these. */
  readonly spans: readonly { readonly from: string; readonly owners: readonly number[] }[]
}

interface DirectorySpec {
  readonly kind: 'directory'
  readonly type: KeyType
}

interface RoundRobinSpec {
  readonly kind: 'round-robin'
  readonly shards: number
}

/** The first column chooses a part of the key space; the second is placed within it. */
interface CompositeSpec {
  readonly kind: 'composite'
  readonly type: KeyType
  readonly parts: readonly { readonly of: readonly string[]; readonly within: PlacementSpec }[]
  readonly otherwise: PlacementSpec | null
}

export type TimeUnit = 'day' | 'week' | 'month' | 'quarter' | 'year'

export interface Placement {
  readonly spec: PlacementSpec
  /** Types of the key's columns, in order; more than one: composite. */
  readonly types: readonly KeyType[]
  /** A shard's index, or one of `nowhere`. */
  place(keys: readonly ShardKey[]): number
  /** Of the table's slots; -1: none. Directories have none: each key is its own. */
  slot(keys: readonly ShardKey[]): number
  readonly slots: number
  /** Owner of each slot. */
  owner(slot: number): number
}

export function createPlacement(spec: PlacementSpec): Placement {
  switch (spec.kind) {
    case 'hash':
      return new HashedPlacement(spec, spec.type, hashedOwners(spec))
    case 'consistent':
      return new HashedPlacement(spec, spec.type, ringOwners(spec))
    case 'range':
      return new RangePlacement(spec)
    case 'list':
      return new ListPlacement(spec)
    case 'time':
      return new TimePlacement(spec)
    case 'directory':
      return new AskedPlacement(spec, [spec.type], nowhere.asked)
    case 'round-robin':
      return new AskedPlacement(spec, [], nowhere.keyless)
    case 'composite':
      return new CompositePlacement(spec)
  }
}

class HashedPlacement implements Placement {
  readonly spec: PlacementSpec
  readonly types: readonly KeyType[]
  readonly slots: number
  readonly #owners: Uint16Array
  readonly #mask: number
  readonly #hash: Hash64 = { high: 0, low: 0 }

  constructor(spec: PlacementSpec, type: KeyType, owners: Uint16Array) {
    this.spec = spec
    this.types = [type]
    this.slots = owners.length
    this.#owners = owners
    this.#mask = owners.length - 1
  }

  place(keys: readonly ShardKey[]): number {
    return this.#owners[this.slot(keys)]!
  }

  slot(keys: readonly ShardKey[]): number {
    keys[0]!.hash(this.#hash)
    return this.#hash.low & this.#mask
  }

  owner(slot: number): number {
    return this.#owners[slot] ?? nowhere.unmapped
  }
}

function hashedOwners({ slots, owners }: HashSpec): Uint16Array {
  const read = slotsOfRuns(owners, slots)
  if (read === null || (slots & (slots - 1)) !== 0)
    throw new RangeError(`The owners of ${slots} slots are not ${slots}, or no power of two.`)
  return read
}

function ringOwners({ slots, shards, points }: RingSpec): Uint16Array {
  const names = shards.map(({ name }) => name)
  return ringSlots(slots, names, points).map(at => shards[at]!.shard)
}

class RangePlacement implements Placement {
  readonly spec: RangeSpec
  readonly types: readonly KeyType[]
  readonly #from: readonly (ShardKey | null)[]

  constructor(spec: RangeSpec) {
    this.spec = spec
    this.types = [spec.type]
    this.#from = spec.ranges.map(({ from }) => (from === null ? null : keyOf(spec.type, from)))
  }

  get slots(): number {
    return this.#from.length
  }

  place(keys: readonly ShardKey[]): number {
    return this.owner(this.slot(keys))
  }

  slot(keys: readonly ShardKey[]): number {
    const key = keys[0]!
    let low = 0
    let high = this.#from.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const from = this.#from[middle]!
      if (from === null || from.compare(key) <= 0) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  owner(slot: number): number {
    return this.spec.ranges[slot]?.owner ?? nowhere.unmapped
  }
}

class ListPlacement implements Placement {
  readonly spec: ListSpec
  readonly types: readonly KeyType[]
  readonly #slots = new Map<string, number>()

  constructor(spec: ListSpec) {
    this.spec = spec
    this.types = [spec.type]
    spec.values.forEach(({ of }, slot) => {
      for (const value of of) this.#slots.set(keyOf(spec.type, value).text, slot)
    })
  }

  get slots(): number {
    return this.spec.values.length + (this.spec.otherwise === null ? 0 : 1)
  }

  place(keys: readonly ShardKey[]): number {
    return this.owner(this.slot(keys))
  }

  slot(keys: readonly ShardKey[]): number {
    const known = this.#slots.get(keys[0]!.text)
    if (known !== undefined) return known
    return this.spec.otherwise === null ? -1 : this.spec.values.length
  }

  owner(slot: number): number {
    const { values, otherwise } = this.spec
    if (slot === values.length) return otherwise ?? nowhere.unmapped
    return values[slot]?.owner ?? nowhere.unmapped
  }
}

/** Periods count from 2000-01-01; weeks begin on Monday. */
class TimePlacement implements Placement {
  readonly spec: TimeSpec
  readonly types: readonly KeyType[]
  readonly #from: readonly number[]

  constructor(spec: TimeSpec) {
    this.spec = spec
    this.types = [spec.type]
    this.#from = spec.spans.map(({ from }) => periodOf(keyOf('date', from), spec.unit))
  }

  /** Without end: periods are counted on. */
  get slots(): number {
    return Infinity
  }

  place(keys: readonly ShardKey[]): number {
    return this.owner(this.slot(keys))
  }

  slot(keys: readonly ShardKey[]): number {
    return periodOf(keys[0]!, this.spec.unit)
  }

  owner(period: number): number {
    let span = this.#from.length - 1
    while (span >= 0 && this.#from[span]! > period) span--
    const owners = this.spec.spans[span]?.owners
    if (owners === undefined || owners.length === 0) return nowhere.unmapped
    return owners[(period - this.#from[span]!) % owners.length]!
  }
}

/** Number of the period that holds this date or time, by UTC; 0 holds 2000-01-01. */
export function periodOf(key: ShardKey, unit: TimeUnit): number {
  const value = key.high * 2 ** 32 + (key.low >>> 0)
  const days = key.type === 'date' ? value : Math.floor(value / 86_400_000_000)
  if (unit === 'day') return days
  // 2000-01-03 was a Monday.
  if (unit === 'week') return Math.floor((days - 2) / 7) + 1
  const months = monthsOf(days)
  return unit === 'month' ? months : Math.floor(months / (unit === 'quarter' ? 3 : 12))
}

/** Months since January 2000 of a day since 2000-01-01 (Hinnant, civil_from_days). */
function monthsOf(days: number): number {
  const z = days + 730_425
  const era = Math.floor(z / 146_097)
  const ofEra = z - era * 146_097
  const year = Math.floor(
    (ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) / 365,
  )
  const ofYear = ofEra - (365 * year + Math.floor(year / 4) - Math.floor(year / 100))
  // Years of the algorithm begin in March.
  const month = Math.floor((5 * ofYear + 2) / 153)
  return (year + era * 400 - 2000) * 12 + month + 2
}

class AskedPlacement implements Placement {
  readonly spec: PlacementSpec
  readonly types: readonly KeyType[]
  readonly slots = 0
  readonly #answer: number

  constructor(spec: PlacementSpec, types: readonly KeyType[], answer: number) {
    this.spec = spec
    this.types = types
    this.#answer = answer
  }

  place(): number {
    return this.#answer
  }

  slot(): number {
    return -1
  }

  owner(): number {
    return nowhere.unmapped
  }
}

class CompositePlacement implements Placement {
  readonly spec: CompositeSpec
  readonly types: readonly KeyType[]
  readonly #parts = new Map<string, number>()
  readonly #within: readonly Placement[]
  readonly #otherwise: number
  /** The first slot of each part. */
  readonly #first: readonly number[]
  readonly #rest: ShardKey[] = []

  constructor(spec: CompositeSpec) {
    this.spec = spec
    spec.parts.forEach(({ of }, part) => {
      for (const value of of) this.#parts.set(keyOf(spec.type, value).text, part)
    })
    const inner = spec.parts.map(({ within }) => within)
    this.#otherwise = spec.otherwise === null ? -1 : inner.push(spec.otherwise) - 1
    this.#within = inner.map(createPlacement)
    this.types = [spec.type, ...(this.#within[0]?.types ?? [])]
    let first = 0
    this.#first = this.#within.map(({ slots }) => {
      const own = first
      first += slots
      return own
    })
  }

  get slots(): number {
    return this.#within.reduce((sum, { slots }) => sum + slots, 0)
  }

  place(keys: readonly ShardKey[]): number {
    const part = this.#partOf(keys)
    return part < 0 ? nowhere.unmapped : this.#within[part]!.place(this.#rest)
  }

  slot(keys: readonly ShardKey[]): number {
    const part = this.#partOf(keys)
    if (part < 0) return -1
    const slot = this.#within[part]!.slot(this.#rest)
    return slot < 0 ? -1 : this.#first[part]! + slot
  }

  owner(slot: number): number {
    for (let part = this.#within.length - 1; part >= 0; part--)
      if (slot >= this.#first[part]!) return this.#within[part]!.owner(slot - this.#first[part]!)
    return nowhere.unmapped
  }

  #partOf(keys: readonly ShardKey[]): number {
    this.#rest.length = 0
    for (let i = 1; i < keys.length; i++) this.#rest.push(keys[i]!)
    return this.#parts.get(keys[0]!.text) ?? this.#otherwise
  }
}

/** @throws RangeError: whoever checks the file says it better. */
function keyOf(type: KeyType, text: string): ShardKey {
  const key = new ShardKey(type)
  if (!key.readText(text)) throw new RangeError(`'${text}' is no value of type ${type}.`)
  return key
}
