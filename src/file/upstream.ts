// The keys that say how the edge treats a service, together: they give the checked system's UpstreamSettings. Their
// larger parts are in balance.ts, health.ts and retry.ts. It knows nothing of commands, addresses and routes.

import { balance } from './balance.ts'
import type {
  CheckedAdaptive,
  CheckedBalance,
  CheckedCircuit,
  CheckedHedge,
  CheckedRetry,
  CheckedUpstreamTls,
  UpstreamSettings,
} from './checked.ts'
import { type CheckedProbing, health } from './health.ts'
import { hedge, retry } from './retry.ts'
import { defined, either, into, strict } from './shapes.ts'
import { upstreamTls } from './tls.ts'
import { choice, decimal, duration, flag, Refused, type Schema, text, token, whole } from './values.ts'

const adaptiveKeys = {
  min: whole('The least that may wait for an answer at once.', 1, 100_000).prefault(4),
  max: whole('The most.', 1, 1_000_000).prefault(1_000),
  start: whole('What it begins with.', 1, 1_000_000).prefault(20),
  tolerance: decimal(
    'The latency may be this multiple of what it is without a queue before the limit shrinks.',
    1.1,
    10,
  ).prefault(1.5),
  probe: duration(
    'Between two measurements of the latency without a queue, which take half of the places for a moment.',
    '5s',
    '1h',
  ).prefault('30s'),
  target: duration(
    'How long a request waits for a place once somebody has waited all the time for `interval`. At least half of the latency.',
    '1ms',
    '1m',
  ).prefault('20ms'),
  interval: duration(
    'How long a request waits before, and for how long somebody must have waited all the time. At least twice the latency.',
    '10ms',
    '1m',
  ).prefault('200ms'),
  reserve: decimal(
    'Share of the places that is held for critical requests (`shed` of policies) while some come.',
    0,
    0.5,
  ).prefault(0.2),
}
const adaptiveObject: Schema<CheckedAdaptive> = into(
  strict(adaptiveKeys, { about: 'How it follows.' }),
  (keys): CheckedAdaptive | Refused => {
    const { min, max, start } = keys
    if (min > max) return new Refused(`has 'min' ${min} above 'max' ${max}`, "Swap them, or raise 'max'.")
    return {
      limitMin: min,
      limitMax: max,
      limitStart: Math.min(max, Math.max(min, start)),
      tolerance: keys.tolerance,
      probeMs: keys.probe,
      queueTargetMs: keys.target,
      queueIntervalMs: keys.interval,
      reserveShare: keys.reserve,
    }
  },
)
const adaptive: Schema<CheckedAdaptive | undefined> = either(
  'A limit over all members that follows the latency: so many requests may wait for an answer at once; who else comes waits for a moment, by class, or gets 503.',
  into(flag('With its defaults, or none.'), on => (on ? adaptiveObject.parse({}) : undefined)),
  adaptiveObject as Schema<CheckedAdaptive | undefined>,
)

const limits: Schema<CheckedCircuit> = into(
  strict(
    {
      connections: whole('Connections to one member, over all workers. 0 = no limit.', 0, 1_000_000).prefault(
        0,
      ),
      inFlight: whole(
        'Requests in flight to one member, over all workers. 0 = no limit.',
        0,
        1_000_000,
      ).prefault(0),
      pending: whole('Requests that may wait for a place; further ones get 503.', 0, 1_000_000).prefault(
        1024,
      ),
      pendingTimeout: duration('How long a request may wait for a place.', '1ms', '10m').prefault('5s'),
      adaptive: adaptive.prefault(false),
    },
    { about: 'Circuit limits: what is too much for one member, and who waits.' },
  ),
  keys => ({
    connectionsMax: keys.connections,
    inFlightMax: keys.inFlight,
    pendingMax: keys.pending,
    pendingTimeoutMs: keys.pendingTimeout,
    ...(keys.adaptive === undefined ? {} : { adaptive: keys.adaptive }),
  }),
)
const timeouts: Schema<{ connect: number; response: number; idle: number; upgradeIdle: number }> = strict(
  {
    connect: duration('For a new connection to a member.', '1ms', '1m').prefault('3s'),
    response: duration(
      'From the end of the request to the first byte of the response.',
      '1ms',
      '24h',
    ).prefault('1m'),
    idle: duration('Between two reads of a response body.', '10ms', '24h').prefault('1m'),
    upgradeIdle: duration('Per direction of an upgraded connection (WebSocket).', '10ms', '24h').prefault(
      '10m',
    ),
  },
  { about: 'How long members may take.' },
)

const keepAlive: Schema<UpstreamSettings['keepAlive']> = into(
  strict(
    {
      connections: whole(
        'Idle connections kept for each member and worker thread. 0 = none.',
        0,
        100_000,
      ).prefault(128),
      timeout: duration(
        "How long an idle connection is kept: shorter than the service's own time-out (Node: 5s).",
        '10ms',
        '1h',
      ).prefault('4s'),
    },
    { about: 'Idle connections to members.' },
  ),
  keys => ({ connectionsMax: keys.connections, timeoutMs: keys.timeout }),
)

/** Keys that both kinds of services have. */
export const upstreamKeys: {
  readonly balance: Schema<CheckedBalance>
  readonly health: Schema<CheckedProbing>
  readonly limits: Schema<CheckedCircuit>
  readonly retry: Schema<CheckedRetry>
  readonly hedge: Schema<CheckedHedge | undefined>
  readonly slowStart: Schema<number>
  readonly timeouts: Schema<{ connect: number; response: number; idle: number; upgradeIdle: number }>
  readonly keepAlive: Schema<UpstreamSettings['keepAlive']>
  readonly utilisationHeader: Schema<string | undefined>
  readonly protocol: Schema<'http1' | 'h2'>
  readonly tls: Schema<CheckedUpstreamTls | undefined>
} = {
  balance: balance.prefault('round-robin'),
  health: health.prefault({}),
  limits: limits.prefault({}),
  retry: retry.prefault({}),
  hedge: hedge.optional(),
  slowStart: duration(
    'A member that comes (back) gets its full share only after this. 0s = at once.',
    '0s',
    '1h',
  ).prefault('0s'),
  timeouts: timeouts.prefault({}),
  keepAlive: keepAlive.prefault({}),
  utilisationHeader: text(
    'Response header in which an instance reports its utilisation from 0 to 1, for `balance: resource`. Never passed to clients.',
    'a header name',
    { pattern: token, lengthMax: 100 },
  ).optional(),
  protocol: choice('`h2`: HTTP/2 to the members, by prior knowledge, or over `tls` by ALPN. gRPC needs it.', [
    'http1',
    'h2',
  ]).prefault('http1'),
  tls: upstreamTls.optional(),
}

export interface UpstreamInput {
  readonly balance: CheckedBalance
  readonly health: CheckedProbing
  readonly limits: CheckedCircuit
  readonly retry: CheckedRetry
  readonly hedge?: CheckedHedge | undefined
  readonly slowStart: number
  readonly timeouts: { connect: number; response: number; idle: number; upgradeIdle: number }
  readonly keepAlive: UpstreamSettings['keepAlive']
  readonly utilisationHeader?: string | undefined
  readonly protocol: 'http1' | 'h2'
  readonly tls?: CheckedUpstreamTls | undefined
}

export function upstreamSettings(keys: UpstreamInput): UpstreamSettings {
  return defined({
    balance: keys.balance,
    health: keys.health.health,
    limits: keys.limits,
    retry: keys.retry,
    hedge: keys.hedge,
    slowStartMs: keys.slowStart,
    connectTimeoutMs: keys.timeouts.connect,
    responseTimeoutMs: keys.timeouts.response,
    idleTimeoutMs: keys.timeouts.idle,
    upgradeIdleTimeoutMs: keys.timeouts.upgradeIdle,
    keepAlive: keys.keepAlive,
    utilisationHeader: keys.utilisationHeader?.toLowerCase(),
    protocol: keys.protocol === 'h2' ? ('h2' as const) : undefined,
    tls: keys.tls,
  })
}
