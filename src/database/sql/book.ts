// The memory in front of the parser: by exact text, then by shape (the text without its values), and only then a parse. A
// text that can't be parsed counts as a write. Judgements are made anew when the catalogue changes, parses are kept.

import type { Catalogue, StatementBook, StatementInfo } from './contract.ts'
import { type Facts, joined, markWrite, newFacts, pin } from './facts.ts'
import { Generations } from './generations.ts'
import { cacheMsOf, hintOf } from './hint.ts'
import { judged } from './judge.ts'
import { type Shape, sampleText, shapeOf, shownText } from './lexer.ts'
import { type Parsed, parsed } from './parse.ts'

export interface StatementBookOptions {
  /** Texts remembered, and the characters of them; shapes as many again. Twice as much at most is held. */
  readonly textsMax?: number
  readonly charactersMax?: number
  /** Longer texts are never remembered, and are parsed by their shape, if that is shorter. */
  readonly parseCharactersMax?: number
  /** Reads of tables count as writes until the catalogue is known, because any of them may be a view of anything. */
  readonly strict?: boolean
}

interface Entry {
  readonly facts: Facts
  readonly hint: StatementInfo['hint']
  readonly cacheMs: number | null
  readonly normalised: string
  info: StatementInfo
  /** By which catalogue `info` was judged. */
  judgement: number
}

const keptOneIn = 8
/** Characters. */
const sampledFrom = 1_000
const defaults = { textsMax: 5_000, charactersMax: 4_000_000, parseCharactersMax: 65_536, strict: false }

export function createStatementBook(options: StatementBookOptions = {}): StatementBook {
  return new Book({ ...defaults, ...options })
}

class Book implements StatementBook {
  readonly counts = { hits: 0, normalisedHits: 0, parses: 0, failures: 0 }
  readonly #options: Required<StatementBookOptions>
  readonly #texts: Generations<Entry>
  readonly #shapes: Generations<Entry>
  #catalogue: Catalogue | null = null
  #judgement = 0

  constructor(options: Required<StatementBookOptions>) {
    const bounds = { entriesMax: options.textsMax, charactersMax: options.charactersMax }
    this.#options = options
    this.#texts = new Generations(bounds)
    this.#shapes = new Generations(bounds)
  }

  look(text: string): StatementInfo {
    let entry = this.#texts.get(text)
    if (entry === undefined) entry = this.#find(text)
    else this.counts.hits++
    if (entry.judgement !== this.#judgement) this.#judge(entry)
    return entry.info
  }

  learn(catalogue: Catalogue): void {
    this.#catalogue = catalogue
    this.#judgement++
  }

  #judge(entry: Entry): void {
    entry.info = judged(
      entry.facts,
      entry.hint,
      entry.cacheMs,
      entry.normalised,
      this.#catalogue,
      this.#options.strict,
    )
    entry.judgement = this.#judgement
  }

  #find(text: string): Entry {
    const shape = shapeOf(text)
    const key = shape.hint === null ? shape.key : `${shape.hint}\x04${shape.key}`
    let entry = shape.exact ? undefined : this.#shapes.get(key)
    const met = entry !== undefined
    entry ??= this.#read(text, shape, key)
    if (met) this.counts.normalisedHits++
    if (this.#isKept(text, shape, met)) this.#texts.set(text, entry)
    return entry
  }

  /** Texts with values mostly never come again; one in some is kept, so that those which do are found by their text soon. */
  #isKept(text: string, shape: Shape, met: boolean): boolean {
    if (text.length > this.#options.parseCharactersMax) return false
    return !met || !shape.values || this.counts.normalisedHits % keptOneIn === 0
  }

  #read(text: string, shape: Shape, key: string): Entry {
    this.counts.parses++
    const result = this.#parsed(text, shape)
    if (result.kind !== 'facts') this.counts.failures++
    const facts = result.kind === 'facts' ? result.facts : unparsed(shape, result.kind)
    // A text that does not parse may hold values outside quotes.
    const shown = result.kind === 'error' ? '(does not parse)' : shownText(shape.key)
    const entry = this.#entry(facts, shape.hint, shown)
    if (result.kind !== 'error' && !shape.exact) this.#shapes.set(key, entry)
    return entry
  }

  /** Long lists of values cost the parser milliseconds, and say nothing: it gets the shape. */
  #parsed(text: string, shape: Shape): Parsed {
    const { parseCharactersMax } = this.#options
    const lists = text.length > sampledFrom && shape.key.length * 2 < text.length
    if (lists && !shape.exact && shape.key.length <= parseCharactersMax) {
      const result = parsed(sampleText(shape.key))
      // Where a comma ended something else than an item (`1 BETWEEN 0 AND 2, 3`), the shape may be no SQL.
      if (result.kind === 'facts') return result
    }
    return text.length <= parseCharactersMax ? parsed(text) : { kind: 'gave-up' }
  }

  #entry(facts: Facts, said: string | null, normalised: string): Entry {
    const [hint, cacheMs] = [hintOf(said), cacheMsOf(said)]
    const info = judged(facts, hint, cacheMs, normalised, this.#catalogue, this.#options.strict)
    return { facts, hint, cacheMs, normalised, info, judgement: this.#judgement }
  }
}

/** What can be said of a long text by its words: a single statement about rows that calls nothing with effects. */
const rowVerbs: ReadonlyMap<string, Facts['kind']> = new Map([
  ['select', 'select'],
  ['with', 'select'],
  ['values', 'select'],
  ['insert', 'insert'],
  ['update', 'update'],
  ['delete', 'delete'],
  ['merge', 'merge'],
] as const)
const effectWords =
  /\b(set_config|setseed|currval|lastval|temp|temporary|pg_temp\w*|pg_(try_)?advisory_\w+|dblink_connect\w*|pg_replication_\w+)\b/i

function unparsed(shape: Shape, reason: 'error' | 'gave-up'): Facts {
  if (reason === 'error') {
    const facts = newFacts('other')
    markWrite(facts, 'does not parse')
    return facts
  }
  const kind = shape.statements === 1 ? rowVerbs.get(shape.verb) : undefined
  const facts = joined([newFacts(kind ?? 'other')])
  facts.count = Math.max(1, shape.statements)
  markWrite(facts, 'is too long or too deep to be parsed')
  if (kind === undefined || effectWords.test(shape.key)) pin(facts, 'unknown')
  return facts
}
