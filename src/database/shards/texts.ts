// What the texts of a sharded database's clients are: each statement's plan, and what is known of it otherwise. Found once for
// each text, search path and leave to broadcast; kept in a bounded memory, forgotten when the map or the tables change.

import type { StatementBook, StatementInfo } from '../sql/contract.ts'
import type { ShardPlan } from '../sql/shards/contract.ts'
import type { PlannedStatement, ShardPlanner } from '../sql/shards/index.ts'
import { type IntegerShape, integerAt, integerShape, shapeOfIntegers } from './integer-shapes.ts'
import { isTenfoldSetting } from './tenfold-settings.ts'

export interface TextStatement extends PlannedStatement {
  readonly info: StatementInfo
  /** It may go to its shard as the client sent it, if there is one. */
  readonly passes: boolean
  /** Where it goes by keys or to one shard: it is an INSERT, UPDATE or the like; functions may write as well. */
  readonly writes: boolean
  /** Its only key is this parameter, alone; -1: it is not so. */
  readonly parameter: number
  /** Of the book when it was planned. */
  readonly generation: number
}

/** How a session's texts are to be understood. */
export interface TextMeaning {
  readonly searchPath: readonly string[]
  readonly allowBroadcast: boolean
  /** The same for the same of both. */
  readonly key: string
}

const textsMax = 10_000
const charactersMax = 16 << 20
const typesMax = 2_000
const typedCharactersMax = 4_000

export class TextBook {
  readonly #planner: ShardPlanner
  readonly #book: StatementBook
  readonly #texts = new Map<string, Map<string, readonly TextStatement[]>>()
  readonly #shapes = new Map<string, Map<string, IntegerShape>>()
  /** Of the last text that `familyOf` knew. */
  integer = 0
  writes = false
  family = ''
  readonly #types = new Map<string, readonly number[]>()
  #count = 0
  #characters = 0
  /** Counts what was forgotten: who keeps something looks it up again. */
  generation = 0

  constructor(planner: ShardPlanner, book: StatementBook) {
    this.#planner = planner
    this.#book = book
  }

  look(text: string, meaning: TextMeaning): readonly TextStatement[] {
    let texts = this.#texts.get(meaning.key)
    const known = texts?.get(text)
    if (known !== undefined) return known
    const made = this.#planner.plan(text, meaning).map(one => this.#statement(one))
    this.#characters += text.length
    if (++this.#count > textsMax || this.#characters > charactersMax) {
      this.#clear()
      texts = undefined
    }
    if (texts === undefined) {
      texts = new Map()
      this.#texts.set(meaning.key, texts)
    }
    texts.set(text, made)
    return made
  }

  /** Of a text whose only key is an integer: the family; `integer` is then its value. Null: look at it in full. */
  familyOf(text: string, meaning: TextMeaning): string | null {
    const shape = shapeOfIntegers(text)
    if (shape === null) return null
    let shapes = this.#shapes.get(meaning.key)
    const known = shapes?.get(shape)
    if (known !== undefined) {
      this.integer = integerAt(text, known.at)
      this.writes = known.writes
      this.family = known.family
      return Number.isNaN(this.integer) ? null : known.family
    }
    const planned = this.look(text, meaning)
    const made = integerShape(text, planned)
    if (made === null) return null
    // Counted with the texts, and forgotten with them.
    this.#count++
    this.#characters += shape.length
    shapes = this.#shapes.get(meaning.key) ?? new Map<string, IntegerShape>()
    this.#shapes.set(meaning.key, shapes)
    shapes.set(shape, made)
    this.integer = integerAt(text, made.at)
    this.writes = made.writes
    this.family = made.family
    return Number.isNaN(this.integer) ? null : made.family
  }

  #statement(planned: PlannedStatement): TextStatement {
    const info = this.#book.look(planned.text)
    const { plan } = planned
    const { kind } = plan
    const passes =
      (kind === 'one' || kind === 'keys') &&
      info.transaction === 'none' &&
      info.settings.length === 0 &&
      info.command === null &&
      info.prepared === null &&
      info.copy === null &&
      !isTenfoldSetting(planned.text) &&
      planned.notes !== true
    return {
      ...planned,
      info,
      passes,
      writes: (plan.kind === 'one' || plan.kind === 'keys') && plan.writes,
      parameter: onlyParameter(plan),
      generation: this.generation,
    }
  }

  /** Types of a text's parameters, as a server found them. */
  typesOf(key: string): readonly number[] | undefined {
    return this.#types.get(key)
  }

  keepTypes(key: string, types: readonly number[]): void {
    if (key.length > typedCharactersMax) return
    if (this.#types.size >= typesMax) this.#types.clear()
    this.#types.set(key, types)
  }

  /** Tables or the map have changed. */
  forget(): void {
    this.generation++
    this.#clear()
  }

  #clear(): void {
    this.#types.clear()
    this.#texts.clear()
    this.#shapes.clear()
    this.#count = 0
    this.#characters = 0
  }
}

function onlyParameter(plan: ShardPlan): number {
  if (plan.kind !== 'keys' || plan.keys.length !== 1) return -1
  const [key = []] = plan.keys
  const [source] = key
  return key.length === 1 && source?.from === 'parameter' && source.array !== true ? source.index : -1
}
