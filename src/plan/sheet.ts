// The one place where figures are computed: each is entered with its formula as text, what goes in and its source, and is
// evaluated at once from that very text. Keeps them in order. Knows nothing of systems.

import { assert } from '../kit/failure.ts'
import { evaluate, type Functions } from './expression.ts'
import type { Input, Origin, Quantity, Section, Unit } from './quantity.ts'

/** Something that a formula may take: an input of the file, a price, an option, or another figure. */
export interface Term {
  readonly value: number | null
  readonly unit: Unit
  readonly from: Origin
  readonly why: string | null
}

export interface Entry {
  readonly id: string
  readonly section: Section
  readonly label: string
  readonly unit: Unit
  readonly formula: string
  readonly with: Readonly<Record<string, Term>>
  readonly source?: string
}

/** A figure before its range is known. */
export type Figure = Omit<Quantity, 'low' | 'high'>

const figuresMax = 20_000

export class Sheet {
  readonly #functions: Functions
  readonly #figures = new Map<string, Figure>()
  readonly #inputs = new Map<string, Term>()
  readonly #factors: ReadonlyMap<string, number>

  /** @param factors by path: what the value of an input is multiplied by, to see what depends on it */
  constructor(functions: Functions, factors: ReadonlyMap<string, number>) {
    this.#functions = functions
    this.#factors = factors
  }

  /** An input from outside. The same path is the same input. */
  input(kind: Exclude<Origin['kind'], 'figure'>, path: string, value: number, unit: Unit): Term {
    const factor = this.#factors.get(path) ?? 1
    const share = unit === 'share' || unit === 'availability'
    const moved = share ? Math.min(1, value * factor) : value * factor
    const term: Term = { value: moved, unit, from: { kind, path }, why: null }
    this.#inputs.set(path, term)
    return term
  }

  add(entry: Entry): Term {
    assert(!this.#figures.has(entry.id), `the figure ${entry.id} is there twice`)
    assert(this.#figures.size < figuresMax, 'more figures than any system can have')
    const terms = Object.entries(entry.with)
    const missing = terms.find(([, term]) => term.value === null)
    const values = new Map(terms.map(([name, term]) => [name, term.value ?? 0]))
    const result = missing
      ? { why: `it needs ${missing[1].from.path}, which has no value: ${missing[1].why ?? ''}` }
      : evaluate(entry.formula, values, this.#functions)
    const value = typeof result === 'number' ? result : null
    const why = typeof result === 'number' ? null : result.why
    const inputs = terms.map(
      ([name, term]): Input => ({ name, value: term.value, unit: term.unit, from: term.from }),
    )
    const { id, section, label, unit, formula, source = null } = entry
    this.#figures.set(id, { id, section, label, value, unit, formula, inputs, source, why })
    return { value, unit, from: { kind: 'figure', path: id }, why }
  }

  /** A sum of other figures, as a figure. No terms: 0. */
  sum(entry: Omit<Entry, 'formula' | 'with'>, terms: readonly Term[]): Term {
    const named = Object.fromEntries(terms.map((term, at) => [`part${at + 1}`, term]))
    return this.add({ ...entry, formula: Object.keys(named).join(' + ') || '0', with: named })
  }

  /** A figure that was entered before, to go into another one. */
  term(id: string): Term | null {
    const found = this.#figures.get(id)
    return found === undefined
      ? null
      : { value: found.value, unit: found.unit, from: { kind: 'figure', path: id }, why: found.why }
  }

  value(id: string): number | null {
    return this.#figures.get(id)?.value ?? null
  }

  get figures(): readonly Figure[] {
    return [...this.#figures.values()]
  }

  get inputs(): readonly Term[] {
    return [...this.#inputs.values()]
  }
}
