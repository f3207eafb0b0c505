// Which row of the shared cells belongs to whom. Owned by the edge's main thread: a member, route or upstream keeps its
// slot over snapshots; the slot of one that is gone is handed out again only when no worker uses a snapshot that knew it.

export class SlotTable {
  readonly #capacity: number
  readonly #byKey = new Map<string, number>()
  readonly #free: number[] = []
  #next = 0
  #retired: { key: string; slot: number; version: number }[] = []
  readonly #onReuse: (slot: number) => void

  /** `onReuse` zeroes the cells of a slot before it is handed out again. */
  constructor(capacity: number, onReuse: (slot: number) => void) {
    this.#capacity = capacity
    this.#onReuse = onReuse
  }

  /** Would `keys` fit beside what is still in use? */
  fits(keys: Iterable<string>): boolean {
    let fresh = 0
    for (const key of keys) if (!this.#byKey.has(key)) fresh++
    return fresh <= this.#free.length + (this.#capacity - this.#next)
  }

  /** Also of a key that retired lately: requests to it may still be under way. */
  slotOf(key: string): number | undefined {
    return this.#byKey.get(key) ?? this.#retired.findLast(one => one.key === key)?.slot
  }

  /** The slots of exactly these keys from now on; others retire with `version`, the first snapshot without them. */
  assign(keys: readonly string[], version: number): Map<string, number> {
    const wanted = new Set(keys)
    for (const [key, slot] of this.#byKey) {
      if (wanted.has(key)) continue
      this.#byKey.delete(key)
      this.#retired.push({ key, slot, version })
    }
    const slots = new Map<string, number>()
    for (const key of wanted) {
      const slot = this.#byKey.get(key) ?? this.#take()
      this.#byKey.set(key, slot)
      slots.set(key, slot)
    }
    return slots
  }

  #take(): number {
    const slot = this.#free.pop() ?? this.#next++
    if (slot >= this.#capacity) throw new RangeError('slot table: `fits` was not asked')
    this.#onReuse(slot)
    return slot
  }

  /** Every exchange uses snapshot `oldestVersion` or a later one: what retired up to then is free. */
  release(oldestVersion: number): void {
    if (this.#retired.length === 0) return
    this.#retired = this.#retired.filter(({ slot, version }) => {
      if (version > oldestVersion) return true
      this.#free.push(slot)
      return false
    })
  }
}

/** Slots of one snapshot, as sent to workers with it. */
export interface SnapshotSlots {
  readonly members: ReadonlyMap<string, number>
  readonly routes: ReadonlyMap<string, number>
  readonly upstreams: ReadonlyMap<string, number>
  /** By `canaryKey` (canaries.ts). */
  readonly canaries: ReadonlyMap<string, number>
}

export function memberKey(upstream: string, id: string, epoch: string): string {
  return `${upstream}\n${id}\n${epoch}`
}
