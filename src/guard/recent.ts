// The last requests that were refused, or would have been, by their ids: a ring of fixed size in the edge's main thread.

import type { RequestRecord } from './messages.ts'

export const recentMax = 10_000

export class Recent {
  readonly #byId = new Map<string, RequestRecord>()

  add(record: RequestRecord): void {
    // An id that a trusted proxy gave may come twice: the last one counts, and is the youngest.
    this.#byId.delete(record.id)
    this.#byId.set(record.id, record)
    if (this.#byId.size > recentMax) this.#byId.delete(this.#byId.keys().next().value as string)
  }

  find(id: string): RequestRecord | null {
    return this.#byId.get(id) ?? null
  }
}
