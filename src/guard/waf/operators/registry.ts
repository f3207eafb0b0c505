// What operators of one rule set share: the automaton of all phrases, and patterns that several rules have.

import { Pattern } from '../matcher/pattern.ts'
import { PhraseBuilder, type Phrases } from '../matcher/phrases.ts'

/** Of a phrase, in the automaton of all: a small table stays in the processor's cache. */
const beginningBytes = 5

export class Registry {
  readonly #builder = new PhraseBuilder()
  readonly #patterns: Map<string, { pattern: Pattern; list: number }> = new Map()
  readonly #whole: (() => Phrases)[] = []
  #lists = 0
  #phrases: Phrases | null = null

  /** A new list of phrases, of which only the beginnings are looked for: its number. */
  addPhrases(texts: readonly string[]): number {
    const list = this.#lists
    this.#lists += 1
    for (const text of texts) this.#builder.add(text.slice(0, beginningBytes), list)
    return list
  }

  /** A list of whole phrases by itself. */
  addWhole(texts: readonly string[]): () => Phrases {
    const builder = new PhraseBuilder()
    for (const text of texts) builder.add(text, 0)
    let made: Phrases | null = null
    const phrases = (): Phrases => {
      made ??= builder.build(1)
      return made
    }
    this.#whole.push(phrases)
    return phrases
  }

  /** `list`: phrases of which one occurs in each match; -1: it must always be asked. */
  pattern(source: string): { readonly pattern: Pattern; readonly list: number } {
    const known = this.#patterns.get(source)
    if (known !== undefined) return known
    const pattern = new Pattern(source)
    const made = { pattern, list: pattern.required === null ? -1 : this.addPhrases(pattern.required) }
    this.#patterns.set(source, made)
    return made
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
    for (const phrases of this.#whole) {
      phrases()
      yield
    }
    this.#phrases ??= this.#builder.build(this.#lists)
    yield
  }
}
