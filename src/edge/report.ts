// What the edge tells about itself: status and Prometheus text, summed over workers from the shared cells.

import { durationText } from '../kit/duration.ts'
import type { Distribution, Histograms } from '../kit/histogram.ts'
import { createMetrics, type Metrics, type Sample } from '../kit/metrics.ts'
import { type HealthState, healthReason, healthStateNames } from '../policy/health.ts'
import { rotation, rotationText } from '../policy/panic.ts'
import { reasonText } from '../policy/reason.ts'
import { importanceNames } from '../policy/shed/index.ts'
import { type EdgeCells, memberSlots, routeSlots, sumOver, upstreamSlots } from './cells.ts'
import { listenerRouteId, plainListeners, unroutedId } from './compile.ts'
import type {
  CachedRouteStatus,
  EdgeStatus,
  MemberStatus,
  PlacesStatus,
  UpstreamStatus,
} from './control-protocol.ts'
import { memberKey, type SnapshotSlots } from './slots.ts'
import {
  type AdaptiveSpec,
  type EdgeSnapshot,
  type MemberSpec,
  mirrorRouteId,
  type UpstreamSpec,
} from './snapshot.ts'
import type { StoreCounts } from './store/contract.ts'

const statuses = ['1xx', '2xx', '3xx', '4xx', '5xx'] as const
/** `reason` of edge_upstream_failures_total. */
const failureReasons = {
  connect: 'connectFailures',
  timeout: 'timeouts',
  lost: 'lost',
  invalid: 'invalid',
  refused: 'refused',
  no_room: 'noRoom',
} as const

/** What the metrics are read from at each text. */
interface Current {
  readonly snapshot: EdgeSnapshot
  readonly slots: SnapshotSlots
  readonly now: number
  readonly restarts: number
  /** Null: no cache. */
  readonly store: StoreCounts | null
}

/** `result` of edge_cache_requests_total. */
const cacheResults = {
  hit: 'cacheHits',
  stale: 'cacheStale',
  revalidated: 'cacheRevalidated',
  collapsed: 'cacheCollapsed',
  miss: 'cacheMisses',
  bypass: 'cacheBypassed',
} as const

export class Report {
  readonly #cells: EdgeCells

  constructor(cells: EdgeCells) {
    this.#cells = cells
  }

  routes(snapshot: EdgeSnapshot, slots: SnapshotSlots): EdgeStatus['routes'] {
    const { routeWorker } = this.#cells
    return routeIds(snapshot).map(id => {
      const slot = slots.routes.get(id) as number
      const latency = this.#routeLatency(slot)
      return {
        id,
        requests: this.#routeSum(routeWorker.requests, slot),
        errors: this.#routeSum(routeWorker.status5xx, slot),
        p50Ms: latency.quantile(0.5) / 1000,
        p99Ms: latency.quantile(0.99) / 1000,
      }
    })
  }

  cachedRoutes(snapshot: EdgeSnapshot, slots: SnapshotSlots): CachedRouteStatus[] {
    const { routeWorker } = this.#cells
    return cachedIds(snapshot).map(id => {
      const sum = (column: Float64Array): number => this.#routeSum(column, slots.routes.get(id) as number)
      return {
        id,
        hits: sum(routeWorker.cacheHits),
        stale: sum(routeWorker.cacheStale),
        revalidated: sum(routeWorker.cacheRevalidated),
        collapsed: sum(routeWorker.cacheCollapsed),
        misses: sum(routeWorker.cacheMisses),
        bypassed: sum(routeWorker.cacheBypassed),
        hitBytes: sum(routeWorker.cacheBytes),
      }
    })
  }

  upstreams(snapshot: EdgeSnapshot, slots: SnapshotSlots, now: number): UpstreamStatus[] {
    const { upstreamWorker, workers } = this.#cells
    return snapshot.upstreams.map(upstream => {
      const slot = slots.upstreams.get(upstream.name) as number
      const members = upstream.members.map(member => this.#member(upstream, member, slots, now))
      return {
        name: upstream.name,
        balance: upstream.balance.kind,
        healthy: members.filter(member => member.state === 'healthy' || member.state === 'unchecked').length,
        pending: sumOver(upstreamWorker.pending, workers, upstreamSlots, slot),
        mode: this.#mode(upstream, members),
        places: upstream.limits.adaptive === undefined ? null : this.#places(slot, upstream.limits.adaptive),
        members,
      }
    })
  }

  #places(slot: number, { limitStart }: AdaptiveSpec): PlacesStatus {
    const { upstream, upstreamWorker, workers } = this.#cells
    const sum = (column: Float64Array | Int32Array): number => sumOver(column, workers, upstreamSlots, slot)
    let waitUs = 0
    for (let row = slot; row < workers * upstreamSlots; row += upstreamSlots)
      waitUs = Math.max(waitUs, upstreamWorker.waitUs[row] as number)
    const { why, whyA, whyB, baselineUs, recentUs } = upstream
    return {
      limit: (upstream.limit[slot] as number) || limitStart,
      used: sum(upstreamWorker.awaiting),
      reason: reasonText(why[slot] as number, whyA[slot], whyB[slot]),
      baselineMs: (baselineUs[slot] as number) / 1000,
      recentMs: (recentUs[slot] as number) / 1000,
      waitMs: Math.round(waitUs) / 1000,
      shed: {
        sheddable: sum(upstreamWorker.shedSheddable),
        normal: sum(upstreamWorker.shedNormal),
        critical: sum(upstreamWorker.shedCritical),
      },
    }
  }

  #mode(upstream: UpstreamSpec, members: readonly MemberStatus[]): string {
    const tiers: { healthy: number; total: number }[] = []
    for (const [i, spec] of upstream.members.entries()) {
      while (tiers.length <= spec.tier) tiers.push({ healthy: 0, total: 0 })
      const tier = tiers[spec.tier] as { healthy: number; total: number }
      const state = members[i]?.state
      if (spec.state === 'draining') continue
      tier.total++
      if (state === 'healthy' || state === 'unchecked') tier.healthy++
    }
    return rotationText(rotation(tiers, upstream.health.panicShare))
  }

  #member(upstream: UpstreamSpec, spec: MemberSpec, slots: SnapshotSlots, now: number): MemberStatus {
    const slot = slots.members.get(memberKey(upstream.name, spec.id, spec.epoch)) as number
    const { memberWorker, workers } = this.#cells
    const sum = (column: Float64Array | Int32Array): number => sumOver(column, workers, memberSlots, slot)
    const requests = sum(memberWorker.requests)
    const succeeded = requests - sum(memberWorker.failures)
    let chosenBy = 0
    for (let row = slot; row < workers * memberSlots; row += memberSlots)
      chosenBy = (memberWorker.chosenBy[row] as number) || chosenBy
    return {
      id: spec.id,
      epoch: spec.epoch,
      address: `${spec.host.includes(':') ? `[${spec.host}]` : spec.host}:${spec.port}`,
      ...this.#state(upstream, spec, slot, now),
      weight: spec.weight,
      inFlight: sum(memberWorker.inFlight),
      connections: sum(memberWorker.connections),
      requests,
      failures: sum(memberWorker.failures),
      retries: sum(memberWorker.retries),
      latencyMs: succeeded > 0 ? Math.round(sum(memberWorker.latencySumUs) / succeeded) / 1000 : 0,
      chosenBy: chosenBy === 0 ? '' : reasonText(chosenBy),
    }
  }

  #state(
    upstream: UpstreamSpec,
    spec: MemberSpec,
    slot: number,
    now: number,
  ): { state: MemberStatus['state']; reason: string } {
    const { member, health } = this.#cells
    if (spec.state === 'draining') return { state: 'draining', reason: 'takes no new requests' }
    if (member.ejected[slot] !== 0) {
      const why = reasonText(
        member.ejectReason[slot] as number,
        member.ejectA[slot] as number,
        member.ejectB[slot] as number,
      )
      const left = (member.ejectedUntilUs[slot] as number) - now
      return {
        state: 'ejected',
        reason:
          left > 0 ? `${why}, back in ${durationText(left / 1000)}` : `${why}, back when a probe passes`,
      }
    }
    const { active } = upstream.health
    if (active === null) return { state: 'unchecked', reason: 'not probed' }
    const state = health.at.state[slot] as number
    return {
      state: healthStateNames[state as (typeof HealthState)[keyof typeof HealthState]],
      reason: healthReason(health, slot, active),
    }
  }

  #routeSum(column: Float64Array | Int32Array, slot: number): number {
    return sumOver(column, this.#cells.workers, routeSlots, slot)
  }

  #routeLatency(slot: number): Distribution {
    return this.#over(this.#cells.routeLatency, routeSlots, slot)
  }

  /** The rows of all workers together. */
  #over(histograms: Histograms, slots: number, slot: number): Distribution {
    const rows = Array.from({ length: this.#cells.workers }, (_, worker) => worker * slots + slot)
    return histograms.read(rows)
  }

  /** Registers the edge's families; `current` gives the snapshot of the moment. */
  metrics(current: () => Current): Metrics {
    const metrics = createMetrics()
    const cells = this.#cells
    const perRoute = function* (
      this: void,
      read: (slot: number, id: string) => Iterable<Sample>,
    ): Iterable<Sample> {
      const { snapshot, slots } = current()
      for (const id of routeIds(snapshot)) yield* read(slots.routes.get(id) as number, id)
    }
    metrics.pull(
      'counter',
      {
        name: 'edge_requests_total',
        help: 'Finished requests by route and class of status.',
        labels: ['route', 'status'],
      },
      () =>
        perRoute((slot, route) =>
          statuses.map(status => ({
            labels: { route, status },
            value: this.#routeSum(cells.routeWorker[`status${status}`], slot),
          })),
        ),
    )
    const routeColumns = [
      ['edge_requests_aborted_total', 'Requests that ended before their response was complete.', 'aborted'],
      ['edge_retries_total', 'Further attempts, hedges included.', 'retries'],
      ['edge_request_body_bytes_total', 'Bytes of request bodies received.', 'bytesIn'],
      ['edge_response_body_bytes_total', 'Bytes of response bodies sent.', 'bytesOut'],
    ] as const
    for (const [name, help, column] of routeColumns) {
      metrics.pull('counter', { name, help, labels: ['route'] }, () =>
        perRoute((slot, route) => [
          { labels: { route }, value: this.#routeSum(cells.routeWorker[column], slot) },
        ]),
      )
    }
    metrics.pullHistogram(
      {
        name: 'edge_request_seconds',
        help: 'From the head of a request to the end of its response.',
        labels: ['route'],
      },
      () => perRoute((slot, route) => [{ labels: { route }, value: this.#routeLatency(slot) }]),
    )
    metrics.pull(
      'gauge',
      { name: 'edge_requests_in_flight', help: 'Requests under way.', labels: ['route'] },
      () =>
        perRoute((slot, route) => [
          { labels: { route }, value: this.#routeSum(cells.routeWorker.active, slot) },
        ]),
    )
    this.#upstreamMetrics(metrics, current)
    this.#placesMetrics(metrics, current)
    this.#mirrorMetrics(metrics, current)
    this.#memberMetrics(metrics, current)
    this.#hookMetrics(metrics, current)
    this.#cacheMetrics(metrics, current)
    this.#workerMetrics(metrics, current)
    return metrics
  }

  #upstreamMetrics(metrics: Metrics, current: () => Current): void {
    const { upstreamWorker, upstreamLatency, workers } = this.#cells
    const sum = (column: Float64Array | Int32Array, slot: number): number =>
      sumOver(column, workers, upstreamSlots, slot)
    const perUpstream = function* (
      this: void,
      read: (slot: number, upstream: string) => Iterable<Sample>,
    ): Iterable<Sample> {
      const { snapshot, slots } = current()
      for (const { name } of snapshot.upstreams) yield* read(slots.upstreams.get(name) as number, name)
    }
    metrics.pull(
      'counter',
      {
        name: 'edge_upstream_requests_total',
        help: 'Answers of instances by class of status, those that were tried again included.',
        labels: ['upstream', 'status'],
      },
      () =>
        perUpstream((slot, upstream) =>
          statuses.map(status => ({
            labels: { upstream, status },
            value: sum(upstreamWorker[`status${status}`], slot),
          })),
        ),
    )
    metrics.pull(
      'counter',
      {
        name: 'edge_upstream_failures_total',
        help: 'Attempts without a whole answer: no connection, no answer in time, connection lost, not HTTP, refused, or no file or port left on our side.',
        labels: ['upstream', 'reason'],
      },
      () =>
        perUpstream((slot, upstream) =>
          Object.entries(failureReasons).map(([reason, column]) => ({
            labels: { upstream, reason },
            value: sum(upstreamWorker[column], slot),
          })),
        ),
    )
    metrics.pullHistogram(
      {
        name: 'edge_upstream_seconds',
        help: "From an attempt's beginning to the head of the instance's answer.",
        labels: ['upstream'],
      },
      () =>
        perUpstream((slot, upstream) => [
          { labels: { upstream }, value: this.#over(upstreamLatency, upstreamSlots, slot) },
        ]),
    )
    metrics.pull(
      'gauge',
      { name: 'edge_upstream_in_flight', help: 'Requests that have an attempt.', labels: ['upstream'] },
      () =>
        perUpstream((slot, upstream) => [{ labels: { upstream }, value: sum(upstreamWorker.active, slot) }]),
    )
  }

  /** Only of upstreams whose limit is adaptive. */
  #placesMetrics(metrics: Metrics, current: () => Current): void {
    const labels = ['upstream']
    const each = (read: (places: PlacesStatus) => number) =>
      function* (this: Report): Iterable<Sample> {
        const { snapshot, slots } = current()
        for (const { name, limits } of snapshot.upstreams) {
          if (limits.adaptive === undefined) continue
          const places = this.#places(slots.upstreams.get(name) as number, limits.adaptive)
          yield { labels: { upstream: name }, value: read(places) }
        }
      }.bind(this)
    const gauges = [
      ['edge_upstream_limit', 'Requests that may wait for an answer at once.', one => one.limit],
      ['edge_upstream_places_used', 'Requests that wait for an answer.', one => one.used],
      ['edge_upstream_baseline_seconds', 'Latency without a queue.', one => one.baselineMs / 1000],
      ['edge_upstream_recent_seconds', 'Latency lately.', one => one.recentMs / 1000],
      ['edge_upstream_wait_seconds', 'What requests wait for a place.', one => one.waitMs / 1000],
    ] as const satisfies readonly (readonly [string, string, (places: PlacesStatus) => number])[]
    for (const [name, help, read] of gauges) metrics.pull('gauge', { name, help, labels }, each(read))
    metrics.pull(
      'counter',
      {
        name: 'edge_shed_total',
        help: 'Requests refused because the upstream had no place for them, by class.',
        labels: ['upstream', 'class'],
      },
      () =>
        importanceNames.flatMap(name =>
          [...each(places => places.shed[name])()].map(({ labels: of, value }) => ({
            labels: { ...of, class: name },
            value,
          })),
        ),
    )
  }

  /** Only of routes that have hooks. */
  #hookMetrics(metrics: Metrics, current: () => Current): void {
    const { routeWorker, hookLatency } = this.#cells
    const perHooked = function* (
      this: void,
      read: (slot: number, route: string) => Iterable<Sample>,
    ): Iterable<Sample> {
      const { snapshot, slots } = current()
      for (const { id, hooks } of snapshot.routes)
        if (hooks !== undefined) yield* read(slots.routes.get(id) as number, id)
    }
    const columns = [
      ['edge_hook_calls_total', 'Calls of hooks that are over.', 'hookCalls'],
      [
        'edge_hook_failures_total',
        'Calls that gave nothing usable: thrown, junk, crashed, late, not taken.',
        'hookFailures',
      ],
      ['edge_hook_late_total', 'Calls that were past their deadline; they are failures too.', 'hooksLate'],
    ] as const
    for (const [name, help, column] of columns)
      metrics.pull('counter', { name, help, labels: ['route'] }, () =>
        perHooked((slot, route) => [{ labels: { route }, value: this.#routeSum(routeWorker[column], slot) }]),
      )
    metrics.pullHistogram(
      { name: 'edge_hook_seconds', help: "From a hook's call to its result.", labels: ['route'] },
      () =>
        perHooked((slot, route) => [{ labels: { route }, value: this.#over(hookLatency, routeSlots, slot) }]),
    )
  }

  /** Only of routes that have a cache. */
  #cacheMetrics(metrics: Metrics, current: () => Current): void {
    const { routeWorker } = this.#cells
    const perCached = function* (
      this: void,
      read: (slot: number, route: string) => Iterable<Sample>,
    ): Iterable<Sample> {
      const { snapshot, slots } = current()
      for (const id of cachedIds(snapshot)) yield* read(slots.routes.get(id) as number, id)
    }
    metrics.pull(
      'counter',
      {
        name: 'edge_cache_requests_total',
        help: 'Requests of cached routes by what the cache had to do with them.',
        labels: ['route', 'result'],
      },
      () =>
        perCached((slot, route) =>
          Object.entries(cacheResults).map(([result, column]) => ({
            labels: { route, result },
            value: this.#routeSum(routeWorker[column], slot),
          })),
        ),
    )
    metrics.pull(
      'counter',
      {
        name: 'edge_cache_response_body_bytes_total',
        help: 'Bytes of response bodies that came from the store.',
        labels: ['route'],
      },
      () =>
        perCached((slot, route) => [
          { labels: { route }, value: this.#routeSum(routeWorker.cacheBytes, slot) },
        ]),
    )
    this.#storeMetrics(metrics, current)
  }

  #storeMetrics(metrics: Metrics, current: () => Current): void {
    const families = [
      ['gauge', 'edge_cache_entries', 'Answers in memory.', 'entries'],
      ['gauge', 'edge_cache_bytes', 'Bytes of memory that answers take.', 'bytes'],
      ['gauge', 'edge_cache_bytes_max', 'Bytes of memory that answers may take.', 'bytesMax'],
      ['counter', 'edge_cache_evicted_total', 'Answers that made room for others.', 'evicted'],
      ['counter', 'edge_cache_refused_total', 'Answers that were too large, or found no room.', 'refused'],
      ['counter', 'edge_cache_purges_total', 'Purges, invalidations by unsafe methods included.', 'purges'],
      ['gauge', 'edge_cache_disk_entries', 'Answers on the disk.', 'diskEntries'],
      ['gauge', 'edge_cache_disk_bytes', 'Bytes of the disk that answers take.', 'diskBytes'],
      [
        'counter',
        'edge_cache_disk_failures_total',
        'Reads and writes of the disk that failed.',
        'diskFailures',
      ],
    ] as const
    for (const [kind, name, help, count] of families)
      metrics.pull(kind, { name, help }, () => {
        const { store } = current()
        return store === null ? [] : [{ value: store[count] }]
      })
  }

  #mirrorMetrics(metrics: Metrics, current: () => Current): void {
    const { routeWorker } = this.#cells
    const columns = { body: routeWorker.unmirroredBody, busy: routeWorker.unmirroredBusy }
    metrics.pull(
      'counter',
      {
        name: 'edge_unmirrored_total',
        help: 'Requests that were not mirrored: their body was too large or came too slowly, or too many copies were in flight.',
        labels: ['route', 'reason'],
      },
      () => {
        const { snapshot, slots } = current()
        return mirroredIds(snapshot).flatMap(id =>
          Object.entries(columns).map(([reason, column]) => ({
            labels: { route: id, reason },
            value: this.#routeSum(column, slots.routes.get(id) as number),
          })),
        )
      },
    )
  }

  #memberMetrics(metrics: Metrics, current: () => Current): void {
    const read = (value: (member: MemberStatus) => number) =>
      function* (this: Report): Iterable<Sample> {
        const { snapshot, slots, now } = current()
        for (const upstream of this.upstreams(snapshot, slots, now)) {
          for (const member of upstream.members)
            yield { labels: { upstream: upstream.name, member: member.id }, value: value(member) }
        }
      }.bind(this)
    const labels = ['upstream', 'member']
    const up = (member: MemberStatus): number =>
      member.state === 'healthy' || member.state === 'unchecked' ? 1 : 0
    metrics.pull(
      'gauge',
      { name: 'edge_member_up', help: '1 when the member may get traffic.', labels },
      read(up),
    )
    metrics.pull(
      'gauge',
      { name: 'edge_member_in_flight', help: 'Requests in flight.', labels },
      read(m => m.inFlight),
    )
    metrics.pull(
      'gauge',
      { name: 'edge_member_connections', help: 'Open connections.', labels },
      read(m => m.connections),
    )
    metrics.pull(
      'counter',
      { name: 'edge_member_requests_total', help: 'Attempts that ended.', labels },
      read(m => m.requests),
    )
    metrics.pull(
      'counter',
      { name: 'edge_member_failures_total', help: 'Attempts that failed.', labels },
      read(m => m.failures),
    )
    metrics.pull(
      'counter',
      { name: 'edge_member_retries_total', help: 'Attempts that were tried again.', labels },
      read(m => m.retries),
    )
    metrics.pull(
      'gauge',
      { name: 'edge_pending', help: 'Requests that wait for a place.', labels: ['upstream'] },
      () => {
        const { snapshot, slots, now } = current()
        return this.upstreams(snapshot, slots, now).map(({ name, pending }) => ({
          labels: { upstream: name },
          value: pending,
        }))
      },
    )
  }

  #workerMetrics(metrics: Metrics, current: () => Current): void {
    const { worker, workers } = this.#cells
    const perWorker = (column: Int32Array | Float64Array) => (): Sample[] =>
      Array.from({ length: workers }, (_, i) => ({ labels: { worker: `${i}` }, value: column[i] as number }))
    const labels = ['worker']
    metrics.pull(
      'gauge',
      { name: 'edge_connections', help: 'Open client connections.', labels },
      perWorker(worker.connections),
    )
    metrics.pull(
      'gauge',
      { name: 'edge_exchanges', help: 'Requests under way.', labels },
      perWorker(worker.exchanges),
    )
    metrics.pull(
      'gauge',
      { name: 'edge_tunnels', help: 'Upgraded connections.', labels },
      perWorker(worker.tunnels),
    )
    metrics.pull(
      'gauge',
      { name: 'edge_buffers', help: 'Read buffers in use by large bodies.', labels },
      perWorker(worker.buffers),
    )
    metrics.pull(
      'counter',
      { name: 'edge_accepted_total', help: 'Client connections accepted.', labels },
      perWorker(worker.accepted),
    )
    metrics.pull(
      'counter',
      { name: 'edge_refused_total', help: 'Client connections refused at the limit.', labels },
      perWorker(worker.refused),
    )
    const handshakes = {
      name: 'edge_tls_handshakes_total',
      help: 'TLS handshakes of clients: full, resumed from a session, and those that failed.',
      labels: ['worker', 'kind'],
    }
    const kinds = [
      ['full', worker.handshakesFull],
      ['resumed', worker.handshakesResumed],
      ['failed', worker.handshakesFailed],
    ] as const
    metrics.pull('counter', handshakes, () =>
      kinds.flatMap(([kind, column]) =>
        perWorker(column)().map(({ labels, value }) => ({ labels: { ...labels, kind }, value })),
      ),
    )
    metrics.pull(
      'counter',
      { name: 'edge_datagrams_dropped_total', help: 'UDP datagrams that were not passed on.', labels },
      perWorker(worker.dropped),
    )
    metrics.pull(
      'counter',
      {
        name: 'edge_hook_restarts_total',
        help: 'Hook threads that were ended or died, and replaced.',
        labels,
      },
      perWorker(worker.hookRestarts),
    )
    metrics.pull('counter', { name: 'edge_worker_restarts_total', help: 'Worker threads replaced.' }, () => [
      { value: current().restarts },
    ])
    metrics.pull('gauge', { name: 'edge_snapshot_version', help: 'Version of the snapshot in use.' }, () => [
      { value: current().snapshot.version },
    ])
  }
}

export function routeIds(snapshot: EdgeSnapshot): string[] {
  const listeners = plainListeners(snapshot).map(listenerRouteId)
  return [...snapshot.routes.map(route => route.id), ...mirroredIds(snapshot), ...listeners, unroutedId]
}

function cachedIds({ cache, routes }: EdgeSnapshot): string[] {
  return cache === undefined ? [] : routes.filter(one => one.cache !== undefined).map(one => one.id)
}

/** Rows of copies. */
function mirroredIds({ routes }: EdgeSnapshot): string[] {
  const mirrored = routes.filter(({ action }) => action.kind === 'proxy' && action.mirror)
  return mirrored.map(route => mirrorRouteId(route.id))
}
