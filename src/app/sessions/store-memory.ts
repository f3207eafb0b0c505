// Sessions in this process, for development and tests: gone when it ends, unknown to other instances. Bounded: when full,
// the session that was used longest ago goes. Keeps the promises of store.ts.

import type { Clock } from '../../kit/clock.ts'
import type { Opened, Saved, SessionChange, SessionStore, StoreLimits } from './store.ts'

interface Kept {
  fields: Map<string, string>
  createdMs: number
  idleEndMs: number
}

const sessionsMax = 10_000

export class MemoryStore implements SessionStore {
  readonly #limits: StoreLimits
  readonly #clock: Clock
  /** In order of use: the first was used longest ago. */
  readonly #sessions = new Map<string, Kept>()
  readonly #tombstones = new Map<string, { readonly kind: 'ended' | 'rotated'; readonly untilMs: number }>()

  constructor(limits: StoreLimits, clock: Clock) {
    this.#limits = limits
    this.#clock = clock
  }

  async open(id: string): Promise<Opened> {
    const now = this.#nowMs()
    const kept = this.#find(id)
    if (kept === null) {
      const stone = this.#tombstones.get(id)
      return { kind: stone !== undefined && stone.untilMs > now ? stone.kind : 'none' }
    }
    const { idleMs, touchMs } = this.#limits
    const touched = now + idleMs - kept.idleEndMs >= touchMs
    if (touched) this.#use(id, kept)
    return { kind: 'found', fields: new Map(kept.fields), touched }
  }

  async save(id: string, change: SessionChange): Promise<Saved> {
    const kept = this.#find(id)
    if (kept === null && (!change.create || this.#tombstones.has(id))) return 'gone'
    const fields = new Map(kept?.fields)
    for (const name of change.removed) fields.delete(name)
    for (const [name, value] of change.set) fields.set(name, value)
    let bytes = 0
    for (const [name, value] of fields) bytes += Buffer.byteLength(name) + Buffer.byteLength(value)
    if (bytes > this.#limits.bytesMax || fields.size > this.#limits.fieldsMax) return 'too-big'
    const one = kept ?? { fields, createdMs: this.#nowMs(), idleEndMs: 0 }
    one.fields = fields
    this.#use(id, one)
    return 'saved'
  }

  async rotate(id: string, to: string): Promise<boolean> {
    const kept = this.#find(id)
    this.#bury(id, 'rotated')
    if (kept === null) return false
    kept.createdMs = this.#nowMs()
    this.#use(to, kept)
    return true
  }

  async end(id: string): Promise<void> {
    this.#bury(id, 'ended')
  }

  together(): boolean {
    return true
  }

  async close(): Promise<void> {
    this.#sessions.clear()
  }

  #nowMs(): number {
    return Math.floor(this.#clock.monotonic() / 1_000)
  }

  #find(id: string): Kept | null {
    const kept = this.#sessions.get(id)
    if (kept === undefined) return null
    const now = this.#nowMs()
    if (kept.idleEndMs > now && kept.createdMs + this.#limits.absoluteMs > now) return kept
    this.#sessions.delete(id)
    return null
  }

  #use(id: string, kept: Kept): void {
    kept.idleEndMs = this.#nowMs() + this.#limits.idleMs
    this.#sessions.delete(id)
    this.#sessions.set(id, kept)
    if (this.#sessions.size > sessionsMax) this.#sessions.delete(this.#sessions.keys().next().value!)
  }

  #bury(id: string, kind: 'ended' | 'rotated'): void {
    this.#sessions.delete(id)
    const now = this.#nowMs()
    this.#tombstones.delete(id)
    this.#tombstones.set(id, { kind, untilMs: now + this.#limits.tombstoneMs })
    for (const [old, stone] of this.#tombstones) {
      if (stone.untilMs > now && this.#tombstones.size <= sessionsMax) break
      this.#tombstones.delete(old)
    }
  }
}
