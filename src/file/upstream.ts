// The keys that say how the edge treats a service: balancing, health, circuit limits, retries, hedging, time-outs. They
// give the checked system's UpstreamSettings. It knows nothing of commands, addresses and routes.

import type {
  CheckedBalance,
  CheckedCircuit,
  CheckedHashKey,
  CheckedHealth,
  CheckedHedge,
  CheckedRetry,
  UpstreamSettings,
} from './checked.ts'
import { defined, either, into, listOf, strict } from './shapes.ts'
import { choice, decimal, duration, flag, leaf, off, Refused, type Schema, text, whole } from './values.ts'

const plainKinds = [
  'round-robin',
  'weighted-round-robin',
  'random',
  'least-connections',
  'least-response-time',
  'least-bandwidth',
  'two-choices',
  'resource',
  'ip-hash',
] as const
const hashKinds = ['ring-hash', 'rendezvous-hash', 'maglev-hash'] as const

/** `header:x-user`, `path:id`, ... for the words given; a word without `:name` stands alone. */
export function requestKey<B extends string>(
  about: string,
  named: readonly B[],
  alone: readonly string[],
): Schema<{ readonly by: string; readonly name?: string }> {
  const shown = [...alone.map(word => `'${word}'`), ...named.map(word => `'${word}:name'`)].join(', ')
  return leaf({
    about,
    allowed: `${shown}, of at most 200 characters`,
    json: { type: 'string', minLength: 1, maxLength: 200 },
    type: [...alone.map(word => `'${word}'`), ...named.map(word => `\`${word}:\${string}\``)].join(' | '),
    parse: value => {
      if (typeof value !== 'string' || value.length > 200) return undefined
      if (alone.includes(value)) return { by: value }
      const [by = '', ...rest] = value.split(':')
      const name = rest.join(':')
      if (!named.includes(by as B)) return undefined
      if (!keyName[by]?.test(name)) return new Refused(name ? `names no ${by}` : 'has no name')
      return { by, name: by === 'header' ? name.toLowerCase() : name }
    },
  })
}

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const keyName: Readonly<Record<string, RegExp>> = {
  header: token,
  cookie: token,
  path: /^[A-Za-z_][A-Za-z0-9_]*$/,
  query: /^[^\s&=#]+$/,
}

const hashKey = requestKey(
  'What is hashed. `path:id` is the part that `:id` of the route matched.',
  ['header', 'cookie', 'path', 'query'],
  ['ip', 'url'],
) as Schema<CheckedHashKey>

const balanceObject: Schema<CheckedBalance> = into(
  strict(
    {
      kind: choice('The algorithm.', [...plainKinds, ...hashKinds]),
      key: hashKey.optional(),
      loadFactor: decimal(
        'Bounded loads: no member gets more than this multiple of the mean. Left out: unbounded.',
        1.05,
        10,
      ).optional(),
    },
    { about: 'An algorithm with its settings.' },
  ),
  ({ kind, key, loadFactor }) => {
    const hashed = hashKinds.find(name => name === kind)
    if (hashed)
      return defined({ kind: hashed, key: key ?? ({ by: 'ip' } as const), loadFactor }) as CheckedBalance
    return key || loadFactor
      ? new Refused(
          `sets ${key ? "'key'" : "'loadFactor'"}, which '${kind}' does not use`,
          `Use it with ${hashKinds.join(', ')}.`,
        )
      : ({ kind } as CheckedBalance)
  },
)

const balanceWord: Schema<CheckedBalance> = into(
  choice('The algorithm; the hash algorithms hash the client address.', [...plainKinds, ...hashKinds]),
  kind => (hashKinds.find(name => name === kind) ? { kind, key: { by: 'ip' } } : { kind }) as CheckedBalance,
)

/** `200` or `'200-399'`. */
export function statusRange(about: string): Schema<{ readonly from: number; readonly to: number }> {
  return leaf({
    about,
    allowed: "a status from 100 to 599 or a range such as '200-399'",
    json: {
      anyOf: [
        { type: 'integer', minimum: 100, maximum: 599 },
        { type: 'string', pattern: '^\\d{3}-\\d{3}$' },
      ],
    },
    parse: value => {
      const [from, to] =
        typeof value === 'number'
          ? [value, value]
          : (String(value)
              .match(/^(\d{3})-(\d{3})$/)
              ?.slice(1)
              .map(Number) ?? [])
      if (from === undefined || to === undefined || !Number.isInteger(from)) return undefined
      if (from < 100 || to > 599) return undefined
      return from <= to ? { from, to } : new Refused('ends before it begins')
    },
  })
}

const passiveKeys = {
  failures: whole(
    'Failures in a row (connect errors, resets, 502, 503, 504) that eject a member. 0 = off.',
    0,
    1000,
  ).prefault(5),
  share: decimal('Share of failures within the window that ejects a member. 0 = off.', 0, 1).prefault(0.5),
  requestsMin: whole('Requests in the window below which its share is not looked at.', 1, 1_000_000).prefault(
    20,
  ),
  window: duration('How far back the share of failures looks.', '1s', '10m').prefault('10s'),
  latencyFactor: decimal(
    "Ejects a member whose latency is above this multiple of the group's median. 0 = off.",
    0,
    1000,
  ).prefault(0),
  ejectFor: duration('The first ejection; each further one is twice as long.', '100ms', '1h').prefault('5s'),
  ejectForMax: duration('The longest ejection.', '100ms', '24h').prefault('1m'),
  ejectShare: decimal(
    'At most this share of the members is ejected at once; one always may be.',
    0,
    1,
  ).prefault(0.5),
}

type Passive = CheckedHealth['passive']

const passive: Schema<Passive> = into(
  strict(passiveKeys, { about: 'What is learnt from the traffic itself.' }),
  keys =>
    keys.ejectFor > keys.ejectForMax
      ? new Refused("has an 'ejectFor' longer than its 'ejectForMax'")
      : {
          consecutiveFailures: keys.failures,
          failureShare: keys.share,
          requestsMin: keys.requestsMin,
          windowMs: keys.window,
          latencyFactor: keys.latencyFactor,
          ejectBaseMs: keys.ejectFor,
          ejectMaxMs: keys.ejectForMax,
          ejectShareMax: keys.ejectShare,
        },
)

const passiveOff: Passive = {
  consecutiveFailures: 0,
  failureShare: 0,
  requestsMin: 1,
  windowMs: 1000,
  latencyFactor: 0,
  ejectBaseMs: 1000,
  ejectMaxMs: 1000,
  ejectShareMax: 0,
}

export interface ProbeSettings {
  readonly kind: 'http' | 'tcp'
  readonly path: string
  readonly host?: string
  readonly intervalMs: number
  readonly timeoutMs: number
  readonly expectStatus: { readonly from: number; readonly to: number }
}

/** What `health` gives: the edge's settings, and the probe that also tells when an instance is ready. */
export interface CheckedProbing {
  readonly health: CheckedHealth
  readonly probe: ProbeSettings
}

const healthObject: Schema<CheckedProbing> = into(
  strict(
    {
      path: text(
        "Path of an HTTP probe, such as '/healthz'. Left out: a TCP connection is the probe.",
        'a path that begins with /',
        {
          pattern: /^\/[!-~]*$/,
        },
      ).optional(),
      tcp: flag(
        '`true`: probe by TCP connection (the default without `path`). `false`: no active probes at all.',
      ).optional(),
      host: text("Host header of HTTP probes. Left out: the member's address.", 'a host name', {
        pattern: /^[!-~]+$/,
        lengthMax: 253,
      }).optional(),
      interval: duration('Between two probes of a member.', '100ms', '1h').prefault('2s'),
      timeout: duration('After which a probe has failed.', '10ms', '1m').prefault('1s'),
      rise: whole('Good probes in a row after which a member comes back.', 1, 100).prefault(2),
      fall: whole('Failed probes in a row after which a member leaves.', 1, 100).prefault(2),
      jitter: decimal('Share of the interval by which each probe is moved at random.', 0, 1).prefault(0.2),
      status: statusRange('Statuses that count as healthy.').prefault('200-399'),
      passive: either(
        'What is learnt from the traffic itself; `false` switches it off.',
        off('No ejection by traffic.'),
        passive,
      ).prefault({}),
      panic: decimal(
        'Below this share of healthy members all are used, healthy or not. 0 = never.',
        0,
        1,
      ).prefault(0.3),
    },
    { about: 'How it is known that members work.' },
  ),
  keys => {
    if (keys.path !== undefined && keys.tcp !== undefined)
      return new Refused(
        "sets both 'path' and 'tcp'",
        "Keep 'path' for HTTP probes, or 'tcp' for connections.",
      )
    const probe: ProbeSettings = {
      kind: keys.path === undefined ? 'tcp' : 'http',
      path: keys.path ?? '/',
      ...(keys.host === undefined ? {} : { host: keys.host }),
      intervalMs: keys.interval,
      timeoutMs: keys.timeout,
      expectStatus: keys.status,
    }
    const active =
      keys.tcp === false ? null : { ...probe, rise: keys.rise, fall: keys.fall, jitter: keys.jitter }
    return { probe, health: { active, passive: keys.passive || passiveOff, panicShare: keys.panic } }
  },
)

const healthOff: Schema<CheckedProbing> = into(off('No probes and no ejection.'), () => ({
  health: { active: null, passive: passiveOff, panicShare: 0 },
  probe: { kind: 'tcp', path: '/', intervalMs: 2000, timeoutMs: 1000, expectStatus: { from: 200, to: 399 } },
}))

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
    },
    { about: 'Circuit limits: what is too much for one member, and who waits.' },
  ),
  keys => ({
    connectionsMax: keys.connections,
    inFlightMax: keys.inFlight,
    pendingMax: keys.pending,
    pendingTimeoutMs: keys.pendingTimeout,
  }),
)

const retryKeys = {
  attempts: whole('Further attempts after the first. 0 = none.', 0, 10),
  share: decimal('Retries may be at most this share of the active requests.', 0, 1),
  budgetMin: whole('Retries that may always run at once, however few requests are active.', 0, 10_000),
  perTryTimeout: duration(
    'For one attempt, to the first byte of its response. Left out: only `timeouts.response`.',
    '1ms',
    '10m',
  ).optional(),
  backoff: duration(
    'Before the second attempt, at random between 0 and this; doubles with each further one.',
    '0ms',
    '1m',
  ),
  backoffMax: duration('The longest back-off.', '0ms', '1m'),
  onStatus: listOf(
    'Statuses that are tried again, for idempotent methods only.',
    whole('A status.', 400, 599),
    16,
  ),
}

const retry: Schema<CheckedRetry> = into(
  strict(
    {
      ...retryKeys,
      attempts: retryKeys.attempts.prefault(2),
      share: retryKeys.share.prefault(0.2),
      budgetMin: retryKeys.budgetMin.prefault(3),
      backoff: retryKeys.backoff.prefault('25ms'),
      backoffMax: retryKeys.backoffMax.prefault('250ms'),
      onStatus: retryKeys.onStatus.prefault([]),
    },
    { about: 'Second attempts of requests that HTTP allows to be repeated.' },
  ),
  keys =>
    keys.backoff > keys.backoffMax
      ? new Refused("has a 'backoff' longer than its 'backoffMax'")
      : defined({
          attempts: keys.attempts,
          budgetShare: keys.share,
          budgetMin: keys.budgetMin,
          perTryTimeoutMs: keys.perTryTimeout,
          backoffBaseMs: keys.backoff,
          backoffMaxMs: keys.backoffMax,
          onStatus: keys.onStatus,
        }),
)

const retryOff: Schema<CheckedRetry> = into(off('No second attempts.'), () => ({
  attempts: 0,
  budgetShare: 0,
  budgetMin: 0,
  backoffBaseMs: 0,
  backoffMaxMs: 0,
  onStatus: [],
}))

/** A route's `retry`: only what it changes of its service's. */
export const routeRetry: Schema<Partial<CheckedRetry>> = either(
  "What this route changes of its service's `retry`; `false`: no second attempts.",
  into(off('No second attempts on this route.'), (): Partial<CheckedRetry> => ({ attempts: 0 })),
  into(
    strict({
      attempts: retryKeys.attempts.optional(),
      share: retryKeys.share.optional(),
      budgetMin: retryKeys.budgetMin.optional(),
      perTryTimeout: retryKeys.perTryTimeout,
      backoff: retryKeys.backoff.optional(),
      backoffMax: retryKeys.backoffMax.optional(),
      onStatus: retryKeys.onStatus.optional(),
    }),
    (keys): Partial<CheckedRetry> =>
      defined({
        attempts: keys.attempts,
        budgetShare: keys.share,
        budgetMin: keys.budgetMin,
        perTryTimeoutMs: keys.perTryTimeout,
        backoffBaseMs: keys.backoff,
        backoffMaxMs: keys.backoffMax,
        onStatus: keys.onStatus,
      }),
  ),
)

export const hedge: Schema<CheckedHedge> = into(
  strict(
    {
      percentile: decimal(
        "A second attempt of a GET or HEAD starts after this percentile of the members' latency.",
        50,
        99.9,
      ).prefault(95),
      delayMin: duration('But never before this.', '1ms', '1m').prefault('10ms'),
    },
    {
      about:
        'Second attempts of safe methods that take unusually long, counted in the retry budget. Left out: none.',
    },
  ),
  keys => ({ percentile: keys.percentile, delayMinMs: keys.delayMin }),
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
} = {
  balance: either('How members are chosen.', balanceWord, balanceObject).prefault('round-robin'),
  health: either(
    'How it is known that members work; `false`: it is not looked at.',
    healthOff,
    healthObject,
  ).prefault({}),
  limits: limits.prefault({}),
  retry: either('Second attempts; `false`: none.', retryOff, retry).prefault({}),
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
  })
}
