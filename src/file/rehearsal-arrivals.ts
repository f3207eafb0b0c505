// The key `arrivals` of a rehearsal: how many requests come, in which rhythm; and `clients`: what people do who wait too
// long or get an error.

import type { CheckedArrivalShape, CheckedArrivals, CheckedClients } from './checked-rehearsals.ts'
import { nearestRate, perSecond } from './load-values.ts'
import { either, into, strict } from './shapes.ts'
import { filePath } from './tls.ts'
import { choice, decimal, duration, flag, Refused, type Schema, whole } from './values.ts'

type Level = CheckedArrivals['level']

const levelWords = choice("The workload's mean of a day, or its peak.", ['mean', 'peak'])

/** Which level is meant where none is said: a day goes around its mean. */
const level: Schema<Level> = either(
  'How many come: the `mean` or the `peak` of the workload, or a rate of all actions together, in their proportions.',
  into(levelWords, (kind): Level => ({ kind, times: 1 })),
  into(perSecond('A rate of all actions together.'), (rate): Level => ({ kind: 'rate', perSecond: rate })),
)

const flash: Schema<CheckedArrivalShape> = into(
  strict(
    {
      at: duration('When it begins, from the end of the warm-up on.', '0ms', '365d'),
      times: decimal('How many times the level it rises to.', 1, 100_000),
      ramp: duration('How long it rises.', '0ms', '24h').prefault('10s'),
      hold: duration('How long it stays.', '0ms', '30d').prefault('1m'),
      fade: duration('The mean life with which it fades. 0ms: it ends at once.', '0ms', '30d').prefault('1m'),
    },
    { about: 'A crowd that comes at once: it rises, stays, and fades.' },
  ),
  keys => ({
    kind: 'flash' as const,
    atMs: keys.at,
    times: keys.times,
    rampMs: keys.ramp,
    holdMs: keys.hold,
    fadeMs: keys.fade,
  }),
)

const diurnal: Schema<CheckedArrivalShape> = into(
  strict(
    {
      lowest: decimal('The least of a day, of its mean; its most is as far above.', 0, 1).prefault(0.4),
      peakAt: duration('The time of day of the most.', '0ms', '24h').prefault('20h'),
      startAt: duration('The time of day at which the rehearsal begins.', '0ms', '24h').prefault('0ms'),
    },
    { about: 'A day: one wave around the level.' },
  ),
  keys => ({
    kind: 'diurnal' as const,
    lowest: keys.lowest,
    peakAtMs: keys.peakAt,
    startAtMs: keys.startAt,
  }),
)

const shapeKeys = {
  bursty: decimal(
    'In bursts: the squared coefficient of variation of the gaps; 1 would be Poisson.',
    1.000001,
    10_000,
  ).optional(),
  flash: flash.optional(),
  diurnal: diurnal.optional(),
  trace: filePath(
    'A file of what came once: `time,count` or one arrival a line; its mean stands for the level',
  ).optional(),
}

const shape: Schema<CheckedArrivalShape> = either(
  'In which rhythm they come. Left out: Poisson, each by itself.',
  into(
    choice('`poisson`: each by itself. `even`: equal gaps.', ['poisson', 'even']),
    (kind): CheckedArrivalShape => ({
      kind,
    }),
  ),
  into(strict(shapeKeys, { about: 'A rhythm with settings.' }), (keys): CheckedArrivalShape | Refused => {
    const said = Object.entries(keys).filter(([, value]) => value !== undefined)
    if (said.length !== 1)
      return new Refused(
        said.length === 0
          ? 'names no rhythm'
          : `names several rhythms: ${said.map(([key]) => key).join(', ')}`,
        "Write one: { bursty: 4 }, { flash: { at: '2m', times: 10 } }, { diurnal: {} } or { trace: 'file.csv' }.",
      )
    if (keys.bursty !== undefined) return { kind: 'bursty', cv2: keys.bursty }
    if (keys.trace !== undefined) return { kind: 'trace', file: keys.trace }
    return (keys.flash ?? keys.diurnal) as CheckedArrivalShape
  }),
)

const detailed: Schema<CheckedArrivals> = into(
  strict(
    {
      level: level.optional(),
      times: decimal('That many times as much.', 0.000001, 1_000_000).prefault(1),
      shape: shape.prefault('poisson'),
    },
    {
      about: 'With settings.',
      elsewhere: {
        rate: "Did you mean 'level'?",
        flash: "Write shape: { flash: { at: '2m', times: 10 } }.",
        bursty: 'Write shape: { bursty: 4 }.',
        even: "Write shape: 'even'.",
        diurnal: 'Write shape: { diurnal: {} }.',
        trace: "Write shape: { trace: 'file.csv' }.",
      },
    },
  ),
  ({ level: told, times, shape: rhythm }) => {
    const fallback: Level = { kind: rhythm.kind === 'diurnal' ? 'mean' : 'peak', times: 1 }
    return { level: multiplied(told ?? fallback, times), shape: rhythm }
  },
)

const multiplied = (one: Level, times: number): Level =>
  one.kind === 'rate'
    ? { ...one, perSecond: nearestRate(one.perSecond * times) }
    : { ...one, times: one.times * times }

/** `peak` where nothing is said. */
export const arrivals: Schema<CheckedArrivals> = either(
  "Requests: `'peak'`, `'mean'`, `'500/s'`, or with a rhythm: `{ level: 'peak', times: 4, shape: 'even' }`.",
  into(level, (told): CheckedArrivals => ({ level: told, shape: { kind: 'poisson' } })),
  detailed,
)

export const clients: Schema<CheckedClients> = into(
  strict(
    {
      patience: duration('How long they wait for an answer. Left out: for ever.', '1ms', '24h').optional(),
      retries: whole('How often they try again after an error, or after they gave up.', 0, 100).prefault(0),
      backoff: duration('Before the second try; doubles with each further one.', '0ms', '1h').prefault(
        '100ms',
      ),
      backoffMax: duration('The longest wait before a try.', '0ms', '24h').prefault('10s'),
      jitter: flag('They wait a random part of it, as they should. false: they come back together.').prefault(
        true,
      ),
    },
    { about: 'What people, or their programs, do.', elsewhere: { timeout: "Did you mean 'patience'?" } },
  ),
  keys =>
    keys.backoff > keys.backoffMax
      ? new Refused("have a 'backoff' longer than their 'backoffMax'", 'Swap them.')
      : {
          patienceMs: keys.patience ?? null,
          retries: keys.retries,
          backoffBaseMs: keys.backoff,
          backoffMaxMs: keys.backoffMax,
          jitter: keys.jitter,
        },
)
