// The metrics of supervisor, fleet and agents as Prometheus text. The edge's and the router's own are put before it by whoever serves
// /metrics; names begin with the component, so the two never meet.

import type { ServiceStatus } from '../fleet/index.ts'
import { createMetrics, type Sample } from '../kit/metrics.ts'
import { type DatabaseMetricsSource, databaseMetrics } from './database-metrics.ts'
import type { EdgeProcessState } from './edge-process.ts'

export interface MetricsSource {
  readonly version: string
  readonly startedAtMs: number
  fleet(): readonly ServiceStatus[]
  edge(): EdgeProcessState
  /** Reloads since the start, by outcome. */
  reloads(): Readonly<Record<string, number>>
  readonly databases: DatabaseMetricsSource
  /** Purges that peers have not been told yet, by their URL. */
  purgesWaiting(): readonly { readonly url: string; readonly waiting: number }[]
}

/** Each call of the result gives the text of now. */
export function systemMetrics(source: MetricsSource): () => string {
  const metrics = createMetrics()
  const perService = (value: (service: ServiceStatus) => number) => (): Sample[] =>
    source.fleet().map(service => ({ labels: { service: service.name }, value: value(service) }))
  const perMember = (value: (member: ServiceStatus['members'][number]) => number | null) => (): Sample[] =>
    source.fleet().flatMap(service =>
      service.members.flatMap(member => {
        const found = value(member)
        return found === null ? [] : [{ labels: { service: service.name, member: member.id }, value: found }]
      }),
    )
  const gauge = (name: string, help: string, read: () => Sample[]): void =>
    metrics.pull('gauge', { name, help }, read)

  gauge('system_info', 'Always 1; the label says which version runs.', () => [
    { labels: { version: source.version }, value: 1 },
  ])
  gauge('system_start_time_seconds', 'When the supervisor started, since 1970.', () => [
    { value: source.startedAtMs / 1_000 },
  ])
  metrics.pull('counter', { name: 'system_reloads_total', help: 'Reloads and rollbacks, by outcome.' }, () =>
    Object.entries(source.reloads()).map(([outcome, value]) => ({ labels: { outcome }, value })),
  )
  gauge('system_edge_up', '1 while the edge process answers.', () => [
    { value: source.edge().state === 'running' ? 1 : 0 },
  ])
  metrics.pull(
    'counter',
    { name: 'system_edge_restarts_total', help: 'Starts of the edge process after it died.' },
    () => [{ value: source.edge().restarts }],
  )
  gauge(
    'fleet_members_ready',
    'Members that are ready.',
    perService(service => service.ready),
  )
  gauge(
    'fleet_members_wanted',
    'Members that there should be.',
    perService(service => service.wanted),
  )
  metrics.pull(
    'counter',
    { name: 'fleet_restarts_total', help: 'Starts of an instance after an exit that nobody asked for.' },
    perMember(member => (member.pid === null && member.restarts === 0 ? null : member.restarts)),
  )
  gauge(
    'fleet_cpu_ratio',
    'CPU used by the instance, in cores.',
    perMember(member => (member.cpuPercent === null ? null : member.cpuPercent / 100)),
  )
  gauge(
    'fleet_resident_bytes',
    'Resident memory of the instance.',
    perMember(member => member.rssBytes),
  )
  gauge(
    'system_cache_purges_waiting',
    'Purges that a peer has not been told yet: it serves what it should have forgotten.',
    () => source.purgesWaiting().map(({ url, waiting }) => ({ labels: { peer: url }, value: waiting })),
  )
  databaseMetrics(metrics, source.databases)
  return () => metrics.text()
}
