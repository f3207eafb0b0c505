// A checked system written back as a system file with every default spelled out: what `tenfold check` can print, and
// the proof that the checked system says no more than the file can (a test checks it again and compares).

import type {
  CheckedAction,
  CheckedAddress,
  CheckedHeaderRules,
  CheckedListen,
  CheckedRetry,
  CheckedRoute,
  CheckedService,
  CheckedSystem,
  CommandService,
  UpstreamSettings,
} from './checked.ts'
import type { Duration, SystemInput } from './input.generated.ts'
import { isIpv6 } from './network.ts'
import { defined } from './shapes.ts'
import { durationText } from './values.ts'

/** The system file's data that checks to the very same system, apart from the environment's name. */
export function spellOut(system: CheckedSystem): SystemInput {
  const { drainTimeoutMs, ...limits } = system.edge.limits
  return {
    name: system.name,
    control: { listen: place(system.control) },
    edge: {
      listen: { http: system.edge.listeners.map(place) },
      workers: system.edge.workers,
      trustedProxies: system.edge.trustedProxies,
      forwarded: system.edge.forwarded,
      limits: {
        requestLine: limits.requestLineBytesMax,
        headers: limits.headerBytesMax,
        headerCount: limits.headerCountMax,
        body: limits.bodyBytesMax,
        headTimeout: ms(limits.headTimeoutMs),
        idleTimeout: ms(limits.idleTimeoutMs),
        bodyTimeout: ms(limits.bodyTimeoutMs),
        sendTimeout: ms(limits.sendTimeoutMs),
        connections: limits.connectionsMax,
        requestsPerConnection: limits.requestsPerConnectionMax,
      },
      accessLog: system.edge.accessLog === null ? false : (system.edge.accessLog.file ?? true),
      drainTimeout: ms(drainTimeoutMs),
      routes: system.edge.routes.map(route),
    },
    services: Object.fromEntries(
      Object.values(system.services).map(one => [one.name, service(one)]),
    ) as NonNullable<SystemInput['services']>,
  }
}

const ms = (value: number): Duration => durationText(value) as Duration
const place = ({ host, port }: CheckedListen): string => `${isIpv6(host) ? `[${host}]` : host}:${port}`

type RouteInput = NonNullable<NonNullable<SystemInput['edge']>['routes']>[number]

function route(one: CheckedRoute): RouteInput {
  const { host, path, methods, headers } = one.match
  const derived = [methods?.join(','), `${host ?? ''}${path}`].filter(Boolean).join(' ')
  const named = one.id !== derived && !one.id.includes(' ')
  return {
    ...defined({ name: named ? one.id : undefined, host, path, methods, headers }),
    ...action(one.action),
    ...defined({
      requestHeaders: one.requestHeaders && rules(one.requestHeaders),
      responseHeaders: one.responseHeaders && rules(one.responseHeaders),
      timeout: one.timeoutMs === undefined ? undefined : ms(one.timeoutMs),
      bodyMax: one.bodyBytesMax,
    }),
  } as RouteInput
}

const rules = ({ set, remove }: CheckedHeaderRules): object => defined({ set, remove })

function action(one: CheckedAction): object {
  if (one.kind === 'redirect') return { redirect: { to: one.location, status: one.status } }
  if (one.kind === 'respond')
    return { respond: { status: one.status, body: one.body, contentType: one.contentType } }
  const { sticky, hedge } = one
  return defined({
    to: one.upstream,
    rewrite: one.rewritePrefix?.to,
    upgrade: one.upgrade,
    sticky:
      sticky?.by === 'cookie'
        ? defined({
            by: `cookie:${sticky.name}`,
            maxAge: sticky.maxAgeMs === undefined ? undefined : ms(sticky.maxAgeMs),
            secure: sticky.secure,
            sameSite: sticky.sameSite,
          })
        : sticky && { by: keyText(sticky) },
    retry: one.retry && retry(one.retry),
    hedge: hedge && { percentile: hedge.percentile, delayMin: ms(hedge.delayMinMs) },
  })
}

const keyText = (key: { by: string; name?: string }): string =>
  key.name === undefined ? key.by : `${key.by}:${key.name}`

function retry(one: Partial<CheckedRetry>): object {
  const time = (value: number | undefined): string | undefined =>
    value === undefined ? undefined : ms(value)
  return defined({
    attempts: one.attempts,
    share: one.budgetShare,
    budgetMin: one.budgetMin,
    perTryTimeout: time(one.perTryTimeoutMs),
    backoff: time(one.backoffBaseMs),
    backoffMax: time(one.backoffMaxMs),
    onStatus: one.onStatus,
  })
}

function service(one: CheckedService): object {
  if (one.kind === 'addresses')
    return { addresses: one.addresses.map(address), ...upstream(one.upstream, undefined) }
  return {
    ...defined({
      command: one.command,
      directory: one.directory,
      env: one.env,
      instances: one.instances,
      weights: one.weights,
      ready: { timeout: ms(one.ready.timeoutMs) },
      restart: {
        backoff: ms(one.restart.backoffBaseMs),
        backoffMax: ms(one.restart.backoffMaxMs),
        max: one.restart.exitsMax,
        within: ms(one.restart.windowMs),
      },
      stop: {
        signal: one.stop.signal,
        timeout: ms(one.stop.timeoutMs),
        drain: ms(one.stop.drainTimeoutMs),
      },
      memory: one.memoryBytesMax,
      user: one.user,
      logs: { size: one.logs.bytesMax, files: one.logs.filesMax },
    }),
    ...upstream(one.upstream, one.ready),
  }
}

function address(one: CheckedAddress): object {
  if (one.kind === 'srv') return { address: `srv:${one.host}`, tier: one.tier }
  return { address: place(one), weight: one.weight, tier: one.tier }
}

function upstream(one: UpstreamSettings, ready: CommandService['ready'] | undefined): object {
  const { balance, hedge } = one
  return defined({
    balance:
      'key' in balance
        ? defined({ kind: balance.kind, key: keyText(balance.key), loadFactor: balance.loadFactor })
        : balance.kind,
    health: health(one, ready),
    limits: {
      connections: one.limits.connectionsMax,
      inFlight: one.limits.inFlightMax,
      pending: one.limits.pendingMax,
      pendingTimeout: ms(one.limits.pendingTimeoutMs),
    },
    retry: retry(one.retry),
    hedge: hedge && { percentile: hedge.percentile, delayMin: ms(hedge.delayMinMs) },
    slowStart: ms(one.slowStartMs),
    timeouts: {
      connect: ms(one.connectTimeoutMs),
      response: ms(one.responseTimeoutMs),
      idle: ms(one.idleTimeoutMs),
      upgradeIdle: ms(one.upgradeIdleTimeoutMs),
    },
    keepAlive: { connections: one.keepAlive.connectionsMax, timeout: ms(one.keepAlive.timeoutMs) },
    utilisationHeader: one.utilisationHeader,
  })
}

function health(
  { health: { active, passive, panicShare } }: UpstreamSettings,
  ready: CommandService['ready'] | undefined,
): object {
  // Without active probes the keys of the probe still say how an instance is found ready.
  const probe = active ?? (ready && { ...ready, timeoutMs: ready.probeTimeoutMs })
  return {
    ...defined({
      path: probe?.kind === 'http' ? probe.path : undefined,
      tcp: active === null ? false : undefined,
      host: probe?.host,
      timeout: probe && ms(probe.timeoutMs),
      interval: active ? ms(active.intervalMs) : undefined,
      rise: active?.rise,
      fall: active?.fall,
      jitter: active?.jitter,
      status: probe && `${probe.expectStatus.from}-${probe.expectStatus.to}`,
    }),
    passive: {
      failures: passive.consecutiveFailures,
      share: passive.failureShare,
      requestsMin: passive.requestsMin,
      window: ms(passive.windowMs),
      latencyFactor: passive.latencyFactor,
      ejectFor: ms(passive.ejectBaseMs),
      ejectForMax: ms(passive.ejectMaxMs),
      ejectShare: passive.ejectShareMax,
    },
    panic: panicShare,
  }
}
