// A checked system written back as a system file with every default spelled out: what `tenfold check` can print, and
// the proof that the checked system says no more than the file can (a test checks it again and compares).

import type {
  CheckedAdaptive,
  CheckedAddress,
  CheckedService,
  CheckedSystem,
  CommandService,
  UpstreamSettings,
} from './checked.ts'
import type { SystemInput } from './input.generated.ts'
import { spellScale } from './scale.ts'
import { defined } from './shapes.ts'
import { spellCache } from './spell-caches.ts'
import { spellDatabase } from './spell-databases.ts'
import { spellEdge } from './spell-edge.ts'
import { spellGuard } from './spell-guard.ts'
import { spellRehearsals } from './spell-rehearsals.ts'
import { keyText, ms, place, retry } from './spell-values.ts'
import { spellWorkload } from './spell-workload.ts'

/** The system file's data that checks to the very same system, apart from the environment's name. */
export function spellOut(system: CheckedSystem): SystemInput {
  return {
    name: system.name,
    control: { listen: place(system.control) },
    edge: spellEdge(system.edge),
    services: Object.fromEntries(
      Object.values(system.services).map(one => [one.name, service(one)]),
    ) as NonNullable<SystemInput['services']>,
    databases: Object.fromEntries(
      Object.values(system.databases).map(one => [one.name, spellDatabase(one)]),
    ) as NonNullable<SystemInput['databases']>,
    caches: Object.fromEntries(
      Object.values(system.caches).map(one => [one.name, spellCache(one)]),
    ) as NonNullable<SystemInput['caches']>,
    ...(system.guard === undefined ? {} : { guard: spellGuard(system.guard) }),
    ...(system.workload === undefined ? {} : { workload: spellWorkload(system.workload) }),
    rehearsals: spellRehearsals(system.rehearsals),
  }
}

function service(one: CheckedService): object {
  if (one.kind === 'addresses')
    return { addresses: one.addresses.map(address), ...upstream(one.upstream, undefined) }
  return {
    ...defined({
      command: one.command,
      directory: one.directory,
      env: one.env,
      instances: instances(one.instances),
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

function instances({ min, max, scale }: CommandService['instances']): object {
  return { min, max, ...(scale === undefined ? {} : { scale: spellScale(scale) }) }
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
      adaptive: one.limits.adaptive === undefined ? false : adaptive(one.limits.adaptive),
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
    protocol: one.protocol ?? 'http1',
    tls: one.tls ?? false,
  })
}

function adaptive(one: CheckedAdaptive): object {
  return {
    min: one.limitMin,
    max: one.limitMax,
    start: one.limitStart,
    tolerance: one.tolerance,
    probe: ms(one.probeMs),
    target: ms(one.queueTargetMs),
    interval: ms(one.queueIntervalMs),
    reserve: one.reserveShare,
  }
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
