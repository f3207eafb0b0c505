// The smallest values of a system file: durations, sizes, counts, shares, words. Each is a zod schema that takes what a
// person writes and gives what a program uses, with its sentence, bounds and JSON Schema in one place. It knows no key.

import * as z from 'zod'

/** A schema that takes anything and gives a T; its JSON Schema and sentence are in its metadata. */
export type Schema<T> = z.ZodType<T, unknown>

/** What a refusal carries; problems.ts makes a Problem of it. */
export interface Refusal {
  readonly code: 'value' | 'missing' | 'unknownKey' | 'laterKey' | 'conflict'
  readonly message: string
  readonly allowed?: string
  readonly remedy?: string
  /** Keys below the refused value, where one issue speaks of several. */
  readonly key?: string
}

export interface LeafSpec<T> {
  /** A sentence for the reference page, IDE and JSON Schema. */
  readonly about: string
  /** `a duration such as '30s', from 1ms to 1h`. */
  readonly allowed: string
  readonly json: Record<string, unknown>
  /** TypeScript type in the generated input types; default: from the JSON Schema. */
  readonly type?: string
  /** The value as programs use it, or why not; undefined = not allowed, without more to say. */
  readonly parse: (value: unknown) => T | Refused | undefined
}

export class Refused {
  readonly #message: string
  readonly #remedy: string | undefined
  constructor(message: string, remedy?: string) {
    this.#message = message
    this.#remedy = remedy
  }

  refusal(): Refusal {
    return {
      code: 'value',
      message: this.#message,
      ...(this.#remedy ? { remedy: this.#remedy } : {}),
    }
  }
}

export function refusal(context: z.core.$RefinementCtx, value: unknown, spec: Refusal): never {
  context.addIssue({ code: 'custom', input: value, message: spec.message, params: { refusal: spec } })
  return z.NEVER
}

export function leaf<T>(spec: LeafSpec<T>): Schema<T> {
  return z
    .unknown()
    .transform((value, context): T => {
      if (value === undefined)
        return refusal(context, value, { code: 'missing', message: 'is missing', allowed: spec.allowed })
      const parsed = spec.parse(value) ?? new Refused(`is not ${kindOf(spec.allowed)}`)
      return parsed instanceof Refused
        ? refusal(context, value, { ...parsed.refusal(), allowed: spec.allowed })
        : (parsed as T)
    })
    .meta({
      description: spec.about,
      ...spec.json,
      'x-allowed': spec.allowed,
      ...(spec.type ? { 'x-type': spec.type } : {}),
    }) as Schema<T>
}

/** `a duration such as ..., from ...` -> `a duration`. */
function kindOf(allowed: string): string {
  if (allowed.startsWith("'")) return 'allowed here'
  return allowed.split(/,| such as | from | of at most /)[0] ?? allowed
}

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const durationPattern = /^(\d{1,12}(?:\.\d{1,3})?)(ms|s|m|h|d)$/
const unitsBytes: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1024,
  MB: 1_048_576,
  GB: 1_073_741_824,
  TB: 1_099_511_627_776,
}
const sizePattern = /^(\d{1,12}(?:\.\d{1,3})?)(B|KB|MB|GB|TB)$/

/** A text or a number as it was written; '' for all else, which may have no text at all (`{ toString: '' }`). */
export function writtenText(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
}

/** Milliseconds of `'250ms'`, `'2s'`, `'1.5m'`, `'1h'`, `'30d'`; undefined for anything else. */
export function parseDurationMs(text: unknown): number | undefined {
  const match = typeof text === 'string' ? durationPattern.exec(text) : null
  return match ? Math.round(Number(match[1]) * (unitsMs[match[2] as string] as number)) : undefined
}

/** Bytes of `'64KB'` (powers of 1024) or a plain whole number; undefined for anything else. */
export function parseSizeBytes(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? value : undefined
  const match = typeof value === 'string' ? sizePattern.exec(value) : null
  return match ? Math.round(Number(match[1]) * (unitsBytes[match[2] as string] as number)) : undefined
}

/** The shortest exact text: 90000 -> `90s`, 60000 -> `1m`. */
export function durationText(ms: number): string {
  const unit = ['d', 'h', 'm', 's'].find(name => ms > 0 && ms % (unitsMs[name] as number) === 0) ?? 'ms'
  return `${ms / (unitsMs[unit] as number)}${unit}`
}

/** The shortest exact text: 65536 -> `64KB`. */
export function sizeText(bytes: number): string {
  const unit =
    ['TB', 'GB', 'MB', 'KB'].find(name => bytes > 0 && bytes % (unitsBytes[name] as number) === 0) ?? 'B'
  return `${bytes / (unitsBytes[unit] as number)}${unit}`
}

/** A duration with a unit, from `min` to `max` (texts, so that they read as in the file). Gives milliseconds. */
export function duration(about: string, min: string, max: string): Schema<number> {
  const from = parseDurationMs(min) as number
  const to = parseDurationMs(max) as number
  return leaf({
    about,
    allowed: `a duration such as '250ms', '2s', '1m' or '1h', from ${min} to ${max}`,
    json: { type: 'string', pattern: durationPattern.source },
    type: 'Duration',
    parse: value => {
      const ms = parseDurationMs(value)
      if (ms === undefined)
        return typeof value === 'number' || (typeof value === 'string' && /^\d+$/.test(value))
          ? Number(value) < 0
            ? new Refused('is below 0')
            : new Refused('has no unit', `Write '${value}ms' or '${value}s'.`)
          : undefined
      if (ms < from) return new Refused(`is shorter than ${min}`)
      return ms > to ? new Refused(`is longer than ${max}`) : ms
    },
  })
}

/** A size as `'64KB'`, `'1MB'` or a number of bytes. Gives bytes. */
export function size(about: string, min: string, max: string): Schema<number> {
  const from = parseSizeBytes(min) as number
  const to = parseSizeBytes(max) as number
  return leaf({
    about,
    allowed: `a size such as '64KB' or '1MB' (powers of 1024), or a number of bytes, from ${min} to ${max}`,
    json: {
      anyOf: [
        { type: 'string', pattern: sizePattern.source },
        { type: 'integer', minimum: 0 },
      ],
    },
    type: 'Size',
    parse: value => {
      const bytes = parseSizeBytes(value)
      if (bytes === undefined) return undefined
      if (bytes < from) return new Refused(`is smaller than ${min}`)
      return bytes > to ? new Refused(`is larger than ${max}`) : bytes
    },
  })
}

export function whole(about: string, min: number, max: number): Schema<number> {
  return leaf({
    about,
    allowed: `a whole number from ${min} to ${max}`,
    json: { type: 'integer', minimum: min, maximum: max },
    parse: value => (Number.isInteger(value) ? within(value as number, min, max) : undefined),
  })
}

export function decimal(about: string, min: number, max: number): Schema<number> {
  return leaf({
    about,
    allowed: `a number from ${min} to ${max}`,
    json: { type: 'number', minimum: min, maximum: max },
    parse: value => (Number.isFinite(value) ? within(value as number, min, max) : undefined),
  })
}

function within(value: number, min: number, max: number): number | Refused {
  if (value < min) return new Refused(`is below ${min}`)
  return value > max ? new Refused(`is above ${max}`) : value
}

export function flag(about: string): Schema<boolean> {
  return leaf({
    about,
    allowed: 'true or false',
    json: { type: 'boolean' },
    parse: value => (typeof value === 'boolean' ? value : undefined),
  })
}

/** Always `false`: how a part is switched off. */
export function off(about: string): Schema<false> {
  return leaf({
    about,
    allowed: 'false',
    json: { const: false },
    parse: value => (value === false ? value : undefined),
  })
}

export function choice<const W extends string | number>(about: string, words: readonly W[]): Schema<W> {
  return leaf({
    about,
    allowed: words.map(word => (typeof word === 'string' ? `'${word}'` : `${word}`)).join(', '),
    json: { enum: [...words] },
    parse: value => {
      if (words.includes(value as W)) return value as W
      const near = typeof value === 'string' ? nearest(value, words.map(String)) : undefined
      const word = words.length > 1 ? 'one of the words' : 'the word'
      if (words.some(one => typeof one === 'number'))
        return new Refused('is not one of the numbers allowed here')
      return new Refused(`is not ${word} allowed here`, near && `Did you mean '${near}'?`)
    },
  })
}

/** RFC 9110 5.6.2: names of header fields, cookies and methods. */
export const token: RegExp = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

export interface TextRules {
  readonly pattern?: RegExp
  readonly lengthMax?: number
  readonly lengthMin?: number
  readonly type?: string
}

/** A text; `kind` completes "must be ...": `a path that begins with /`. Control characters are never allowed. */
export function text(about: string, kind: string, rules: TextRules = {}): Schema<string> {
  const { pattern, lengthMax = 1024, lengthMin = 1 } = rules
  return leaf({
    about,
    allowed: `${kind}, of at most ${lengthMax} characters`,
    json: {
      type: 'string',
      minLength: lengthMin,
      maxLength: lengthMax,
      ...(pattern ? { pattern: pattern.source } : {}),
    },
    ...(rules.type ? { type: rules.type } : {}),
    parse: value => {
      if (typeof value !== 'string') return undefined
      if (value.length < lengthMin) return new Refused('is empty')
      if (value.length > lengthMax) return new Refused(`is longer than ${lengthMax} characters`)
      if (/[\x00-\x08\x0a-\x1f\x7f]/.test(value)) return new Refused('holds a control character')
      return pattern && !pattern.test(value) ? undefined : value
    },
  })
}

/** The word among `words` that `typed` was probably meant to be; undefined when none is near. */
export function nearest(typed: string, words: readonly string[]): string | undefined {
  if (typed.length > 64) return undefined
  const lower = typed.toLowerCase()
  const begun = typed.length < 3 ? [] : words.filter(word => word.toLowerCase().startsWith(lower))
  if (begun.length === 1) return begun[0]
  let best: string | undefined
  let bestDistance = typed.length < 2 ? 1 : Math.max(1, Math.floor(typed.length / 3)) + 1
  for (const word of words) {
    const distance = editDistance(lower, word.toLowerCase())
    if (distance < bestDistance) [best, bestDistance] = [word, distance]
  }
  return best
}

/** Optimal string alignment: insert, delete, replace, swap of neighbours. */
function editDistance(a: string, b: string): number {
  let before: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1
      let least = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + cost)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, before[j - 2]! + 1)
      next.push(least)
    }
    ;[before, row] = [row, next]
  }
  return row[b.length]!
}
