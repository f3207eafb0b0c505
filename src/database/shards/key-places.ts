// Which shard a statement's keys are on, from literals and from the parameters of its Bind, in text or binary. The rules are
// policy's; here are only the forms in which values come.

import type { KeyType, Placed, ShardMap } from '../../policy/shard/contract.ts'
import { separator } from '../../policy/shard/heat.ts'
import { canonicalKey, canonicalOfBinary } from '../../policy/shard/key.ts'
import { int32At } from '../../wire/postgres/index.ts'
import type { KeySource } from '../sql/shards/contract.ts'
import type { GatherPlaces } from './gather/index.ts'

/** Values that are bound, as the client sent them. */
export interface BoundParameters {
  readonly values: readonly (Buffer | null)[]
  /** None: all text; one: for all; 0 text, 1 binary. */
  readonly formats: readonly number[]
  /** Object ids of types as the client declared them; shorter or 0: the server takes the column's. */
  readonly types: readonly number[]
}

export interface PlaceRules {
  readonly map: ShardMap
  /** Values in the one form that each has. */
  placeCanonical(family: string, values: readonly (string | null)[]): Placed
}

/** Hears of each key that has a place. */
export type HeardKey = (
  family: string,
  values: readonly (string | null)[],
  placed: Extract<Placed, { shard: number }>,
) => void

/** As heat counts it. */
export function heatKey(values: readonly (string | null)[]): string {
  return values.length === 1 ? (values[0] as string) : values.join(separator)
}

type PlacedKey = readonly number[] | Extract<Placed, { refused: unknown }>
type Value = string | null
/** Of one element of an array they are the statement's; others are on no shard. */
const stops: ReadonlySet<string> = new Set(['not-a-value', 'unknown-directory'])

/** Keys of one array parameter. */
const elementsMax = 100_000
const notAValue = (value: string | null): Extract<Placed, { refused: unknown }> => ({
  refused: 'not-a-value',
  value,
})

export const noParameters: BoundParameters = { values: [], formats: [], types: [] }

export class KeyPlaces implements GatherPlaces {
  readonly #rules: PlaceRules
  readonly #bound: BoundParameters
  readonly #heard: HeardKey | null

  constructor(rules: PlaceRules, bound: BoundParameters, heard: HeardKey | null = null) {
    this.#rules = rules
    this.#bound = bound
    this.#heard = heard
  }

  ofSources(family: string, keys: readonly (readonly KeySource[])[]): readonly PlacedKey[] {
    return keys.map(key => this.#key(family, key))
  }

  ofValues(family: string, values: readonly (Buffer | null)[], format: 0 | 1): Placed {
    const types = this.#rules.map.families[family]?.types ?? []
    const texts: Value[] = []
    for (const [at, bytes] of values.entries()) {
      const value = bytes === null ? null : this.#value(types[at], bytes, format)
      if (value === undefined) return notAValue(format === 0 ? (bytes?.toString('utf8') ?? null) : null)
      texts.push(value)
    }
    return this.#place(family, texts)
  }

  #place(family: string, values: readonly Value[]): Placed {
    const placed = this.#rules.placeCanonical(family, values)
    if (this.#heard !== null && 'shard' in placed) this.#heard(family, values, placed)
    return placed
  }

  #key(family: string, key: readonly KeySource[]): PlacedKey {
    const types = this.#rules.map.families[family]?.types ?? []
    const [only] = key
    if (key.length === 1 && only?.from === 'literal') return this.#literal(family, types[0], only.text)
    let tuples: Value[][] = [[]]
    for (const [at, source] of key.entries()) {
      const values = this.#values(source, types[at])
      if (values === null) return notAValue(this.#shown(source))
      tuples = values.flatMap(value => tuples.map(tuple => [...tuple, value]))
      if (tuples.length > elementsMax) return notAValue(null)
    }
    const shards = new Set<number>()
    for (const tuple of tuples) {
      const placed = this.#place(family, tuple)
      if ('shard' in placed) shards.add(placed.shard)
      // Elements of an array that nobody can have are on no shard; a single value says so.
      else if (tuples.length === 1 || stops.has(placed.refused)) return placed
    }
    return [...shards]
  }

  #literal(family: string, type: KeyType | undefined, text: string | null): PlacedKey {
    if (type === undefined) return notAValue(text)
    const value = text === null ? null : canonicalKey(type, text)
    if (value === null && text !== null) return notAValue(text)
    const placed = this.#place(family, [value])
    return 'shard' in placed ? [placed.shard] : placed
  }

  /** In their one form; null: one is no value of its type. */
  #values(source: KeySource, type: KeyType | undefined): Value[] | null {
    if (type === undefined) return null
    if (source.from === 'literal') return canonicalAll(type, [source.text])
    const bytes = this.#bound.values[source.index]
    if (bytes === undefined) return null
    const format = this.#format(source.index)
    if (source.array === true) {
      if (bytes === null) return []
      if (format === 1) return this.#binaryArray(bytes, type)
      const elements = textArray(bytes.toString('utf8'))
      return elements === null ? null : canonicalAll(type, elements)
    }
    if (!isOf(type, this.#bound.types[source.index] ?? 0, format)) return null
    const value = bytes === null ? null : this.#value(type, bytes, format)
    return value === undefined ? null : [value]
  }

  #shown(source: KeySource): string | null {
    if (source.from === 'literal') return source.text
    const bytes = this.#bound.values[source.index] ?? null
    return bytes === null || this.#format(source.index) === 1 ? null : bytes.toString('utf8')
  }

  #format(index: number): number {
    const { formats } = this.#bound
    return (formats.length === 1 ? formats[0] : formats[index]) ?? 0
  }

  #value(type: KeyType | undefined, bytes: Buffer, format: number): string | undefined {
    if (type === undefined) return undefined
    const value = format === 0 ? canonicalKey(type, bytes.toString('utf8')) : canonicalOfBinary(type, bytes)
    return value ?? undefined
  }

  /** array_send: dimensions, has nulls, element type, then size and bound of each dimension. */
  #binaryArray(bytes: Buffer, type: KeyType): Value[] | null {
    if (bytes.length < 12) return null
    const dimensions = int32At(bytes, 0)
    if (dimensions === 0) return []
    if (dimensions !== 1 || bytes.length < 20 || !isOf(type, int32At(bytes, 8), 1)) return null
    const count = int32At(bytes, 12)
    if (count < 0 || count > elementsMax) return null
    const values: Value[] = []
    let at = 20
    for (let index = 0; index < count; index++) {
      if (at + 4 > bytes.length) return null
      const size = int32At(bytes, at)
      at += 4
      if (size < 0) {
        values.push(null)
        continue
      }
      if (at + size > bytes.length) return null
      const value = this.#value(type, bytes.subarray(at, at + size), 1)
      if (value === undefined) return null
      values.push(value)
      at += size
    }
    return values
  }
}

const integers = [20, 21, 23]
const texts = [25, 1043]
/** Object ids of the types whose binary form is that of a key's type. */
const binaryTypes: Readonly<Record<KeyType, readonly number[]>> = {
  smallint: integers,
  integer: integers,
  bigint: integers,
  text: texts,
  uuid: [2950],
  date: [1082],
  timestamp: [1114],
  timestamptz: [1184],
  boolean: [16],
}
/** Its values are equal to texts that are not the same bytes. */
const blankPadded = 1042

/** Eight bytes that are a float are not the integer that they look like; texts show what they are. */
function isOf(type: KeyType, declared: number, format: number): boolean {
  if (declared === 0) return true
  return format === 1 ? binaryTypes[type].includes(declared) : declared !== blankPadded
}

function canonicalAll(type: KeyType, texts: readonly Value[]): Value[] | null {
  const values: Value[] = []
  for (const text of texts) {
    const value = text === null ? null : canonicalKey(type, text)
    if (text !== null && value === null) return null
    values.push(value)
  }
  return values
}

/** `{1,2,NULL,"a b"}`; null: of another shape. */
export function textArray(text: string): Value[] | null {
  const body = /^\s*\{([\s\S]*)\}\s*$/.exec(text)?.[1]
  if (body === undefined) return null
  if (body.trim() === '') return []
  const values: Value[] = []
  const element = /\s*(?:"((?:[^"\\]|\\[\s\S])*)"|([^",{}\\]+))\s*(,|$)/y
  for (;;) {
    const found = element.exec(body)
    if (found === null || values.length >= elementsMax) return null
    const [, quotedText, plain, end] = found
    if (quotedText !== undefined) values.push(quotedText.replace(/\\([\s\S])/g, '$1'))
    else if (/^null$/i.test((plain as string).trim())) values.push(null)
    else values.push((plain as string).trim())
    if (end === '') return values
  }
}
