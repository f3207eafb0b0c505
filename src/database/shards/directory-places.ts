// Where the keys of one statement are when families have directories: what this router does not know is looked up before the
// statement begins, and holds for as long as the statement does.

import type { Placed, ShardMap } from '../../policy/shard/contract.ts'
import type { AcrossPlan, CombinePart, KeySource, ShardPlan } from '../sql/shards/contract.ts'
import type { Directory } from './directory.ts'
import type { GatherPlaces } from './gather/index.ts'
import type { KeyPlaces, PlaceRules } from './key-places.ts'

interface Keyed {
  readonly family: string
  readonly keys: readonly (readonly KeySource[])[]
}

/** Of a statement. */
export class LookedUp implements PlaceRules {
  readonly map: ShardMap
  readonly #rules: PlaceRules
  readonly #directory: Directory
  readonly #assigns: boolean
  /** By family and key. */
  readonly #found = new Map<string, Placed>()
  /** What is to be looked up; null: nothing is noted. */
  #wanted: Map<string, { readonly family: string; readonly key: string }> | null = null

  /** @param assigns keys that have no place get one: rows of them come */
  constructor(rules: PlaceRules, directory: Directory, assigns: boolean) {
    this.map = rules.map
    this.#rules = rules
    this.#directory = directory
    this.#assigns = assigns
  }

  placeCanonical(family: string, values: readonly (string | null)[]): Placed {
    const [key = null] = values
    if (key === null || !this.#directory.has(family)) return this.#rules.placeCanonical(family, values)
    const name = `${family}\0${key}`
    const known = this.#found.get(name)
    if (known !== undefined) return known
    const placed = this.#rules.placeCanonical(family, values)
    if (this.#wanted === null) return placed
    if ('refused' in placed && placed.refused === 'unknown-directory') {
      this.#wanted.set(name, { family, key })
      return { refused: 'unmapped', value: key }
    }
    // The memory may give it up before the statement asks again.
    this.#found.set(name, placed)
    return placed
  }

  /** All keys that the plan names, before it is carried out. */
  async prepare(plan: ShardPlan, places: KeyPlaces): Promise<void> {
    const all = keyedOf(plan).filter(({ family }) => this.#directory.has(family))
    if (all.length === 0) return
    const wanted = new Map<string, { readonly family: string; readonly key: string }>()
    this.#wanted = wanted
    for (const { family, keys } of all) places.ofSources(family, keys)
    this.#wanted = null
    await Promise.all([...wanted.values()].map(({ family, key }) => this.look(family, key, this.#assigns)))
  }

  async look(family: string, key: string, assigns: boolean): Promise<Placed> {
    const shard = await this.#directory.find(family, key, assigns)
    const rule = this.map.families[family]?.rule
    const found = shard ?? (rule?.by === 'directory' ? rule.otherwise : null)
    const placed: Placed = found === null ? { refused: 'unmapped', value: key } : { shard: found, slot: -1 }
    this.#found.set(`${family}\0${key}`, placed)
    return placed
  }
}

/** Rows that come while the statement runs (COPY, rows whose key changes) are looked up one by one. */
export class DirectoryPlaces implements GatherPlaces {
  readonly #places: KeyPlaces
  readonly #looked: LookedUp

  constructor(places: KeyPlaces, looked: LookedUp) {
    this.#places = places
    this.#looked = looked
  }

  ofSources(family: string, keys: readonly (readonly KeySource[])[]): ReturnType<KeyPlaces['ofSources']> {
    return this.#places.ofSources(family, keys)
  }

  ofValues(family: string, values: readonly (Buffer | null)[], format: 0 | 1): Placed | Promise<Placed> {
    const placed = this.#places.ofValues(family, values, format)
    if (!('refused' in placed) || placed.refused !== 'unknown-directory') return placed
    return this.#looked.look(family, placed.value as string, true)
  }
}

function keyedOf(plan: ShardPlan): readonly Keyed[] {
  switch (plan.kind) {
    case 'keys':
      return [plan, ...('how' in plan.across ? ofAcross(plan.across) : [])]
    case 'all':
      return ofAcross(plan.across)
    case 'cursor':
      return plan.declares === null ? [] : keyedOf(plan.declares)
    case 'copy-out':
      return plan.keys === null ? [] : keyedOf(plan.keys)
    case 'explain':
      return keyedOf(plan.of)
    default:
      return []
  }
}

function ofAcross(across: AcrossPlan): readonly Keyed[] {
  const ofParts = (parts: readonly CombinePart[]): Keyed[] =>
    parts.flatMap(({ keys }) => (keys === null ? [] : [keys]))
  if (across.how === 'combine') return [...ofParts(across.parts), ...ofParts(across.everywhere.parts)]
  return across.how === 'move' && across.from !== null ? [across.from] : []
}
