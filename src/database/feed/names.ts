// What caches must forget, gathered over changes and commits: sets with one bound over all of them. Beyond it nothing is
// dropped: it becomes `everything`. No I/O.

import type { Lsn } from '../contract.ts'
import type { Invalidation } from './contract.ts'

/** Tags, URLs and keys of one invalidation together. */
export const namesMax = 10_000
/** Their characters: a row may hold a megabyte where a template puts it. */
const charactersMax = 4 * 1024 * 1024

export class Names {
  everything = false
  readonly tags: Set<string> = new Set()
  readonly urls: Set<string> = new Set()
  readonly keys: Set<string> = new Set()
  /** As many as there are watched tables, at most. */
  readonly tables: Set<string> = new Set()
  #characters = 0

  get empty(): boolean {
    return !this.everything && this.tables.size === 0
  }

  add(to: 'tags' | 'urls' | 'keys', name: string): void {
    if (this.everything || this[to].has(name)) return
    this[to].add(name)
    this.#characters += name.length
    const count = this.tags.size + this.urls.size + this.keys.size
    if (count > namesMax || this.#characters > charactersMax) this.forgetAll()
  }

  /** What it is can't be told. */
  forgetAll(): void {
    this.everything = true
    for (const set of [this.tags, this.urls, this.keys]) set.clear()
  }

  addAll(other: Invalidation | Names): void {
    for (const table of other.tables) this.tables.add(table)
    if (other.everything) this.forgetAll()
    for (const to of ['tags', 'urls', 'keys'] as const) for (const name of other[to]) this.add(to, name)
  }

  invalidation(database: string, timeline: number, lsn: Lsn): Invalidation {
    const { everything, tags, urls, keys, tables } = this
    return {
      database,
      lsn,
      timeline,
      everything,
      tags: [...tags],
      urls: [...urls],
      keys: [...keys],
      tables: [...tables],
    }
  }
}
