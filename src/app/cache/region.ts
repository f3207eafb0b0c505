// A part of a cache: keys under a prefix, values of one type, ways of its own, and a tag that forgets all of it. Holds
// nothing itself.

import type { Cache, UpdateOptions } from './cache.ts'
import type { CallOptions } from './entries.ts'
import type { Load } from './flight.ts'
import type { EntryOptions } from './options.ts'

export class Region<T> {
  readonly name: string
  readonly #cache: Cache
  readonly #entry: EntryOptions | undefined
  readonly #tag: string
  /** For calls that say nothing: made once. */
  readonly #usual: CallOptions<T>

  constructor(cache: Cache, name: string, entry: EntryOptions | undefined) {
    this.#cache = cache
    this.name = name
    this.#entry = entry
    this.#tag = `region:${name}`
    this.#usual = { ...entry, tags: [this.#tag] }
  }

  getNow(key: string): T | undefined {
    return this.#cache.getNow<T>(this.keyOf(key))
  }

  get(key: string): Promise<T | null | undefined> {
    return this.#cache.get<T>(this.keyOf(key))
  }

  getOrSet(key: string, load: Load<T>, call?: CallOptions<T>): Promise<T> {
    return this.#cache.getOrSet(this.keyOf(key), load, this.#callOf(call))
  }

  set(key: string, value: T, call?: CallOptions<T>): Promise<boolean> {
    return this.#cache.set(this.keyOf(key), value, this.#callOf(call))
  }

  delete(key: string): Promise<void> {
    return this.#cache.delete(this.keyOf(key))
  }

  update<R>(key: string, write: () => R | Promise<R>, options?: UpdateOptions<R, T>): Promise<R> {
    const entry = this.#callOf(options?.entry)
    return this.#cache.update<R, T>(this.keyOf(key), write, { ...options, entry })
  }

  /** Forgets the whole region, in O(1). */
  clear(): Promise<void> {
    return this.#cache.invalidate({ tags: [this.#tag] })
  }

  /** The key as the cache knows it: for `invalidate`, and rules of a change feed. */
  keyOf(key: string): string {
    return `${this.name}:${key}`
  }

  #callOf(call: CallOptions<T> | undefined): CallOptions<T> {
    if (call === undefined) return this.#usual
    const { tags } = call
    const all = (value: T): readonly string[] =>
      typeof tags === 'function' ? [...tags(value), this.#tag] : [...(tags ?? []), this.#tag]
    return { ...this.#entry, ...call, tags: typeof tags === 'function' ? all : [...(tags ?? []), this.#tag] }
  }
}
