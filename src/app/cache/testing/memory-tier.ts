// A shared tier in one process, for tests of the core: the contract of `Tier` to the letter, without a server. Several
// `Tier`s over one `MemoryServer` are several processes. Every call and every message takes steps that a test may order,
// and the server may be taken away.

import type { Clock } from '../../../kit/clock.ts'
import type {
  FenceNames,
  Forgotten,
  SetOutcome,
  Tier,
  TierAnswer,
  TierEntry,
  TierListener,
} from '../contract.ts'
import { TagVerdict, TagVersions } from '../tag-versions.ts'

interface Stored {
  readonly entry: TierEntry
  readonly storedAt: number
  readonly since: number
}
interface Lease {
  readonly token: string
  readonly untilAt: number
  readonly since: number
}
interface Holder {
  readonly untilAt: number
  alone: boolean
}

const msUs = 1_000
const leaseUs = 10_000 * msUs

export class MemoryServer {
  readonly clock: Clock
  readonly entries: Map<string, Stored> = new Map()
  readonly #tags = new TagVersions(10_000)
  readonly #leases = new Map<string, Lease>()
  readonly #fences = new Map<string, Map<string, Holder>>()
  readonly #filled = new Map<string, Set<string>>()
  readonly #floors = new Map<string, number>()
  readonly listeners: Set<TierListener> = new Set()
  down = false
  #tokens = 0

  constructor(clock: Clock) {
    this.clock = clock
  }

  get(key: string, leased: boolean): TierAnswer {
    const stored = this.#valid(key)
    const now = this.clock.monotonic()
    if (stored !== null) {
      const freshMs = stored.entry.freshMs - (now - stored.storedAt) / msUs
      const entry = { ...stored.entry, freshMs }
      if (freshMs > 0) return { kind: 'hit', entry }
      return { kind: 'stale', entry, lease: leased ? this.lease(key) : null }
    }
    if (this.#fenced(`key:${key}`)) return { kind: 'fenced' }
    if (!leased) return { kind: 'miss', lease: null }
    const lease = this.lease(key)
    return lease === null ? { kind: 'wait', retryMs: 5 } : { kind: 'miss', lease }
  }

  lease(key: string): string | null {
    const now = this.clock.monotonic()
    const held = this.#leases.get(key)
    if (this.#fenced(`key:${key}`) || (held !== undefined && now < held.untilAt)) return null
    const token = `lease-${++this.#tokens}`
    this.#leases.set(key, { token, untilAt: now + leaseUs, since: this.#tags.latest })
    return token
  }

  release(key: string, token: string): void {
    if (this.#leases.get(key)?.token === token) this.#leases.delete(key)
  }

  set(key: string, entry: TierEntry, lease: string | null): SetOutcome {
    const holder = lease === null ? undefined : this.#fences.get(`key:${key}`)?.get(lease)
    const held = this.#leases.get(key)
    if (holder !== undefined) {
      if (!holder.alone) return 'fenced'
    } else if (lease !== null && held?.token !== lease) return 'void'
    if (holder === undefined && this.#fenced(`key:${key}`)) return 'fenced'
    if (entry.tags.some(tag => this.#fenced(`tag:${tag}`, lease))) return 'fenced'
    const since = holder === undefined && lease !== null ? held!.since : this.#tags.latest
    if (this.#tags.verdict(entry.tags, since) !== TagVerdict.valid) return 'void'
    const known = this.#valid(key)?.entry.version ?? -1
    this.#leases.delete(key)
    if (entry.version < Math.max(known, this.#floors.get(key) ?? -1)) return 'older'
    this.entries.set(key, { entry, storedAt: this.clock.monotonic(), since })
    if (holder !== undefined) this.#filled.set(lease!, (this.#filled.get(lease!) ?? new Set()).add(key))
    return 'stored'
  }

  forget(what: Forgotten): void {
    if (what.everything) {
      this.entries.clear()
      this.#leases.clear()
      this.#tags.forgetAll()
    }
    for (const key of what.keys) {
      this.#leases.delete(key)
      const stored = this.entries.get(key)
      if (!what.soft) this.entries.delete(key)
      else if (stored) this.entries.set(key, { ...stored, entry: expired(stored.entry) })
    }
    for (const tag of what.tags) this.#tags.forget(tag, what.soft)
  }

  fence(names: FenceNames, token: string, ttlMs: number): void {
    const untilAt = this.clock.monotonic() + ttlMs * msUs
    for (const name of placesOf(names)) {
      const holders = this.#fences.get(name) ?? new Map<string, Holder>()
      const others = [...holders].filter(
        ([other, { untilAt: end }]) => other !== token && this.clock.monotonic() < end,
      )
      for (const [, other] of others) other.alone = false
      holders.set(token, { untilAt, alone: others.length === 0 && (holders.get(token)?.alone ?? true) })
      this.#fences.set(name, holders)
    }
    this.forget({ ...names, everything: false, soft: false })
  }

  lift(names: FenceNames, token: string, floor: number): void {
    const filled = this.#filled.get(token) ?? new Set<string>()
    this.#filled.delete(token)
    for (const name of placesOf(names)) this.#fences.get(name)?.delete(token)
    // What another process forgot since it was set stays forgotten.
    for (const key of filled) {
      const stored = this.entries.get(key)
      if (stored && this.#tags.verdict(stored.entry.tags, stored.since) !== TagVerdict.valid)
        filled.delete(key)
    }
    const keys = names.keys.filter(key => !filled.has(key))
    this.forget({ keys, tags: names.tags, everything: false, soft: false })
    for (const key of filled) {
      const stored = this.entries.get(key)
      if (stored) this.entries.set(key, { ...stored, since: this.#tags.latest })
    }
    for (const key of names.keys) this.#floors.set(key, Math.max(floor, this.#floors.get(key) ?? -1))
  }

  #fenced(name: string, except: string | null = null): boolean {
    const now = this.clock.monotonic()
    const holders = this.#fences.get(name)
    return holders !== undefined && [...holders].some(([token, one]) => token !== except && now < one.untilAt)
  }

  #valid(key: string): Stored | null {
    const stored = this.entries.get(key)
    if (stored === undefined) return null
    const verdict = this.#tags.verdict(stored.entry.tags, stored.since)
    const ageMs = (this.clock.monotonic() - stored.storedAt) / msUs
    const dead = ageMs >= stored.entry.freshMs + stored.entry.graceMs
    if (verdict === TagVerdict.gone || dead) {
      this.entries.delete(key)
      return null
    }
    if (verdict === TagVerdict.valid) return stored
    const soft = { ...stored, entry: expired(stored.entry), since: this.#tags.latest }
    this.entries.set(key, soft)
    return soft
  }
}

function placesOf(names: FenceNames): string[] {
  return [...names.keys.map(key => `key:${key}`), ...names.tags.map(tag => `tag:${tag}`)]
}

function expired(entry: TierEntry): TierEntry {
  return { ...entry, freshMs: Math.min(0, entry.freshMs) }
}

export interface MemoryTierOptions {
  /** Before a call reaches the server, and before its answer reaches the caller. */
  readonly step?: () => Promise<void>
  /** Before a message of the server is heard: on its way also if its causer has died. */
  readonly deliver?: () => Promise<void>
}

/** One process's way to the server. */
export class MemoryTier implements Tier {
  readonly name = 'memory'
  readonly #server: MemoryServer
  readonly #step: () => Promise<void>
  readonly #deliver: () => Promise<void>
  readonly #listeners = new Set<TierListener>()

  constructor(server: MemoryServer, options: MemoryTierOptions = {}) {
    this.#server = server
    this.#step = options.step ?? (() => Promise.resolve())
    this.#deliver = options.deliver ?? this.#step
  }

  get usable(): boolean {
    return !this.#server.down
  }

  get(key: string, leased: boolean): Promise<TierAnswer> {
    return this.#call(server => server.get(key, leased))
  }

  lease(key: string): Promise<string | null> {
    return this.#call(server => server.lease(key))
  }

  async set(key: string, entry: TierEntry, lease: string | null): Promise<SetOutcome> {
    return this.#call(server => {
      const outcome = server.set(key, entry, lease)
      if (outcome === 'stored' && lease === null) this.#spread({ keys: [key], tags: [] })
      return outcome
    })
  }

  release(key: string, lease: string): Promise<void> {
    return this.#call(server => server.release(key, lease))
  }

  forget(what: Forgotten): Promise<void> {
    return this.#call(server => {
      server.forget(what)
      this.#spread(what)
    })
  }

  fence(names: FenceNames, token: string, ttlMs: number): Promise<void> {
    return this.#call(server => {
      server.fence(names, token, ttlMs)
      this.#spread(names)
    })
  }

  lift(names: FenceNames, token: string, floor: number): Promise<void> {
    return this.#call(server => {
      server.lift(names, token, floor)
      this.#spread(names)
    })
  }

  subscribe(listener: TierListener): () => void {
    this.#listeners.add(listener)
    this.#server.listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
      this.#server.listeners.delete(listener)
    }
  }

  async close(): Promise<void> {
    for (const listener of this.#listeners) this.#server.listeners.delete(listener)
  }

  async #call<T>(act: (server: MemoryServer) => T): Promise<T> {
    await this.#step()
    if (this.#server.down) throw new Error('the memory tier is away')
    const answer = act(this.#server)
    await this.#step()
    return answer
  }

  /** To the listeners of the other processes, in its own time. */
  #spread(what: FenceNames & Partial<Forgotten>): void {
    const forgotten = {
      keys: what.keys,
      tags: what.tags,
      everything: what.everything ?? false,
      soft: what.soft ?? false,
    }
    for (const listener of this.#server.listeners) {
      if (!this.#listeners.has(listener)) void this.#deliver().then(() => listener.forget(forgotten))
    }
  }
}
