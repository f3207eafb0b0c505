// The keys of a workload that say what requests cost: in services, databases and caches, between them, and on the machines;
// and what is wanted of all that.

import type {
  CheckedCacheLoad,
  CheckedCall,
  CheckedDatabaseLoad,
  CheckedMachine,
  CheckedNetworkLoad,
  CheckedServiceLoad,
  CheckedTargets,
} from './checked-workload.ts'
import { bitsPerSecond, fineTime, law, longTime, wideShare } from './load-values.ts'
import { share } from './observe.ts'
import { into, listOf, mapOf, strict } from './shapes.ts'
import { choice, decimal, Refused, type Schema, size, text, whole } from './values.ts'

const name = (about: string): Schema<string> => text(about, 'a name of this file', { lengthMax: 40 })
const times = (about: string): Schema<number> => decimal(about, 0, 10_000)
const callsMax = 50

const call: Schema<CheckedCall> = into(
  strict(
    {
      service: name('Another service.').optional(),
      database: name('A database.').optional(),
      cache: name('A cache: asked first, and what it has makes the calls after it unnecessary.').optional(),
      times: times('How often, as a mean: 0.3 is three times in ten. Left out: once.').optional(),
      reads: times('Statements that read. Left out: one, where `writes` is left out too.').optional(),
      writes: times('Statements that write.').optional(),
    },
    {
      about: 'One call.',
      elsewhere: { to: "Did you mean 'service'?", queries: "Did you mean 'reads' or 'writes'?" },
    },
  ),
  (keys): CheckedCall | Refused => {
    const { service, database, cache } = keys
    const named = [service, database, cache].filter(one => one !== undefined)
    if (named.length !== 1)
      return new Refused(
        named.length === 0 ? 'calls nobody' : 'names more than one',
        "Write { service: 'api' }, { database: 'main', reads: 2 } or { cache: 'main' }, each in a call of its own.",
      )
    if (database === undefined && (keys.reads !== undefined || keys.writes !== undefined))
      return new Refused("has 'reads' or 'writes', which are of databases", "Write 'times'.")
    if (database !== undefined && keys.times !== undefined)
      return new Refused("has 'times', and calls a database", "Write 'reads' and 'writes'.")
    return callOf(keys)
  },
)

function callOf(keys: {
  readonly service?: string | undefined
  readonly database?: string | undefined
  readonly cache?: string | undefined
  readonly times?: number | undefined
  readonly reads?: number | undefined
  readonly writes?: number | undefined
}): CheckedCall | Refused {
  const { service, database, cache, times: often = 1, reads, writes } = keys
  if (service !== undefined) return { kind: 'service', service, times: often }
  if (cache !== undefined)
    return often <= 1
      ? { kind: 'cache', cache, times: often }
      : new Refused('asks a cache more than once', "Write 'times' up to 1, or several calls.")
  return {
    kind: 'database',
    database: database as string,
    reads: reads ?? (writes === undefined ? 1 : 0),
    writes: writes ?? 0,
  }
}

export const serviceLoad: Schema<CheckedServiceLoad> = into(
  strict(
    {
      time: law('Work on one core for a request, without what it waits for.', 'exponential').prefault('5ms'),
      concurrency: whole('Requests that an instance works on at once: cores, workers.', 1, 10_000).prefault(
        1,
      ),
      discipline: choice(
        '`fifo` and `lifo`: who waits is taken in that order. `shared`: none waits, all share the cores.',
        ['fifo', 'lifo', 'shared'],
      ).prefault('fifo'),
      queue: whole(
        'Requests that may wait in an instance; more are refused. Left out: any number.',
        0,
        1e9,
      ).optional(),
      boot: fineTime('From the start of an instance until it is ready.', '0us', '24h').prefault('2s'),
      failures: share('Share of its requests that it answers with an error by itself.').prefault(0),
      memory: size('Resident memory of one instance at work.', '1MB', '16TB').prefault('200MB'),
      calls: listOf('What a request makes it ask of others, one after another.', call, callsMax).prefault([]),
    },
    {
      about: 'What a request costs in one service.',
      elsewhere: {
        cores: "Did you mean 'concurrency'?",
        workers: "Did you mean 'concurrency'?",
        latency: "Did you mean 'time'?",
        cpu: "Did you mean 'time'?",
        errors: "Did you mean 'failures'?",
        instances: "'instances' is a key of 'services'.",
      },
    },
  ),
  keys =>
    keys.discipline === 'shared' && keys.queue !== undefined
      ? new Refused("has discipline 'shared' and 'queue': nobody waits there", "Leave out 'queue'.")
      : {
          time: keys.time,
          concurrency: keys.concurrency,
          discipline: keys.discipline,
          queueMax: keys.queue ?? null,
          bootMs: keys.boot / 1000,
          failureShare: keys.failures,
          calls: keys.calls,
          memoryBytes: keys.memory,
        },
)

export const databaseLoad: Schema<CheckedDatabaseLoad> = into(
  strict(
    {
      read: law('Work of a server for a statement that reads.', 'exponential').prefault('0.5ms'),
      write: law('Work of the primary for a statement that writes.', 'exponential').prefault('1ms'),
      apply: law('What a replica spends to replay one write.', 'exponential').prefault('0.3ms'),
      cores: whole('Statements that a server works on at once.', 1, 10_000).prefault(4),
      shipping: law("From the primary's commit to its arrival at a replica.", 'fixed', '0us').prefault(
        '0.5ms',
      ),
      indexes: wideShare('Bytes of indexes, as a share of the stored bytes.', 0, 100).prefault('30%'),
      bloat: wideShare('Bytes of dead rows and free space, as a share of the stored bytes.', 0, 100).prefault(
        '20%',
      ),
      workingSet: share(
        'Share of the data that is in use on an ordinary day, and should fit into memory.',
      ).prefault('20%'),
      size: size('What one server may hold before more of them are advised.', '1MB', '1000TB').prefault(
        '1TB',
      ),
    },
    {
      about: 'What statements cost in one database.',
      elsewhere: {
        time: "Did you mean 'read' or 'write'?",
        concurrency: "Did you mean 'cores'?",
        replicas: "'replicas' is a key of 'databases'.",
      },
    },
  ),
  keys => ({
    readTime: keys.read,
    writeTime: keys.write,
    applyTime: keys.apply,
    concurrency: keys.cores,
    shippingTime: keys.shipping,
    indexShare: keys.indexes,
    bloatShare: keys.bloat,
    workingSetShare: keys.workingSet,
    bytesMax: keys.size,
  }),
)

export const cacheLoad: Schema<CheckedCacheLoad> = into(
  strict(
    {
      hitRatio: share(
        'Share of the requests that it answers, measured or wanted. Left out: computed from its size and what is asked for.',
      ).optional(),
      entries: whole('Things that it can hold. Left out: from its memory and `entry`.', 1, 1e12).optional(),
      entry: size('Bytes of one thing, with what keeping it costs.', '1B', '1TB').prefault('10KB'),
      ttl: longTime('How long a thing may be kept. Left out: until it makes room.', '1ms', '10y').optional(),
    },
    {
      about: 'What one cache does.',
      elsewhere: {
        hits: "Did you mean 'hitRatio'?",
        memory: "'memory' is a key of 'edge.cache'; here say 'entries'.",
        size: "Did you mean 'entries' or 'entry'?",
      },
    },
  ),
  keys => ({
    hitRatio: keys.hitRatio ?? null,
    entriesMax: keys.entries ?? null,
    entryBytes: keys.entry,
    ttlMs: keys.ttl ?? null,
  }),
)

export const networkLoad: Schema<CheckedNetworkLoad> = strict(
  {
    client: law('One way between clients and the edge.', 'fixed', '0us').prefault('0ms'),
    inside: law('One way between parts that are in one zone.', 'fixed', '0us').prefault('0.25ms'),
    zones: law('One way between zones.', 'fixed', '0us').prefault('0.6ms'),
    regions: law('One way between regions.', 'fixed', '0us').prefault('60ms'),
  },
  { about: 'How long messages are under way.', elsewhere: { latency: "Did you mean 'inside' or 'client'?" } },
)

export const machine: Schema<CheckedMachine> = into(
  strict(
    {
      cores: whole('Its cores.', 1, 10_000).prefault(4),
      memory: size('Its memory.', '64MB', '1000TB').prefault('16GB'),
      disk: size('Its disk.', '64MB', '1000TB').prefault('1TB'),
      network: bitsPerSecond('What its network carries, each way.').prefault('10Gbit/s'),
      zones: whole('Zones that the machines are spread over.', 1, 20).prefault(1),
      mtbf: longTime('Mean time between failures of one machine.', '1s', '1000y').prefault('1y'),
      mttr: longTime('Mean time until it is repaired.', '1s', '1y').prefault('1h'),
      edge: fineTime('Work of the edge for a request that it passes on.', '0us', '1s').prefault('20us'),
    },
    {
      about: 'One of the machines that the system runs on.',
      elsewhere: {
        cpus: "Did you mean 'cores'?",
        ram: "Did you mean 'memory'?",
        bandwidth: "Did you mean 'network'?",
      },
    },
  ),
  keys => ({
    cores: keys.cores,
    memoryBytes: keys.memory,
    diskBytes: keys.disk,
    networkBitsPerSecond: keys.network,
    zones: keys.zones,
    mtbfMs: keys.mtbf,
    mttrMs: keys.mttr,
    edgeUs: keys.edge,
  }),
)

export const targets: Schema<CheckedTargets> = into(
  strict(
    {
      p50: fineTime('Half of the requests are answered within it.', '1us', '1h').optional(),
      p99: fineTime('99 of 100 are.', '1us', '1h').optional(),
      p999: fineTime('999 of 1000 are.', '1us', '1h').optional(),
      availability: share('Share of the time, or of the requests, that is served.').optional(),
      utilisation: share(
        'Share of the work at the peak that machines are to be filled with; the rest is room for what is not foreseen.',
      ).prefault('60%'),
    },
    {
      about: 'What is wanted.',
      elsewhere: { slo: "Did you mean 'availability' or 'p99'?", utilization: "Did you mean 'utilisation'?" },
    },
  ),
  keys => {
    const { p50, p99, p999 } = keys
    const rising = [p50, p99, p999].filter(one => one !== undefined)
    if (rising.some((us, index) => index > 0 && us < (rising[index - 1] as number)))
      return new Refused(
        'wants less of a higher percentile than of a lower one',
        'p50, p99 and p999 must rise.',
      )
    if (keys.utilisation === 0 || keys.utilisation === 1)
      return new Refused(
        `has a 'utilisation' of ${keys.utilisation}`,
        "Write something between, such as '60%'.",
      )
    const ms = (us: number | undefined): number | null => (us === undefined ? null : us / 1000)
    return {
      p50Ms: ms(p50),
      p99Ms: ms(p99),
      p999Ms: ms(p999),
      availability: keys.availability ?? null,
      utilisationMax: keys.utilisation,
    }
  },
)

/** By name: whether the names are those of the file is checked in workload-checks.ts. */
export const partsOf = <T>(part: Schema<T>, about: string, entriesMax: number): Schema<Record<string, T>> =>
  mapOf(part, {
    about,
    names: "names of this file, such as 'main'",
    pattern: /^[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?$/,
    entriesMax,
  })
