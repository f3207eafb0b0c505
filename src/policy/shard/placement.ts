// Where a key's row lives, by the rule of its family. A map is compiled once into one function for each family; that
// function allocates nothing but its answer, and answers of slots are made once.

import type { Family, KeyList, KeyType, Placed, PlacementRule, ShardMap } from './contract.ts'
import { canonicalKey, compareKeys, keyEncoder } from './key.ts'
import { combineHash, hashBytes, hashHigh, hashInt32, hashInt64, hashLow, slotOfHash } from './key-hash.ts'

/** The shard of a directory's key; null: it has none there; undefined: not known here yet. */
export type DirectoryLookup = (family: string, key: string) => number | null | undefined

export interface Placement {
  /** @param values PostgreSQL's text forms of the key's columns, as they are; null: NULL */
  place(family: string, values: readonly (string | null)[]): Placed
  /** The same for values that `canonicalKey` has made. */
  placeCanonical(family: string, values: readonly (string | null)[]): Placed
  /** The place of the only column's value; null: values of this family have to come as texts. */
  integers(family: string): IntegerPlacer | null
}

/** @param value an integer, exact in a double */
export type IntegerPlacer = (value: number) => Placed

type Placer = (values: readonly string[]) => Placed

const unmapped = (value: string): Placed => ({ refused: 'unmapped', value })

export function compilePlacement(map: ShardMap, lookup: DirectoryLookup = () => undefined): Placement {
  const placers = new Map<
    string,
    { readonly family: Family; readonly placer: Placer; readonly integers: IntegerPlacer | null }
  >()
  for (const [name, family] of Object.entries(map.families))
    placers.set(name, {
      family,
      placer: exceptFor(family, placerOf(name, family.types, family.rule, lookup)),
      integers: integerPlacer(family),
    })

  const placeCanonical = (name: string, values: readonly (string | null)[]): Placed => {
    const known = placers.get(name)
    if (known === undefined) return { refused: 'unmapped', value: null }
    for (const value of values) if (value === null) return { refused: 'null-key', value: null }
    return known.placer(values as readonly string[])
  }
  return {
    placeCanonical,
    integers: name => placers.get(name)?.integers ?? null,
    place: (name, values) => {
      const types = placers.get(name)?.family.types
      if (types === undefined) return { refused: 'unmapped', value: null }
      const canonical: (string | null)[] = []
      for (let index = 0; index < types.length; index++) {
        const value = values[index] ?? null
        const made = value === null ? null : canonicalKey(types[index] as KeyType, value)
        if (value !== null && made === null) return { refused: 'not-a-value', value }
        canonical.push(made)
      }
      return placeCanonical(name, canonical)
    },
  }
}

/** Without a text in between. */
function integerPlacer({ types, rule, exceptions = [] }: Family): IntegerPlacer | null {
  const [type] = types
  if (types.length !== 1 || exceptions.length > 0 || rule.by !== 'hash') return null
  if (type !== 'smallint' && type !== 'integer' && type !== 'bigint') return null
  const places = rule.slots.map((shard, slot): Placed => ({ shard, slot }))
  const count = places.length
  const wide = type === 'bigint'
  const beyond = type === 'smallint' ? 0x8000 : wide ? Infinity : 0x8000_0000
  return value => {
    if (value < -beyond || value >= beyond) return { refused: 'not-a-value', value: String(value) }
    if (wide) hashInt64(value | 0, Math.floor(value / 0x1_0000_0000) | 0)
    else hashInt32(value)
    combineHash(0, 0)
    return places[slotOfHash(count)] as Placed
  }
}

/** Keys with places of their own are looked up first, where there are any. */
function exceptFor({ types, exceptions = [] }: Family, placer: Placer): Placer {
  if (exceptions.length === 0) return placer
  const places = new Map<string, Placed>()
  for (const { key, shard } of exceptions) {
    const canonical = key.map((value, at) => canonicalKey(types[at] as KeyType, value) ?? value)
    places.set(canonical.join('\0'), { shard, slot: -1 })
  }
  return values =>
    places.get(values.length === 1 ? (values[0] as string) : values.join('\0')) ?? placer(values)
}

function placerOf(
  name: string,
  types: readonly KeyType[],
  rule: PlacementRule,
  lookup: DirectoryLookup,
): Placer {
  const [type = 'text'] = types
  switch (rule.by) {
    case 'hash': {
      const places = rule.slots.map((shard, slot): Placed => ({ shard, slot }))
      const count = places.length
      return values => {
        hashKey(types, values)
        return places[slotOfHash(count)] as Placed
      }
    }
    case 'consistent': {
      const places = rule.slots.map((shard, slot): Placed => ({ shard, slot }))
      return values => {
        hashKey(types, values)
        // The ring is cut into equal arcs by the upper half of the hash.
        return places[Math.floor((hashHigh / 0x1_0000_0000) * places.length)] as Placed
      }
    }
    case 'range':
    case 'time': {
      const bounds = rule.ranges.map(({ from }) => (from === null ? null : canonicalKey(type, from)))
      const places = rule.ranges.map(({ shard }): Placed => ({ shard, slot: -1 }))
      const numbers = numericBounds(type, bounds)
      return values => {
        const value = values[0] as string
        const number = numbers === null ? Number.NaN : exactNumber(value)
        if (numbers !== null && !Number.isNaN(number)) {
          const at = countUpTo(numbers, number)
          return at === 0 ? unmapped(value) : (places[at - 1] as Placed)
        }
        let low = 0
        let high = bounds.length
        while (low < high) {
          const middle = (low + high) >> 1
          const bound = bounds[middle]
          if (bound === null || bound === undefined || compareKeys(type, bound, value) <= 0) low = middle + 1
          else high = middle
        }
        return low === 0 ? unmapped(value) : (places[low - 1] as Placed)
      }
    }
    case 'list':
      return listPlacer(type, rule.lists, rule.otherwise)
    case 'geo':
      return listPlacer(type, rule.regions, rule.otherwise)
    case 'directory':
      return values => {
        const value = values[0] as string
        const shard = lookup(name, value)
        if (shard === undefined) return { refused: 'unknown-directory', value }
        const found = shard ?? rule.otherwise
        return found === null ? unmapped(value) : { shard: found, slot: -1 }
      }
    case 'list-then': {
      const rest = types.slice(1)
      const byValue = new Map<string, Placer>()
      for (const list of rule.lists) {
        const placer = placerOf(name, rest, list.rule, lookup)
        for (const value of list.values) byValue.set(canonicalKey(type, value) ?? value, placer)
      }
      const otherwise = rule.otherwise === null ? null : placerOf(name, rest, rule.otherwise, lookup)
      return values => {
        const placer = byValue.get(values[0] as string) ?? otherwise
        return placer === null ? unmapped(values[0] as string) : placer(values.slice(1))
      }
    }
  }
}

/** Fifteen digits are exact in a double. NaN: it has more, or is infinite. */
function exactNumber(text: string): number {
  return text.length <= 15 ? Number(text) : Number.NaN
}

/** Null: of a type that is not counted, or with a bound that a double does not hold. */
function numericBounds(type: KeyType, bounds: readonly (string | null)[]): Float64Array | null {
  if (type === 'text' || type === 'uuid' || type === 'boolean') return null
  const numbers = bounds.map(bound => (bound === null ? -Infinity : exactNumber(bound)))
  return numbers.some(Number.isNaN) ? null : Float64Array.from(numbers)
}

/** How many of them, which are in their order, are not above `value`. */
function countUpTo(bounds: Float64Array, value: number): number {
  let low = 0
  let high = bounds.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((bounds[middle] as number) <= value) low = middle + 1
    else high = middle
  }
  return low
}

function listPlacer(type: KeyType, lists: readonly KeyList[], otherwise: number | null): Placer {
  const byValue = new Map<string, Placed>()
  for (const { values, shard } of lists)
    for (const value of values) byValue.set(canonicalKey(type, value) ?? value, { shard, slot: -1 })
  const rest: Placed | null = otherwise === null ? null : { shard: otherwise, slot: -1 }
  return values => byValue.get(values[0] as string) ?? rest ?? unmapped(values[0] as string)
}

/** Into `hashLow` and `hashHigh`, as PARTITION BY HASH over these columns has it. */
export function hashKey(types: readonly KeyType[], values: readonly string[]): void {
  let low = 0
  let high = 0
  for (let index = 0; index < types.length; index++) {
    hashValue(types[index] as KeyType, values[index] as string)
    combineHash(low, high)
    low = hashLow
    high = hashHigh
  }
}

const uuidBytes = new Uint8Array(16)
const asciiMax = 256
const ascii = new Uint8Array(asciiMax)

/** Most texts are ASCII, and their bytes are their characters. */
function hashText(value: string): void {
  const { length } = value
  if (length > asciiMax) {
    hashBytes(keyEncoder.encode(value))
    return
  }
  for (let at = 0; at < length; at++) {
    const code = value.charCodeAt(at)
    if (code > 0x7f) {
      hashBytes(keyEncoder.encode(value))
      return
    }
    ascii[at] = code
  }
  hashBytes(ascii, length)
}

/** Of a digit that is one. */
function hexDigit(code: number): number {
  return code <= 0x39 ? code - 0x30 : (code | 0x20) - 0x57
}

function hashValue(type: KeyType, value: string): void {
  switch (type) {
    case 'text':
      hashText(value)
      return
    case 'uuid': {
      let at = 0
      for (let index = 0; at < 16; index += 2) {
        if (value.charCodeAt(index) === 0x2d) index++
        uuidBytes[at++] = hexDigit(value.charCodeAt(index)) * 16 + hexDigit(value.charCodeAt(index + 1))
      }
      hashBytes(uuidBytes)
      return
    }
    case 'boolean':
      hashInt32(value === 't' ? 1 : 0)
      return
    case 'date':
      hashInt32(value === 'infinity' ? 0x7fff_ffff : value === '-infinity' ? -0x8000_0000 : Number(value) | 0)
      return
    case 'smallint':
    case 'integer':
      hashInt32(Number(value) | 0)
      return
    default:
      hashBig(value)
  }
}

/** Exact in a double up to fifteen digits; the few others by BigInt. */
function hashBig(value: string): void {
  const number = value.length <= 15 ? Number(value) : Number.NaN
  // Not 'infinity'.
  if (!Number.isNaN(number)) {
    hashInt64(number | 0, Math.floor(number / 0x1_0000_0000) | 0)
    return
  }
  const big = value === 'infinity' ? (1n << 63n) - 1n : value === '-infinity' ? -(1n << 63n) : BigInt(value)
  hashInt64(Number(BigInt.asIntN(32, big)), Number(BigInt.asIntN(32, big >> 32n)))
}
