// The whole system's status, put together from what the fleet and the edge say. Pure: parts in, view out.

import type {
  CacheStatus,
  CanaryStatus,
  CertificateStatus,
  EdgeStatus,
  MemberStatus,
  UpstreamStatus,
} from '../edge/control-protocol.ts'
import type { CheckedSystem } from '../file/index.ts'
import type { InstanceStatus, ServiceStatus } from '../fleet/index.ts'
import { cacheSummary } from './cache-handlers.ts'
import { isParent } from './change.ts'
import type { CanaryView, CertificateView, EdgeView, MemberView, ServiceView } from './control/views.ts'
import type { EdgeProcessState } from './edge-process.ts'

export function edgeView(
  process: EdgeProcessState,
  status: EdgeStatus | null,
  cache: CacheStatus | null,
): EdgeView {
  return {
    state: process.state,
    reason: process.reason,
    pid: process.pid,
    adopted: process.adopted,
    restarts: process.restarts,
    leaving: process.leaving,
    snapshotVersion: status?.version ?? 0,
    listeners: (status?.listeners ?? []).map(({ id, host, port, url }) => ({ id, host, port, url })),
    workers: (status?.workers ?? []).map(({ id, state, restarts, connections, exchanges }) => ({
      id,
      state,
      restarts,
      connections,
      exchanges,
    })),
    routes: (status?.routes ?? []).map(({ id, requests, errors, p50Ms, p99Ms }) => ({
      id,
      requests,
      errors,
      p50Ms,
      p99Ms,
    })),
    canaries: (status?.canaries ?? []).map(canaryView),
    certificates: (status?.certificates ?? []).map(certificateView),
    cache: cacheSummary(cache),
  }
}

export function canaryView({ outSinceMs, ...canary }: CanaryStatus): CanaryView {
  return { ...canary, outSince: outSinceMs === null ? null : new Date(outSinceMs).toISOString() }
}

function certificateView(certificate: CertificateStatus): CertificateView {
  const { hosts, file, source, issuer, notAfterMs, daysLeft, problem } = certificate
  return { hosts, file, source, issuer, validUntil: new Date(notAfterMs).toISOString(), daysLeft, problem }
}

export function serviceViews(
  system: CheckedSystem,
  fleet: readonly ServiceStatus[],
  edge: EdgeStatus | null,
  scaling: (service: string) => string | null,
): ServiceView[] {
  return fleet.map(service => {
    const upstream = edge?.upstreams.find(entry => entry.name === service.name)
    return {
      ...serviceView(service, upstream, balanceOf(system, service.name)),
      scaling: scaling(service.name),
    }
  })
}

function balanceOf({ services, edge }: CheckedSystem, name: string): string {
  const found = services[name] ?? (isParent(name) ? edge.cache?.parent?.service : undefined)
  return found?.upstream.balance.kind ?? ''
}

function serviceView(
  service: ServiceStatus,
  upstream: UpstreamStatus | undefined,
  balance: string,
): Omit<ServiceView, 'scaling'> {
  return {
    name: service.name,
    kind: service.kind,
    balance: upstream?.balance ?? balance,
    mode: upstream?.mode ?? 'unknown to the edge',
    instances:
      service.instances === null
        ? null
        : { ...service.instances, wanted: service.wanted, ready: service.ready },
    pending: upstream?.pending ?? 0,
    places: upstream?.places ?? null,
    trouble: service.state === 'ready' ? '' : `${service.state}: ${service.reason}`,
    members: service.members.map(member => memberView(member, upstream)),
  }
}

function memberView(member: InstanceStatus, upstream: UpstreamStatus | undefined): MemberView {
  const traffic = upstream?.members.find(entry => entry.id === member.id && entry.epoch === member.epoch)
  return {
    id: member.id,
    address: `${member.host.includes(':') ? `[${member.host}]` : member.host}:${member.port}`,
    state: member.state,
    reason: member.reason,
    pid: member.pid,
    startedAt: member.startedAtMs === null ? null : new Date(member.startedAtMs).toISOString(),
    restarts: member.restarts,
    adopted: member.adopted,
    cpuPercent: member.cpuPercent,
    residentBytes: member.rssBytes,
    traffic: traffic === undefined ? null : trafficView(traffic),
  }
}

function trafficView(member: MemberStatus): NonNullable<MemberView['traffic']> {
  const { state, reason, weight, inFlight, connections, requests, failures, retries, latencyMs, chosenBy } =
    member
  return { state, reason, weight, inFlight, connections, requests, failures, retries, latencyMs, chosenBy }
}

/** What is missing until every listener listens and every service has a member that can serve. */
export function waitingFor(
  system: CheckedSystem,
  process: EdgeProcessState,
  edge: EdgeStatus | null,
  fleet: readonly ServiceStatus[],
): string[] {
  const missing: string[] = []
  if (edge === null) missing.push(`the edge is ${process.state}: ${process.reason}`)
  if (edge !== null && !edge.workers.some(worker => worker.state === 'running')) {
    missing.push('no worker of the edge runs')
  }
  const listening = new Set(edge?.listeners.map(listener => listener.id))
  for (const { id } of edge === null ? [] : system.edge.listeners) {
    if (!listening.has(id)) missing.push(`the listener ${id} does not listen`)
  }
  for (const service of fleet) {
    if (service.wanted === 0 || service.ready > 0 || isParent(service.name)) continue
    missing.push(`${service.name} has no ready member: ${service.reason}`)
  }
  for (const upstream of edge?.upstreams ?? []) {
    if (upstream.members.length > 0 && upstream.healthy === 0 && system.services[upstream.name]) {
      missing.push(`no member of ${upstream.name} is healthy`)
    }
  }
  return missing
}
