// The workload of a checked system written as a system file has it. Unlike elsewhere, what the file left out is left out
// here too: a default that is written down would no longer pass for assumed.

import type {
  CheckedActionLoad,
  CheckedCall,
  CheckedDatabaseLoad,
  CheckedServiceLoad,
  CheckedWorkload,
} from './checked-workload.ts'
import type { SystemInput } from './input.generated.ts'
import { bitsText, lawText, perSecondText, timeText } from './load-values.ts'
import { isObject, type Json, keyPath } from './plain.ts'
import { defined } from './shapes.ts'
import { durationText } from './values.ts'
import { isLaw } from './workload.ts'

export function spellWorkload(one: CheckedWorkload): NonNullable<SystemInput['workload']> {
  const { reads, writes, ...actions } = mapped(one.actions, spellAction)
  const { network, machine, targets } = one
  const whole = defined({
    dailyUsers: one.dailyUsers ?? undefined,
    reads,
    writes,
    actions,
    peak: one.peakFactor,
    growth: one.growthPerYear,
    retention: one.retentionMs === null ? undefined : durationText(one.retentionMs),
    services: mapped(one.services, spellService),
    databases: mapped(one.databases, spellDatabase),
    caches: mapped(one.caches, ({ hitRatio, entriesMax, entryBytes, ttlMs }) =>
      defined({
        hitRatio: hitRatio ?? undefined,
        entries: entriesMax ?? undefined,
        entry: entryBytes,
        ttl: ttlMs === null ? undefined : durationText(ttlMs),
      }),
    ),
    network: mapped({ ...network }, lawText),
    machine: {
      cores: machine.cores,
      memory: machine.memoryBytes,
      disk: machine.diskBytes,
      network: bitsText(machine.networkBitsPerSecond),
      zones: machine.zones,
      mtbf: durationText(machine.mtbfMs),
      mttr: durationText(machine.mttrMs),
      edge: timeText(machine.edgeUs),
    },
    targets: defined({
      p50: msText(targets.p50Ms),
      p99: msText(targets.p99Ms),
      p999: msText(targets.p999Ms),
      availability: targets.availability ?? undefined,
      utilisation: targets.utilisationMax,
    }),
    calibrated: one.calibrated ?? undefined,
  })
  return onlySaid(whole, '', new Set(one.said)) as NonNullable<SystemInput['workload']>
}

const mapped = <T>(map: Readonly<Record<string, T>>, spell: (one: T) => object): Record<string, object> =>
  Object.fromEntries(Object.entries(map).map(([name, one]) => [name, spell(one)]))

const msText = (ms: number | null): string | undefined => (ms === null ? undefined : timeText(usOf(ms)))
/** Milliseconds were made of microseconds to the nanosecond. */
const usOf = (ms: number): number => Math.round(ms * 1e6) / 1000

function spellAction(one: CheckedActionLoad): object {
  const { ratePerSecond: rate, objects } = one
  return defined({
    kind: one.kind,
    perUser: one.perUser ?? undefined,
    rate: rate === null ? undefined : perSecondText(rate),
    method: one.method,
    path: one.path,
    host: one.host ?? undefined,
    request: one.requestBytes,
    response: one.responseBytes,
    stored: one.storedBytes,
    media: one.media ?? undefined,
    objects: objects?.count,
    popularity: objects?.alpha,
  })
}

function spellService(one: CheckedServiceLoad): object {
  return defined({
    time: lawText(one.time),
    concurrency: one.concurrency,
    discipline: one.discipline,
    queue: one.queueMax ?? undefined,
    boot: msText(one.bootMs),
    failures: one.failureShare,
    memory: one.memoryBytes,
    calls: one.calls.map(spellCall),
  })
}

function spellCall(call: CheckedCall): object {
  if (call.kind === 'service') return { service: call.service, times: call.times }
  if (call.kind === 'cache') return { cache: call.cache, times: call.times }
  return { database: call.database, reads: call.reads, writes: call.writes }
}

function spellDatabase(one: CheckedDatabaseLoad): object {
  return {
    read: lawText(one.readTime),
    write: lawText(one.writeTime),
    apply: lawText(one.applyTime),
    cores: one.concurrency,
    shipping: lawText(one.shippingTime),
    indexes: one.indexShare,
    bloat: one.bloatShare,
    workingSet: one.workingSetShare,
    size: one.bytesMax,
  }
}

function onlySaid(value: Json | object, path: string, said: ReadonlySet<string>): unknown {
  if (!isObject(value) || isLaw(path)) return value
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, inner]) => [key, inner, keyPath(path, key)] as const)
      .filter(([, , inner]) => said.has(inner))
      .map(([key, inner, innerPath]) => [key, onlySaid(inner, innerPath, said)]),
  )
}
