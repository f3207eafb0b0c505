// Appearances of sharded tables in one statement, what their key columns are compared with, and how they hang together.
// A node is one key column of one appearance. Two relations between nodes: `link` (rows that meet have equal keys there)
// makes tables meet within a shard; `travel` (what is known of one holds for the other) carries pinned values.

import type { KeySource, TableRule, TableUse } from './contract.ts'

export class Use {
  readonly rule: TableRule
  /** Number of its first node. */
  readonly first: number

  constructor(rule: TableRule, first: number) {
    this.rule = rule
    this.first = first
  }
}

export class UseGraph {
  readonly uses: Use[] = []
  readonly #useOf: Use[] = []
  readonly #parents: number[] = []
  readonly #pins: (readonly KeySource[] | null)[] = []
  readonly #ways: number[][] = []

  add(rule: TableRule): Use {
    const use = new Use(rule, this.#parents.length)
    this.uses.push(use)
    for (let column = 0; column < rule.columns.length; column++) {
      this.#useOf.push(use)
      this.#parents.push(this.#parents.length)
      this.#pins.push(null)
      this.#ways.push([])
    }
    return use
  }

  /** Of several pins on one column the one with the fewest values says most. */
  pin(node: number, values: readonly KeySource[]): void {
    const known = this.#pins[node]
    if (known == null || certainty(values) < certainty(known)) this.#pins[node] = values
  }

  link(one: number, other: number): void {
    if (!this.#comparable(one, other)) return
    this.#parents[this.#root(one)] = this.#root(other)
  }

  travel(from: number, to: number): void {
    if (this.#comparable(from, to)) this.#ways[from]?.push(to)
  }

  /** Do rows of these two that meet always lie on one shard? */
  linked(one: Use, other: Use): boolean {
    if (one.rule.group !== other.rule.group) return false
    return one.rule.columns.every(
      (_, column) => this.#root(one.first + column) === this.#root(other.first + column),
    )
  }

  /** With what is known of each, wherever it was said. */
  settled(): TableUse[] {
    const queue = this.#pins.flatMap((pins, node) => (pins === null ? [] : [node]))
    for (let at = 0; at < queue.length; at++) {
      const from = queue[at] as number
      const values = this.#pins[from] as readonly KeySource[]
      for (const to of this.#ways[from] ?? []) {
        const known = this.#pins[to]
        if (known != null && certainty(known) <= certainty(values)) continue
        this.#pins[to] = values
        queue.push(to)
      }
    }
    return this.uses.map(({ rule, first }) => ({
      table: rule.name,
      group: rule.group,
      pins: rule.columns.map((_, column) => this.#pins[first + column] ?? null),
    }))
  }

  /** The same column of the key, of tables that are placed alike. */
  #comparable(one: number, other: number): boolean {
    const [a, b] = [this.#useOf[one] as Use, this.#useOf[other] as Use]
    return a.rule.group === b.rule.group && one - a.first === other - b.first
  }

  #root(node: number): number {
    let root = node
    while (this.#parents[root] !== root) root = this.#parents[root] as number
    this.#parents[node] = root
    return root
  }
}

/** Fewer is better; an array's length is not known. */
function certainty(values: readonly KeySource[]): number {
  return values.some(({ kind }) => kind === 'elements') ? 1_000_000 : values.length
}
