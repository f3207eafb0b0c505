// How many requests come: a day, in the mean, at the peak; by kind of request and in all.

import type { CheckedActionLoad } from '../file/checked-workload.ts'
import type { Context } from './context.ts'
import type { Term } from './sheet.ts'

export interface ActionTerms {
  readonly name: string
  readonly load: CheckedActionLoad
  /** Where it stands below `workload`: `reads`, `actions.search`. */
  readonly path: string
  readonly perDay: Term
  readonly mean: Term
  readonly peak: Term
}

export interface LoadTerms {
  readonly actions: readonly ActionTerms[]
  readonly perDay: Term
  readonly mean: Term
  readonly peak: Term
  readonly peakFactor: Term
  readonly day: Term
}

export function addLoad(c: Context): LoadTerms {
  const { sheet, workload } = c
  const day = c.assume('seconds of a day', 86_400, 'seconds')
  const peakFactor = c.told('peak', workload.peakFactor, 'times')
  const actions = Object.entries(workload.actions).map(([name, load]) =>
    action(c, name, load, peakFactor, day),
  )
  const part = (kind: 'read' | 'write'): readonly Term[] =>
    actions.filter(one => one.load.kind === kind).map(one => one.perDay)
  const unit = 'requests/day'
  const section = 'load'
  const reads = sheet.sum({ id: 'load.readsPerDay', section, label: 'Reads a day', unit }, part('read'))
  const writes = sheet.sum({ id: 'load.writesPerDay', section, label: 'Writes a day', unit }, part('write'))
  const perDay = sheet.add({
    id: 'load.perDay',
    section,
    label: 'Requests a day',
    unit,
    formula: 'reads + writes',
    with: { reads, writes },
  })
  const mean = sheet.add({
    id: 'load.mean',
    section,
    label: 'Mean rate',
    unit: 'requests/s',
    formula: 'per_day / day',
    with: { per_day: perDay, day },
  })
  const peak = sheet.add({
    id: 'load.peak',
    section,
    label: 'Peak rate',
    unit: 'requests/s',
    formula: 'mean * peak_factor',
    with: { mean, peak_factor: peakFactor },
  })
  return { actions, perDay, mean, peak, peakFactor, day }
}

function action(c: Context, name: string, load: CheckedActionLoad, peakFactor: Term, day: Term): ActionTerms {
  const { sheet, workload, times, years } = c
  const path = name === 'reads' || name === 'writes' ? name : `actions.${name}`
  const more = [...(times === 1 ? [] : ['times']), ...(years === 0 ? [] : ['(1 + growth) ^ years'])]
  const extra = {
    ...(times === 1 ? {} : { times: c.option('--times', times, 'times') }),
    ...(years === 0
      ? {}
      : {
          growth: c.told('growth', workload.growthPerYear, 'share'),
          years: c.option('--growth-years', years, 'years'),
        }),
  }
  const byUser = load.perUser !== null
  const perDay = sheet.add({
    id: `load.${name}.perDay`,
    section: 'load',
    label: `${name} a day`,
    unit: 'requests/day',
    formula: [byUser ? 'users * per_user' : 'rate * day', ...more].join(' * '),
    with: {
      ...(byUser
        ? {
            users: c.told('dailyUsers', workload.dailyUsers ?? 0, 'count'),
            per_user: c.told(`${path}.perUser`, load.perUser ?? 0, 'count'),
          }
        : { rate: c.told(`${path}.rate`, load.ratePerSecond ?? 0, 'requests/s'), day }),
      ...extra,
    },
  })
  const mean = sheet.add({
    id: `load.${name}.mean`,
    section: 'load',
    label: `${name}, mean rate`,
    unit: 'requests/s',
    formula: 'per_day / day',
    with: { per_day: perDay, day },
  })
  const peak = sheet.add({
    id: `load.${name}.peak`,
    section: 'load',
    label: `${name}, peak rate`,
    unit: 'requests/s',
    formula: 'mean * peak_factor',
    with: { mean, peak_factor: peakFactor },
  })
  return { name, load, path, perDay, mean, peak }
}
