// What to do about a hot spot: each change that an operator could ask for is tried on the map, and the heat counted again as it
// would be then. Proposes; nothing here acts. Small loads and small differences are no reason for anything.

import { planReshard } from './changes.ts'
import type { KeyType, ShardMap } from './contract.ts'
import type { FamilyHeat, HeatReport, KeyHeat, ShardAdvice, ShardServers, SlotHeat } from './heat-contract.ts'
import { compilePlacement } from './placement.ts'
import type { ReshardIntent } from './reshard-contract.ts'

/** Fewer statements than this say nothing. */
const countMin = 1_000
/** Times the mean of the shards: below it a shard is not hot. */
const hotFactor = 1.3
/** Of a shard's load. */
const keyShareMin = 0.3
const readsShareMin = 0.9
/** A change that takes less off the hottest shard's share is not worth moving rows. */
const gainMin = 0.05
const slotsTried = 8
const adviceMax = 4

/** Types whose values a command names in the form in which they are counted. */
const said: readonly KeyType[] = ['smallint', 'integer', 'bigint', 'text', 'uuid']

interface Candidate {
  readonly kind: 'split' | 'move-slots' | 'isolate'
  readonly intent: ReshardIntent
  readonly command: readonly string[]
  readonly why: string
  /** A shard that the file does not have yet. */
  readonly joins: boolean
}

/** @param replicas of each shard */
export function shardAdvice(
  report: HeatReport,
  servers: readonly ShardServers[],
  map: ShardMap,
  replicas: number,
): readonly ShardAdvice[] {
  const loads = new Map(report.shards.map(one => [one.shard, one.reads + one.writes]))
  const all = sum(loads.values())
  if (all < countMin)
    return [
      {
        kind: 'enough',
        why: `only ${Math.round(all)} statements were counted lately: too few to say anything`,
      },
    ]
  const [hottest, load] = [...loads].reduce((one, other) => (other[1] > one[1] ? other : one))
  const mean = all / loads.size
  if (loads.size === 1) {
    const reads = readAdvice(report, hottest, replicas, all)
    if (reads.length > 0) return reads
    return [{ kind: 'enough', why: 'there is one shard: no part of the load is elsewhere' }]
  }
  if (load <= hotFactor * mean)
    return [
      {
        kind: 'enough',
        why: `the hottest shard, ${hottest}, has ${percent(load / all)} of the load, the mean is ${percent(mean / all)}`,
      },
      ...readAdvice(report, hottest, replicas, all),
    ]
  const found: (ShardAdvice & { readonly gain: number; readonly joins: boolean })[] = []
  for (const { intent, kind, command, why, joins } of candidates(report, servers, map, hottest, load)) {
    const would = shareAfter(report, map, intent)
    const gain = load / all - (would ?? 1)
    if (would === null || gain < gainMin) continue
    const effect = { is: load / all, would }
    found.push({ kind, why, command, file: null, effect, gain, joins })
  }
  // What needs no further servers comes first where it helps about as much.
  found.sort((one, other) => other.gain - one.gain - (other.joins ? gainMin : 0) + (one.joins ? gainMin : 0))
  const seen = new Set<string>()
  const best = found.filter(({ kind }) => !seen.has(kind) && seen.add(kind)).slice(0, adviceMax)
  const advice = best.map(({ gain: _gain, joins: _joins, ...one }): ShardAdvice => one)
  const reads = readAdvice(report, hottest, replicas, all)
  if (advice.length + reads.length > 0) return [...advice, ...reads]
  return [
    {
      kind: 'enough',
      why: `shard ${hottest} has ${percent(load / all)} of the load, and no change of the map would take ${percent(gainMin)} off it`,
    },
  ]
}

function candidates(
  report: HeatReport,
  servers: readonly ShardServers[],
  map: ShardMap,
  hottest: string,
  load: number,
): readonly Candidate[] {
  const others = report.shards.filter(one => one.shard !== hottest)
  const coolest = others.reduce<string | null>(
    (best, one) => (best === null || one.reads + one.writes < loadOf(report, best) ? one.shard : best),
    null,
  )
  const fresh = String(Math.max(...[...map.shards, ...servers.map(({ shard }) => shard)].map(Number)) + 1)
  const idle = servers.find(({ shard }) => !map.shards.includes(shard))?.shard
  const into = idle ?? fresh
  const made: Candidate[] = []
  const add = (candidate: Omit<Candidate, 'joins'>, to: string): void =>
    void made.push({ ...candidate, joins: !servers.some(one => one.shard === to) })
  for (const [family, heat] of Object.entries(report.families)) {
    const types = map.families[family]?.types ?? []
    for (const key of heat.keys) {
      if (key.shard !== hottest || key.count - key.error < keyShareMin * load) continue
      if (!types.every(type => said.includes(type)) || key.key.some(value => value.includes(','))) continue
      for (const to of coolest === null ? [into] : [into, coolest])
        add(isolation(family, key, to, hottest, load), to)
    }
    const slots = hotSlots(heat, hottest)
    if (coolest !== null)
      for (let count = 1; count <= slots.length; count++) {
        const run = runFrom(slots, count)
        if (run !== null) add(slotMove(family, run, coolest, hottest), coolest)
      }
  }
  const why = `shard ${hottest} has ${percent(load / sum(report.shards.map(one => one.reads + one.writes)))} of the load, spread over many keys`
  add(
    {
      kind: 'split',
      intent: { kind: 'split', from: hottest, into },
      command: ['reshard', '--split', hottest, '--into', into],
      why,
    },
    into,
  )
  return made
}

function isolation(
  family: string,
  { key, count }: KeyHeat,
  into: string,
  hottest: string,
  load: number,
): Omit<Candidate, 'joins'> {
  const shown = key.join(',')
  return {
    kind: 'isolate',
    intent: { kind: 'isolate', family, key, into },
    command: ['reshard', '--isolate', `${family}=${shown}`, '--into', into],
    why: `the key ${shown} of ${family} alone has ${percent(count / load)} of the load of shard ${hottest}`,
  }
}

function slotMove(
  family: string,
  { first, last }: { readonly first: number; readonly last: number },
  into: string,
  hottest: string,
): Omit<Candidate, 'joins'> {
  const named = first === last ? `${first}` : `${first}-${last}`
  return {
    kind: 'move-slots',
    intent: { kind: 'slots', family, first, last, into },
    command: ['reshard', '--family', family, '--slots', named, '--into', into],
    why: `${first === last ? `slot ${named}` : `slots ${named}`} of ${family} are what is hot on shard ${hottest}`,
  }
}

/** The hottest ones of this shard. */
function hotSlots({ slots }: FamilyHeat, shard: string): readonly SlotHeat[] {
  return (slots ?? [])
    .filter(one => one.shard === shard)
    .sort((one, other) => other.reads + other.writes - one.reads - one.writes)
    .slice(0, slotsTried)
}

/** So many of them, if they lie side by side: a command names one run of slots. */
function runFrom(
  slots: readonly SlotHeat[],
  count: number,
): { readonly first: number; readonly last: number } | null {
  const numbers = slots.slice(0, count).map(({ slot }) => slot)
  const [first, last] = [Math.min(...numbers), Math.max(...numbers)]
  return last - first + 1 === count ? { first, last } : null
}

/** The share of whichever shard is the hottest then; null: the map can't be so. */
function shareAfter(report: HeatReport, map: ShardMap, intent: ReshardIntent): number | null {
  const plan = planReshard(map, intent)
  if (plan.kind === 'refused') return null
  const { next } = plan
  const placement = compilePlacement(next)
  const loads = new Map(next.shards.map(shard => [shard, 0]))
  const add = (shard: string | undefined, count: number): void => {
    if (shard !== undefined) loads.set(shard, (loads.get(shard) ?? 0) + count)
  }
  for (const { shard, reads, writes } of report.shards) add(shard, reads + writes)
  for (const [name, heat] of Object.entries(report.families)) {
    const rule = next.families[name]?.rule
    if (rule !== undefined && 'slots' in rule)
      for (const { slot, shard, reads, writes } of heat.slots ?? []) {
        add(shard, -reads - writes)
        add(next.shards[rule.slots[slot] as number], reads + writes)
      }
    for (const { key, shard, count, error } of heat.keys) {
      const placed = placement.placeCanonical(name, key)
      const to = 'shard' in placed ? next.shards[placed.shard] : undefined
      // With its slot it has moved already.
      const moved = 'slot' in placed && placed.slot >= 0
      if (to === undefined || to === shard || moved) continue
      add(shard, error - count)
      add(to, count - error)
    }
  }
  const all = sum(loads.values())
  return all === 0 ? null : Math.max(...loads.values()) / all
}

function readAdvice(
  report: HeatReport,
  hottest: string,
  replicas: number,
  all: number,
): readonly ShardAdvice[] {
  const one = report.shards.find(({ shard }) => shard === hottest)
  if (one === undefined || one.reads < readsShareMin * (one.reads + one.writes) || replicas > 0) return []
  return [
    {
      kind: 'replicas',
      why: `${percent(one.reads / (one.reads + one.writes))} of what shard ${hottest} does are reads (${percent((one.reads + one.writes) / all)} of all load), and it has no replica`,
      command: null,
      file: "replicas: 1, and reads that may go there (`reads: 'fresh'` or 'session')",
      effect: null,
    },
  ]
}

function loadOf({ shards }: HeatReport, id: string): number {
  const one = shards.find(({ shard }) => shard === id)
  return one === undefined ? 0 : one.reads + one.writes
}

function sum(counts: Iterable<number>): number {
  let all = 0
  for (const count of counts) all += count
  return all
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`
}
