// Writes that are acknowledged first and saved to the source later, coalesced by key. Owns what is dirty, its order, its
// bounds and its retries; the journal makes "accepted" mean "on the disk". A save is an update of the cache: fenced, so
// that no reader of the source brings the old value back.
//
// A dirty key: waiting (until its due time) -> saving -> clean; a newer write while saving puts it back to waiting with
// that value. A failed save goes back to waiting, later each time. It leaves only by being saved.

import type { Clock } from '../../kit/clock.ts'
import { Failure } from '../../kit/failure.ts'
import { cacheFailures } from './failures.ts'
import type { Journal } from './journal.ts'

export interface BehindSettings {
  readonly dirtyMax: number
  readonly delayMs: number
  readonly ageMaxMs: number
  readonly waitMs: number
  readonly concurrency: number
}

interface Dirty {
  value: unknown
  version: number
  /** When the oldest value that is not saved came. */
  sinceAt: number
  dueAt: number
  failures: number
  saving: boolean
}

export interface BehindUser {
  /** Idempotent: the same version may come again after a crash, an older one after a newer one must change nothing. */
  save(key: string, value: unknown, version: number): Promise<void>
  encode(value: unknown): string
  failed(key: string, cause: unknown): void
}

const US = 1_000
const retryMs = 100
const retryMsMax = 30_000

export class WriteBehind {
  readonly #settings: BehindSettings
  readonly #user: BehindUser
  readonly #journal: Journal | null
  readonly #clock: Clock
  readonly #dirty = new Map<string, Dirty>()
  readonly #waiters: (() => void)[] = []
  #version = 0
  #saving = 0
  #timer: ReturnType<typeof setTimeout> | null = null
  #closing = false

  constructor(
    settings: BehindSettings,
    user: BehindUser,
    journal: Journal | null,
    clock: Clock,
    decode: (text: string) => unknown,
  ) {
    this.#settings = settings
    this.#user = user
    this.#journal = journal
    this.#clock = clock
    for (const { key, version, value } of journal?.unsaved ?? []) {
      this.#version = Math.max(this.#version, version)
      this.#mark(key, value === null ? null : decode(value), version)
    }
    this.#plan()
  }

  get dirty(): number {
    return this.#dirty.size
  }

  /** What this process has accepted and not saved yet. */
  find(key: string): { readonly value: unknown } | null {
    return this.#dirty.get(key) ?? null
  }

  /** Resolves when it is accepted: on the disk, if there is a journal. */
  async put(key: string, value: unknown): Promise<void> {
    if (this.#closing) throw new Failure(cacheFailures.closed, 'the store is closed')
    await this.#room(key)
    // Greater than all before, of earlier lives too; near the wall clock, so that other processes' are comparable.
    this.#version = Math.max(this.#version + 1, this.#clock.wall())
    const version = this.#version
    if (this.#journal !== null)
      await this.#journal.append({ key, version, value: value === null ? null : this.#user.encode(value) })
    this.#mark(key, value, version)
    this.#plan()
  }

  /** Saves all that is dirty now, without waiting for due times; until `limitMs` have passed. Gives what is still dirty. */
  async flush(limitMs: number): Promise<number> {
    for (const dirty of this.#dirty.values()) dirty.dueAt = 0
    const endAt = this.#clock.monotonic() + limitMs * US
    this.#plan()
    while (this.#dirty.size > 0 && this.#clock.monotonic() < endAt) await this.#change(50)
    return this.#dirty.size
  }

  /** Drains, then stops; what could not be saved stays in the journal. Gives how much that is. */
  async close(limitMs: number): Promise<number> {
    this.#closing = true
    const left = await this.flush(limitMs)
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    while (this.#saving > 0) await this.#change(50)
    await this.#journal?.close()
    return left
  }

  #mark(key: string, value: unknown, version: number): void {
    const now = this.#clock.monotonic()
    const dirty = this.#dirty.get(key)
    if (dirty === undefined) {
      const dueAt = now + this.#settings.delayMs * US
      this.#dirty.set(key, { value, version, sinceAt: now, dueAt, failures: 0, saving: false })
    } else if (version > dirty.version) {
      dirty.value = value
      dirty.version = version
    }
  }

  #full(key: string): boolean {
    if (this.#dirty.size === 0) return false
    const [oldest] = this.#dirty.values()
    const old = this.#clock.monotonic() - oldest!.sinceAt > this.#settings.ageMaxMs * US
    return old || (this.#dirty.size >= this.#settings.dirtyMax && !this.#dirty.has(key))
  }

  /** Back pressure: a write waits while too much is dirty, or something has been for too long. */
  async #room(key: string): Promise<void> {
    const endAt = this.#clock.monotonic() + this.#settings.waitMs * US
    while (this.#full(key)) {
      if (this.#clock.monotonic() >= endAt)
        throw new Failure(
          cacheFailures.behindFull,
          `${this.#dirty.size} writes wait to be saved, or the oldest has for more than ${this.#settings.ageMaxMs} ms`,
        )
      await this.#change(50)
    }
  }

  /** Until something was saved or failed, or so long. */
  #change(limitMs: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, limitMs)
      this.#waiters.push(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  /** Starts what is due, and a timer for the next. Not unref'd: what was accepted keeps its process until it is saved. */
  #plan(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    const now = this.#clock.monotonic()
    let nextAt = Number.POSITIVE_INFINITY
    for (const [key, dirty] of this.#dirty) {
      if (this.#saving >= this.#settings.concurrency) return
      if (dirty.saving) continue
      if (dirty.dueAt <= now) void this.#save(key, dirty)
      else nextAt = Math.min(nextAt, dirty.dueAt)
      // Those behind it came later and are due later, but for what has failed: that is looked at again with the next.
      if (dirty.dueAt > now && dirty.failures === 0) break
    }
    if (nextAt === Number.POSITIVE_INFINITY) return
    this.#timer = setTimeout(() => this.#plan(), Math.ceil((nextAt - now) / US))
  }

  async #save(key: string, dirty: Dirty): Promise<void> {
    const { value, version } = dirty
    dirty.saving = true
    this.#saving++
    try {
      await this.#user.save(key, value, version)
      this.#journal?.saved(key, version)
      this.#saved(key, dirty, version)
    } catch (cause) {
      const waitMs = Math.min(retryMsMax, retryMs * 2 ** Math.min(dirty.failures++, 16))
      dirty.dueAt = this.#clock.monotonic() + waitMs * US
      this.#user.failed(key, cause)
    }
    dirty.saving = false
    this.#saving--
    for (const wake of this.#waiters.splice(0)) wake()
    if (!this.#closing || this.#dirty.size > 0) this.#plan()
  }

  #saved(key: string, dirty: Dirty, version: number): void {
    this.#dirty.delete(key)
    if (dirty.version === version) return
    // A newer value came while this one was saved: behind all others, and due after the usual delay.
    const now = this.#clock.monotonic()
    dirty.sinceAt = now
    dirty.failures = 0
    dirty.dueAt = this.#closing ? 0 : now + this.#settings.delayMs * US
    this.#dirty.set(key, dirty)
  }
}
