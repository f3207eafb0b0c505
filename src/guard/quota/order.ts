// What an order's body says: how many are wanted, and other fields that quotas count by. Strict: a body that two readers
// could take differently, or that says a field twice, is no order. Servers differ in what a name is (Go and .NET read JSON's
// in any case, PHP takes `a.b` and `a b` for `a_b`, others `a[b]` for `a.b`), and some read the query before the body
// (Servlets): a field that is there under a second spelling is said twice. Values in, values out.

import { bodyKindOf, readBodyText, readContentType } from '../../wire/body/index.ts'

/** The fields of an order's body, by the dotted paths that quotas use. */
export interface Order {
  /** Every value at a path, `*` standing for each element of a list; null: some are missing, or it is said twice. */
  at(path: string): readonly unknown[] | null
}

export const quantityMax = 1_000_000

/** Null: not to be read, or not clear. @param types values of all Content-Type fields. @param target path and query */
export function readOrder(types: readonly string[], body: Buffer, target: string): Order | null {
  const order = bodyOrder(types, body)
  const mark = target.indexOf('?')
  if (order === null || mark < 0) return order
  const beside = new Set([...new URLSearchParams(target.slice(mark + 1)).keys()].map(folded))
  return { at: path => (beside.has(folded(path)) ? null : order.at(path)) }
}

function bodyOrder(types: readonly string[], body: Buffer): Order | null {
  const type = readContentType(types)
  if (type === null || 'problem' in type) return null
  const kind = bodyKindOf(type.type)
  if (kind !== 'json' && kind !== 'urlencoded' && kind !== 'multipart') return null
  const read = readBodyText(kind, type, body.latin1Slice())
  if ('problem' in read) return null
  // Read strictly before: no key is there twice.
  if (kind === 'json') return jsonOrder(JSON.parse(body.toString('utf8')))
  return formOrder(read.args)
}

function jsonOrder(whole: unknown): Order {
  return {
    at: path => {
      let found: unknown[] = [whole]
      for (const part of path.split('.')) {
        const next: unknown[] = []
        for (const one of found) {
          if (part === '*' ? !Array.isArray(one) : !isObject(one) || !hasOnce(one, part)) return null
          if (part === '*') next.push(...(one as unknown[]))
          else next.push((one as Record<string, unknown>)[part])
        }
        found = next
      }
      return found
    },
  }
}

const isObject = (one: unknown): one is object =>
  typeof one === 'object' && one !== null && !Array.isArray(one)

function hasOnce(one: object, name: string): boolean {
  if (!Object.hasOwn(one, name)) return false
  const wanted = inAnyCase(name)
  return Object.keys(one).every(key => key === name || inAnyCase(key) !== wanted)
}

/** Go takes the long s and the Kelvin sign for s and k. */
function inAnyCase(name: string): string {
  return name.toUpperCase().toLowerCase()
}

/** The same for all names that some server takes for this one. */
function folded(name: string): string {
  return inAnyCase(name.trim())
    .replace(/\[\d*\]$/, '')
    .replaceAll(']', '')
    .replace(/[ .[]/g, '_')
}

function formOrder(args: readonly (readonly [string, string])[]): Order {
  return {
    at: path => {
      const wanted = folded(path)
      const own = args.filter(([name]) => folded(name) === wanted || name.startsWith(`${path}[`))
      // `quantity=1&quantity[]=9` is another order to some.
      return own.length === 1 && own[0]?.[0] === path ? [own[0][1]] : null
    },
  }
}

/** The sum; null: not a whole number from 1. */
export function quantityAt(order: Order, path: string): number | null {
  const values = order.at(path)
  if (values === null || values.length === 0) return null
  let sum = 0
  for (const value of values) {
    const number = typeof value === 'string' && /^[1-9]\d{0,6}$/.test(value) ? Number(value) : value
    if (typeof number !== 'number' || !Number.isInteger(number) || number < 1 || number > quantityMax)
      return null
    sum += number
  }
  return sum <= quantityMax ? sum : null
}

/** One text or number; null: none, or several. */
export function textAt(order: Order, path: string): string | null {
  const values = order.at(path)
  if (values === null || values.length !== 1) return null
  const [value] = values
  if (typeof value === 'string') return value === '' ? null : value
  return typeof value === 'number' ? String(value) : null
}
