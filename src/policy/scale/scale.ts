// How many instances a service is to have: the Kubernetes horizontal autoscaler's algorithm (its documentation "Algorithm
// details" and autoscaling/v2 behaviour) over several metrics, with a tolerance for each direction, warm-up, a schedule and a
// bound on ways down. Decides only; whoever asks measures and obeys.

import type { ScaleDirection, ScaleMetric, ScaleSettings } from './settings.ts'

/** One instance: null where nothing is known. */
export interface ScaleObservation {
  /** Since when it is ready, microseconds; null: it starts. */
  readonly readySinceUs: number | null
  /** By the order of `settings.metrics`. */
  readonly values: readonly (number | null)[]
}

export interface ScaleState {
  /** What was wanted at earlier decisions within the longest window; oldest first. */
  readonly wanted: readonly { readonly atUs: number; readonly to: number }[]
  /** What was changed, within an hour; oldest first. */
  readonly changes: readonly { readonly atUs: number; readonly by: number }[]
}

export const newScaleState: ScaleState = { wanted: [], changes: [] }

export type ScalePlan =
  | { readonly kind: 'hold'; readonly why: string }
  | { readonly kind: 'resize'; readonly to: number; readonly why: string }

const hourUs = 3_600_000_000
/** Entries kept of each list: a decision a second for an hour. */
const keptMax = 3_600

/**
 * @param nowUs monotonic @param wallMs of the schedule, since 1970
 * @param current instances that are wanted now, those that start among them
 */
export function decideScale(
  nowUs: number,
  wallMs: number,
  current: number,
  instances: readonly ScaleObservation[],
  state: ScaleState,
  settings: ScaleSettings,
): [ScaleState, ScalePlan] {
  const bounds = boundsAt(wallMs, settings)
  const asked = askedBy(nowUs, current, instances, settings)
  const longestUs = Math.max(settings.up.stabilisationMs, settings.down.stabilisationMs) * 1_000
  const wanted = kept([...state.wanted, { atUs: nowUs, to: asked.to }], nowUs - longestUs)
  const changes = kept(state.changes, nowUs - hourUs)
  const steady = stabilised(nowUs, current, asked, wanted, settings)
  const paced = atPace(nowUs, current, steady, changes, settings)
  const bounded = within(bounds, paced)
  const next = (by: number): ScaleState => ({
    wanted,
    changes: by === 0 ? changes : kept([...changes, { atUs: nowUs, by }], nowUs - hourUs),
  })
  if (bounded.to === current) return [next(0), { kind: 'hold', why: bounded.why }]
  const downs = changes.filter(({ by }) => by < 0).length
  const belowMax = current <= bounds.max
  if (
    bounded.to < current &&
    belowMax &&
    settings.downsPerHourMax !== null &&
    downs >= settings.downsPerHourMax
  )
    return [
      next(0),
      { kind: 'hold', why: `${bounded.why}; but it went down ${downs} times within an hour already` },
    ]
  return [next(bounded.to - current), { kind: 'resize', to: bounded.to, why: bounded.why }]
}

interface Wish {
  readonly to: number
  readonly why: string
}

interface Bounds {
  readonly min: number
  readonly max: number
}

/** The first entry of the schedule that covers the moment, else the settings' own. */
export function boundsAt(wallMs: number, { min, max, schedule }: ScaleSettings): Bounds {
  const day = Math.floor(wallMs / 86_400_000)
  const minute = Math.floor((wallMs - day * 86_400_000) / 60_000)
  // 1970-01-01 was a Thursday.
  const weekday = (((day + 4) % 7) + 7) % 7
  const entry = schedule.find(({ days, fromMinute, toMinute }) => {
    if (fromMinute < toMinute) return days.includes(weekday) && minute >= fromMinute && minute < toMinute
    return (
      (days.includes(weekday) && minute >= fromMinute) ||
      (days.includes((weekday + 6) % 7) && minute < toMinute)
    )
  })
  return entry ?? { min, max }
}

/** Over all metrics the most; where one is not known, nobody goes down. */
function askedBy(
  nowUs: number,
  current: number,
  instances: readonly ScaleObservation[],
  settings: ScaleSettings,
): Wish {
  const wishes = settings.metrics.map((metric, at) =>
    byMetric(nowUs, current, instances, metric, at, settings),
  )
  const known = wishes.filter(wish => wish !== null)
  if (known.length === 0) return { to: current, why: 'no metric is known' }
  const most = known.reduce((best, wish) => (wish.to > best.to ? wish : best))
  if (known.length < wishes.length && most.to < current)
    return { to: current, why: `${most.why}; but not all metrics are known, so it does not go down` }
  return most
}

/** ceil(instances x mean / target); null: no instance says anything. */
function byMetric(
  nowUs: number,
  current: number,
  instances: readonly ScaleObservation[],
  metric: ScaleMetric,
  at: number,
  settings: ScaleSettings,
): Wish | null {
  const warmUs = metric.kind === 'cpu' ? settings.warmupMs * 1_000 : 0
  const isUp = (one: ScaleObservation): boolean =>
    one.readySinceUs !== null && nowUs - one.readySinceUs >= warmUs
  const ready = instances.filter(one => isUp(one) && one.values[at] !== null)
  const missing = instances.filter(one => isUp(one) && one.values[at] === null).length
  const starting = instances.filter(one => !isUp(one)).length
  if (ready.length === 0) return null
  const sum = ready.reduce((total, one) => total + (one.values[at] ?? 0), 0)
  const ratio = sum / ready.length / metric.target
  const said = `${metric.kind} ${figure(metric, sum / ready.length)} of ${figure(metric, metric.target)}`
  if (missing === 0 && starting === 0) return wish(current, ready.length, ratio, said, settings)
  // Those that say nothing count as idle on the way up, as at the target on the way down; those that start as idle.
  const assumed = ratio > 1 ? 0 : missing * metric.target
  const counted = ready.length + missing + (ratio > 1 ? starting : 0)
  const damped = (sum + assumed) / counted / metric.target
  if (isTolerated(damped, settings) || ratio > 1 !== damped > 1)
    return { to: current, why: `${said}, with those that start or say nothing near enough` }
  const next = wish(current, counted, damped, said, settings)
  const turned = (ratio > 1 && next.to < current) || (ratio < 1 && next.to > current)
  return turned ? { to: current, why: `${said}, with those that start or say nothing near enough` } : next
}

function isTolerated(ratio: number, { up, down }: ScaleSettings): boolean {
  // Rounding of floating point must not make an exact 1.1 more than 1.1.
  const slack = 1e-9
  return ratio >= 1 ? ratio - 1 <= up.tolerance + slack : 1 - ratio <= down.tolerance + slack
}

function wish(current: number, counted: number, ratio: number, said: string, settings: ScaleSettings): Wish {
  if (isTolerated(ratio, settings)) return { to: current, why: `${said}: near enough` }
  const to = Math.max(1, Math.ceil(counted * ratio - 1e-9))
  return { to, why: said }
}

/** Upwards the least that was wanted within its window, downwards the most within its own. */
function stabilised(
  nowUs: number,
  current: number,
  asked: Wish,
  wanted: ScaleState['wanted'],
  { up, down }: ScaleSettings,
): Wish {
  const since = (ms: number): number[] =>
    wanted.filter(one => one.atUs >= nowUs - ms * 1_000).map(one => one.to)
  const least = Math.min(asked.to, ...since(up.stabilisationMs))
  const most = Math.max(asked.to, ...since(down.stabilisationMs))
  if (asked.to > current && least < asked.to) {
    const to = Math.max(current, least)
    return { to, why: `${asked.why}, wants ${asked.to}; not for as long yet as going up needs` }
  }
  if (asked.to < current && most > asked.to) {
    const to = Math.min(current, most)
    return { to, why: `${asked.why}, wants ${asked.to}; ${most} were needed a short while ago` }
  }
  return asked
}

/** No faster than the steps of its direction allow. */
function atPace(
  nowUs: number,
  current: number,
  asked: Wish,
  changes: ScaleState['changes'],
  { up, down }: ScaleSettings,
): Wish {
  if (asked.to === current) return asked
  const rises = asked.to > current
  const direction = rises ? up : down
  if (direction.select === 'off')
    return { to: current, why: `${asked.why}, wants ${asked.to}; going ${rises ? 'up' : 'down'} is off` }
  if (direction.steps.length === 0) return asked
  const limits = direction.steps.map(step => {
    const recent = changes.filter(change => change.atUs > nowUs - step.periodMs * 1_000)
    const began = current - recent.reduce((sum, { by }) => sum + (by > 0 === rises ? by : 0), 0)
    const amount = step.by === 'count' ? step.amount : began * step.amount
    return rises ? Math.ceil(began + amount - 1e-9) : Math.floor(began - amount + 1e-9)
  })
  const limit = limitOf(direction, rises, limits)
  const to = rises
    ? Math.max(current, Math.min(asked.to, limit))
    : Math.min(current, Math.max(asked.to, limit))
  return to === asked.to
    ? asked
    : { to, why: `${asked.why}, wants ${asked.to}; no faster than its steps allow` }
}

function limitOf({ select }: ScaleDirection, rises: boolean, limits: readonly number[]): number {
  const highest = rises === (select === 'most')
  return highest ? Math.max(...limits) : Math.min(...limits)
}

function within({ min, max }: Bounds, asked: Wish): Wish {
  if (asked.to > max) return { to: max, why: `${asked.why}, wants ${asked.to}; ${max} is the most` }
  return asked.to < min ? { to: min, why: `${asked.why}, wants ${asked.to}; ${min} is the least` } : asked
}

function kept<T extends { readonly atUs: number }>(list: readonly T[], sinceUs: number): readonly T[] {
  return list.filter(({ atUs }) => atUs >= sinceUs).slice(-keptMax)
}

function figure({ kind }: ScaleMetric, value: number): string {
  if (kind === 'cpu') return `${Math.round(value * 100)} %`
  return `${Number(value.toPrecision(3))}${kind === 'rate' ? '/s' : ''}`
}
