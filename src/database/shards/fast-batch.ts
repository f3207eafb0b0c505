// Is what a client sends up to its Sync (or one Query) for one shard, and nothing the session has to do with? Then it is passed
// on as it is. Looked at in place, message by message; whoever is in doubt says no, and the interpreter does it.

import type { Placed } from '../../policy/shard/contract.ts'
import type { HeatKey } from '../../policy/shard/heat.ts'
import {
  BindView,
  ExecuteView,
  frontend,
  ParseView,
  portalTarget,
  readBind,
  readExecute,
  readParameters,
  readParse,
  readQuery,
  readTarget,
  statementTarget,
  TargetView,
} from '../../wire/postgres/index.ts'
import type { ShardPlan } from '../sql/shards/contract.ts'
import type { KnownStatement, ShardClient } from './client.ts'
import { integerParameter } from './integer-parameter.ts'
import { isKnown, statementOf } from './interpreter.ts'
import { type BoundParameters, type HeardKey, heatKey, noParameters } from './key-places.ts'
import type { TextStatement } from './texts.ts'

const parseView = new ParseView()
const bindView = new BindView()
const targetView = new TargetView()
const executeView = new ExecuteView()

const anyShard = -1
/** More keys of one batch do not count. */
const hotMax = 1_000

interface HotKey {
  family: string
  shard: number
  slot: number
  key: HeatKey
  writes: boolean
}

export class FastBatch {
  readonly #client: ShardClient
  /** Still one shard's. */
  passes = true
  /** Nothing of it outlasts its Sync, so that it may pass amid a transaction. */
  whole = true
  /** Its shard takes part in the commit of a transaction. */
  writes = false
  #shard = anyShard
  /** Prepared in this batch. */
  readonly made: KnownStatement[] = []
  /** Prepared earlier, and needed. */
  readonly used: KnownStatement[] = []
  #unnamed: KnownStatement | null = null
  #unnamedPortal = false
  readonly #portals = new Set<string>()
  #query = false
  /** Keys of this batch; made once. */
  readonly #heat: HotKey[] = []
  #hotCount = 0
  #hotWrites = false

  constructor(client: ShardClient) {
    this.#client = client
  }

  begin(): void {
    this.passes = true
    this.whole = true
    this.writes = false
    this.#shard = anyShard
    // Emptying what is empty is not for nothing.
    if (this.made.length > 0) this.made.length = 0
    if (this.used.length > 0) this.used.length = 0
    this.#unnamed = this.#client.unnamed
    this.#unnamedPortal = false
    if (this.#portals.size > 0) this.#portals.clear()
    this.#query = false
    this.#hotCount = 0
    this.#hotWrites = false
  }

  /** It goes: its keys count as heat. */
  count(): void {
    const { heat } = this.#client.routing
    if (this.#hotCount === 0) heat.shard(this.shard, this.writes)
    for (let at = 0; at < this.#hotCount; at++) {
      const { family, shard, slot, key, writes } = this.#heat[at] as HotKey
      heat.key(family, shard, slot, key, writes)
    }
  }

  readonly #hear: HeardKey = (family, values, placed) => this.#hot(family, placed, heatKey(values))

  #hot(family: string, placed: Extract<Placed, { shard: number }>, key: HeatKey): void {
    if (this.#hotCount >= hotMax) return
    const made = this.#heat[this.#hotCount]
    const one = made ?? { family: '', shard: 0, slot: 0, key: '', writes: false }
    if (made === undefined) this.#heat.push(one)
    this.#hotCount++
    one.family = family
    one.shard = placed.shard
    one.slot = placed.slot
    one.key = key
    one.writes = this.#hotWrites
  }

  /** Where it goes. */
  get shard(): number {
    return this.#shard === anyShard ? this.#client.home : this.#shard
  }

  /** It was a simple Query: the statement without a name is gone. */
  get query(): boolean {
    return this.#query
  }

  /** One whole message `bytes[at..end)`. */
  take(type: number, bytes: Buffer, at: number, end: number): void {
    if (this.passes) this.passes = this.#takes(type, bytes, at + 5, end)
  }

  #takes(type: number, bytes: Buffer, from: number, to: number): boolean {
    switch (type) {
      case frontend.bind:
        return readBind(bytes, from, to, bindView) === null && this.#bind(bytes, to)
      case frontend.execute:
        if (readExecute(bytes, from, to, executeView) !== null) return false
        if (executeView.rowsMax > 0) this.whole = false
        return this.#hasPortal(bytes, executeView.portalFrom, executeView.portalTo)
      case frontend.sync:
        return true
      case frontend.parse:
        return readParse(bytes, from, to, parseView) === null && this.#parse(bytes)
      case frontend.describe:
        return readTarget(bytes, from, to, targetView) === null && this.#describe(bytes)
      case frontend.close:
        return readTarget(bytes, from, to, targetView) === null && targetView.target === portalTarget
      case frontend.query:
        return readQuery(bytes, from, to) === null && this.#simple(bytes.utf8Slice(from, to - 1))
      default:
        return false
    }
  }

  #simple(text: string): boolean {
    this.#query = true
    const placed = this.#client.placeOfText(text)
    if (placed !== null) {
      const { texts } = this.#client.routing
      this.#mayWrite(texts.writes, text)
      this.#hotWrites = texts.writes
      this.#hot(texts.family, placed, texts.integer)
      return this.#goesTo(placed.shard)
    }
    const statements = this.#client.look(text)
    if (statements.length === 0) return false
    for (const statement of statements) if (!this.#goes(statement, noParameters)) return false
    return true
  }

  #parse(bytes: Buffer): boolean {
    const statement = this.#again(bytes) ?? statementOf(bytes, parseView)
    const { name, text } = statement
    const planned = this.#client.look(text)
    if (planned.length !== 1 || planned[0]?.passes !== true) return false
    if (name === '') this.#unnamed = statement
    else if (isKnown(this.#client, name) || this.#find(name) !== undefined) return false
    this.made.push(statement)
    return true
  }

  /** The statement without a name, if it is what it was before: many clients send the same text again and again. */
  #again(bytes: Buffer): KnownStatement | null {
    const { nameFrom, nameTo, typesFrom, typeCount } = parseView
    const before = this.#unnamed
    if (nameFrom !== nameTo || before === null) return null
    const { tail } = before
    const end = typesFrom + 4 * typeCount
    if (tail.length !== end - nameTo) return null
    return tail.compare(bytes, nameTo, end) === 0 ? before : null
  }

  #find(name: string): KnownStatement | undefined {
    for (const one of this.made) if (one.name === name) return one
    return undefined
  }

  /** Made here, or taught to the shard before. */
  #known(bytes: Buffer, from: number, to: number): KnownStatement | undefined {
    let statement = this.#unnamed ?? undefined
    if (from !== to) {
      const name = bytes.latin1Slice(from, to)
      statement = this.#find(name) ?? this.#client.statements.get(name)
    }
    if (statement !== undefined && !this.made.includes(statement)) this.used.push(statement)
    return statement
  }

  #bind(bytes: Buffer, to: number): boolean {
    const { portalFrom, portalTo, statementFrom, statementTo, restFrom } = bindView
    const statement = this.#known(bytes, statementFrom, statementTo)
    if (statement === undefined) return false
    const planned = this.#client.look(statement.text)
    const [one] = planned
    if (planned.length !== 1 || one === undefined) return false
    if (portalFrom === portalTo) this.#unnamedPortal = true
    else {
      this.#portals.add(bytes.latin1Slice(portalFrom, portalTo))
      this.whole = false
    }
    const { plan, parameter, passes } = one
    if (plan.kind !== 'keys') return this.#goes(one, noParameters)
    const integers = parameter < 0 ? null : this.#client.routing.integers(plan.family)
    if (integers !== null) {
      const value = integerParameter(bytes, restFrom, to, parameter, statement.types[parameter] ?? 0)
      if (!Number.isNaN(value)) {
        this.#mayWrite(one.writes, one.text)
        const placed = integers(value)
        if ('refused' in placed) return false
        this.#hotWrites = one.writes
        this.#hot(plan.family, placed, value)
        return passes && this.#goesTo(placed.shard)
      }
    }
    const bound = readParameters(bytes, restFrom, to)
    if (bound.kind === 'problem') return false
    return this.#goes(one, {
      values: bound.values.map(value => value.bytes),
      formats: bound.values.map(value => value.format),
      types: statement.types,
    })
  }

  #describe(bytes: Buffer): boolean {
    const { target, nameFrom, nameTo } = targetView
    if (target !== statementTarget) return this.#hasPortal(bytes, nameFrom, nameTo)
    return this.#known(bytes, nameFrom, nameTo) !== undefined
  }

  #hasPortal(bytes: Buffer, from: number, to: number): boolean {
    return from === to ? this.#unnamedPortal : this.#portals.has(bytes.latin1Slice(from, to))
  }

  #mayWrite(writes: boolean, text: string): void {
    const { routing, transaction } = this.#client
    if (writes || (transaction.inTransaction && routing.mayWrite(text))) this.writes = true
  }

  #goes({ plan, passes, writes, text }: TextStatement, bound: BoundParameters): boolean {
    this.#mayWrite(writes, text)
    this.#hotWrites = writes
    return passes && this.#goesTo(this.#shardOf(plan, bound))
  }

  #goesTo(shard: number): boolean {
    if (shard === anyShard) return true
    if (shard < 0 || (this.#shard !== anyShard && this.#shard !== shard)) return false
    this.#shard = shard
    return true
  }

  /** -2: several, or none. */
  #shardOf(plan: ShardPlan, bound: BoundParameters): number {
    const { routing } = this.#client
    if (plan.kind === 'one') {
      if (plan.on === 'any') return anyShard
      return plan.on === 'fixed' ? 0 : orNone(routing.map.shards.indexOf(plan.on.shard))
    }
    if (plan.kind !== 'keys') return -2
    let shard = -2
    for (const placed of routing.places(bound, this.#hear).ofSources(plan.family, plan.keys)) {
      if ('refused' in placed || placed.length !== 1) return -2
      const [one] = placed
      if (shard !== -2 && shard !== one) return -2
      shard = one as number
    }
    return shard
  }
}

function orNone(index: number): number {
  return index < 0 ? -2 : index
}
