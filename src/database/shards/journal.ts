// What a client has said in its open transaction to all of it, and not to one shard: savepoints and settings, in their order. A
// shard that joins later hears them first, so that it is where the others are.

import { quoted } from './gather/names.ts'

interface Entry {
  readonly kind: 'savepoint' | 'setting'
  /** Of a savepoint. */
  readonly name: string
  readonly sql: string
}

/** Beyond it the transaction is refused more. */
const entriesMax = 10_000

/** What the transaction itself is like. */
const ofTransaction = /^\s*SET\s+(LOCAL\s+|SESSION\s+)?(TRANSACTION|CHARACTERISTICS|transaction_)/i

export class TransactionJournal {
  readonly #entries: Entry[] = []

  get full(): boolean {
    return this.#entries.length >= entriesMax
  }

  get settings(): boolean {
    return this.#entries.some(one => one.kind === 'setting')
  }

  texts(): readonly string[] {
    return this.#entries.map(one => one.sql)
  }

  /** Settings alone, for a transaction beside this one. */
  settingTexts(): readonly string[] {
    const said = this.#entries.filter(({ kind, sql }) => kind === 'setting' && !ofTransaction.test(sql))
    return said.map(one => one.sql)
  }

  setting(sql: string): void {
    this.#entries.push({ kind: 'setting', name: '', sql })
  }

  savepoint(name: string): void {
    this.#entries.push({ kind: 'savepoint', name, sql: `SAVEPOINT ${quoted(name)}` })
  }

  has(name: string): boolean {
    return this.#find(name) >= 0
  }

  /** What was set since is undone; the savepoint stays. */
  rollbackTo(name: string): void {
    this.#entries.length = this.#find(name) + 1
  }

  /** It and later ones are no more; what was set since stays. */
  release(name: string): void {
    const at = this.#find(name)
    const later = this.#entries.splice(at).filter(one => one.kind === 'setting')
    this.#entries.push(...later)
  }

  clear(): void {
    this.#entries.length = 0
  }

  #find(name: string): number {
    return this.#entries.findLastIndex(one => one.kind === 'savepoint' && one.name === name)
  }
}
