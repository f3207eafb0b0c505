// The most frequent of many keys in a bounded memory: a table of counters which, when it is full, loses its smaller half by
// subtracting the median from all (Anderson et al., "A High-Performance Algorithm for Identifying Frequent Items in Data
// Streams", 2017; after Misra and Gries, 1982). What was subtracted is the error: a count is at most so much too low before
// it, and with it added at most so much too high. Amortised constant time; nothing is made for a key that is known.

interface Counter {
  count: number
  writes: number
}

export interface Frequent<K> {
  readonly key: K
  /** An upper bound. */
  readonly count: number
  readonly error: number
  readonly writes: number
}

export class FrequentKeys<K> {
  readonly #counters = new Map<K, Counter>()
  readonly #max: number
  #lost = 0

  /** @param max keys that are counted at once; a key with more than 2/max of everything is surely among them */
  constructor(max: number) {
    this.#max = max
  }

  add(key: K, writes: boolean): void {
    const known = this.#counters.get(key)
    if (known !== undefined) {
      known.count++
      if (writes) known.writes++
      return
    }
    if (this.#counters.size >= this.#max) this.#purge()
    this.#counters.set(key, { count: 1, writes: writes ? 1 : 0 })
  }

  #purge(): void {
    const counts = Float64Array.from(this.#counters.values(), one => one.count).sort()
    const median = counts[counts.length >> 1] as number
    for (const [key, counter] of this.#counters) {
      const { count } = counter
      if (count <= median) {
        this.#counters.delete(key)
        continue
      }
      counter.count = count - median
      counter.writes *= counter.count / count
    }
    this.#lost += median
  }

  /** Everything counts only so much from now on. */
  fade(factor: number): void {
    this.#lost *= factor
    for (const [key, counter] of this.#counters) {
      counter.count *= factor
      counter.writes *= factor
      if (counter.count < 1e-3) this.#counters.delete(key)
    }
  }

  /** The most frequent first. */
  top(limit: number): readonly Frequent<K>[] {
    return [...this.#counters]
      .sort(([, one], [, other]) => other.count - one.count)
      .slice(0, limit)
      .map(([key, { count, writes }]) => ({
        key,
        count: count + this.#lost,
        error: this.#lost,
        writes: count === 0 ? 0 : (writes * (count + this.#lost)) / count,
      }))
  }
}
