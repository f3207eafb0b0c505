// Databases at the peak: what the primary and the replicas work, how many replicas the reads ask for, how many shards size,
// writes and the working set ask for, and how large the pools must be. Every replica replays all writes.

import type { CheckedDatabase } from '../file/checked-databases.ts'
import { lawMeanUs } from '../file/load-values.ts'
import type { Context } from './context.ts'
import type { Flows } from './roads.ts'
import type { Term } from './sheet.ts'
import { keptDays, type StorageTerms, serversOf } from './volume.ts'

export interface DatabaseTerms {
  readonly name: string
  readonly reads: Term
  readonly writes: Term
  readonly readTime: Term
  readonly writeTime: Term
  readonly applyTime: Term
  readonly cores: Term
  readonly shards: Term
  readonly bytes: Term
  /** Servers of one shard. */
  readonly servers: number
  /** Do replicas serve reads? */
  readonly spread: boolean
  readonly primary: Term
  readonly replica: Term | null
  readonly replay: Term | null
  readonly shardsNeeded: Term
  readonly connections: Term
  readonly poolSize: Term
}

export function addDatabase(c: Context, name: string, flows: Flows, storage: StorageTerms): DatabaseTerms {
  const { sheet, workload, system } = c
  const database = system.databases[name] as CheckedDatabase
  const load = workload.databases[name]!
  const id = `databases.${name}`
  const section = 'databases'
  const { reads, writes } = flows.databases.get(name)!
  const time = (key: string, us: number): Term => c.told(`${id}.${key}`, us / 1e6, 'seconds')
  const readTime = time('read', lawMeanUs(load.readTime))
  const writeTime = time('write', lawMeanUs(load.writeTime))
  const applyTime = time('apply', lawMeanUs(load.applyTime))
  const cores = c.told(`${id}.cores`, load.concurrency, 'cores')
  const utilisation = c.told('targets.utilisation', workload.targets.utilisationMax, 'share')
  const servers = serversOf(c, name)
  const replicas = servers - 1
  const shardCount = database.shards?.shards.length ?? 1
  const shards = c.has(`${id}.shards`, shardCount, 'count')
  const spread = replicas > 0 && database.reads.kind !== 'primary'
  const have = c.has(`${id}.replicas`, replicas, 'count')
  const bytes = storage.databases.get(name)!
  const primary = sheet.add({
    id: `${id}.primary`,
    section,
    label: `Utilisation of the primary of ${name}`,
    unit: 'share',
    formula: spread
      ? 'writes * write_time / (shards * cores)'
      : '(writes * write_time + reads * read_time) / (shards * cores)',
    with: { writes, write_time: writeTime, ...(!spread && { reads, read_time: readTime }), shards, cores },
  })
  const replica = spread
    ? sheet.add({
        id: `${id}.replica`,
        section,
        label: `Utilisation of each replica of ${name}`,
        unit: 'share',
        formula: '(reads * read_time / replicas + writes * apply_time) / (shards * cores)',
        with: { reads, read_time: readTime, replicas: have, writes, apply_time: applyTime, shards, cores },
        source: 'every replica replays all writes',
      })
    : null
  const replay =
    replicas > 0
      ? sheet.add({
          id: `${id}.replay`,
          section,
          label: `Utilisation of the replay on a replica of ${name}`,
          unit: 'share',
          formula: 'writes * apply_time / shards',
          with: { writes, apply_time: applyTime, shards },
          source: 'PostgreSQL replays with one process',
        })
      : null
  if (replay !== null)
    sheet.add({
      id: `${id}.lag`,
      section,
      label: `How far a replica of ${name} is behind, in the mean`,
      unit: 'seconds',
      formula: 'shipping + apply_time * mean_by_choice(1, 1, replay)',
      with: { shipping: time('shipping', lawMeanUs(load.shippingTime)), apply_time: applyTime, replay },
      source: 'M/M/1 of the replay: unbounded from utilisation 1 on',
    })
  sheet.add({
    id: `${id}.replicasNeeded`,
    section,
    label: `Replicas of ${name} that the reads ask for`,
    unit: 'count',
    formula:
      'replicas_for(reads * read_time, writes * write_time, writes * apply_time, shards * cores * utilisation)',
    with: {
      reads,
      read_time: readTime,
      shards,
      cores,
      utilisation,
      writes,
      write_time: writeTime,
      apply_time: applyTime,
    },
    source:
      'n >= R r / (u c - W a), where replicas serve all reads; none while the primary bears all by itself',
  })
  const shardsNeeded = sheet.add({
    id: `${id}.shardsNeeded`,
    section,
    label: `Shards of ${name} by size, writes and working set`,
    unit: 'count',
    formula:
      'power_of_two(max(1, bytes / bytes_max, writes * write_time / (cores * utilisation), bytes * working_set / memory))',
    with: {
      bytes,
      bytes_max: c.told(`${id}.size`, load.bytesMax, 'bytes'),
      writes,
      write_time: writeTime,
      cores,
      utilisation,
      working_set: c.told(`${id}.workingSet`, load.workingSetShare, 'share'),
      memory: c.told('machine.memory', workload.machine.memoryBytes, 'bytes'),
    },
    source: 'the largest of the three, as the next power of two',
  })
  sheet.add({
    id: `${id}.replicationBits`,
    section: 'bandwidth',
    label: `From the primary of ${name} to its replicas, in the mean`,
    unit: 'bits/s',
    formula: 'bytes / days / day * replicas * bits',
    with: {
      bytes,
      days: keptDays(c),
      day: c.assume('seconds of a day', 86_400, 'seconds'),
      replicas: have,
      bits: c.assume('bits of a byte', 8, 'count'),
    },
  })
  const connections = sheet.add({
    id: `${id}.connections`,
    section,
    label: `Connections to the primary of ${name} that one in a thousand waits for`,
    unit: 'count',
    formula: `connections_for(${spread ? 'writes * (write_time' : '(writes * write_time + reads * read_time + (reads + writes)'} ${spread ? '+ 2 * inside)' : '* 2 * inside)'} / shards, 0.001)`,
    with: {
      writes,
      write_time: writeTime,
      ...(!spread && { reads, read_time: readTime }),
      inside: c.told('network.inside', lawMeanUs(workload.network.inside) / 1e6, 'seconds'),
      shards,
    },
    source: 'Erlang B',
  })
  const poolSize = c.has(`${id}.pool.size`, database.pool.sizeMax, 'count')
  return {
    name,
    reads,
    writes,
    readTime,
    writeTime,
    applyTime,
    cores,
    shards,
    bytes,
    servers,
    spread,
    primary,
    replica,
    replay,
    shardsNeeded,
    connections,
    poolSize,
  }
}

/** Mean time of statements, by rate: what answers wait for. */
export function addStatementTimes(c: Context, d: DatabaseTerms): readonly (readonly [Term, Term])[] {
  const { sheet } = c
  const id = `databases.${d.name}`
  const section = 'latency'
  const source = 'M/M/c, each server one pooled queue'
  const station = (writes: boolean): string =>
    writes
      ? 'pooled_mean(writes / shards, write_time, cores)'
      : 'pooled_mean(reads / (shards * replicas) + writes * apply_time / (shards * read_time), read_time, cores)'
  if (d.spread) {
    const replicas = c.has(`${id}.replicas`, d.servers - 1, 'count')
    return [
      [
        d.reads,
        sheet.add({
          id: `${id}.readMean`,
          section,
          label: `Mean time of a read of ${d.name}, at a replica`,
          unit: 'seconds',
          formula: station(false),
          with: {
            reads: d.reads,
            shards: d.shards,
            replicas,
            writes: d.writes,
            apply_time: d.applyTime,
            read_time: d.readTime,
            cores: d.cores,
          },
          source,
        }),
      ],
      [
        d.writes,
        sheet.add({
          id: `${id}.writeMean`,
          section,
          label: `Mean time of a write to ${d.name}`,
          unit: 'seconds',
          formula: station(true),
          with: { writes: d.writes, shards: d.shards, write_time: d.writeTime, cores: d.cores },
          source,
        }),
      ],
    ]
  }
  const total = sheet.sum(
    {
      id: `${id}.statements`,
      section: 'databases',
      label: `Statements of ${d.name}, at the peak`,
      unit: 'statements/s',
    },
    [d.reads, d.writes],
  )
  if (total.value === 0) return []
  return [
    [
      total,
      sheet.add({
        id: `${id}.statementMean`,
        section,
        label: `Mean time of a statement of ${d.name}`,
        unit: 'seconds',
        formula:
          'pooled_mean(statements / shards, (reads * read_time + writes * write_time) / statements, cores)',
        with: {
          statements: total,
          reads: d.reads,
          read_time: d.readTime,
          writes: d.writes,
          write_time: d.writeTime,
          shards: d.shards,
          cores: d.cores,
        },
        source,
      }),
    ],
  ]
}
