// Connections of our own to the primaries of all shards, as the servers' superuser: one a shard, opened when first asked, given
// up when another server becomes the primary. Not for clients' statements.

import { configOf, type LinkTarget } from '../reads/link.ts'
import { type Row, Session } from '../servers/session.ts'

/** A shard's primary as it is known now. */
export interface ShardPrimary {
  readonly shard: string
  /** Of its group; a primary of another epoch is another primary, also at the same address. */
  readonly epoch: number
  /** As the superuser; null: there is none, or nobody may write to it. */
  readonly target: LinkTarget | null
}

export class Primaries {
  readonly #now: () => readonly ShardPrimary[]
  readonly #open = new Map<string, { readonly key: string; readonly session: Session }>()
  #closed = false

  /** @param now as things stand when it is asked */
  constructor(now: () => readonly ShardPrimary[]) {
    this.#now = now
  }

  get shards(): readonly string[] {
    return this.#now().map(one => one.shard)
  }

  /** What the primary of a shard answers. Rejects where there is none, and where it was replaced meanwhile. */
  async ask(shard: string, sql: string, timeoutMs: number): Promise<readonly Row[]> {
    const session = await this.#session(shard)
    const rows = await session.query(sql, timeoutMs)
    if (this.#open.get(shard)?.session !== session || this.#open.get(shard)?.key !== this.#key(shard))
      throw new Error(`shard ${shard} has another primary now`)
    return rows
  }

  close(): void {
    this.#closed = true
    for (const { session } of this.#open.values()) session.close()
    this.#open.clear()
  }

  #primary(shard: string): ShardPrimary | undefined {
    return this.#now().find(one => one.shard === shard)
  }

  #key(shard: string): string {
    const { epoch, target } = this.#primary(shard) ?? { epoch: 0, target: null }
    return target === null
      ? ''
      : JSON.stringify([epoch, target.host, target.port, target.user, target.database])
  }

  async #session(shard: string): Promise<Session> {
    const key = this.#key(shard)
    const target = this.#primary(shard)?.target ?? null
    const known = this.#open.get(shard)
    if (known !== undefined && known.key === key) return known.session
    known?.session.close()
    this.#open.delete(shard)
    if (target === null) throw new Error(`shard ${shard} has no primary`)
    const { ssl } = await configOf(target)
    if (this.#closed) throw new Error('it is closed')
    const { host, port, user, password, database } = target
    const plain = { host, port, user, password, database }
    const session = new Session(() => (ssl === undefined ? plain : { ...plain, ssl }))
    // Another call was faster.
    const other = this.#open.get(shard)
    if (other !== undefined && other.key === key) return other.session
    other?.session.close()
    this.#open.set(shard, { key, session })
    return session
  }
}
