// What an operator's wish means for a map: the next map, and which rows go where. Moves as few rows as the wish allows; says why
// where it can't be.

import type { Family, PlacementRule, ShardMap } from './contract.ts'
import { canonicalKey } from './key.ts'
import { mapTroubles, ruleOf, shardsOfRule, withoutShards, withShards } from './map.ts'
import { compilePlacement } from './placement.ts'
import type { ReshardIntent, ReshardPlan, ShardMove } from './reshard-contract.ts'
import { ringSlots } from './ring.ts'

const slotsWithoutAny = 1_024

export function planReshard(map: ShardMap, intent: ReshardIntent): ReshardPlan {
  const named = shardsNamed(intent)
  const joining = named.filter((id, at) => !map.shards.includes(id) && named.indexOf(id) === at)
  if (intent.kind === 'split' || intent.kind === 'merge') {
    if (!map.shards.includes(intent.from))
      return refused(
        `there is no shard ${intent.from} with rows`,
        `Shards with rows: ${map.shards.join(', ')}.`,
      )
    if (intent.from === intent.into)
      return refused(`shard ${intent.from} can't go to itself`, 'Name another shard.')
  }
  const shards = [...map.shards, ...joining]
  const wide: ShardMap = { ...map, version: map.version + 1, shards }
  const changed = changedFamilies(wide, intent)
  if ('why' in changed) return { kind: 'refused', ...changed }
  const next: ShardMap = { ...wide, families: changed.families }
  const [trouble] = mapTroubles(next)
  if (trouble !== undefined) return refused(trouble, 'Ask for another change.')
  // Copies are filled again where their rows belong then.
  const moves = Object.keys(next.families).flatMap(name =>
    isCopy(map, name) ? [] : movesOf(map, next, name),
  )
  if (moves.length === 0 && joining.length === 0)
    return refused('nothing would move', 'Rows lie as you ask for already.')
  return { kind: 'change', next, moves, joining, share: shareOf(moves, next) }
}

interface Trouble {
  readonly why: string
  readonly remedy: string
}

function refused(why: string, remedy: string): Trouble & { readonly kind: 'refused' } {
  return { kind: 'refused', why, remedy }
}

function shardsNamed(intent: ReshardIntent): readonly string[] {
  if (intent.kind === 'even') return intent.shards
  return intent.kind === 'rule' ? [] : [intent.into]
}

type Families = Readonly<Record<string, Family>>

function changedFamilies(map: ShardMap, intent: ReshardIntent): { readonly families: Families } | Trouble {
  const at = (id: string): number => map.shards.indexOf(id)
  switch (intent.kind) {
    case 'even': {
      const wanted = intent.shards.map(at)
      if (wanted.length === 0) return { why: 'no shard would have anything', remedy: 'Name shards.' }
      return everyFamily(map, (rule, name) => {
        if (rule.by === 'hash') return { ...rule, slots: evened(rule.slots, wanted) }
        if (rule.by === 'consistent') {
          const slots = ringSlots(intent.shards, rule.points, rule.slots.length)
          return { ...rule, slots: slots.map(one => wanted[one] as number) }
        }
        const left = shardsOfRule(rule).find(one => !wanted.includes(one))
        if (left === undefined) return rule
        return {
          why: `'${name}' lies by ${rule.by} on shard ${map.shards[left]}, too`,
          remedy: 'Merge that shard into another first.',
        }
      })
    }
    case 'split':
      return everyFamily(map, rule => splitRule(rule, at(intent.from), at(intent.into)))
    case 'merge': {
      const bound = Object.entries(map.tables).find(
        ([, place]) => place.kind === 'on' && place.shard === intent.from,
      )
      if (bound !== undefined)
        return {
          why: `the file says that table '${bound[0]}' is on shard ${intent.from}`,
          remedy: 'Such a table does not move; merge another shard.',
        }
      const merged = everyFamily(map, (rule, name) =>
        rule.by === 'directory'
          ? {
              why: `keys of '${name}' lie where its directory says`,
              remedy: 'They move one at a time: `tenfold db directory`.',
            }
          : replaced(rule, at(intent.from), at(intent.into)),
      )
      if ('why' in merged) return merged
      return {
        families: mapped(merged.families, family => ({
          ...family,
          ...(family.exceptions === undefined
            ? {}
            : {
                exceptions: family.exceptions.map(one =>
                  one.shard === at(intent.from) ? { ...one, shard: at(intent.into) } : one,
                ),
              }),
        })),
      }
    }
    case 'slots':
      return oneFamily(map, intent.family, family => {
        const { rule } = family
        if (rule.by !== 'hash' && rule.by !== 'consistent')
          return {
            why: `'${intent.family}' lies by ${rule.by}, without slots`,
            remedy: 'Split the shard instead.',
          }
        const { first, last } = intent
        if (
          !Number.isInteger(first) ||
          !Number.isInteger(last) ||
          first < 0 ||
          last < first ||
          last >= rule.slots.length
        )
          return {
            why: `'${intent.family}' has no slots ${first} to ${last}`,
            remedy: `Its slots are 0 to ${rule.slots.length - 1}.`,
          }
        const into = at(intent.into)
        const slots = rule.slots.map((shard, slot) => (slot >= first && slot <= last ? into : shard))
        return { ...family, rule: { ...rule, slots } }
      })
    case 'isolate':
      return oneFamily(map, intent.family, family => {
        const canonical = (key: readonly string[]): string | null => {
          const values = family.types.map((type, column) => canonicalKey(type, key[column] ?? ''))
          return key.length !== family.types.length || values.includes(null) ? null : values.join('\0')
        }
        const wanted = canonical(intent.key)
        if (wanted === null)
          return {
            why: `'${intent.key.join(', ')}' is no key of '${intent.family}'`,
            remedy: `Its key is of the type ${family.types.join(', ')}.`,
          }
        if (
          family.rule.by === 'directory' &&
          !(family.exceptions ?? []).some(({ key }) => canonical(key) === wanted)
        )
          return {
            why: `it is not known where the directory has '${intent.key.join(', ')}'`,
            remedy: '`tenfold db directory` says which keys it has.',
          }
        const others = (family.exceptions ?? []).filter(({ key }) => canonical(key) !== wanted)
        return { ...family, exceptions: [...others, { key: intent.key, shard: at(intent.into) }] }
      })
    case 'rule':
      return oneFamily(map, intent.family, family => {
        if (family.rule.by === 'directory' || intent.rule.by === 'directory')
          return {
            why: `the rows of '${intent.family}' can't all change between a directory and another rule at once`,
            remedy: 'Keys of a directory move one at a time: `tenfold db directory`.',
          }
        const slots = 'slots' in family.rule ? family.rule.slots.length : slotsWithoutAny
        const rule = ruleOf(intent.rule, { shards: map.shards, slots })
        if (hasAll(rule)) return { types: family.types, rule }
        return {
          why: `rows of '${intent.family}' whose key the rule does not name would have no place`,
          remedy: "Give its lists an 'otherwise', or its first range no 'from'.",
        }
      })
  }
}

/** Every key has a place by it. */
function hasAll(rule: PlacementRule): boolean {
  switch (rule.by) {
    case 'hash':
    case 'consistent':
      return true
    case 'range':
    case 'time':
      return rule.ranges[0]?.from === null
    case 'list-then':
      return rule.otherwise !== null && [rule.otherwise, ...rule.lists.map(one => one.rule)].every(hasAll)
    default:
      return rule.otherwise !== null
  }
}

/** @param said the family's name, or that of any of its tables */
function oneFamily(
  map: ShardMap,
  said: string,
  change: (family: Family) => Family | Trouble,
): { readonly families: Families } | Trouble {
  const place = map.tables[said]
  const name = place?.kind === 'sharded' ? place.family : said
  const family = map.families[name]
  if (family === undefined)
    return {
      why: `'${said}' is no family of tables`,
      remedy: `There are ${Object.keys(map.families).join(', ')}.`,
    }
  const changed = change(family)
  return 'why' in changed ? changed : { families: { ...map.families, [name]: changed } }
}

function everyFamily(
  map: ShardMap,
  change: (rule: PlacementRule, name: string) => PlacementRule | Trouble,
): { readonly families: Families } | Trouble {
  const families: Record<string, Family> = {}
  for (const [name, family] of Object.entries(map.families)) {
    const rule = change(family.rule, name)
    if ('why' in rule) return rule
    families[name] = { ...family, rule }
  }
  return { families }
}

function mapped(families: Families, change: (family: Family) => Family): Families {
  return Object.fromEntries(Object.entries(families).map(([name, family]) => [name, change(family)]))
}

/** No two of `shards` differ by more than one slot, and no slot moves that need not. */
function evened(slots: readonly number[], shards: readonly number[]): number[] {
  const held = new Map<number, number[]>(shards.map(shard => [shard, []]))
  const free: number[] = []
  for (const [slot, shard] of slots.entries()) (held.get(shard) ?? free).push(slot)
  const least = Math.floor(slots.length / shards.length)
  let more = slots.length - least * shards.length
  // Who has the most may keep one more.
  const quotas = new Map<number, number>()
  for (const shard of [...shards].sort((one, other) => sizeOf(held, other) - sizeOf(held, one)))
    quotas.set(shard, least + (more-- > 0 ? 1 : 0))
  for (const [shard, mine] of held) free.push(...mine.splice(quotas.get(shard) as number))
  free.sort((one, other) => one - other)
  const next = [...slots]
  for (const [shard, mine] of held)
    for (const slot of free.splice(0, (quotas.get(shard) as number) - mine.length)) next[slot] = shard
  return next
}

function sizeOf(held: ReadonlyMap<number, readonly number[]>, shard: number): number {
  return held.get(shard)?.length ?? 0
}

/** The upper half of what `from` has. */
function splitRule(rule: PlacementRule, from: number, into: number): PlacementRule {
  const upper = <T>(all: readonly T[], is: (one: T) => boolean, go: (one: T) => T): T[] => {
    const mine = all.filter(is)
    const going = new Set(mine.slice(Math.ceil(mine.length / 2)))
    return all.map(one => (going.has(one) ? go(one) : one))
  }
  const moved = <T extends { readonly shard: number }>(one: T): T => ({ ...one, shard: into })
  const isMine = ({ shard }: { readonly shard: number }): boolean => shard === from
  switch (rule.by) {
    case 'hash':
    case 'consistent': {
      const mine = rule.slots.flatMap((shard, slot) => (shard === from ? [slot] : []))
      const going = new Set(mine.slice(Math.ceil(mine.length / 2)))
      return { ...rule, slots: rule.slots.map((shard, slot) => (going.has(slot) ? into : shard)) }
    }
    case 'range':
    case 'time':
      return { ...rule, ranges: upper(rule.ranges, isMine, moved) }
    case 'list':
      return { ...rule, lists: upper(rule.lists, isMine, moved) }
    case 'geo':
      return { ...rule, regions: upper(rule.regions, isMine, moved) }
    case 'directory':
      return rule
    case 'list-then':
      return {
        ...rule,
        lists: rule.lists.map(one => ({ ...one, rule: splitRule(one.rule, from, into) })),
        otherwise: rule.otherwise === null ? null : splitRule(rule.otherwise, from, into),
      }
  }
}

/** Whatever was on `from` is on `into`. */
function replaced(rule: PlacementRule, from: number, into: number): PlacementRule {
  return withShards(rule, shard => (shard === from ? into : shard))
}

// --- which rows go where ----------------------------------------------------------------------------------------

function isCopy({ tables }: ShardMap, family: string): boolean {
  const place = tables[family]
  return place?.kind === 'sharded' && place.copy !== undefined
}

/** Pairs of shards between which rows of a family may go: at times more than do, never fewer. */
function movesOf(map: ShardMap, next: ShardMap, name: string): ShardMove[] {
  const before = map.families[name] as Family
  const after = next.families[name] as Family
  const slots = new Map<string, number[] | null>()
  const pair = (from: number, into: number): string => `${from}>${into}`
  if ('slots' in before.rule && 'slots' in after.rule && sameSlots(before.rule, after.rule)) {
    for (const [slot, from] of before.rule.slots.entries()) {
      const into = after.rule.slots[slot] as number
      if (from === into) continue
      const known = slots.get(pair(from, into)) ?? []
      known.push(slot)
      slots.set(pair(from, into), known)
    }
  } else for (const [from, into] of shardPairs(before.rule, after.rule)) slots.set(pair(from, into), null)
  const keys = [...(before.exceptions ?? []), ...(after.exceptions ?? [])]
  if (keys.length > 0) {
    const [one, other] = [compilePlacement(map), compilePlacement(next)]
    for (const { key } of keys) {
      const [from, into] = [one.place(name, key), other.place(name, key)]
      if (!('shard' in from && 'shard' in into) || from.shard === into.shard) continue
      if (!slots.has(pair(from.shard, into.shard))) slots.set(pair(from.shard, into.shard), null)
    }
  }
  return [...slots].map(([key, held]) => {
    const [from = '', into = ''] = key.split('>').map(index => next.shards[Number(index)])
    return { family: name, from, into, slots: held }
  })
}

function sameSlots(one: PlacementRule, other: PlacementRule): boolean {
  return one.by === other.by && 'slots' in one && 'slots' in other && one.slots.length === other.slots.length
}

/** Of rules that tell the same apart, where they differ; else everybody may give to everybody. */
function shardPairs(before: PlacementRule, after: PlacementRule): [number, number][] {
  const [from, into] = [shardsOfRule(before), shardsOfRule(after)]
  const pairs: [number, number][] =
    withoutShards(before) === withoutShards(after) && from.length === into.length
      ? from.map((one, at) => [one, into[at] as number])
      : [...new Set(from)].flatMap(one => [...new Set(into)].map((other): [number, number] => [one, other]))
  return pairs.filter(([one, other]) => one !== other)
}

function shareOf(moves: readonly ShardMove[], next: ShardMap): number {
  const all = Object.values(next.families).reduce(
    (sum, { rule }) => sum + ('slots' in rule ? rule.slots.length : 0),
    0,
  )
  const gone = moves.reduce((sum, { slots }) => sum + (slots?.length ?? 0), 0)
  return all === 0 ? 0 : gone / all
}
