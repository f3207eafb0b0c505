// Plain data: a bounded, cycle-free copy of whatever a system file exports, or the places where it is not plain. Also
// the merge of an environment's overrides. Everything after it may rely on JSON values.

import { fileFailures } from './failures.ts'
import type { Problem } from './results.ts'

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

const depthMax = 32
const valuesMax = 200_000
const problemsMax = 20

export function keyPath(parent: string, key: string | number): string {
  if (typeof key === 'number') return `${parent}[${key}]`
  if (!/^[A-Za-z_$][\w$-]*$/.test(key)) return `${parent}[${JSON.stringify(key)}]`
  return parent === '' ? key : `${parent}.${key}`
}

/** The value as plain JSON. Keys whose value is undefined are left out, as JSON does. Never throws. */
export function plainCopy(
  value: unknown,
): { ok: true; value: Json } | { ok: false; problems: readonly Problem[] } {
  const problems: Problem[] = []
  let values = 0

  function refuse(path: string, message: string): null {
    if (problems.length < problemsMax)
      problems.push({
        code: fileFailures.notPlain.code,
        path,
        message,
        allowed: 'objects, lists, texts, numbers, true, false and null',
      })
    return null
  }

  function copy(item: unknown, path: string, parents: readonly object[]): Json {
    if (++values > valuesMax) throw new TooLarge(`has more than ${valuesMax} values`)
    if (parents.length > depthMax) throw new TooLarge(`is nested deeper than ${depthMax} levels`)
    if (item === null || typeof item === 'string' || typeof item === 'boolean') return item
    if (typeof item === 'number')
      return Number.isFinite(item) ? item : refuse(path, `is ${item}, which is not a number that JSON has`)
    if (typeof item !== 'object') return refuse(path, notPlain(item))
    if (parents.includes(item)) return refuse(path, 'refers back to something that contains it')
    const inside = [...parents, item]
    if (Array.isArray(item)) return Array.from(item, (one, index) => copy(one, keyPath(path, index), inside))
    const prototype: unknown = Object.getPrototypeOf(item)
    // Objects of another realm have another Object.prototype: what counts is that nothing else is inherited.
    if (prototype !== null && Object.getPrototypeOf(prototype) !== null)
      return refuse(path, `is a ${item.constructor?.name || 'class instance'}, not plain data`)
    return copyObject(item as Record<string, unknown>, path, inside)
  }

  function copyObject(item: Record<string, unknown>, path: string, inside: readonly object[]): Json {
    const out: Record<string, Json> = {}
    for (const key of Object.keys(item)) {
      if (item[key] === undefined) continue
      if (key === '__proto__') refuse(keyPath(path, key), 'is a name that objects can not have')
      else out[key] = copy(item[key], keyPath(path, key), inside)
    }
    return out
  }

  try {
    const copied = copy(value, '', [])
    return problems.length === 0 ? { ok: true, value: copied } : { ok: false, problems }
  } catch (error) {
    const large = error instanceof TooLarge
    const code = large ? fileFailures.tooLarge.code : fileFailures.notPlain.code
    const message = large ? error.message : 'could not be read: a getter or proxy threw'
    return { ok: false, problems: [{ code, path: '', message }] }
  }
}

class TooLarge extends Error {}

function notPlain(item: unknown): string {
  if (typeof item === 'function')
    return item.name ? `is a function (${item.name}), not plain data` : 'is a function, not plain data'
  return item === undefined ? 'is undefined' : `is a ${typeof item}, not plain data`
}

export function isObject(value: unknown): value is Readonly<Record<string, Json>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** `overrides` over `base`: objects key by key, lists and everything else whole; null takes a key away. */
export function mergeOverrides(base: Json | undefined, overrides: Json): Json {
  if (!isObject(overrides)) return overrides
  const out: Record<string, Json> = isObject(base) ? { ...base } : {}
  for (const [key, value] of Object.entries(overrides)) {
    if (value === null) delete out[key]
    else out[key] = mergeOverrides(out[key], value)
  }
  return out
}

/** What stands at a path of keys; undefined where nothing does. */
export function valueAt(value: Json | undefined, path: readonly (string | number)[]): Json | undefined {
  let at: Json | undefined = value
  for (const key of path) {
    if (Array.isArray(at)) at = at[Number(key)]
    else if (isObject(at) && Object.hasOwn(at, key)) at = at[key]
    else return undefined
  }
  return at
}

export type PathOfKeys = readonly (string | number)[]

export function pathText(path: PathOfKeys): string {
  return path.reduce<string>((text, key) => keyPath(text, key), '')
}
