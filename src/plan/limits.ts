// Where the system breaks first: for each thing that can be full, how many times the peak it bears with what the file has.
// And the next steps of growth, in the order that experience teaches, none before it is needed.

import { lawMeanUs } from '../file/load-values.ts'
import type { Context } from './context.ts'
import type { DatabaseTerms } from './databases.ts'
import { choiceNumber } from './functions.ts'
import type { Term } from './sheet.ts'
import type { EdgeTerms, TierTerms } from './tiers.ts'
import type { BandwidthTerms } from './volume.ts'

export interface Break {
  /** The figure: how many times the planned peak. */
  readonly id: string
  readonly at: number
  readonly what: string
  /** Key of the file that would move it. */
  readonly key: string
}

export interface Step {
  readonly id: string
  /** How many times the planned peak it is needed from; 1 and less: now. */
  readonly at: number
  readonly what: string
  readonly why: string
}

interface Parts {
  readonly edge: EdgeTerms
  readonly tiers: ReadonlyMap<string, TierTerms>
  readonly databases: readonly DatabaseTerms[]
  readonly bandwidth: BandwidthTerms
}

export function addLimits(c: Context, { edge, tiers, databases, bandwidth }: Parts): Break[] {
  const { sheet, workload, system } = c
  const breaks: Break[] = []
  const add = (id: string, what: string, key: string, formula: string, terms: Record<string, Term>): void => {
    const term = sheet.add({
      id: `limits.${id}`,
      section: 'limits',
      label: `Times the peak until ${what}`,
      unit: 'times',
      formula,
      with: terms,
    })
    // A part without work never breaks: 1 / 0 has no value.
    if (term.value !== null) breaks.push({ id: `limits.${id}`, at: term.value, what, key })
  }
  for (const [name, tier] of tiers)
    add(
      name,
      `${tier.have.value === 1 ? `the one instance of ${name} is` : `all ${tier.have.value} instances of ${name} are`} busy`,
      tier.have.from.path,
      'instances * slots / cores',
      { instances: tier.have, slots: tier.slots, cores: tier.cores },
    )
  addP99(c, tiers, add)
  for (const d of databases) {
    const id = `databases.${d.name}`
    const work: Record<string, Term> = {
      shards: d.shards,
      cores: d.cores,
      writes: d.writes,
      write_time: d.writeTime,
    }
    add(
      `${d.name}.primary`,
      d.spread
        ? `the primary of ${d.name} is full of writes`
        : `the primary of ${d.name} is full of reads and writes`,
      `workload.${id}.cores`,
      d.spread
        ? 'shards * cores / (writes * write_time)'
        : 'shards * cores / (writes * write_time + reads * read_time)',
      d.spread ? work : { ...work, reads: d.reads, read_time: d.readTime },
    )
    if (d.replica)
      add(`${d.name}.replicas`, `the replicas of ${d.name} are full`, `${id}.replicas`, '1 / utilisation', {
        utilisation: d.replica,
      })
    if (d.replay)
      add(
        `${d.name}.replay`,
        `replicas of ${d.name} can't replay the writes any more and fall behind`,
        `${id}.shards`,
        '1 / utilisation',
        { utilisation: d.replay },
      )
    add(
      `${d.name}.disk`,
      `what is kept of ${d.name} fills a disk`,
      'workload.machine.disk',
      'disk * shards / bytes',
      { disk: c.told('machine.disk', workload.machine.diskBytes, 'bytes'), shards: d.shards, bytes: d.bytes },
    )
    add(
      `${d.name}.pool`,
      `the pool of connections to ${d.name} is used up (about)`,
      `${id}.pool.size`,
      'pool / connections',
      {
        pool: d.poolSize,
        connections: d.connections,
      },
    )
  }
  add('edge', 'the cores of the edge are busy', 'workload.machine.cores', 'have / cores', {
    have: edge.haveCores,
    cores: edge.cores,
  })
  add('network', "the edge's network is full", 'workload.machine.network', 'network / max(out, in)', {
    network: c.told('machine.network', workload.machine.networkBitsPerSecond, 'bits/s'),
    out: bandwidth.out,
    in: bandwidth.in,
  })
  const under = sheet.term('load.concurrency')
  if (under !== null)
    add(
      'connections',
      "the edge's connections are used up",
      'edge.limits.connections',
      'connections / under_way',
      {
        connections: c.has('edge.limits.connections', system.edge.limits.connectionsMax, 'count'),
        under_way: under,
      },
    )
  return breaks.sort((a, b) => a.at - b.at)
}

/** Where a tier alone takes longer than the p99 that is wanted of the whole. */
function addP99(
  c: Context,
  tiers: Parts['tiers'],
  add: (id: string, what: string, key: string, formula: string, terms: Record<string, Term>) => void,
): void {
  const { p99Ms } = c.workload.targets
  if (p99Ms === null) return
  const target = c.told('targets.p99', p99Ms / 1000, 'seconds')
  for (const [name, { choice, have, time, cores, slots }] of tiers)
    if (choice !== null)
      add(
        `${name}.p99`,
        `p99 is missed in ${name} alone`,
        'workload.targets.p99',
        `p99_utilisation(${choiceNumber(choice)}, instances, target, time) * instances * slots / cores`,
        { instances: have, target, time, slots, cores },
      )
}

/** Cores of the largest machine that is sold everywhere. */
const largestCores = 64

export function addGrowth(c: Context, { tiers, databases, edge }: Parts): Step[] {
  const { sheet, workload } = c
  const steps: Step[] = []
  const target = c.told('targets.utilisation', workload.targets.utilisationMax, 'share')
  const percent = `${Math.round(workload.targets.utilisationMax * 100)} %`
  const add = (id: string, what: string, why: string, formula: string, terms: Record<string, Term>): void => {
    const term = sheet.add({
      id: `growth.${id}`,
      section: 'growth',
      label: `Times the peak from which on: ${what}`,
      unit: 'times',
      formula,
      with: terms,
    })
    if (term.value !== null) steps.push({ id: `growth.${id}`, at: term.value, what, why })
  }
  for (const [name, tier] of tiers)
    add(
      `${name}.instances`,
      `more instances of ${name}`,
      `its instances are filled to ${percent}`,
      'instances * slots * target / cores',
      {
        instances: tier.have,
        slots: tier.slots,
        target,
        cores: tier.cores,
      },
    )
  for (const d of databases) {
    const work: Record<string, Term> = { utilisation: d.primary, target }
    const busiest = d.replica ? 'max(utilisation, replica)' : 'utilisation'
    if (d.replica) work.replica = d.replica
    const largest = c.assume('cores of the largest machine', largestCores, 'cores')
    const larger = { ...work, largest, cores: d.cores }
    const full = `target * max(1, largest / cores) / ${busiest}`
    add(
      `${d.name}.index`,
      `indexes for ${d.name}: tenfold db advise`,
      `a server of it is filled to ${percent}; the cheapest step is less work for each statement`,
      `target / ${busiest}`,
      work,
    )
    if ((d.cores.value ?? 0) < largestCores)
      add(
        `${d.name}.machine`,
        `a bigger machine for ${d.name}, up to ${largestCores} cores`,
        `its ${d.cores.value} cores are filled to ${percent}, also with good indexes`,
        `target / ${busiest}`,
        work,
      )
    const memory = c.told('machine.memory', workload.machine.memoryBytes, 'bytes')
    const share = workload.databases[d.name]!.workingSetShare
    add(
      `${d.name}.memory`,
      `a machine with more memory for ${d.name}`,
      'what is in use on an ordinary day is larger than its memory',
      'memory * shards / (bytes * working_set)',
      {
        memory,
        shards: d.shards,
        bytes: d.bytes,
        working_set: c.told(`databases.${d.name}.workingSet`, share, 'share'),
      },
    )
    const readsMost =
      (d.reads.value ?? 0) * (d.readTime.value ?? 0) > (d.writes.value ?? 0) * (d.writeTime.value ?? 0)
    if (readsMost) {
      add(
        `${d.name}.cache`,
        `caches before ${d.name}, or more hits of those that are there`,
        `${largestCores} cores are filled to ${percent}, mostly by reads`,
        full,
        larger,
      )
      add(
        `${d.name}.replicas`,
        `${d.servers > 1 ? 'more replicas' : 'replicas that serve reads'} for ${d.name}`,
        `reads fill ${largestCores} cores to ${percent} that caches can't take`,
        full,
        larger,
      )
    }
    add(
      `${d.name}.partition`,
      `partitions of the large tables of ${d.name}`,
      'what is kept is larger than the memory of a server',
      'memory * shards / bytes',
      {
        memory,
        shards: d.shards,
        bytes: d.bytes,
      },
    )
    add(
      `${d.name}.shard`,
      `${(d.shards.value ?? 1) > 1 ? 'more shards' : 'shards'} for ${d.name}`,
      shardReason(c, d, percent),
      'shards * min(bytes_max / max(bytes, 1), max(cores, largest) * target / max(writes * write_time, 1e-9), target / max(writes * apply_time, 1e-9))',
      {
        shards: d.shards,
        bytes_max: c.told(`databases.${d.name}.size`, workload.databases[d.name]!.bytesMax, 'bytes'),
        bytes: d.bytes,
        cores: d.cores,
        largest,
        target,
        writes: d.writes,
        write_time: d.writeTime,
        apply_time: d.applyTime,
      },
    )
  }
  add(
    'edge.second',
    'a second edge',
    `the cores of the edge are filled to ${percent}`,
    'target * have / cores',
    { target, have: edge.haveCores, cores: edge.cores },
  )
  const { p50Ms } = workload.targets
  if (p50Ms !== null)
    add(
      'regions',
      'a second region, nearer to its people',
      'the way to the edge and back alone takes longer than the wanted p50',
      'p50 / (2 * client)',
      {
        p50: c.told('targets.p50', p50Ms / 1000, 'seconds'),
        client: c.told('network.client', lawMeanUs(workload.network.client) / 1e6, 'seconds'),
      },
    )
  addRedundancy(c, add)
  // At the same load, the order of experience is kept: sort is stable. The way to a region doesn't grow with the load.
  return steps
    .filter(step => !steady.includes(step.id) || step.at < 1)
    .sort((a, b) => Math.max(1, a.at) - Math.max(1, b.at))
}

/** Steps that no load asks for: needed now, or not. */
const steady: readonly string[] = ['growth.regions', 'growth.redundancy']

/** The part that is down the longest, where the target of availability is missed. */
function addRedundancy(
  { sheet }: Context,
  add: (id: string, what: string, why: string, formula: string, terms: Record<string, Term>) => void,
): void {
  const allowed = sheet.term('availability.allowedPerMonth')
  const down = sheet.term('availability.downPerMonth')
  if (allowed === null || down === null) return
  const parts = sheet.figures.filter(
    one => one.unit === 'availability' && !['availability.whole', 'availability.machine'].includes(one.id),
  )
  const edge = sheet.value('availability.machine') ?? 1
  const weakest = parts.reduce(
    (least, one) =>
      (one.value ?? 1) < least.up ? { name: one.id.split('.')[1] as string, up: one.value ?? 1 } : least,
    { name: 'the edge', up: edge },
  )
  add(
    'redundancy',
    `another machine for ${weakest.name}${weakest.name === 'the edge' ? ': a redundant pair' : ''}`,
    'the target of availability is missed, and it is down the longest',
    'allowed / down',
    { allowed, down },
  )
}

/** What asks for shards at the lowest load: size, writes, or the replay, which is one process. */
function shardReason({ workload }: Context, d: DatabaseTerms, percent: string): string {
  const settings = workload.databases[d.name]!
  const target = workload.targets.utilisationMax
  const work = (time: Term): number => Math.max((d.writes.value ?? 0) * (time.value ?? 0), 1e-9)
  const size = settings.bytesMax / Math.max(1, d.bytes.value ?? 0)
  const written = (Math.max(settings.concurrency, largestCores) * target) / work(d.writeTime)
  const replayed = target / work(d.applyTime)
  if (size <= Math.min(written, replayed)) return 'what is kept is more than one server is to hold'
  return written <= replayed
    ? `the writes alone fill ${largestCores} cores to ${percent}`
    : `the one process that replays writes on a replica is filled to ${percent}`
}
