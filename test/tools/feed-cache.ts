// For tests of the change feed: a cache as a service would have one, filled from the database without a pause while others
// write, emptied by what the feed says and by nothing else. When all is quiet, what it holds must be what the database has.

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Forgets {
  readonly everything: boolean
  readonly tags: readonly string[]
}

export class FeedCache {
  readonly held: Map<number, number> = new Map()
  hits = 0
  forgotten = 0
  everythings = 0
  #serial = 0
  readonly #forgottenAt = new Map<number, number>()
  #allForgottenAt = 0

  forget({ everything, tags }: Forgets): void {
    this.#serial++
    if (everything) {
      this.everythings++
      this.#allForgottenAt = this.#serial
      this.held.clear()
    }
    for (const tag of tags) {
      const id = Number(tag.slice('row:'.length))
      this.forgotten++
      this.#forgottenAt.set(id, this.#serial)
      this.held.delete(id)
    }
  }

  /** As a lease: what was forgotten while it was read is not kept. */
  async read(id: number, load: () => Promise<number | null>): Promise<void> {
    if (this.held.has(id)) {
      this.hits++
      return
    }
    const begun = this.#serial
    const value = await load()
    if (value === null) return
    if (this.#allForgottenAt > begun || (this.#forgottenAt.get(id) ?? 0) > begun) return
    this.held.set(id, value)
  }

  /** Until it holds nothing that is older than `rows`; what is missed stays for ever. */
  async settles(rows: ReadonlyMap<number, number>, why: () => string): Promise<void> {
    const end = performance.now() + 60_000
    const stale = (): number[] =>
      [...this.held].filter(([id, value]) => rows.get(id) !== value).map(([id]) => id)
    while (stale().length > 0) {
      assert.ok(performance.now() < end, `rows ${stale().join(', ')} stay stale: ${why()}`)
      await sleep(20)
    }
  }
}
