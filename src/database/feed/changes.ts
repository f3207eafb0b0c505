// Messages of pgoutput, one after the other, to commits: what each transaction changed, by the rules. Never waits, opens
// nothing; a message that does not fit throws, and the connection ends.

import type { LogicalMessage } from '../../wire/postgres/index.ts'
import type { Lsn } from '../contract.ts'
import { Names } from './names.ts'
import { type TableRules, WatchedRelation } from './rules.ts'

export interface Commit {
  /** Behind its record: from here on it is done with. */
  readonly endLsn: Lsn
  /** The low 32 bits. */
  readonly xid: number
  readonly names: Names
}

export class ChangeReader {
  #rules: ReadonlyMap<string, TableRules>
  /** By the server's id; null: published once, of no interest now. */
  readonly #relations = new Map<number, WatchedRelation | null>()
  #open: { readonly xid: number; readonly names: Names } | null = null

  constructor(rules: ReadonlyMap<string, TableRules>) {
    this.#rules = rules
  }

  /** From now on; the server describes relations again only when they change. */
  use(rules: ReadonlyMap<string, TableRules>): void {
    this.#rules = rules
    for (const relation of this.#descriptions.values()) this.#describe(relation)
  }

  readonly #descriptions = new Map<number, LogicalMessage & { kind: 'relation' }>()

  get inTransaction(): boolean {
    return this.#open !== null
  }

  /** A commit when this was its end, with the names empty where nothing that is watched changed. */
  take(message: LogicalMessage): Commit | null {
    if (message.kind === 'begin') this.#open = { xid: message.xid, names: new Names() }
    else if (message.kind === 'relation') {
      this.#descriptions.set(message.id, message)
      this.#describe(message)
    } else if (message.kind === 'commit') {
      const { xid, names } = this.#transaction()
      this.#open = null
      return { endLsn: message.endLsn, xid, names }
    } else if (message.kind !== 'other' && message.kind !== 'message') this.#change(message)
    return null
  }

  #transaction(): { readonly xid: number; readonly names: Names } {
    if (this.#open === null) throw new Error('the server sent a change outside a transaction')
    return this.#open
  }

  #describe(message: LogicalMessage & { kind: 'relation' }): void {
    const rules = this.#rules.get(`${message.schema}.${message.name}`)
    this.#relations.set(message.id, rules === undefined ? null : new WatchedRelation(rules, message.columns))
  }

  #relation(id: number): WatchedRelation | null {
    const relation = this.#relations.get(id)
    if (relation === undefined)
      throw new Error(`the server sent a change of relation ${id} before its description`)
    return relation
  }

  #change(message: LogicalMessage & { kind: 'insert' | 'update' | 'delete' | 'truncate' }): void {
    const { names } = this.#transaction()
    if (message.kind === 'truncate') {
      for (const id of message.relations) this.#truncated(this.#relation(id), names)
      return
    }
    const relation = this.#relation(message.relation)
    if (relation === null) return
    names.tables.add(relation.rules.table)
    // Whatever it says: nothing more can be forgotten.
    if (names.everything) return
    if (message.kind === 'insert') relation.insert(message.row, names)
    else if (message.kind === 'update') relation.update(message.old, message.oldWhole, message.row, names)
    else relation.delete(message.old, message.oldWhole, names)
  }

  /** Which rows there were can't be known. */
  #truncated(relation: WatchedRelation | null, names: Names): void {
    if (relation === null) return
    names.tables.add(relation.rules.table)
    if (relation.rules.templates.length > 0) names.forgetAll()
  }
}
