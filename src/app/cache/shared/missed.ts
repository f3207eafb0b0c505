// What each shard was not told of while it could not be reached: names to forget before anything of it is served again.
// Bounded: with too many names, or none known, it is everything. Holds names; sends nothing.

import type { Forgotten } from '../contract.ts'

/** Names that are remembered for one shard. Beyond, the whole shard is forgotten, which costs loads and no truth. */
export const missedMax = 10_000

interface Missed {
  readonly keys: Set<string>
  readonly tags: Set<string>
  everything: boolean
}

export class MissedWords {
  readonly #shards = new Map<number, Missed>()

  /** Nothing was missed by the shard. */
  none(shard: number): boolean {
    return this.#shards.size === 0 || !this.#shards.has(shard)
  }

  get size(): number {
    let size = 0
    for (const one of this.#shards.values()) size += one.everything ? 1 : one.keys.size + one.tags.size
    return size
  }

  /** Soft words become hard ones: what is served after a gap must be true. */
  add(shard: number, keys: readonly string[], tags: readonly string[], everything: boolean): void {
    const one = this.#shards.get(shard) ?? { keys: new Set(), tags: new Set(), everything: false }
    this.#shards.set(shard, one)
    if (one.everything) return
    for (const key of keys) one.keys.add(key)
    for (const tag of tags) one.tags.add(tag)
    if (!everything && one.keys.size + one.tags.size <= missedMax) return
    one.everything = true
    one.keys.clear()
    one.tags.clear()
  }

  /** Takes what the shard missed; null: nothing. Whoever can't tell it puts it back with `add`. */
  take(shard: number): Forgotten | null {
    const one = this.#shards.get(shard)
    if (one === undefined) return null
    this.#shards.delete(shard)
    return { keys: [...one.keys], tags: [...one.tags], everything: one.everything, soft: false }
  }
}
