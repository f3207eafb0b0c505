// The application cache: reads through the in-process tier, then the shared one, then the loader, one load a key;
// forgetting and updating in the order that leaves nothing stale. What may be stored is decided here and nowhere else:
// nothing that was read before its key or one of its tags was forgotten, nothing under a writer's fence, nothing older
// than what is known. Shared tiers, change feeds and strategies of writing plug in.
//
// States of a key in this process: absent -> loading (a flight) -> held: calm, fresh (may load early), stale (within
// grace) -> dead. Forgetting moves any of them to absent, and a flight off its key: its callers get its value, newcomers
// begin another one, and what it brings is not stored.

import { randomUUID } from 'node:crypto'
import { type Clock, systemClock } from '../../kit/clock.ts'
import { Failure } from '../../kit/failure.ts'
import { type Random, seededRandom } from '../../kit/random.ts'
import { hashText } from '../../policy/hash.ts'
import type { CacheEvent, FenceNames, Forgotten, Tier, TierAnswer } from './contract.ts'
import { type CacheCounts, type CacheStats, newCounts } from './counts.ts'
import { loadsEarly } from './early.ts'
import {
  type AnyCall,
  type CallOptions,
  type Draft,
  draftOf,
  draftOfTier,
  heldOf,
  type Maker,
  tierEntryOf,
} from './entries.ts'
import { cacheFailures } from './failures.ts'
import { type FeedClient, openFeed } from './feed-client.ts'
import { Fences } from './fences.ts'
import { Flight, type Load, late, loadWithin, type Mark, pause, untilAborted, within } from './flight.ts'
import { HeldBack } from './held-back.ts'
import { KeyClocks } from './key-clocks.ts'
import { Found, Memory } from './memory.ts'
import {
  type CacheOptions,
  type CacheSettings,
  cacheSettings,
  checkedKey,
  checkedNames,
  type EntryOptions,
  type EntrySettings,
  entrySettings,
  type FeedOptions,
} from './options.ts'
import { Region } from './region.ts'
import { TagVerdict, TagVersions } from './tag-versions.ts'
import { turnClock } from './time.ts'
import { VersionFloors } from './version-floors.ts'

const US = 1_000

export interface ForgetWhat {
  readonly keys?: readonly string[]
  readonly tags?: readonly string[]
  /** All that this cache holds, in every tier. */
  readonly everything?: boolean
  /** Only expired: what has grace may be served while it is loaded again. */
  readonly soft?: boolean
}

export interface UpdateOptions<R, T = unknown> {
  /** The row's new version, from what `write` gave: older values are refused from then on. */
  readonly version?: (result: R) => number
  /** What the one key holds now: stored, unless another writer was there. */
  readonly fill?: (result: R) => T
  /** Options of what is filled. */
  readonly entry?: CallOptions<T>
  /** True if after this error nothing can be committed any more; otherwise the fence stands for `fenceMs`. */
  readonly rolledBack?: (cause: unknown) => boolean
  /** `refuse`: nothing is written while the shared tier can't be told. `write`: the default. */
  readonly withoutTier?: 'write' | 'refuse'
}

export class Cache {
  readonly name: string
  readonly counts: CacheCounts = newCounts()
  readonly #settings: CacheSettings
  readonly #entry: EntrySettings
  readonly #clock: Clock
  readonly #now: Clock
  readonly #random: Random
  readonly #maker: Maker
  readonly #copies: boolean
  readonly #tags: TagVersions
  readonly #memory: Memory
  readonly #keyClocks = new KeyClocks()
  readonly #fences = new Fences()
  readonly #floors = new VersionFloors()
  readonly #flights = new Map<string, Flight>()
  /** All that run, those that lost their key to a forgetting included. */
  readonly #running = new Set<Flight>()
  readonly #heldBack = new HeldBack()
  readonly #tier: Tier | null
  readonly #onEvent: (event: CacheEvent) => void
  readonly #unsubscribe: () => void
  readonly #feed: FeedClient | null
  #tierLost = false
  #feedLost = false
  #closed = false

  constructor(options: CacheOptions) {
    this.#settings = cacheSettings(options)
    this.name = this.#settings.name
    this.#entry = this.#settings.entry
    this.#clock = options.clock ?? systemClock
    this.#now = options.clock ?? turnClock(systemClock)
    const seed = options.seed ?? hashText(randomUUID())
    this.#random = seededRandom(seed)
    this.#maker = { settings: this.#settings, random: this.#random, sizeOf: options.sizeOf }
    this.#copies = this.#settings.values === 'copy'
    this.#tags = new TagVersions(this.#settings.tagsMax)
    this.#memory = new Memory({ ...this.#settings, seed }, this.#tags)
    this.#onEvent = options.onEvent ?? (() => {})
    this.#tier = options.tier ?? null
    this.#unsubscribe = this.#listen()
    this.#feed = options.feed === undefined ? null : this.#openFeed(options.feed)
  }

  /** What this process holds and is fresh, at once; never loads, never asks the shared tier. */
  getNow<T = unknown>(key: string): T | undefined {
    const now = this.#now.monotonic()
    const slot = this.#memory.calm(key, now)
    if (slot >= 0) return this.#hit(slot) as T
    const found = this.#memory.look(key, now)
    if (found === Found.fresh) return this.#hit(this.#memory.slotOf(key)) as T
    this.#countMiss(found)
    return undefined
  }

  /** What this process or the shared tier holds and is fresh; `null` if it is known that there is nothing. Never loads. */
  get<T = unknown>(key: string): Promise<T | null | undefined> {
    const slot = this.#memory.calm(key, this.#now.monotonic())
    return slot >= 0 ? Promise.resolve(this.#hit(slot) as T) : this.#find<T>(key)
  }

  async #find<T>(key: string): Promise<T | null | undefined> {
    this.#open()
    const here = this.getNow<T>(checkedKey(key))
    if (here !== undefined || !this.#asksTier(this.#entry)) return here
    const mark = this.#markOf(key)
    const answer = await this.#askTier(key, false)
    if (answer?.kind !== 'hit') return undefined
    const draft = draftOfTier(this.#maker, answer.entry)
    if (draft === null) return undefined
    this.#keep(mark, draft, this.#entry)
    return this.#give(draft.value) as T
  }

  /**
   * The value of the key: held, or loaded once for all who ask meanwhile. A load's error reaches its callers as it is.
   *
   *     const film = await cache.getOrSet(`film:${id}`, () => readFilm(id), { tags: [`film:${id}`], graceMs: 60_000 })
   */
  getOrSet<T>(key: string, load: Load<T>, call?: CallOptions<T>): Promise<T> {
    const slot = this.#memory.calm(key, this.#now.monotonic())
    if (slot >= 0) return Promise.resolve(this.#hit(slot) as T)
    return this.#read(key, load, call) as Promise<T>
  }

  /**
   * Stores a value that the caller knows to be the newest. After a write use `update`: between a write and a `set` another
   * writer may have been there. False: not stored, because a writer is at work, a newer version is known, or it is too big.
   */
  async set<T>(key: string, value: T, call?: CallOptions<T>): Promise<boolean> {
    this.#open()
    checkedKey(key)
    const entry = entrySettings(`cache ${this.name}`, call, this.#entry)
    const draft = draftOf(this.#maker, value, call, entry, 0)
    if (this.#older(key, draft.version)) return false
    this.#keyClocks.tick(key)
    const mark = this.#markOf(key)
    if (!mark.storable) {
      this.counts['refused-fenced']++
      return false
    }
    this.#memory.remove(key)
    if (this.#tier !== null && entry.shared) {
      const outcome = await this.#share(key, draft, null)
      // What it holds is older now; and whoever can't be told now is told before it serves again.
      if (outcome !== 'stored') await this.#tell('forget', tier => tier.forget(forgottenOf({ keys: [key] })))
      if (outcome === 'refused') return false
    }
    return this.#keep(mark, draft, entry)
  }

  delete(key: string): Promise<void> {
    return this.invalidate({ keys: [key] })
  }

  /** Forgets here, in the shared tier, and through it in the other processes; loads on their way are not stored. */
  async invalidate(what: ForgetWhat): Promise<void> {
    this.#open()
    const forgotten = forgottenOf(what)
    this.#forgetHere(forgotten)
    if (this.#tier === null) return
    await this.#tell('forget', tier => tier.forget(forgotten))
    // Who read the shared tier in between may have brought it back.
    this.#forgetHere(forgotten)
  }

  /**
   * A write in the one order that leaves nothing stale, whatever races or dies: fence and forget, write, lift and forget
   * again. Meanwhile reads go to the source and are not stored. Rejects as `write` does.
   *
   *     await cache.update(`film:${id}`, () => pool.query('UPDATE films ...'))
   */
  async update<R, T = unknown>(
    target: string | { readonly keys?: readonly string[]; readonly tags?: readonly string[] },
    write: () => R | Promise<R>,
    options: UpdateOptions<R, T> = {},
  ): Promise<R> {
    this.#open()
    const names = namesOf(target)
    const token = randomUUID()
    const place = this.#fences.hold(names, this.#clock.monotonic())
    let untilAt = 0
    let filled: Filled | null = null
    try {
      this.#forgetHere({ ...names, everything: false, soft: false })
      const since = this.#tags.latest
      const told = await this.#tell('fence', tier => tier.fence(names, token, this.#settings.fenceMs))
      if (!told && options.withoutTier === 'refuse')
        throw new Failure(cacheFailures.tierAway, `cache ${this.name}: the shared tier can't be told`)
      const written = await this.#writeFenced(names, token, write)
      if ('cause' in written) {
        if (options.rolledBack?.(written.cause) !== true) untilAt = await this.#standFence(names, token)
        else await this.#tell('lift', tier => tier.lift(names, token, -1))
        throw written.cause
      }
      filled = await this.#finish(names, token, place, since, written.result, options)
      return written.result
    } finally {
      this.#endUpdate(names, place, untilAt, filled)
    }
  }

  /** The function, its results kept by its arguments. @param key of the arguments; by default their JSON */
  wrap<A extends readonly unknown[], T>(
    name: string,
    load: (...given: A) => T | Promise<T>,
    call?: CallOptions<T> & { readonly key?: (...given: A) => string },
  ): (...given: A) => Promise<T> {
    const keyOf = call?.key ?? ((...given: A) => JSON.stringify(given))
    return (...given) => this.getOrSet(`${name}:${keyOf(...given)}`, () => load(...given), call)
  }

  /** A part of this cache with keys, a type and ways of its own. */
  region<T>(name: string, entry?: EntryOptions): Region<T> {
    return new Region<T>(this, checkedKey(name), entry)
  }

  stats(): CacheStats {
    const counts = { ...this.counts, evicted: this.#memory.evictions }
    const { count: entries, bytes } = this.#memory
    return { name: this.name, counts, entries, bytes, loading: this.#running.size, deaf: this.#deaf() }
  }

  /** What this process holds, for tools: walks over all of it. */
  entries(): { key: string; freshMs: number; bytes: number; tags: readonly string[] }[] {
    return this.#memory.entries(this.#clock.monotonic())
  }

  /** Aborts loads and leaves the shared tier, which it does not close: others may use it. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#feed?.close()
    this.#unsubscribe()
    const why = new Failure(cacheFailures.closed, `cache ${this.name} was closed`)
    for (const flight of this.#running) flight.controller.abort(why)
    await Promise.allSettled([...this.#running].map(flight => flight.answer))
    this.#memory.clear()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  // Reading

  async #read(key: string, load: Load<unknown>, call: AnyCall | undefined): Promise<unknown> {
    this.#open()
    const now = this.#now.monotonic()
    const entry = entrySettings(`cache ${this.name}`, call, this.#entry)
    const found = this.#memory.look(checkedKey(key), now)
    const slot = this.#memory.slotOf(key)
    if (found === Found.fresh) {
      if (this.#wantsEarly(slot, entry, now)) this.#refresh(key, load, call, entry)
      return this.#hit(slot)
    }
    this.#countMiss(found)
    const known = this.#heldBack.find(key, this.#clock.monotonic())
    if (found === Found.stale) return this.#staleOr(slot, known !== null, key, load, call, entry)
    if (known !== null && entry.errorTtlMs > 0) throw known.cause
    const flight = this.#joinOr(key, load, call, entry, undefined)
    return this.#give(await untilAborted(flight.answer, call?.signal))
  }

  async #staleOr(
    slot: number,
    heldBack: boolean,
    key: string,
    load: Load<unknown>,
    call: AnyCall | undefined,
    entry: EntrySettings,
  ): Promise<unknown> {
    const stale = this.#memory.value(slot)
    if (heldBack) return this.#stale(stale, 'stale-on-error')
    try {
      const flight = this.#joinOr(key, load, call, entry, stale)
      const answer = await untilAborted(within(flight.answer, entry.softTimeoutMs), call?.signal)
      return answer === late ? this.#stale(stale, 'hit-stale') : this.#give(answer)
    } catch (cause) {
      if (call?.signal?.aborted) throw cause
      return this.#stale(stale, 'stale-on-error')
    }
  }

  #stale(value: unknown, reason: 'hit-stale' | 'stale-on-error'): unknown {
    this.counts[reason]++
    return this.#give(value)
  }

  #wantsEarly(slot: number, entry: EntrySettings, now: number): boolean {
    const freshUntil = this.#memory.freshUntil(slot)
    const ahead = entry.refreshAheadShare
    if (ahead > 0 && now >= freshUntil - entry.ttlMs * US * (1 - ahead)) return true
    const loadUs = this.#memory.loadUs(slot)
    return entry.earlyBeta > 0 && loadsEarly(now, freshUntil, loadUs, entry.earlyBeta, this.#random.float())
  }

  /** In the background; at its limits it is left out. */
  #refresh(key: string, load: Load<unknown>, call: AnyCall | undefined, entry: EntrySettings): void {
    const busy = this.#running.size >= this.#settings.loadsMax || this.#joinable(key, call, entry) !== null
    if (busy || this.#heldBack.find(key, this.#clock.monotonic()) !== null) return
    this.counts['hit-early']++
    this.#start(key, load, call, entry, this.#memory.value(this.#memory.slotOf(key)), true)
  }

  /** The flight that brings this key, if it began after all that was forgotten. */
  #joinable(key: string, call: AnyCall | undefined, entry: EntrySettings): Flight | null {
    const flight = this.#flights.get(key)
    if (flight === undefined || flight.keyClock !== this.#keyClocks.at(key)) return null
    // What is not held in process must not be had from an old flight either: the shared tier knows better by now.
    if (flight.answered && !entry.inProcess) return null
    if (flight.since === this.#tags.latest) return flight
    // Tags that only the value will tell may have been forgotten.
    if (flight.tags === null || (typeof call?.tags === 'function') !== (flight.tags === null)) return null
    return this.#tags.verdict(flight.tags, flight.since) === TagVerdict.valid ? flight : null
  }

  #joinOr(
    key: string,
    load: Load<unknown>,
    call: AnyCall | undefined,
    entry: EntrySettings,
    stale: unknown,
  ): Flight {
    const flight = this.#joinable(key, call, entry)
    if (flight !== null) {
      this.counts.joined++
      return flight
    }
    const { loadsMax } = this.#settings
    if (this.#running.size >= loadsMax)
      throw new Failure(cacheFailures.loadsFull, `cache ${this.name}: ${loadsMax} loads are under way`)
    return this.#start(key, load, call, entry, stale, false)
  }

  #markOf(key: string): Mark {
    const storable = !this.#fences.onKey(key, this.#clock.monotonic())
    return { key, keyClock: this.#keyClocks.at(key), since: this.#tags.latest, storable }
  }

  #start(
    key: string,
    load: Load<unknown>,
    call: AnyCall | undefined,
    entry: EntrySettings,
    stale: unknown,
    early: boolean,
  ): Flight {
    const tags = typeof call?.tags === 'function' ? null : (call?.tags ?? [])
    const flight = new Flight(this.#markOf(key), tags)
    this.#flights.set(key, flight)
    this.#running.add(flight)
    void this.#fly(flight, load, call, entry, stale, early)
    return flight
  }

  /** Its result is stored or not; newcomers find no flight. */
  #land(flight: Flight): void {
    this.#running.delete(flight)
    if (this.#flights.get(flight.key) === flight) this.#flights.delete(flight.key)
  }

  async #fly(
    flight: Flight,
    load: Load<unknown>,
    call: AnyCall | undefined,
    entry: EntrySettings,
    stale: unknown,
    early: boolean,
  ): Promise<void> {
    try {
      await this.#bring(flight, load, call, entry, stale, early)
      this.#land(flight)
    } catch (cause) {
      this.#loadFailed(flight, cause, entry)
      this.#land(flight)
      flight.reject(cause)
    }
  }

  /** One flight: the shared tier, the loader, storing. Its callers have their answer before it is stored everywhere. */
  async #bring(
    flight: Flight,
    load: Load<unknown>,
    call: AnyCall | undefined,
    entry: EntrySettings,
    stale: unknown,
    early: boolean,
  ): Promise<void> {
    const answer = this.#asksTier(entry) ? await this.#askLeased(flight) : null
    const found = answer !== null && 'entry' in answer ? draftOfTier(this.#maker, answer.entry) : null
    let lease = answer !== null && 'lease' in answer ? answer.lease : null
    if (found !== null && answer?.kind === 'hit') {
      // Asked early: whoever else was earlier has brought what is fresher than ours; else it is ours to load.
      if (early && !this.#fresher(flight.key, found)) lease = await this.#leaseEarly(flight.key)
      if (lease === null) {
        this.#keep(flight, found, entry)
        return flight.resolve(found.value)
      }
    }
    if (found !== null && answer?.kind === 'stale' && (lease === null || entry.softTimeoutMs === 0)) {
      flight.resolve(found.value)
      if (lease === null) return
    }
    try {
      const draft = await this.#load(flight, load, call, entry, stale ?? found?.value)
      if (answer === null) this.#keepAlone(flight, draft, entry)
      flight.resolve(draft.value)
      if (answer !== null) await this.#store(flight, draft, entry, answer.kind, lease)
    } catch (cause) {
      if (lease !== null) await this.#tell('release', tier => tier.release(flight.key, lease))
      if (found === null) throw cause
      this.#loadFailed(flight, cause, entry)
      flight.resolve(found.value)
    }
  }

  #fresher(key: string, found: Draft): boolean {
    const slot = this.#memory.slotOf(key)
    return slot < 0 || this.#clock.monotonic() + found.ttlUs > this.#memory.freshUntil(slot) + found.loadUs
  }

  async #leaseEarly(key: string): Promise<string | null> {
    try {
      return (await this.#tier?.lease?.(key)) ?? null
    } catch (cause) {
      this.#tierFailed('lease', cause)
      return null
    }
  }

  async #load(
    flight: Flight,
    load: Load<unknown>,
    call: AnyCall | undefined,
    entry: EntrySettings,
    stale: unknown,
  ): Promise<Draft> {
    const began = this.#clock.monotonic()
    const context = { key: flight.key, signal: flight.controller.signal, stale }
    const value = await loadWithin(load, context, flight.controller, entry.hardTimeoutMs)
    this.counts.loaded++
    return draftOf(this.#maker, value, call, entry, this.#clock.monotonic() - began)
  }

  async #store(
    flight: Flight,
    draft: Draft,
    entry: EntrySettings,
    kind: TierAnswer['kind'],
    lease: string | null,
  ): Promise<void> {
    if (draft.ttlUs === 0) {
      if (lease !== null) await this.#tell('release', tier => tier.release(flight.key, lease))
      return
    }
    if (lease === null) {
      this.counts[kind === 'fenced' ? 'refused-fenced' : 'refused-void']++
      return
    }
    if ((await this.#share(flight.key, draft, lease)) !== 'refused') this.#keep(flight, draft, entry)
  }

  /** No shared tier was asked, or it could not be: how long it may be held then, `#capUs` knows. */
  #keepAlone(flight: Flight, draft: Draft, entry: EntrySettings): void {
    if (draft.ttlUs > 0) this.#keep(flight, draft, entry)
    this.#land(flight)
  }

  #loadFailed(flight: Flight, cause: unknown, entry: EntrySettings): void {
    const timeout = cause instanceof Failure && cause.code === cacheFailures.loadTimeout.code
    this.counts[timeout ? 'load-timeout' : 'load-failed']++
    const backMs = Math.max(entry.errorTtlMs, this.#memory.slotOf(flight.key) >= 0 ? entry.staleRetryMs : 0)
    if (backMs > 0 && !this.#closed)
      this.#heldBack.hold(flight.key, cause, this.#clock.monotonic() + backMs * US)
    this.#onEvent({ kind: 'load-failed', cache: this.name, key: flight.key, cause })
  }

  // Storing

  /** Into this process, if nothing speaks against it. */
  #keep(mark: Mark, draft: Draft, entry: EntrySettings): boolean {
    const { key } = mark
    const now = this.#clock.monotonic()
    const reason = this.#refusal(mark, draft, now)
    if (reason !== null) {
      this.counts[reason]++
      return false
    }
    const capUs = this.#capUs(entry)
    if (!entry.inProcess || capUs === 0 || draft.ttlUs + draft.graceUs === 0) return true
    this.#heldBack.end(key)
    if (!this.#memory.put(key, heldOf(this.#maker, key, draft, entry, mark.since, now, capUs), now)) {
      this.counts['refused-too-big']++
      return false
    }
    this.counts.stored++
    return true
  }

  #refusal(
    mark: Mark,
    draft: Draft,
    now: number,
  ): 'refused-void' | 'refused-fenced' | 'refused-older' | null {
    if (mark.keyClock !== this.#keyClocks.at(mark.key)) return 'refused-void'
    if (this.#tags.verdict(draft.tags, mark.since) !== TagVerdict.valid) return 'refused-void'
    if (!mark.storable || this.#fences.onKey(mark.key, now)) return 'refused-fenced'
    if (this.#fences.onTags(draft.tags, now)) return 'refused-fenced'
    return this.#older(mark.key, draft.version) ? 'refused-older' : null
  }

  #older(key: string, version: number): boolean {
    const slot = this.#memory.slotOf(key)
    return version < Math.max(this.#floors.of(key), slot < 0 ? -1 : this.#memory.version(slot))
  }

  #capUs(entry: EntrySettings): number {
    const cap = this.#deaf() ? this.#settings.deafTtlMs : Number.POSITIVE_INFINITY
    return (
      Math.min(cap, this.#tier === null || !entry.shared ? Number.POSITIVE_INFINITY : entry.inProcessTtlMs) *
      US
    )
  }

  #hit(slot: number): unknown {
    this.counts[this.#memory.isNegative(slot) ? 'hit-negative' : 'hit']++
    return this.#give(this.#memory.value(slot))
  }

  #give(value: unknown): unknown {
    return this.#copies ? structuredClone(value) : value
  }

  #countMiss(found: number): void {
    if (found === Found.tagged) this.counts['miss-tag']++
    else this.counts[found === Found.absent ? 'miss-absent' : 'miss-expired']++
  }

  // Forgetting and updating

  #forgetHere(what: Forgotten): void {
    if (what.everything) {
      this.counts.forgotten += this.#memory.count
      this.#memory.clear()
      this.#tags.forgetAll()
      this.#keyClocks.tickAll()
      this.#heldBack.clear()
    }
    for (const key of what.keys) {
      this.#keyClocks.tick(key)
      this.#heldBack.end(key)
      // By the clock that hits are judged by, so that none of this turn takes it for fresh.
      if (what.soft) this.#memory.expire(key, this.#now.monotonic())
      else if (this.#memory.remove(key)) this.counts.forgotten++
    }
    for (const tag of what.tags) this.#tags.forget(tag, what.soft)
  }

  /** The write, its fence renewed while it takes. */
  async #writeFenced<R>(
    names: FenceNames,
    token: string,
    write: () => R | Promise<R>,
  ): Promise<{ result: R } | { cause: unknown }> {
    const { fenceMs } = this.#settings
    const renew = (): void => void this.#tell('fence', tier => tier.fence(names, token, fenceMs))
    const timer = this.#tier === null ? null : setInterval(renew, Math.ceil(fenceMs / 3)).unref()
    try {
      return { result: await write() }
    } catch (cause) {
      return { cause }
    } finally {
      if (timer !== null) clearInterval(timer)
    }
  }

  /** Nobody knows what became of the write: it may be committed yet. Until when the fence stands here. */
  async #standFence(names: FenceNames, token: string): Promise<number> {
    const { fenceMs } = this.#settings
    await this.#tell('fence', tier => tier.fence(names, token, fenceMs))
    return this.#clock.monotonic() + fenceMs * US
  }

  /** Lifts the fence in the shared tier. Gives what may be held in process, if nobody else was there. */
  async #finish<R, T>(
    names: FenceNames,
    token: string,
    place: number,
    since: number,
    result: R,
    options: UpdateOptions<R, T>,
  ): Promise<Filled | null> {
    const floor = options.version?.(result) ?? -1
    for (const name of names.keys) this.#floors.raise(name, floor)
    const [key] = names.keys
    const filled =
      key !== undefined && names.keys.length === 1 ? this.#filledOf(key, floor, since, result, options) : null
    const stored = filled !== null && (await this.#fillShared(filled, token, place))
    const lifted = await this.#tell('lift', tier => tier.lift(names, token, floor))
    return stored && lifted ? filled : null
  }

  #filledOf<R, T>(
    key: string,
    floor: number,
    since: number,
    result: R,
    options: UpdateOptions<R, T>,
  ): Filled | null {
    if (options.fill === undefined) return null
    const call = floor >= 0 ? { ...options.entry, version: floor } : options.entry
    const entry = entrySettings(`cache ${this.name}`, call, this.#entry)
    const draft = draftOf(this.#maker, options.fill(result), call, entry, 0)
    return { key, draft, entry, keyClock: this.#keyClocks.at(key), since, filledSince: this.#tags.latest }
  }

  async #fillShared({ key, draft, entry }: Filled, token: string, place: number): Promise<boolean> {
    if (draft.ttlUs === 0 || !this.#fences.aloneSince(key, place, this.#clock.monotonic())) return false
    return this.#tier === null || !entry.shared || (await this.#share(key, draft, token)) === 'stored'
  }

  /** In one go: forgets what was read during the write, ends the fence, and holds what was filled if all is as it was. */
  #endUpdate(names: FenceNames, place: number, untilAt: number, filled: Filled | null): void {
    const keeps =
      filled !== null &&
      filled.keyClock === this.#keyClocks.at(filled.key) &&
      this.#tagsHold(filled, names.tags) &&
      this.#fences.aloneSince(filled.key, place, this.#clock.monotonic())
    this.#forgetHere({ ...names, everything: false, soft: false })
    this.#fences.free(names, untilAt)
    if (keeps) this.#keep(this.#markOf(filled.key), filled.draft, filled.entry)
  }

  /** No tag of what was filled was forgotten since the write began; its own tags, which the fence forgot, since then. */
  #tagsHold({ draft, since, filledSince }: Filled, own: readonly string[]): boolean {
    const others = draft.tags.filter(tag => !own.includes(tag))
    if (this.#tags.verdict(others, since) !== TagVerdict.valid) return false
    return this.#tags.verdict(draft.tags, filledSince) === TagVerdict.valid
  }

  // The shared tier

  #asksTier(entry: EntrySettings): boolean {
    return this.#tier !== null && entry.shared && this.#tier.usable
  }

  #deaf(): boolean {
    return this.#tierLost || this.#feedLost || (this.#tier !== null && !this.#tier.usable)
  }

  async #askTier(key: string, leased: boolean): Promise<TierAnswer | null> {
    try {
      const answer = await this.#tier!.get(key, leased)
      this.counts[answer.kind === 'hit' ? 'tier-hit' : 'tier-miss']++
      if (answer.kind === 'fenced') this.counts['miss-fenced']++
      return answer
    } catch (cause) {
      this.#tierFailed('get', cause)
      return null
    }
  }

  /** Asks until there is an answer that says what to do; not longer than `leaseWaitMs`. */
  async #askLeased(flight: Flight): Promise<TierAnswer | null> {
    const endAt = this.#clock.monotonic() + this.#settings.leaseWaitMs * US
    for (;;) {
      const answer = await this.#askTier(flight.key, true)
      if (answer?.kind !== 'wait') return answer
      const leftMs = (endAt - this.#clock.monotonic()) / US
      if (leftMs <= 0 || flight.controller.signal.aborted) return { kind: 'miss', lease: null }
      await pause(Math.max(1, Math.min(answer.retryMs, leftMs)))
    }
  }

  /** @param lease or a fence's token; null: a plain set */
  async #share(key: string, draft: Draft, lease: string | null): Promise<'stored' | 'refused' | 'away'> {
    try {
      const entry = tierEntryOf(this.#maker, draft)
      const outcome = entry === null ? 'too-big' : await this.#tier!.set(key, entry, lease)
      if (outcome === 'stored') return 'stored'
      this.counts[refusals[outcome]]++
      if (outcome === 'too-big' && lease !== null)
        await this.#tell('release', tier => tier.release(key, lease))
      return 'refused'
    } catch (cause) {
      this.#tierFailed('set', cause)
      return 'away'
    }
  }

  /** True if there is nobody to tell, or he was told. What could not be told is the tier's to remember. */
  async #tell(call: string, tell: (tier: Tier) => Promise<void>): Promise<boolean> {
    if (this.#tier === null) return true
    try {
      await tell(this.#tier)
      return true
    } catch (cause) {
      this.#tierFailed(call, cause)
      return false
    }
  }

  #tierFailed(call: string, cause: unknown): void {
    this.counts['tier-failed']++
    this.#onEvent({ kind: 'tier-failed', cache: this.name, call, cause })
  }

  #listen(): () => void {
    if (this.#tier === null) return () => {}
    const lost = (is: boolean): void => {
      this.#tierLost = is
    }
    return this.#tier.subscribe(this.#hearing('tier', lost))
  }

  #openFeed(feed: FeedOptions | string): FeedClient {
    this.#feedLost = true
    const lost = (is: boolean): void => {
      this.#feedLost = is
    }
    return openFeed(typeof feed === 'string' ? { url: feed } : feed, this.#clock, {
      ...this.#hearing('feed', lost),
      gap: () => {
        this.#forgetHere(everything)
        this.#onEvent({ kind: 'feed-gap', cache: this.name })
      },
    })
  }

  /** What was missed is unknown: nothing that is held outlives the loss, nor what was held for a moment amid it. */
  #hearing(
    from: 'tier' | 'feed',
    isLost: (is: boolean) => void,
  ): { forget(what: Forgotten): void; lost(): void; regained(): void } {
    return {
      forget: what => this.#forgetHere(what),
      lost: () => {
        isLost(true)
        this.#forgetHere(everything)
        this.#onEvent({ kind: `${from}-lost`, cache: this.name })
      },
      regained: () => {
        this.#forgetHere(everything)
        isLost(false)
        this.#onEvent({ kind: `${from}-regained`, cache: this.name })
      },
    }
  }

  #open(): void {
    if (this.#closed) throw new Failure(cacheFailures.closed, `cache ${this.name} is closed`)
  }
}

const everything: Forgotten = { keys: [], tags: [], everything: true, soft: false }
const refusals = {
  void: 'refused-void',
  fenced: 'refused-fenced',
  older: 'refused-older',
  'too-big': 'refused-too-big',
} as const

/** What a write-through may hold in process once its fence is lifted. */
interface Filled {
  readonly key: string
  readonly draft: Draft
  readonly entry: EntrySettings
  /** Of the key before it was shared: another one after the lift, and somebody else has written since. */
  readonly keyClock: number
  /** Of the tags: when the write began, and when it had ended. */
  readonly since: number
  readonly filledSince: number
}

const updateNames = new Set(['keys', 'tags'])
const forgetNames = new Set([...updateNames, 'everything', 'soft'])

function forgottenOf(what: ForgetWhat): Forgotten {
  const { everything: all = false, soft = false } = what
  return { ...checkedNames('invalidate', what, forgetNames), everything: all, soft }
}

function namesOf(
  target: string | { readonly keys?: readonly string[]; readonly tags?: readonly string[] },
): FenceNames {
  const { keys, tags } = checkedNames(
    'update',
    typeof target === 'string' ? { keys: [target] } : target,
    updateNames,
  )
  // Twice the same name would hold its fence twice and hide from itself that it is alone.
  return { keys: [...new Set(keys)], tags: [...new Set(tags)] }
}

export function createCache(options: CacheOptions): Cache {
  return new Cache(options)
}
