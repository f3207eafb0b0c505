// The key `expect` of a rehearsal: `p99: '<200ms'`, `'reads.p99': '<100ms'`, `staleReads: 0`. It knows units and
// comparisons; whose figure is meant is found by rehearsal-targets.ts.

import * as z from 'zod'
import {
  type CheckedExpectation,
  type CheckedMetric,
  type MetricUnit,
  metricUnits,
  rehearsalMetrics,
} from './checked-rehearsals.ts'
import { parsePerSecond, parseTimeUs } from './load-values.ts'
import { isObject } from './plain.ts'
import { nearest, type Refusal, Refused, refusal, type Schema } from './values.ts'

export const expectationsMax = 200

/** An expectation whose `of` is still a text: `reads`, `database:main`. */
export type ParsedExpectation = Omit<CheckedExpectation, 'of' | 'ofKind'> & { readonly of: string | null }

const boundPattern = /^(<=|>=|<|>|=)? *([0-9].*)$/
const keyPattern = /^(?:((?:[a-z]+:)?[A-Za-z][A-Za-z0-9-]*)\.)?([A-Za-z0-9]+)$/

const examples: Readonly<Record<MetricUnit, string>> = {
  ms: "'<200ms'",
  share: "'<0.1%'",
  count: "0 or '<=3'",
  'per second': "'>500/s'",
}

/** A refusal's remedy is the value that was probably meant. */
function boundValue(text: string, unit: MetricUnit): number | Refused {
  const wrong = new Refused(`is not a bound as ${examples[unit]}`)
  if (unit === 'ms') {
    const us = parseTimeUs(text)
    return us === undefined
      ? /^\d+$/.test(text)
        ? new Refused('has no unit', `${text}ms`)
        : wrong
      : us / 1000
  }
  if (unit === 'per second') return parsePerSecond(text) ?? wrong
  const number = /^\d{1,15}(?:\.\d{1,9})?%?$/.test(text) ? Number.parseFloat(text) : Number.NaN
  if (Number.isNaN(number)) return wrong
  if (unit === 'count') return /^\d+$/.test(text) ? number : new Refused('is not a whole number')
  const share = text.endsWith('%') ? Number((number / 100).toFixed(9)) : number
  return share <= 1 ? share : new Refused('is above 1', text.endsWith('%') ? undefined : `${text}%`)
}

function expectationOf(key: string, value: unknown): ParsedExpectation | Refusal {
  const [, of = null, metric = ''] = keyPattern.exec(key) ?? []
  const unit = Object.hasOwn(metricUnits, metric) ? metricUnits[metric as CheckedMetric] : undefined
  if (unit === undefined) {
    const near = nearest(metric || key, rehearsalMetrics)
    return {
      code: 'unknownKey',
      message: 'is not a figure that can be expected',
      allowed: `${rehearsalMetrics.join(', ')}; of a part as 'reads.p99'`,
      ...(near ? { remedy: `Did you mean '${of === null ? '' : `${of}.`}${near}'?` } : {}),
    }
  }
  const allowed = `a bound such as ${examples[unit]}`
  const text = typeof value === 'number' ? `${value}` : value
  const match = typeof text === 'string' && text.length <= 40 ? boundPattern.exec(text) : null
  if (!match) return { code: 'value', message: 'is not a bound', allowed }
  const [, compare, bound = ''] = match
  const number = boundValue(bound, unit)
  if (number instanceof Refused) {
    const { code, message, remedy } = number.refusal()
    return { code, message, allowed, ...(remedy ? { remedy: `Write '${compare ?? '<'}${remedy}'.` } : {}) }
  }
  if (compare === undefined && unit !== 'count' && number !== 0)
    return {
      code: 'value',
      message: 'does not say whether more or less is wanted',
      allowed,
      remedy: `Write '<${bound}' or '>${bound}'.`,
    }
  return {
    text: `${key}: ${text}`,
    of,
    metric: metric as CheckedMetric,
    compare: (compare ?? '=') as CheckedExpectation['compare'],
    value: number,
  }
}

const allowed = "an object of figures with their bounds, such as { p99: '<200ms', staleReads: 0 }"

/** Which figure it is decides what its bound may be: so one schema for all of them, and a problem for each that is wrong. */
export const expectations: Schema<readonly ParsedExpectation[]> = z
  .unknown()
  .transform((value, context): readonly ParsedExpectation[] => {
    if (!isObject(value))
      return refusal(context, value, { code: 'value', message: 'is not an object', allowed })
    const bounds = Object.entries(value).flatMap(([key, one]) =>
      Array.isArray(one)
        ? one.map((single, index) => ({ path: [key, index], single }))
        : [{ path: [key], single: one }],
    )
    if (bounds.length > expectationsMax)
      return refusal(context, value, {
        code: 'value',
        message: `has ${bounds.length} bounds`,
        allowed: `at most ${expectationsMax} bounds`,
      })
    return bounds.flatMap(({ path, single }) => {
      const made = expectationOf(path[0] as string, single)
      if (!('code' in made)) return [made]
      context.addIssue({
        code: 'custom',
        input: single,
        path: [...path],
        message: made.message,
        params: { refusal: made },
      })
      return []
    })
  })
  .meta({
    description:
      "What must come out, by figure: `{ p99: '<200ms', errors: '<0.1%', 'reads.p99': '<100ms', staleReads: 0 }`. `tenfold simulate --check` fails where it does not.",
    type: 'object',
    maxProperties: expectationsMax,
    propertyNames: { type: 'string', pattern: keyPattern.source },
    'x-allowed': `figures (${rehearsalMetrics.join(', ')}; of a part as 'reads.p99') with bounds such as '<200ms', '<0.1%', '>500/s' or 0, or lists of such`,
    'x-type': '{ readonly [figure: string]: number | string | readonly (number | string)[] }',
  }) as Schema<readonly ParsedExpectation[]>
