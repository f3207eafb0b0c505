// The key `health`: active probes, ejection by traffic, panic. What it says of probes also tells when an instance is ready.

import type { CheckedHealth } from './checked.ts'
import { either, into, strict } from './shapes.ts'
import { decimal, duration, flag, leaf, off, Refused, type Schema, text, whole } from './values.ts'

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
          : ((typeof value === 'string' ? /^(\d{3})-(\d{3})$/.exec(value) : null)?.slice(1).map(Number) ?? [])
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

export const health: Schema<CheckedProbing> = either(
  'How it is known that members work; `false`: it is not looked at.',
  healthOff,
  healthObject,
)
