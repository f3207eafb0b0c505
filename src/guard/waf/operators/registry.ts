// What operators of one rule set share: the tree of all phrases, and patterns that several rules have.

import { Pattern } from '../matcher/pattern.ts'
import { PhraseBuilder, type Phrases } from '../matcher/phrases.ts'

export interface FilteredPattern {
  readonly pattern: Pattern
  /** Of each of its pieces: lists of phrases, of which each has one that occurs in each match. */
  readonly lists: readonly (readonly number[])[]
}

export class Registry {
  readonly #builder = new PhraseBuilder()
  readonly #patterns: Map<string, FilteredPattern> = new Map()
  readonly #filters: Map<string, number> = new Map()
  #lists = 0
  #phrases: Phrases | null = null

  /** A new list of phrases: its number. */
  addPhrases(texts: readonly string[]): number {
    const list = this.#lists
    this.#lists += 1
    for (const text of texts) this.#builder.add(text, list)
    return list
  }

  pattern(source: string): FilteredPattern {
    const known = this.#patterns.get(source)
    if (known !== undefined) return known
    const pattern = new Pattern(source)
    const lists = pattern.pieces.map(({ required }) => required.map(texts => this.#filter(texts)))
    const made = { pattern, lists }
    this.#patterns.set(source, made)
    return made
  }

  /** Equal lists are one. */
  #filter(texts: readonly string[]): number {
    const key = texts.join('\n')
    const list = this.#filters.get(key) ?? this.addPhrases(texts)
    this.#filters.set(key, list)
    return list
  }

  /** After the last rule was read. */
  get phrases(): Phrases {
    this.#phrases ??= this.#builder.build(this.#lists)
    return this.#phrases
  }

  /** Makes all automata, so that the first request need not; a step of it each time. */
  *warming(): Generator<void> {
    for (const { pattern } of this.#patterns.values()) {
      pattern.warm()
      yield
    }
    this.#phrases ??= this.#builder.build(this.#lists)
    yield
  }
}
