// The entries that this thread uses most, as texts: two generations of a map, so that finding, adding and forgetting are
// one step each. What is here is checked with each use (`worker-store.ts`), so it may be old but is never wrong.

import type { HotEntry } from './stored-entry.ts'

/** Of one of the two generations. */
const entriesMax = 4_096
/** What an entry weighs beside its texts, in bytes. */
const entryBytes = 512

export class HotEntries {
  readonly #bytesMax: number
  #young = new Map<string, HotEntry>()
  #old = new Map<string, HotEntry>()
  #bytes = 0

  /** `bytesMax` of both generations together. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax / 2
  }

  get(key: string): HotEntry | undefined {
    const entry = this.#young.get(key)
    if (entry !== undefined) return entry
    const old = this.#old.get(key)
    if (old !== undefined) this.add(old)
    return old
  }

  add(entry: HotEntry): void {
    const bytes = entry.bodyBytes + entry.fields.length + entry.key.length + entryBytes
    if (this.#bytes + bytes > this.#bytesMax || this.#young.size >= entriesMax) {
      this.#old = this.#young
      this.#young = new Map()
      this.#bytes = 0
    }
    this.#young.set(entry.key, entry)
    this.#bytes += bytes
  }

  forget(key: string): void {
    this.#young.delete(key)
    this.#old.delete(key)
  }
}
