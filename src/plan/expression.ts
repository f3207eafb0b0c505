// Formulas as text: `rate * bytes / (1 - hits)`. The estimator evaluates the very text that `--explain` prints, so that no
// second text can disagree with what was computed. Names are letters, digits and _; functions come from a table.

import { assert } from '../kit/failure.ts'

/** A number, or a sentence that says why there is none. */
export type Outcome = number | { readonly why: string }
export type Functions = Readonly<Record<string, (...values: readonly number[]) => Outcome>>

type Node =
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'call'; readonly name: string; readonly inside: readonly Node[] }
  | { readonly kind: 'operation'; readonly sign: string; readonly left: Node; readonly right: Node }

const tokenPattern = /\s*(?:(\d+(?:\.\d+)?(?:e[+-]?\d+)?)|([A-Za-z_]\w*)|([-+*/^(),]))/gy
const levels: readonly (readonly string[])[] = [
  ['+', '-'],
  ['*', '/'],
]

class Reader {
  readonly #tokens: readonly string[]
  #at = 0

  constructor(text: string) {
    const tokens: string[] = []
    let end = 0
    for (const match of text.matchAll(tokenPattern)) {
      tokens.push(match[0].trim())
      end = match.index + match[0].length
    }
    assert(text.slice(end).trim() === '', `a formula that can't be read: ${text}`)
    this.#tokens = tokens
  }

  whole(): Node {
    const node = this.#sum(0)
    assert(this.#at === this.#tokens.length, `a formula with a rest: ${this.#tokens.join(' ')}`)
    return node
  }

  #sum(level: number): Node {
    const signs = levels[level]
    if (signs === undefined) return this.#power()
    let left = this.#sum(level + 1)
    while (signs.includes(this.#tokens[this.#at] ?? '')) {
      const sign = this.#take()
      left = { kind: 'operation', sign, left, right: this.#sum(level + 1) }
    }
    return left
  }

  #power(): Node {
    const left = this.#atom()
    if (this.#tokens[this.#at] !== '^') return left
    this.#take()
    return { kind: 'operation', sign: '^', left, right: this.#power() }
  }

  #atom(): Node {
    const token = this.#take()
    if (token === '(') {
      const node = this.#sum(0)
      assert(this.#take() === ')', 'a formula with an open bracket')
      return node
    }
    if (/^\d/.test(token)) return { kind: 'number', value: Number(token) }
    assert(/^[A-Za-z_]/.test(token), `a formula with a stray ${token}`)
    if (this.#tokens[this.#at] !== '(') return { kind: 'name', name: token }
    this.#take()
    const inside = [this.#sum(0)]
    while (this.#tokens[this.#at] === ',') {
      this.#take()
      inside.push(this.#sum(0))
    }
    assert(this.#take() === ')', 'a formula with an open bracket')
    return { kind: 'call', name: token, inside }
  }

  #take(): string {
    const token = this.#tokens[this.#at++]
    assert(token !== undefined, 'a formula that ends too early')
    return token
  }
}

const parsed = new Map<string, Node>()
const parsedMax = 5000

function nodeOf(text: string): Node {
  const known = parsed.get(text)
  if (known !== undefined) return known
  const node = new Reader(text).whole()
  if (parsed.size < parsedMax) parsed.set(text, node)
  return node
}

/** @param values by name; every name of the text must be there. A result that is no finite number is a reason, not a value */
export function evaluate(text: string, values: ReadonlyMap<string, number>, functions: Functions): Outcome {
  const value = valueAt(nodeOf(text), values, functions)
  if (typeof value !== 'number' || Number.isFinite(value)) return value
  return { why: `${text} has no finite value` }
}

function valueAt(node: Node, values: ReadonlyMap<string, number>, functions: Functions): Outcome {
  if (node.kind === 'number') return node.value
  if (node.kind === 'name') {
    const value = values.get(node.name)
    assert(value !== undefined, `a formula with the unknown name ${node.name}`)
    return value
  }
  if (node.kind === 'operation') {
    const left = valueAt(node.left, values, functions)
    const right = valueAt(node.right, values, functions)
    if (typeof left !== 'number') return left
    return typeof right === 'number' ? applied(node.sign, left, right) : right
  }
  const called = functions[node.name]
  assert(called !== undefined, `a formula with the unknown function ${node.name}`)
  const inside: number[] = []
  for (const one of node.inside) {
    const value = valueAt(one, values, functions)
    if (typeof value !== 'number') return value
    inside.push(value)
  }
  return called(...inside)
}

function applied(sign: string, left: number, right: number): number {
  if (sign === '+') return left + right
  if (sign === '-') return left - right
  if (sign === '*') return left * right
  return sign === '/' ? left / right : left ** right
}
