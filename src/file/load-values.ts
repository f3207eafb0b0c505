// Values of `workload` and `rehearsals` that no other part has: fine times and laws of chance, long times, rates that may
// be broken numbers, bits a second, signed shares. Each with its opposite, for spell-workload.ts.

import type { CheckedTime } from './checked-workload.ts'
import { either, into, mapOf, strict } from './shapes.ts'
import { decimal, leaf, parseDurationMs, Refused, type Schema, writtenText } from './values.ts'

const fineUnitsUs: Readonly<Record<string, number>> = {
  us: 1,
  ms: 1000,
  s: 1_000_000,
  m: 60_000_000,
  h: 3_600_000_000,
}
const finePattern = /^(\d{1,12}(?:\.\d{1,6})?)(us|ms|s|m|h)$/

/** Microseconds, to the nanosecond, of `'20us'`, `'0.4ms'`, `'2s'`; undefined for anything else. */
export function parseTimeUs(text: unknown): number | undefined {
  const match = typeof text === 'string' ? finePattern.exec(text) : null
  return match
    ? Math.round(Number(match[1]) * (fineUnitsUs[match[2] as string] as number) * 1000) / 1000
    : undefined
}

/** The shortest exact text: 400 -> `400us`, 2000 -> `2ms`. */
export function timeText(us: number): string {
  const unit = ['h', 'm', 's', 'ms'].find(name => us > 0 && us % (fineUnitsUs[name] as number) === 0) ?? 'us'
  return `${us / (fineUnitsUs[unit] as number)}${unit}`
}

/** A time from microseconds up. Gives microseconds. */
export function fineTime(about: string, min: string, max: string): Schema<number> {
  const [from, to] = [parseTimeUs(min) as number, parseTimeUs(max) as number]
  return leaf({
    about,
    allowed: `a time such as '20us', '0.4ms' or '2s', from ${min} to ${max}`,
    json: { type: 'string', pattern: finePattern.source },
    type: 'Time',
    parse: value => {
      const us = parseTimeUs(value)
      if (us === undefined) return wrongTime(value)
      if (us < from) return new Refused(`is shorter than ${min}`)
      return us > to ? new Refused(`is longer than ${max}`) : us
    },
  })
}

function wrongTime(value: unknown, units = ['ms', 's']): Refused | undefined {
  const text = writtenText(value)
  if (/^-\d/.test(text)) return new Refused('is below 0')
  return /^\d+(\.\d+)?$/.test(text)
    ? new Refused('has no unit', `Write ${units.map(unit => `'${text}${unit}'`).join(' or ')}.`)
    : undefined
}

const longest = '24h'
const quantilesMax = 200

/** Percent to six figures behind the point of a share: `p50`, `p99.9`, and as people say it `p999`, `p9999`. */
function shareOf(name: string): number {
  if (name === 'min') return 0
  if (name === 'max') return 1
  const digits = name.slice(1)
  const percent = /^99\d+$/.test(digits) ? Number(`${digits.slice(0, 2)}.${digits.slice(2)}`) : Number(digits)
  return Math.round(percent * 1e4) / 1e6
}

const quantileName = (share: number): string =>
  share === 0 ? 'min' : share === 1 ? 'max' : `p${Math.round(share * 1e6) / 1e4}`

const quantiles: Schema<CheckedTime> = into(
  mapOf(fineTime('The share of `p99` is up to this time.', '0us', longest), {
    about: 'Measured: so long at most the fastest half (`p50`), and so on up to `max`.',
    names: "`min`, `max` and shares such as 'p50', 'p90', 'p99', 'p99.9' with their times",
    pattern: /^(?:min|max|p(?:0\.\d{1,4}|[1-9]\d?(?:\.\d{1,4})?|99\d{1,4}))$/,
    entriesMax: quantilesMax,
  }),
  (map): CheckedTime | Refused => {
    const rising = Object.entries(map)
      .map(([name, us]) => ({ name, us, share: shareOf(name) }))
      .toSorted((a, b) => a.share - b.share)
    if (rising.at(-1)?.share !== 1)
      return new Refused("has no 'max'", 'Say the longest that was measured: nothing is made up beyond it.')
    for (const [index, { name, us, share }] of rising.entries()) {
      const before = rising[index - 1]
      if (before === undefined) continue
      if (before.share === share)
        return new Refused(`says '${before.name}' and '${name}', which are the same`)
      if (us < before.us) return new Refused(`has a '${name}' below its '${before.name}'`)
    }
    return rising.at(-1)?.us === 0
      ? new Refused("has a 'max' of 0")
      : { kind: 'measured', shares: rising.map(one => one.share), boundsUs: rising.map(one => one.us) }
  },
)

/** Of the standard normal law: 99 of 100 values are below it. */
const z99 = 2.3263478740408408

/** Of a log-normal law with this mean and 99th percentile; two laws fit, and the one with the shorter tail is taken. */
function sigmaOf(meanUs: number, p99Us: number): number | Refused {
  const ratio = p99Us / meanUs
  const most = Math.exp(z99 ** 2 / 2)
  if (ratio <= 1)
    return new Refused(
      "has a 'p99' that is not above its 'mean'",
      "Write { fixed: '...' } for what never varies.",
    )
  if (ratio > most)
    return new Refused(
      `has a 'p99' ${ratio.toPrecision(3)} times its 'mean', and no log-normal law goes beyond ${most.toFixed(1)}`,
      'Write what was measured: { quantiles: { p50: ..., p99: ..., max: ... } }.',
    )
  return z99 - Math.sqrt(z99 ** 2 - 2 * Math.log(ratio))
}

interface LawKeys {
  readonly fixed?: number | undefined
  readonly mean?: number | undefined
  readonly p99?: number | undefined
  readonly sigma?: number | undefined
  readonly quantiles?: CheckedTime | undefined
}

function lawOf({ fixed, mean, p99, sigma, quantiles: measured }: LawKeys): CheckedTime | Refused {
  const forms = [fixed, mean, measured].filter(one => one !== undefined)
  if (forms.length !== 1)
    return new Refused(
      forms.length === 0
        ? "has none of 'fixed', 'mean' and 'quantiles'"
        : "has more than one of 'fixed', 'mean' and 'quantiles'",
      "Write { fixed: '10ms' }, { mean: '10ms', p99: '60ms' } or { quantiles: { p50: '8ms', max: '90ms' } }.",
    )
  if (mean === undefined && (p99 !== undefined || sigma !== undefined))
    return new Refused(`has '${p99 === undefined ? 'sigma' : 'p99'}' without 'mean'`, "Say the 'mean'.")
  if (measured !== undefined) return measured
  if (fixed !== undefined) return { kind: 'fixed', us: fixed }
  if (p99 !== undefined && sigma !== undefined)
    return new Refused("has both 'p99' and 'sigma'", 'Keep one: each says how wide the law is.')
  return meanLaw(mean as number, p99, sigma)
}

function meanLaw(meanUs: number, p99: number | undefined, given: number | undefined): CheckedTime | Refused {
  if (meanUs === 0)
    return p99 === undefined && given === undefined
      ? { kind: 'fixed', us: 0 }
      : new Refused("has a 'mean' of 0", 'What takes no time does not vary.')
  const sigma = p99 === undefined ? given : sigmaOf(meanUs, p99)
  if (sigma instanceof Refused) return sigma
  return sigma === undefined ? { kind: 'exponential', meanUs } : { kind: 'log-normal', meanUs, sigma }
}

export const lawMeanUs = (law: CheckedTime): number => {
  if (law.kind === 'fixed') return law.us
  if (law.kind !== 'measured') return law.meanUs
  // Straight lines between the bounds: each piece has the mean of its ends.
  return law.boundsUs.reduce((sum, bound, index) => {
    const [share, low] =
      index === 0 ? [0, 0] : [law.shares[index - 1] as number, law.boundsUs[index - 1] as number]
    return sum + ((law.shares[index] as number) - share) * ((low + bound) / 2)
  }, 0)
}

const bareSentence = {
  exponential: 'A bare time is the mean of an exponential law (most are shorter, some much longer)',
  fixed: 'A bare time is always the same',
} as const

/** How long something takes. `min` holds for the mean. */
export function law(about: string, bare: keyof typeof bareSentence, min = '1us'): Schema<CheckedTime> {
  const least = parseTimeUs(min) as number
  const keys = strict(
    {
      fixed: fineTime('Always so long.', '0us', longest).optional(),
      mean: fineTime(
        'The mean: of an exponential law when it stands alone, of a log-normal one with `p99` or `sigma`.',
        '0us',
        longest,
      ).optional(),
      p99: fineTime('99 of 100 take at most so long: makes the law log-normal.', '0us', longest).optional(),
      sigma: decimal('Standard deviation of the logarithm: makes the law log-normal.', 0.001, 5).optional(),
      quantiles: quantiles.optional(),
    },
    {
      about: 'A law of chance.',
      elsewhere: {
        median: "Write { quantiles: { p50: '...', max: '...' } }.",
        p50: "Write { quantiles: { p50: '...', max: '...' } }.",
        exponential: "Write { mean: '10ms' }: alone it is exponential.",
        constant: "Did you mean 'fixed'?",
        histogram: "Did you mean 'quantiles'?",
      },
    },
  )
  const schema = either(
    `${about} ${bareSentence[bare]}; or a law: fixed, log-normal, or measured.`,
    into(
      fineTime(about, '0us', longest),
      (us): CheckedTime =>
        bare === 'fixed' || us === 0 ? { kind: 'fixed', us } : { kind: 'exponential', meanUs: us },
    ),
    into(keys, lawOf),
  )
  const bounded = into(schema, made =>
    lawMeanUs(made) < least ? new Refused(`is shorter than ${min} in the mean`) : made,
  )
  return bounded.meta({ ...schema.meta(), 'x-type': 'TimeLaw' }) as Schema<CheckedTime>
}

export function lawText(one: CheckedTime): object {
  switch (one.kind) {
    case 'fixed':
      return { fixed: timeText(one.us) }
    case 'exponential':
      return { mean: timeText(one.meanUs) }
    case 'log-normal':
      return { mean: timeText(one.meanUs), sigma: one.sigma }
    case 'measured':
      return {
        quantiles: Object.fromEntries(
          one.shares.map((share, index) => [quantileName(share), timeText(one.boundsUs[index] as number)]),
        ),
      }
  }
}

const longUnitsMs: Readonly<Record<string, number>> = { w: 604_800_000, y: 31_536_000_000 }
const longPattern = /^(\d{1,12}(?:\.\d{1,3})?)(ms|s|m|h|d|w|y)$/

function parseLongMs(value: unknown): number | undefined {
  const match = typeof value === 'string' ? longPattern.exec(value) : null
  const unit = longUnitsMs[match?.[2] ?? '']
  return match && unit !== undefined ? Math.round(Number(match[1]) * unit) : parseDurationMs(value)
}

/** A duration that may have weeks and years (of 365 days). Gives milliseconds. */
export function longTime(about: string, min: string, max: string): Schema<number> {
  const [from, to] = [parseLongMs(min) as number, parseLongMs(max) as number]
  return leaf({
    about,
    allowed: `a duration such as '1h', '30d', '6w' or '5y' (of 365 days), from ${min} to ${max}`,
    json: { type: 'string', pattern: longPattern.source },
    type: 'LongDuration',
    parse: value => {
      const ms = parseLongMs(value)
      if (ms === undefined)
        return /^-?\d/.test(writtenText(value))
          ? (wrongTime(value, ['d', 'y']) ?? new Refused('has no unit that is known'))
          : undefined
      if (ms < from) return new Refused(`is shorter than ${min}`)
      return ms > to ? new Refused(`is longer than ${max}`) : ms
    },
  })
}

const ratePattern = /^(\d{1,15}(?:\.\d{1,20})?)\/(s|min|h|d)$/
const rateSeconds: Readonly<Record<string, number>> = { s: 1, min: 60, h: 3600, d: 86_400 }
const perSecondMax = 1e10

/** Requests a second of `'50/s'`, `'0.5/s'`, `'5/min'`, `'1000/h'`, `'2000000/d'`; undefined for anything else. */
export function parsePerSecond(value: unknown): number | undefined {
  const match = typeof value === 'string' ? ratePattern.exec(value) : null
  return match ? Number(match[1]) / (rateSeconds[match[2] as string] as number) : undefined
}

/** How many a second; broken numbers are allowed, since it is a mean. */
export function perSecond(about: string): Schema<number> {
  return leaf({
    about,
    allowed:
      "a rate such as '50/s', '0.5/s', '5/min', '1000/h' or '2000000/d', above 0 and up to 10000000000/s",
    json: { type: 'string', minLength: 3, maxLength: 40, pattern: ratePattern.source },
    type: 'Rate',
    parse: value => {
      const parsed = parsePerSecond(value)
      if (parsed === undefined) return wrongRate(writtenText(value))
      if (parsed === 0) return new Refused('is 0', 'Leave it out instead.')
      return parsed > perSecondMax ? new Refused(`is above ${perSecondMax}/s`) : nearestRate(parsed)
    },
  })
}

function wrongRate(text: string): Refused | undefined {
  if (/^-\d/.test(text)) return new Refused('is below 0')
  return /^\d+(\.\d+)?$/.test(text)
    ? new Refused('has no time', `Write '${text}/s' or '${text}/d'.`)
    : undefined
}

/** The nearest rate that can be written. */
export const nearestRate = (rate: number): number => parsePerSecond(perSecondText(rate)) ?? rate

/** In the first unit in which it is read back as the very same number; for want of one, a day's. */
export function perSecondText(rate: number): string {
  const texts = Object.entries(rateSeconds).map(([unit, seconds]) => `${digits(rate * seconds)}/${unit}`)
  return texts.find(text => parsePerSecond(text) === rate) ?? (texts.at(-1) as string)
}

/** Fifteen figures, which a double keeps through one multiplication, without an exponent. */
function digits(value: number): string {
  const text = String(Number(value.toPrecision(15)))
  return text.includes('e') ? Number(text).toFixed(20).replace(/0+$/, '') : text
}

const bitsPattern = /^(\d{1,6}(?:\.\d{1,3})?)(Mbit|Gbit|Tbit)\/s$/
const bitsUnits: Readonly<Record<string, number>> = { Tbit: 1e12, Gbit: 1e9, Mbit: 1e6 }

function parseBits(value: unknown): number | undefined {
  const match = typeof value === 'string' ? bitsPattern.exec(value) : null
  return match ? Math.round(Number(match[1]) * (bitsUnits[match[2] as string] as number)) : undefined
}

/** Bits a second (powers of 1000, as networks count). */
export function bitsPerSecond(about: string): Schema<number> {
  return leaf({
    about,
    allowed: "a speed such as '100Mbit/s' or '10Gbit/s' (powers of 1000), from 1Mbit/s to 10Tbit/s",
    json: { type: 'string', pattern: bitsPattern.source },
    type: 'BitRate',
    parse: value => {
      const bits = parseBits(value)
      if (bits === undefined) return undefined
      if (bits < 1e6) return new Refused('is below 1Mbit/s')
      return bits > 1e13 ? new Refused('is above 10Tbit/s') : bits
    },
  })
}

export function bitsText(bits: number): string {
  const unit =
    Object.keys(bitsUnits).find(name => bits % ((bitsUnits[name] as number) / 1000) === 0) ?? 'Mbit'
  return `${bits / (bitsUnits[unit] as number)}${unit}/s`
}

const percentPattern = /^(-?\d{1,6}(?:\.\d{1,4})?)%$/

/** A share that may be above 1 or below 0: `'50%'` or 0.5. Gives the number. */
export function wideShare(about: string, min: number, max: number): Schema<number> {
  return leaf({
    about,
    allowed: `a share such as '50%' or 0.5, from ${min} to ${max}`,
    json: {
      anyOf: [
        { type: 'number', minimum: min, maximum: max },
        { type: 'string', pattern: percentPattern.source },
      ],
    },
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is a type.
    type: 'number | `${number}%`',
    parse: value => {
      const match = typeof value === 'string' ? percentPattern.exec(value) : null
      const number = match ? Number((Number(match[1]) / 100).toFixed(6)) : value
      if (typeof number !== 'number' || !Number.isFinite(number)) return undefined
      if (number < min) return new Refused(`is below ${min}`)
      return number > max ? new Refused(`is above ${max}`) : number
    },
  })
}
