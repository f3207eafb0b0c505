// The key `scale` of a service's `instances`: how many there are is decided by what they do (policy/scale). Gives that
// policy's settings without the bounds, which stand beside it.

import type {
  ScaleDirection,
  ScaleMetric,
  ScaleSchedule,
  ScaleSettings,
  ScaleStep,
} from '../policy/scale/index.ts'
import { perSecond, perSecondText, wideShare } from './load-values.ts'
import { into, listOf, strict } from './shapes.ts'
import { choice, decimal, duration, durationText, leaf, Refused, type Schema, whole } from './values.ts'

export type CheckedScale = Omit<ScaleSettings, 'min' | 'max'>

const step: Schema<ScaleStep> = into(
  strict(
    {
      share: wideShare(
        'Of the instances at the beginning of `within`: `100%` doubles, or takes all but the least away.',
        0.01,
        100,
      ).optional(),
      count: whole('So many instances.', 1, 1000).optional(),
      within: duration('In any stretch of so long.', '1s', '30m'),
    },
    { about: 'A bound on how fast.' },
  ),
  ({ share, count, within }) => {
    if ((share === undefined) === (count === undefined))
      return new Refused("needs one of 'share' and 'count'", "Write { count: 4, within: '15s' }.")
    return share === undefined
      ? { by: 'count' as const, amount: count as number, periodMs: within }
      : { by: 'share' as const, amount: share, periodMs: within }
  },
)

function direction(
  about: string,
  defaults: { readonly after: string; readonly steps: readonly object[] },
): Schema<ScaleDirection> {
  return into(
    strict(
      {
        tolerance: wideShare('Of the target: nearer than this nothing is done.', 0, 10).prefault(0.1),
        after: duration(
          'Only when this was wanted for so long: a short peak or gap changes nothing.',
          '0ms',
          '1h',
        ).prefault(defaults.after),
        steps: listOf('At most so fast; none: at once.', step, 20).prefault(defaults.steps as never),
        select: choice('The step that allows most, or least; `off`: never in this direction.', [
          'most',
          'least',
          'off',
        ]).prefault('most'),
      },
      { about },
    ),
    keys => ({
      tolerance: keys.tolerance,
      stabilisationMs: keys.after,
      steps: keys.steps,
      select: keys.select,
    }),
  ).prefault({}) as Schema<ScaleDirection>
}

const dayNames = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const

const clockTime: Schema<number> = leaf<number>({
  about: 'A time of the day, UTC.',
  allowed: "a time such as '08:30', from '00:00' to '24:00'",
  json: { type: 'string', pattern: String.raw`^([01]\d|2[0-4]):[0-5]\d$` },
  parse: value => {
    const match = typeof value === 'string' ? /^([01]\d|2[0-4]):([0-5]\d)$/.exec(value) : null
    const minutes = match ? Number(match[1]) * 60 + Number(match[2]) : -1
    return minutes >= 0 && minutes <= 1440 ? minutes : undefined
  },
})

const entry: Schema<ScaleSchedule> = into(
  strict(
    {
      days: listOf('Days of the week; left out: all.', choice('A day.', dayNames), 7, 1).optional(),
      from: clockTime,
      to: clockTime,
      min: whole('At least so many in that time.', 1, 1000),
      max: whole('At most so many in that time.', 1, 1000),
    },
    { about: 'Other bounds for a part of the day. `from` after `to` goes over midnight.' },
  ),
  ({ days, from, to, min, max }) => {
    if (min > max) return new Refused(`has 'min' ${min} above 'max' ${max}`, "Swap them, or raise 'max'.")
    if (from === to)
      return new Refused('begins when it ends', "Write from: '00:00', to: '24:00' for the whole day.")
    const numbers = days === undefined ? [0, 1, 2, 3, 4, 5, 6] : days.map(day => dayNames.indexOf(day))
    return { days: numbers, fromMinute: from, toMinute: to, min, max }
  },
)

export const scale: Schema<CheckedScale> = into(
  strict(
    {
      cpu: wideShare(
        'Aim at so much of a core for each instance, on average: `60%`. An instance that works on several cores may say more.',
        0.01,
        64,
      ).optional(),
      inFlight: decimal('Aim at so many requests at once for each instance.', 0.01, 100_000).optional(),
      rate: perSecond('Aim at so many requests a second for each instance.').optional(),
      every: duration('Between two decisions.', '1s', '10m').prefault('15s'),
      warmup: duration(
        'An instance younger than this has no say in `cpu`: starting is work of its own.',
        '0ms',
        '30m',
      ).prefault('30s'),
      up: direction('How more of them come.', {
        after: '0ms',
        steps: [
          { share: '100%', within: '15s' },
          { count: 4, within: '15s' },
        ],
      }),
      down: direction('How they become fewer.', { after: '5m', steps: [{ share: '100%', within: '15s' }] }),
      schedule: listOf('Other bounds at certain times; the first that fits counts.', entry, 50).prefault([]),
      downsPerHour: whole('Ways down within an hour; left out: any number.', 1, 1000).optional(),
    },
    {
      about: 'How many there are follows what they do. Of several targets the one that asks for most counts.',
      elsewhere: {
        memory:
          "'memory' is a key of the service: an instance that uses more is replaced, more of them use no less.",
        target: "Write cpu: '60%', inFlight: 20 or rate: '100/s'.",
        cooldown: "Write down: { after: '5m' }.",
        min: "'min' is a key of 'instances'.",
        max: "'max' is a key of 'instances'.",
      },
    },
  ),
  keys => {
    const metrics: ScaleMetric[] = []
    if (keys.cpu !== undefined) metrics.push({ kind: 'cpu', target: keys.cpu })
    if (keys.inFlight !== undefined) metrics.push({ kind: 'inFlight', target: keys.inFlight })
    if (keys.rate !== undefined) metrics.push({ kind: 'rate', target: keys.rate })
    if (metrics.length === 0 && keys.schedule.length === 0)
      return new Refused('has no target', "Write cpu: '60%', inFlight: 20, rate: '100/s', or a schedule.")
    return {
      metrics,
      syncMs: keys.every,
      warmupMs: keys.warmup,
      up: keys.up,
      down: keys.down,
      schedule: keys.schedule,
      downsPerHourMax: keys.downsPerHour ?? null,
    }
  },
)

/** As a file writes it. */
export function spellScale(one: CheckedScale): object {
  const target = (kind: ScaleMetric['kind']): number | undefined =>
    one.metrics.find(metric => metric.kind === kind)?.target
  const rate = target('rate')
  return {
    ...(target('cpu') === undefined ? {} : { cpu: target('cpu') }),
    ...(target('inFlight') === undefined ? {} : { inFlight: target('inFlight') }),
    ...(rate === undefined ? {} : { rate: perSecondText(rate) }),
    every: durationText(one.syncMs),
    warmup: durationText(one.warmupMs),
    up: spellDirection(one.up),
    down: spellDirection(one.down),
    schedule: one.schedule.map(({ days, fromMinute, toMinute, min, max }) => ({
      days: days.map(day => dayNames[day]),
      from: clockText(fromMinute),
      to: clockText(toMinute),
      min,
      max,
    })),
    ...(one.downsPerHourMax === null ? {} : { downsPerHour: one.downsPerHourMax }),
  }
}

function spellDirection({ tolerance, stabilisationMs, steps, select }: ScaleDirection): object {
  return {
    tolerance,
    after: durationText(stabilisationMs),
    steps: steps.map(({ by, amount, periodMs }) => ({ [by]: amount, within: durationText(periodMs) })),
    select,
  }
}

function clockText(minutes: number): string {
  return `${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`
}
