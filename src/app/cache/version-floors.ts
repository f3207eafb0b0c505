// The newest version that a writer announced for a key, which outlives the entry: a reader of a lagging replica can't
// store what is older. Bounded; of too many keys the longest announced are forgotten, by then old for any replica.

const keysMax = 16_384

export class VersionFloors {
  readonly #floors = new Map<string, number>()

  /** -1: none. */
  of(key: string): number {
    return this.#floors.size === 0 ? -1 : (this.#floors.get(key) ?? -1)
  }

  raise(key: string, version: number): void {
    if (version < 0 || version < this.of(key)) return
    this.#floors.delete(key)
    this.#floors.set(key, version)
    if (this.#floors.size > keysMax) this.#forgetHalf()
  }

  #forgetHalf(): void {
    let left = keysMax / 2
    for (const key of this.#floors.keys()) {
      if (left-- === 0) return
      this.#floors.delete(key)
    }
  }
}
