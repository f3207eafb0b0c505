// What one client of a sharded database is between its statements: what it has prepared and bound, its settings as far as they
// are Tenfold's, its seats and its transaction. State only: `interpreter.ts` acts on it.

import type { Placed } from '../../policy/shard/contract.ts'
import type { ClientOutput } from './client-output.ts'
import type { SeatRequest } from './contract.ts'
import type { BoundParameters, HeardKey, KeyPlaces, PlaceRules } from './key-places.ts'
import type { Seat } from './seat.ts'
import type { Seats } from './seats.ts'
import type { ShardedRouting } from './sharded-routing.ts'
import { tagOf } from './statement-failed.ts'
import type { TextMeaning, TextStatement } from './texts.ts'
import type { ShardTransaction } from './transaction.ts'

/** What a client has prepared. */
export interface KnownStatement {
  /** '' : the one without a name. */
  readonly name: string
  readonly text: string
  /** What follows the name in its Parse: NUL, text, NUL, types. */
  readonly tail: Buffer
  readonly types: readonly number[]
  /** Of a client that passed its Parse on: who knows whether it succeeded. */
  readonly by: Seat | null
  described: Described | null
}

export interface Described {
  readonly types: readonly number[]
  /** Null: no rows. */
  readonly fields: Buffer | null
  readonly generation: number
}

export interface Portal {
  readonly statement: KnownStatement
  readonly values: readonly (Buffer | null)[]
  readonly formats: readonly number[]
  readonly resultFormats: readonly number[]
  /** Its columns are wanted before its first row. */
  fieldsWanted: boolean
  /** Rows that wait for the next Execute, after one with a limit. */
  rows: Buffer[] | null
  tag: string | null
}

/** Whoever hands over the data of a COPY FROM STDIN as it comes. */
export interface CopySource {
  /** Until the client has said its end; false of `take` pauses the client. */
  read(target: CopyTarget): Promise<CopyEnd>
}
export interface CopyTarget {
  take(bytes: Buffer, from: number, to: number): boolean
  drained(): Promise<void>
}
export type CopyEnd = { readonly done: true } | { readonly done: false; readonly reason: string }

export interface ClientOf {
  readonly routing: ShardedRouting
  readonly output: ClientOutput
  readonly seats: Seats
  readonly transaction: ShardTransaction
  readonly copySource: CopySource
  readonly userName: string
  readonly allowBroadcast: boolean
  /** Where the client says that it is; '': nowhere. */
  readonly region: string
}

export class ShardClient {
  readonly routing: ShardedRouting
  readonly output: ClientOutput
  readonly seats: Seats
  readonly transaction: ShardTransaction
  readonly copySource: CopySource
  readonly userName: string
  readonly statements: Map<string, KnownStatement> = new Map()
  readonly portals: Map<string, Portal> = new Map()
  unnamed: KnownStatement | null = null
  /** Where cursors were declared. */
  readonly cursors: Map<string, number> = new Map()
  /** Of them, those that outlive their transaction. */
  readonly heldCursors: Set<string> = new Set()
  dryRun = false
  /** By what has not been committed: others learn it then. */
  tablesChanged = false
  /** As they were before the transaction that set them for itself. */
  localBefore: {
    readonly allowBroadcast: boolean
    readonly dryRun: boolean
    readonly region: string
  } | null = null
  /** Of no use where no rule places it. */
  region: string
  #meaning: TextMeaning
  #meantBy: ReadonlyMap<string, string> | null = null
  #allowBroadcast: boolean
  #home: number
  #went: readonly number[] = []

  constructor(of: ClientOf) {
    this.routing = of.routing
    this.output = of.output
    this.seats = of.seats
    this.transaction = of.transaction
    this.copySource = of.copySource
    this.userName = of.userName
    this.#allowBroadcast = of.allowBroadcast
    this.region = of.region
    this.#home = of.routing.nextHome()
    this.#meaning = this.#meant()
  }

  get allowBroadcast(): boolean {
    return this.#allowBroadcast
  }

  set allowBroadcast(allowed: boolean) {
    this.#allowBroadcast = allowed
    this.#meaning = this.#meant()
  }

  /** What its texts are. */
  look(text: string): readonly TextStatement[] {
    if (this.#meantBy !== this.seats.values) this.#meaning = this.#meant()
    return this.routing.texts.look(text, this.#meaning)
  }

  /** The place of a text whose only key is an integer; null: look at it in full. */
  placeOfText(text: string): Extract<Placed, { shard: number }> | null {
    if (this.#meantBy !== this.seats.values) this.#meaning = this.#meant()
    const { texts } = this.routing
    const family = texts.familyOf(text, this.#meaning)
    const placed = family === null ? undefined : this.routing.integers(family)?.(texts.integer)
    return placed !== undefined && 'shard' in placed ? placed : null
  }

  #meant(): TextMeaning {
    this.#meantBy = this.seats.values
    const said = this.seats.values.get('search_path')
    const searchPath = said === undefined ? [this.userName, 'public'] : searchPathOf(said, this.userName)
    const allowBroadcast = this.#allowBroadcast
    return { searchPath, allowBroadcast, key: `${allowBroadcast ? 1 : 0}${searchPath.join('\0')}` }
  }

  /** Where what any shard may do is done. */
  get home(): number {
    const member = this.transaction.anyMember
    if (member !== undefined) return member
    const near = this.region === '' ? undefined : this.routing.regions.get(this.region)
    if (near !== undefined && this.routing.groups[near]?.primaryOpen === true) return near
    if (this.#home >= this.routing.groups.length) this.#home = 0
    return this.#home
  }

  /** Portals and what was set for the transaction are gone. */
  transactionEnded(): void {
    this.portals.clear()
    for (const name of [...this.cursors.keys()]) if (!this.heldCursors.has(name)) this.cursors.delete(name)
    const before = this.localBefore
    this.localBefore = null
    if (before === null) return
    this.allowBroadcast = before.allowBroadcast
    this.dryRun = before.dryRun
    this.region = before.region
  }

  /** Ids of the shards that the last statement went to. */
  get route(): string {
    return this.#went.map(shard => this.routing.map.shards[shard] ?? '?').join(',')
  }

  went(shards: readonly number[]): void {
    this.#went = shards
  }

  places(bound: BoundParameters, heard: HeardKey | null = null, rules?: PlaceRules): KeyPlaces {
    return this.routing.places(bound, heard, rules)
  }

  /** Parameters and columns of a statement, as a server says; asked once. */
  async describe(statement: KnownStatement): Promise<Described> {
    const { generation } = this.routing.texts
    const known = statement.described
    if (known !== null && known.generation === generation) return known
    const seat = await this.transaction.seat(this.home)
    const { end, types, fields } = await seat.describe(statement.text, statement.types)
    tagOf(end)
    statement.described = { types, fields, generation }
    return statement.described
  }

  /** Of its parameters alone; asked once for all clients that mean the same by the text. */
  async typesOf(statement: KnownStatement): Promise<readonly number[]> {
    const { texts } = this.routing
    const key = `${this.#meaning.key}\0${statement.types.join()}\0${statement.text}`
    const known = texts.typesOf(key)
    if (known !== undefined) return known
    const { types } = await this.describe(statement)
    texts.keepTypes(key, types)
    return types
  }

  /** Closed by the client, or as if it had never been. */
  forget(name: string): void {
    this.statements.delete(name)
    for (const { session } of this.seats.opened) {
      const inner = session.statements?.get(name)
      if (inner === undefined) continue
      session.statements?.delete(name)
      session.database.statements.leave(inner)
    }
  }

  /** A seat knows what the client has prepared elsewhere. */
  teach({ session }: Seat, statement: KnownStatement): void {
    const { name, text, tail, types } = statement
    if (name !== '' && session.statements?.has(name) === true) return
    if (name === '') {
      if (session.unnamed?.text === text && session.unnamed.types === null && types.length === 0) return
      const bytes = types.length === 0 ? null : tail.subarray(tail.length - 4 * types.length)
      session.unnamed = { text, types: bytes, info: session.database.book.look(text) }
      return
    }
    const info = session.database.book.look(text)
    session.statements ??= new Map()
    session.statements.set(name, session.database.statements.use(tail, session.meaning, text, info))
  }
}

export const noRequest: Omit<SeatRequest, 'sql'> = {
  types: [],
  parameters: [],
  parameterFormats: [],
  resultFormats: [],
}

/** Of the statement that sets it: `SET search_path TO a, "B"`, or set_config() with a literal. */
export function searchPathOf(said: string, user: string): readonly string[] {
  const config = /set_config\(\s*'search_path'\s*,\s*E?'((?:[^']|'')*)'/i.exec(said)?.[1]
  const list = config?.replaceAll("''", "'") ?? /\bTO\s+([\s\S]*)$/i.exec(said)?.[1] ?? ''
  const names: string[] = []
  for (const [, quoted, literal, plain] of list.matchAll(/"((?:[^"]|"")*)"|'((?:[^']|'')*)'|([^\s,"']+)/g)) {
    const name =
      quoted?.replaceAll('""', '"') ?? literal?.replaceAll("''", "'") ?? (plain ?? '').toLowerCase()
    names.push(name === '$user' ? user : name)
  }
  return names
}
