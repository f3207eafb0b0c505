// A version for each tag, compared when an entry is read: forgetting a tag is O(1), however many entries carry it.
// One counter numbers all forgetting; an entry, or a load, remembers the count at its beginning, so a load that began
// before its tag was forgotten dies by itself. Bounded: of too many tags the longest forgotten are summed up in a floor.

export const TagVerdict = { valid: 0, expired: 1, gone: 2 } as const

export class TagVersions {
  /** Number of the last forgetting: entries that are not older need not be looked at. */
  latest = 0
  readonly #limit: number
  /** Tag to the number of its last forgetting, longest ago first. */
  readonly #gone = new Map<string, number>()
  readonly #expired = new Map<string, number>()
  #floor = 0

  /** @param limit tags remembered one by one */
  constructor(limit: number) {
    this.#limit = limit
  }

  get size(): number {
    return this.#gone.size + this.#expired.size
  }

  /** @param soft only expired: grace goes on */
  forget(tag: string, soft: boolean): void {
    const map = soft ? this.#expired : this.#gone
    map.delete(tag)
    map.set(tag, ++this.latest)
    if (map.size > this.#limit) this.#sumUp(map)
  }

  /** Everything that began before now is gone. */
  forgetAll(): void {
    this.#floor = ++this.latest
    this.#gone.clear()
    this.#expired.clear()
  }

  /** What has become of an entry with these tags that was begun when `latest` was `since`. */
  verdict(tags: readonly string[], since: number): number {
    if (since < this.#floor) return TagVerdict.gone
    let verdict: number = TagVerdict.valid
    for (const tag of tags) {
      if ((this.#gone.get(tag) ?? 0) > since) return TagVerdict.gone
      if ((this.#expired.get(tag) ?? 0) > since) verdict = TagVerdict.expired
    }
    return verdict
  }

  /** Half of them at once, so that the walk is paid by many calls. What is summed up is gone, not only expired. */
  #sumUp(map: Map<string, number>): void {
    let left = Math.ceil(map.size / 2)
    for (const [tag, number] of map) {
      if (left-- === 0) return
      this.#floor = Math.max(this.#floor, number)
      map.delete(tag)
    }
  }
}
