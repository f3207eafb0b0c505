// One in k of users and of instances: a smaller system in which each instance has as much to do as in the whole one. Valid
// where queues are each instance's own (random, round robin, two choices, hashes): their waits depend on the load of an
// instance, hardly on how many there are (two choices of 100 are within 1.7 % of infinitely many). Where a queue is shared by
// all (a pool, one database, least connections), waits depend on the number, and a sample is refused with the reason.

import type { CheckedService, CheckedSystem } from '../../file/checked.ts'
import type { CheckedRehearsal } from '../../file/checked-rehearsals.ts'
import type { CheckedWorkload } from '../../file/checked-workload.ts'
import type { Estimate } from '../core/statistics.ts'
import type { LatencyResult, PartResult, Series, SimulationResult, TrafficResult } from '../result.ts'

/** Fewer instances than this are too unlike many of them. */
const instancesMin = 20

export interface SampledSystem {
  readonly system: CheckedSystem
  readonly workload: CheckedWorkload
  readonly rehearsal: CheckedRehearsal
  readonly remarks: readonly string[]
}

/** @param k 2 and more; or the reasons why it would not be valid */
export function sampled(
  system: CheckedSystem,
  workload: CheckedWorkload,
  rehearsal: CheckedRehearsal,
  k: number,
): SampledSystem | { readonly refused: readonly string[] } {
  const refused = [
    ...Object.values(system.services).flatMap(service => refusalsOf(service, k)),
    ...sharedParts(system, workload),
    ...rehearsal.faults.flatMap(({ what }) =>
      'target' in what && what.target.kind !== 'edge' && what.target.member !== null
        ? [
            `a fault names a single member: in a sample there is only one in ${k}; name a whole service or a zone`,
          ]
        : [],
    ),
    ...(rehearsal.edges % k === 0 || rehearsal.edges === 1
      ? []
      : [`${rehearsal.edges} edges can't be divided by ${k}: use a multiple of ${k}, or one`]),
  ]
  if (refused.length > 0) return { refused }
  const services = Object.fromEntries(
    Object.entries(system.services).map(([name, service]) => [name, smaller(service, k)]),
  )
  const { level } = rehearsal.arrivals
  const oneEdge = rehearsal.edges === 1
  return {
    system: { ...system, services },
    workload: {
      ...workload,
      dailyUsers: workload.dailyUsers === null ? null : workload.dailyUsers / k,
      actions: Object.fromEntries(
        Object.entries(workload.actions).map(([name, action]) => [
          name,
          { ...action, ratePerSecond: action.ratePerSecond === null ? null : action.ratePerSecond / k },
        ]),
      ),
      // One edge stands for as many as are needed: its processor is no queue in a sample.
      machine: { ...workload.machine, edgeUs: oneEdge ? 0 : workload.machine.edgeUs },
    },
    rehearsal: {
      ...rehearsal,
      edges: oneEdge ? 1 : rehearsal.edges / k,
      arrivals: {
        ...rehearsal.arrivals,
        level: level.kind === 'rate' ? { kind: 'rate', perSecond: level.perSecond / k } : level,
      },
    },
    remarks: [
      `One in ${k} of users and instances is simulated; counts and rates are multiplied by ${k}.`,
      ...(oneEdge && workload.machine.edgeUs > 0
        ? ["The edge's own processor time is left out of the sample."]
        : []),
    ],
  }
}

function refusalsOf(service: CheckedService, k: number): string[] {
  const { name, upstream } = service
  const least = service.kind === 'command' ? service.instances.min : service.addresses.length
  const most = service.kind === 'command' ? service.instances.max : service.addresses.length
  const { kind } = upstream.balance
  const reasons: string[] = []
  if (least < k * instancesMin)
    reasons.push(
      `'${name}' has ${least} instances, and one in ${k} would be ${Math.floor(least / k)}: at least ${instancesMin} are needed to stand for many, so sample at most one in ${Math.max(1, Math.floor(least / instancesMin))}`,
    )
  else if (least % k !== 0 || most % k !== 0)
    reasons.push(`'${name}' has ${least} to ${most} instances, which can't be divided by ${k}`)
  if (kind.startsWith('least-') || kind === 'resource')
    reasons.push(
      `'${name}' is balanced by '${kind}', which looks at all instances as one queue: its waits depend on how many there are`,
    )
  if (upstream.limits.inFlightMax > 0 && upstream.limits.pendingMax > 0)
    reasons.push(
      `requests to '${name}' wait in one line for a place (limits): its waits depend on how many instances there are`,
    )
  return reasons
}

function sharedParts(system: CheckedSystem, workload: CheckedWorkload): string[] {
  const used = Object.values(workload.services).flatMap(({ calls }) => calls)
  const databases = Object.keys(system.databases).filter(name =>
    used.some(call => call.kind === 'database' && call.database === name),
  )
  const cached = system.edge.cache !== undefined && (workload.caches.edge?.hitRatio ?? null) === null
  return [
    ...databases.map(
      name =>
        `database '${name}' is one for all users: a sample would leave it nearly idle; rehearse it apart, or without --sample`,
    ),
    ...(cached
      ? [
          "the edge's cache serves all users together: give its hit ratio (workload.caches.edge.hitRatio) to sample",
        ]
      : []),
  ]
}

function smaller(service: CheckedService, k: number): CheckedService {
  if (service.kind === 'addresses')
    return { ...service, addresses: service.addresses.slice(0, service.addresses.length / k) }
  const { min, max, ...rest } = service.instances
  return { ...service, instances: { ...rest, min: min / k, max: max / k } }
}

/** Counts and rates of the whole system from those of the sample. */
export function enlarged(result: SimulationResult, k: number, remarks: readonly string[]): SimulationResult {
  return {
    ...result,
    method: { kind: 'sampled', k },
    traffic: result.traffic.map(row => moreTraffic(row, k)),
    parts: result.parts.map(part => moreParts(part, k)),
    series: result.series.map(line => moreSeries(line, k)),
    remarks: [...remarks, ...result.remarks],
  }
}

function times({ value, halfWidth }: Estimate, k: number): Estimate {
  return { value: value * k, halfWidth: halfWidth === null ? null : halfWidth * k }
}

function moreTraffic(row: TrafficResult, k: number): TrafficResult {
  const latency: LatencyResult | null = row.latency
  return {
    ...row,
    arrived: row.arrived * k,
    answered: row.answered * k,
    failed: row.failed * k,
    refused: row.refused * k,
    abandoned: row.abandoned * k,
    unfinished: row.unfinished * k,
    clientRetries: row.clientRetries * k,
    edgeRetries: row.edgeRetries * k,
    hedges: row.hedges * k,
    throughput: times(row.throughput, k),
    batches: row.batches.map(batch => ({ ...batch, throughput: batch.throughput * k })),
    latency,
  }
}

function moreParts(part: PartResult, k: number): PartResult {
  return {
    ...part,
    members: part.members * k,
    membersMin: part.membersMin * k,
    membersMax: part.membersMax * k,
    inside: times(part.inside, k),
    waiting: times(part.waiting, k),
    waitingMax: part.waitingMax * k,
    counts: Object.fromEntries(Object.entries(part.counts).map(([name, count]) => [name, count * k])),
  }
}

function moreSeries(line: Series, k: number): Series {
  if (line.unit !== 'per second' && line.unit !== 'count') return line
  return { ...line, values: line.values.map(value => (value === null ? null : value * k)) }
}
