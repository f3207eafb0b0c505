// The rules by which a table's keys become shards, as a file says them and as the policy takes them. Shards are numbers from 1
// in the file, and indexes from here on. A list may lead to a rule of its own for the second column of the key.

import { assignPolicies, type KeyType } from '../policy/shard/contract.ts'
import { directoryTypes, type RuleSpec } from '../policy/shard/map.ts'
import { either, listOf, mapOf, strict } from './shapes.ts'
import { choice, Refused, type Schema, text, whole } from './values.ts'

export const shardsMax = 64
/** Of a ring, a shard: with a thousand, a shard that is added takes at most a tenth more or less than its share. */
const ringPoints = 1_000
/** Of the rule inside one list; the map has them all. */
const innerSlots = 64
const innerSlotsMax = 1_024
const slotsOfAllListsMax = 65_536

const shard = whole('A shard.', 1, shardsMax)
const value = text('A value of the key, as PostgreSQL writes it.', 'a text', { lengthMax: 1_000 })

const range = strict(
  {
    from: text('The first value; left out: everything below the next.', 'a text', {
      lengthMax: 1_000,
    }).optional(),
    shard,
  },
  { about: 'From here up to where the next range begins.' },
)
const ranges = listOf('Ranges, in the order of their values.', range, 10_000, 1)
const valuesOfList = listOf('Values of the key.', value, 10_000, 1)
const innerList = strict({ values: valuesOfList, shard }, { about: 'Values, and where they live.' })

interface Range {
  readonly from?: string | undefined
  readonly shard: number
}
interface InnerList {
  readonly values: readonly string[]
  readonly shard: number
}
interface Inner {
  readonly strategy: 'hash' | 'consistent' | 'range' | 'list'
  readonly shards?: readonly number[] | undefined
  readonly slots?: number | undefined
  readonly ranges?: readonly Range[] | undefined
  readonly lists?: readonly InnerList[] | undefined
  readonly otherwise?: number | undefined
}
interface List {
  readonly values: readonly string[]
  readonly shard?: number | undefined
  readonly rule?: Inner | undefined
}

const inner = strict(
  {
    strategy: choice('How the second column of the key becomes a shard.', [
      'hash',
      'consistent',
      'range',
      'list',
    ]).prefault('hash'),
    shards: listOf('The shards that share these keys; left out: all.', shard, shardsMax, 1).optional(),
    slots: whole(
      'Pieces that these keys are cut into (default 64); only with hash and consistent.',
      1,
      innerSlotsMax,
    ).optional(),
    ranges: ranges.optional(),
    lists: listOf('Lists of values.', innerList, 1_000, 1).optional(),
    otherwise: whole('Where keys of no list live. Left out: they are refused.', 1, shardsMax).optional(),
  },
  { about: 'A rule for the second column of the key.' },
)

const list = strict(
  { values: valuesOfList, shard: shard.optional(), rule: inner.optional() },
  { about: 'Values, and where they live: a shard, or a rule for the second column of the key.' },
)

const regions = mapOf(shard, {
  about: 'Where each region lives.',
  names: "regions such as 'eu' with a shard",
  pattern: /^[^\s]{1,100}$/,
  entriesMax: 1_000,
})

const strategies = ['hash', 'consistent', 'range', 'list', 'geo', 'time', 'directory'] as const

/** Of a table with a rule of its own. */
export const ruleKeys: { readonly [Key in keyof RuleKeys]-?: Schema<RuleKeys[Key]> } = {
  strategy: choice('How a key becomes a shard.', strategies).optional(),
  ranges: ranges.optional(),
  lists: listOf('Lists of values.', list, 1_000, 1).optional(),
  regions: regions.optional(),
  otherwise: either(
    'Where keys live that no list, region or directory has.',
    whole('A shard. Left out: such keys are refused.', 1, shardsMax),
    inner,
  ).optional(),
  assign: choice(
    'Where a directory puts a key with its first row: on the shard with the fewest keys, or on one after the other.',
    assignPolicies,
  ).optional(),
}

export const ruleKeyNames: readonly (keyof RuleKeys)[] = [
  'strategy',
  'ranges',
  'lists',
  'regions',
  'otherwise',
  'assign',
]

export interface RuleKeys {
  readonly strategy?: (typeof strategies)[number] | undefined
  readonly ranges?: readonly Range[] | undefined
  readonly lists?: readonly List[] | undefined
  readonly regions?: Readonly<Record<string, number>> | undefined
  readonly otherwise?: number | Inner | undefined
  readonly assign?: (typeof assignPolicies)[number] | undefined
}

const needs = {
  hash: [],
  consistent: [],
  range: ['ranges'],
  time: ['ranges'],
  list: ['lists', 'otherwise'],
  geo: ['regions', 'otherwise'],
  directory: ['otherwise', 'assign'],
} as const
const optional: readonly string[] = ['otherwise', 'assign']
const uses = (by: string, what: string): Refused =>
  new Refused(`has '${what}', which the strategy '${by}' does not use`, `Leave out '${what}'.`)
const lacks = (by: string, what: string): Refused =>
  new Refused(`has the strategy '${by}' without '${what}'`, `Add '${what}'.`)

/** @param types of the key's columns */
export function ruleOfKeys(keys: RuleKeys, types: readonly KeyType[]): RuleSpec | Refused {
  const by = keys.strategy ?? 'hash'
  const known: readonly string[] = needs[by]
  for (const name of ['ranges', 'lists', 'regions', 'otherwise', 'assign'] as const)
    if (keys[name] !== undefined && !known.includes(name)) return uses(by, name)
  const missing = known.find(name => !optional.includes(name) && keys[name as keyof RuleKeys] === undefined)
  if (missing !== undefined) return lacks(by, missing)
  if (by === 'list') return listRule(keys, types)
  if (typeof keys.otherwise === 'object')
    return new Refused(
      `has a rule as 'otherwise', which the strategy '${by}' does not use`,
      'Name a shard, or leave it out.',
    )
  const otherwise = keys.otherwise === undefined ? null : keys.otherwise - 1
  switch (by) {
    case 'hash':
      return { by }
    case 'consistent':
      return { by, points: ringPoints }
    case 'range':
    case 'time':
      return { by, ranges: rangesOf(keys.ranges) }
    case 'geo': {
      const byShard = new Map<number, string[]>()
      for (const [region, at] of Object.entries(keys.regions ?? {}))
        byShard.set(at - 1, [...(byShard.get(at - 1) ?? []), region])
      return { by, regions: [...byShard].map(([at, names]) => ({ values: names, shard: at })), otherwise }
    }
    case 'directory':
      return directoryRule(types, otherwise, keys.assign)
  }
}

function rangesOf(ranges: RuleKeys['ranges'] = []): { from: string | null; shard: number }[] {
  return ranges.map(one => ({ from: one.from ?? null, shard: one.shard - 1 }))
}

function directoryRule(
  types: readonly KeyType[],
  otherwise: number | null,
  assign: RuleKeys['assign'],
): RuleSpec | Refused {
  const [type = 'text'] = types
  if (types.length > 1)
    return new Refused('has a directory of keys of two columns', "Name one column in 'by'.")
  if (!directoryTypes.includes(type))
    return new Refused(
      `has a directory of keys of the type ${type}`,
      `Types of its keys are ${directoryTypes.join(', ')}.`,
    )
  if (otherwise !== null && assign !== undefined)
    return new Refused(
      "has 'otherwise' and 'assign', and a new key can't have both",
      "'otherwise': keys stay on that shard until they are moved; 'assign': each gets a place with its first row.",
    )
  return { by: 'directory', otherwise, ...(assign === undefined ? {} : { assign }) }
}

/** With the second column's rule in any of its lists it is a rule of two columns, and so are all others. */
function listRule({ lists = [], otherwise }: RuleKeys, types: readonly KeyType[]): RuleSpec | Refused {
  for (const one of lists)
    if ((one.shard === undefined) === (one.rule === undefined))
      return new Refused(
        `has a list (${one.values[0]}, ...) with ${one.rule === undefined ? "neither 'shard' nor" : "both 'shard' and"} 'rule'`,
        'Say where its values live: a shard, or a rule for the second column.',
      )
  const composite = typeof otherwise === 'object' || lists.some(one => one.rule !== undefined)
  if (!composite)
    return {
      by: 'list',
      lists: lists.map(({ values, shard: at }) => ({ values, shard: (at as number) - 1 })),
      otherwise: typeof otherwise === 'number' ? otherwise - 1 : null,
    }
  if (types.length !== 2)
    return new Refused(
      "has a rule for the second column of the key ('rule'), and the key has one column",
      "Name both columns: { by: ['country', 'customer_id'], ... }.",
    )
  const rules: { values: readonly string[]; rule: RuleSpec }[] = []
  for (const { values, shard: at, rule: own } of lists) {
    const rule = own === undefined ? fixed(at as number) : innerRule(own)
    if (rule instanceof Refused) return rule
    rules.push({ values, rule })
  }
  const rest =
    otherwise === undefined ? null : typeof otherwise === 'number' ? fixed(otherwise) : innerRule(otherwise)
  if (rest instanceof Refused) return rest
  const slots = [...rules.map(({ rule }) => rule), rest].reduce(
    (sum, rule) => sum + (rule !== null && 'slots' in rule ? (rule.slots ?? 0) : 0),
    0,
  )
  if (slots > slotsOfAllListsMax)
    return new Refused(
      `has lists with ${slots} slots together, more than ${slotsOfAllListsMax}`,
      "Give their rules fewer 'slots'.",
    )
  return { by: 'list-then', lists: rules, otherwise: rest }
}

/** Whatever the second column is. */
function fixed(shardNumber: number): RuleSpec {
  return { by: 'list', lists: [], otherwise: shardNumber - 1 }
}

const innerNeeds = {
  hash: ['shards', 'slots'],
  consistent: ['shards', 'slots'],
  range: ['ranges'],
  list: ['lists', 'otherwise'],
} as const

function innerRule(keys: Inner): RuleSpec | Refused {
  const { strategy: by } = keys
  const known: readonly string[] = innerNeeds[by]
  for (const name of ['shards', 'slots', 'ranges', 'lists', 'otherwise'] as const)
    if (keys[name] !== undefined && !known.includes(name)) return uses(by, name)
  if (by === 'range')
    return keys.ranges === undefined ? lacks(by, 'ranges') : { by, ranges: rangesOf(keys.ranges) }
  if (by === 'list') {
    if (keys.lists === undefined) return lacks(by, 'lists')
    const otherwise = keys.otherwise === undefined ? null : keys.otherwise - 1
    return { by, lists: keys.lists.map(one => ({ ...one, shard: one.shard - 1 })), otherwise }
  }
  const over = keys.shards?.map(one => one - 1)
  if (over !== undefined && new Set(over).size < over.length)
    return new Refused("has a shard twice in 'shards'", 'Name each once.')
  const part = { slots: keys.slots ?? innerSlots, ...(over === undefined ? {} : { shards: over }) }
  return by === 'hash' ? { by, ...part } : { by, points: ringPoints, ...part }
}
