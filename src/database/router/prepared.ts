// Named prepared statements, shared: the same text with the same types has one name on all server connections, whatever
// clients call it. A connection gets it when somebody first needs it there. Kept as long as a client or a connection has it.

import { parseOfTail } from '../../wire/postgres/index.ts'
import type { StatementInfo } from '../sql/contract.ts'

export interface SharedStatement {
  /** On servers, without NUL. No client's own name begins like this. */
  readonly name: Buffer
  /** What follows the name in its Parse: NUL, text, NUL, types. */
  readonly tail: Buffer
  readonly key: string
  /** Of the settings under which it was, or would be, prepared. */
  readonly meaning: string
  info: StatementInfo
  readonly text: string
  /** Clients and server connections that have it. */
  uses: number
}

export class SharedStatements {
  readonly #byKey = new Map<string, SharedStatement>()
  #count = 0

  get size(): number {
    return this.#byKey.size
  }

  /** `tail`: what follows the name in a Parse, from its NUL on; copied if it is to be kept. One use is counted. */
  use(tail: Buffer, meaning: string, text: string, info: StatementInfo): SharedStatement {
    const said = tail.latin1Slice()
    const key = meaning === '' ? said : `${meaning}\x01${said}`
    let known = this.#byKey.get(key)
    if (known === undefined) {
      const name = Buffer.from(`tenfold:${++this.#count}`)
      known = { name, tail: Buffer.from(tail), key, meaning, info, text, uses: 0 }
      this.#byKey.set(key, known)
    }
    known.info = info
    known.uses++
    return known
  }

  /** The same text as it is understood under other settings; the use goes over to it. */
  again(statement: SharedStatement, meaning: string): SharedStatement {
    const other = this.use(statement.tail, meaning, statement.text, statement.info)
    this.leave(statement)
    return other
  }

  leave(statement: SharedStatement): void {
    if (--statement.uses === 0) this.#byKey.delete(statement.key)
  }
}

export function parseOf(statement: SharedStatement): Buffer {
  return parseOfTail(statement.name, statement.tail)
}

/** How many of the oldest are looked at to find one that was not used for long. */
const lookedAt = 16

/** What one server connection has: bounded; the least recently used of the oldest goes. */
export class PreparedHere {
  readonly #shared: SharedStatements
  /** By statement: when it was last used, counted in uses. */
  readonly #used = new Map<SharedStatement, number>()
  #clock = 0

  constructor(shared: SharedStatements) {
    this.#shared = shared
  }

  get size(): number {
    return this.#used.size
  }

  /** Is it here? Then it counts as used now. */
  touch(statement: SharedStatement): boolean {
    if (!this.#used.has(statement)) return false
    this.#used.set(statement, ++this.#clock)
    return true
  }

  /** Answers one that must be closed for it, or null. */
  add(statement: SharedStatement, max: number): SharedStatement | null {
    const victim = this.#used.size >= max ? this.#oldest() : null
    if (victim !== null) this.drop(victim)
    this.#used.set(statement, ++this.#clock)
    statement.uses++
    return victim
  }

  drop(statement: SharedStatement): void {
    if (this.#used.delete(statement)) this.#shared.leave(statement)
  }

  clear(): void {
    for (const statement of this.#used.keys()) this.#shared.leave(statement)
    this.#used.clear()
  }

  #oldest(): SharedStatement | null {
    let found: SharedStatement | null = null
    let least = Infinity
    let seen = 0
    for (const [statement, used] of this.#used) {
      if (used < least) {
        least = used
        found = statement
      }
      if (++seen === lookedAt) break
    }
    return found
  }
}
