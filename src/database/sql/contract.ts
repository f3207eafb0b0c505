// What the router must know of a statement before it sends it: found once for each distinct text by a real parser, kept
// by text. A value, never changed after it was made.

/** Why a client keeps its server connection over transactions. Bits of `StatementInfo.pins`; names for the gauges. */
export const pinReasons = [
  'temp-table',
  'advisory-lock',
  'listen',
  'cursor-with-hold',
  'setting',
  'random-seed',
  'large-object',
  'load',
  'prepared-sql',
  'unknown',
  // currval() and lastval() say what this server connection's session did last.
  'sequence',
] as const
export type PinReason = (typeof pinReasons)[number]

export function pinBit(reason: PinReason): number {
  return 1 << pinReasons.indexOf(reason)
}

export type StatementKind =
  | 'select'
  | 'insert'
  | 'update'
  | 'delete'
  | 'merge'
  | 'ddl'
  | 'copy'
  | 'call'
  | 'transaction'
  | 'session'
  | 'explain'
  | 'other'

/** What a statement does to the transaction around it. */
export type TransactionEffect =
  | 'none'
  | 'begin'
  | 'begin-read-only'
  | 'commit'
  | 'rollback'
  | 'savepoint'
  | 'prepare'
  | 'commit-prepared'

export type SettingChange =
  /** `value` is SQL text as it can be sent again: `'de_AT.UTF-8'`, `5`, `default`. */
  | { readonly kind: 'set'; readonly name: string; readonly value: string; readonly local: boolean }
  | { readonly kind: 'reset'; readonly name: string }
  | { readonly kind: 'reset-all' }
  /** DISCARD ALL / PLANS / SEQUENCES / TEMP. */
  | { readonly kind: 'discard'; readonly what: 'all' | 'plans' | 'sequences' | 'temp' }
  /** Its value is known only after it has run: set_config() with anything but literals, SET in a function. */
  | { readonly kind: 'unknown'; readonly name: string | null }
  /** The same, up to the end of the transaction. */
  | { readonly kind: 'unknown-local'; readonly name: string | null }

/** Words for Tenfold itself: answered by the router, never sent on. */
export type RouterCommand =
  | {
      readonly kind: 'show'
      readonly name: 'tenfold.route' | 'tenfold.token' | 'tenfold.reads' | 'tenfold.after'
    }
  | { readonly kind: 'set-reads'; readonly value: string | null }
  /** Reads of this session see at least what this token stands for. */
  | { readonly kind: 'set-after'; readonly token: string }

export interface StatementInfo {
  /** `select`; of several statements DDL (also in a DO block) before all others, then the first that writes, then the first. */
  readonly kind: StatementKind
  /** Statements in the text. More than one is one implicit transaction: one place. */
  readonly count: number
  /** A replica may serve it: it changes nothing, locks nothing, calls nothing volatile. */
  readonly readOnly: boolean
  /** It may change what others see (false for SET, BEGIN, SHOW, LISTEN). Unknown counts as true. */
  readonly mayWrite: boolean
  readonly transaction: TransactionEffect
  /** Bits: reasons to pin from this statement on. */
  readonly pins: number
  /** Bits: pins that it ends (UNLISTEN *, pg_advisory_unlock_all). Levels of single locks are the session's to count. */
  readonly unpins: number
  /** +1 for each pg_advisory_lock, -1 for each pg_advisory_unlock in it. */
  readonly advisoryLocks: number
  readonly settings: readonly SettingChange[]
  /** SQL-level PREPARE / EXECUTE / DEALLOCATE: kept by the session that made them. */
  readonly prepared: {
    readonly kind: 'prepare' | 'execute' | 'deallocate'
    readonly name: string | null
  } | null
  readonly copy: 'in' | 'out' | null
  /** It can't run inside a transaction block, or manages transactions itself (VACUUM, CREATE DATABASE, CALL). */
  readonly ownTransaction: boolean
  /** Sets synchronous_commit off, here or in a function it makes: what was acknowledged may not be flushed yet. */
  readonly asynchronousCommit: boolean
  /** An SQL comment at its beginning: `/* tenfold: primary *\/`, `/* tenfold: reads=any *\/`. */
  readonly hint: 'primary' | 'fresh' | 'session' | 'any' | 'replica' | null
  /** `/* tenfold: cache=10s *\/`: how long its result may be kept; null: nothing is said. */
  readonly cacheMs: number | null
  readonly command: RouterCommand | null
  /** Functions by name that decide about `readOnly`, looked up when the catalogue is known: lower case, `schema.name` or `name`. */
  readonly functions: readonly string[]
  /** Relations that are read: `schema.name` or `name`; a view of them may hide a volatile function. */
  readonly relations: readonly string[]
  /** Normalised text ($1 for literals), for `slow` and metrics; never holds a value of the client's. */
  readonly normalised: string
  /** Why it is what it is: `locks rows (FOR UPDATE)`, `calls nextval()`, `does not parse`. */
  readonly why: string
}

export interface StatementBook {
  /** From the memory, or parsed now. A text that does not parse, or is too long to parse, counts as a write. */
  look(text: string): StatementInfo
  /** Of one database: volatile functions, views. Statements looked at before are judged anew. */
  learn(catalogue: Catalogue): void
  readonly counts: {
    readonly hits: number
    readonly normalisedHits: number
    readonly parses: number
    readonly failures: number
  }
}

/** What the primary says of itself, read once by the monitor, and again when a DDL statement passed. */
export interface Catalogue {
  /**
   * `name` and `schema.name` of every function that is NOT volatile in all its overloads; `operator(+)` and `type(t)` of
   * what calls nothing volatile. Names as PostgreSQL keeps them.
   */
  readonly calm: ReadonlySet<string>
  /** Views (and what policies or rules make unsafe) whose reading may call something volatile. */
  readonly unsafeRelations: ReadonlySet<string>
  /** Roles, databases or functions have synchronous_commit off somewhere. */
  readonly asynchronousCommit: boolean
  /** Bits of pins by function (`name`, `schema.name`): its body leaves something in the session. */
  readonly pinning?: ReadonlyMap<string, number>
}
