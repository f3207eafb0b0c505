// Each proof, ticket and token may be used once. This edge's own table decides first, for all its workers; where the
// system has a Redis for its edges, that one decides too, for all of them. What can't be asked is answered by the file:
// `refuse` refuses, `local` lets this edge decide alone.

import type { Reply } from '../../io/redis/link.ts'
import type { SpentTable } from './spent-table.ts'

/** The part of a Redis connection that is needed. */
export interface SpentLink {
  ask(args: readonly string[]): Promise<Reply>
}

export interface SharedSpent {
  readonly link: SpentLink
  readonly prefix: string
  readonly whenAway: 'local' | 'refuse'
}

export class Spent {
  readonly #table: SpentTable
  shared: SharedSpent | null = null

  constructor(table: SpentTable) {
    this.#table = table
  }

  /** True once for each id, until it expires; false from then on. Never rejects. */
  async spend(kind: string, id: string, expiresAtMs: number, nowMs: number): Promise<boolean> {
    const name = `${kind}:${id}`
    if (!this.#table.spend(name, expiresAtMs, nowMs)) return false
    const { shared } = this
    if (shared === null) return true
    const life = Math.max(1, Math.ceil(expiresAtMs - nowMs) + 1_000)
    try {
      const said = await shared.link.ask([
        'SET',
        `${shared.prefix}spent:${name}`,
        '1',
        'NX',
        'PX',
        String(life),
      ])
      return said !== null && String(said) === 'OK'
    } catch {
      return shared.whenAway === 'local'
    }
  }

  /** In this edge only: cheap, for paces that need not be exact over hosts. */
  spendHere(kind: string, id: string, expiresAtMs: number, nowMs: number): boolean {
    return this.#table.spend(`${kind}:${id}`, expiresAtMs, nowMs)
  }

  /** Was it taken back? Without I/O: each edge knows what it has heard. */
  isFresh(kind: string, id: string, expiresAtMs: number): boolean {
    return this.#table.isFresh(`${kind}:${id}`, expiresAtMs)
  }
}
