// The rule sets that are in use in this thread, compiled once for all policies that name the same files, and again only
// when a file has changed. Compiling gives way to others now and then: it may take a second of one core.

import { setImmediate } from 'node:timers/promises'
import type { CheckedWaf } from '../../file/checked-guard.ts'
import { Failure } from '../../kit/failure.ts'
import { builtinSources } from './builtin/index.ts'
import { wafFailures } from './failures.ts'
import { compileSlowly, RuleBook, type RuleSet } from './rules.ts'
import { RuleSyntaxError } from './seclang/lines.ts'
import { type RuleFiles, readRuleFiles } from './sources.ts'

interface Shelf {
  readonly mark: string
  readonly set: RuleSet
}

export class RuleLibrary {
  #sets: Map<string, Shelf> = new Map()
  readonly #warm: boolean
  /** A policy's routes share one. */
  #books: WeakMap<CheckedWaf, RuleBook> = new WeakMap()

  /** @param warm Makes the automata too: not where rules are only checked. */
  constructor(warm: boolean) {
    this.#warm = warm
  }

  /** What these policies name, and nothing else any more. Throws a Failure. Gives what was left out, of new sets. */
  async take(wafs: readonly CheckedWaf[]): Promise<readonly string[]> {
    const sets = new Map<string, Shelf>()
    const notes: string[] = []
    for (const waf of wafs) {
      const key = keyOf(waf)
      if (sets.has(key)) continue
      const files: RuleFiles =
        waf.rules === 'builtin'
          ? { sources: builtinSources(), mark: 'builtin' }
          : await readRuleFiles(waf.rules)
      const known = this.#sets.get(key)
      if (known?.mark === files.mark) sets.set(key, known)
      else {
        const set = await this.#compile(files)
        sets.set(key, { mark: files.mark, set })
        notes.push(...set.loaded.notes)
      }
    }
    this.#sets = sets
    this.#books = new WeakMap()
    return notes
  }

  /** After `take` of the same policy. */
  book(waf: CheckedWaf): RuleBook {
    const known = this.#books.get(waf)
    if (known !== undefined) return known
    const shelf = this.#sets.get(keyOf(waf))
    if (shelf === undefined) throw new Error('rules are asked for before they were taken')
    const book = new RuleBook(shelf.set, { ...waf, endsAtRefusal: waf.mode === 'block' })
    this.#books.set(waf, book)
    return book
  }

  async #compile(files: RuleFiles): Promise<RuleSet> {
    try {
      return await compileSlowly(files.sources, this.#warm, () => setImmediate())
    } catch (error) {
      if (error instanceof RuleSyntaxError) throw new Failure(wafFailures.rulesInvalid, error.message)
      throw error
    }
  }
}

function keyOf(waf: CheckedWaf): string {
  return waf.rules === 'builtin' ? 'builtin' : `files ${waf.rules.join('\n')}`
}
