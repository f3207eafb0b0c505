// How values are put together: strict objects with a did-you-mean for unknown keys, "this or that", maps by name, lists.
// It knows no key of the system file.

import * as z from 'zod'
import { nearest, type Refusal, Refused, refusal, type Schema } from './values.ts'

/** Marks a zod message that carries refusals as JSON: strict objects can't attach anything else to their issues. */
export const refusalsMark = 'refusals:'

type Shape = Record<string, z.ZodType>

export interface StrictOptions {
  /** Sentence for the reference page. */
  readonly about?: string
  /** Keys of later versions: refused with a sentence of their own. */
  readonly later?: readonly string[]
  /** Keys that people bring from other tools, and what stands here instead. */
  readonly elsewhere?: Readonly<Record<string, string>>
}

/** An object with exactly these keys; what is absent is `undefined` or its default. */
export function strict<const S extends Shape>(
  shape: S,
  options: StrictOptions = {},
): z.ZodType<z.output<z.ZodObject<S>>, unknown> {
  const keys = Object.keys(shape).filter(key => !key.startsWith('$'))
  const shown = `an object with the keys ${keys.join(', ')}`
  const schema = z.strictObject(shape, {
    error: issue => {
      if (issue.code === 'unrecognized_keys')
        return carry((issue.keys as string[]).map(key => unknownKey(key, keys, options)))
      return carry([
        issue.input === undefined
          ? { code: 'missing', message: 'is missing', allowed: shown }
          : { code: 'value', message: 'is not an object', allowed: shown },
      ])
    },
  })
  return (options.about ? schema.meta({ description: options.about }) : schema) as never
}

function carry(refusals: Refusal[]): string {
  return refusalsMark + JSON.stringify(refusals)
}

function unknownKey(key: string, keys: readonly string[], options: StrictOptions): Refusal {
  if (options.later?.includes(key))
    return {
      code: 'laterKey',
      key,
      message: 'is not available in this version of Tenfold',
      remedy: 'Leave it out for now.',
    }
  const near = nearest(key, keys)
  const hint = options.elsewhere?.[key] ?? (near ? `Did you mean '${near}'?` : undefined)
  return {
    code: 'unknownKey',
    key,
    message: 'is not a known key',
    allowed: keys.join(', '),
    ...(hint ? { remedy: hint } : {}),
  }
}

/** This or that; which one was meant is told by the kind of the value (text, list, object), not by trial. */
export function either<A, B>(about: string, a: Schema<A>, b: Schema<B>): Schema<A | B> {
  return z.union([a, b]).meta({ description: about }) as Schema<A | B>
}

export interface MapRules {
  readonly about: string
  /** Completes "a name: ...". */
  readonly names: string
  readonly pattern: RegExp
  readonly entriesMax: number
}

export function mapOf<T>(value: Schema<T>, rules: MapRules): Schema<Record<string, T>> {
  const name = z.string().superRefine((key, context) => {
    if (!rules.pattern.test(key))
      refusal(context, key, { code: 'value', message: 'is not a name allowed here', allowed: rules.names })
  })
  return z
    .record(name, value, {
      error: () =>
        carry([{ code: 'value', message: 'is not an object', allowed: `an object: ${rules.names}` }]),
    })
    .superRefine((map, context) => {
      if (Object.keys(map).length > rules.entriesMax)
        refusal(context, undefined, {
          code: 'value',
          message: `has ${Object.keys(map).length} entries`,
          allowed: `at most ${rules.entriesMax} entries`,
        })
    })
    .meta({
      description: rules.about,
      maxProperties: rules.entriesMax,
      propertyNames: { type: 'string', pattern: rules.pattern.source },
    }) as Schema<Record<string, T>>
}

export function listOf<T>(
  about: string,
  item: Schema<T>,
  itemsMax: number,
  itemsMin = 0,
): Schema<readonly T[]> {
  const allowed = `a list of ${itemsMin} to ${itemsMax} items`
  return z
    .array(item, {
      error: issue =>
        carry([
          issue.input === undefined
            ? { code: 'missing', message: 'is missing', allowed }
            : { code: 'value', message: 'is not a list', allowed },
        ]),
    })
    .superRefine((list, context) => {
      if (list.length < itemsMin || list.length > itemsMax)
        refusal(context, undefined, {
          code: 'value',
          message: list.length < itemsMin ? 'has too few items' : `has ${list.length} items`,
          allowed,
        })
    })
    .meta({ description: about, minItems: itemsMin, maxItems: itemsMax }) as Schema<readonly T[]>
}

/** What the schema gives, made into something else, or refused with a sentence. */
export function into<A, B>(schema: Schema<A>, make: (value: A) => B | Refused): Schema<B> {
  return schema
    .transform((value, context): B => {
      const made = make(value)
      return made instanceof Refused ? refusal(context, value, made.refusal()) : (made as B)
    })
    .meta(schema.meta() ?? {}) as Schema<B>
}

type Defined<T> = {
  [K in keyof T as undefined extends T[K] ? never : K]: T[K]
} & { [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined> }

/** A copy without the keys that are undefined. */
export function defined<T extends object>(value: T): { [K in keyof Defined<T>]: Defined<T>[K] } {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as never
}
