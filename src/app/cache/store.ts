// Strategies: a cache and a source behind one `get` and `put`, by name, each with a promise. Owns how they are combined;
// how a value is kept is the cache's, how dirty values are is write-behind.ts's.

import { type Clock, systemClock } from '../../kit/clock.ts'
import { Failure } from '../../kit/failure.ts'
import type { Cache } from './cache.ts'
import type { CacheEvent, Serialiser } from './contract.ts'
import type { CallOptions } from './entries.ts'
import { cacheFailures } from './failures.ts'
import type { LoadContext } from './flight.ts'
import { openJournal } from './journal.ts'
import { checkedNumber, refused } from './options.ts'
import type { Region } from './region.ts'
import { jsonSerialiser } from './serialisers.ts'
import { freezeDeep } from './values.ts'
import { type BehindSettings, WriteBehind } from './write-behind.ts'

export type Strategy =
  | 'aside'
  | 'read-through'
  | 'write-through'
  | 'write-around'
  | 'write-behind'
  | 'refresh-ahead'

export interface Source<T> {
  /** `null`: there is nothing. */
  load(key: string, context: LoadContext): T | null | Promise<T | null>
  /**
   * `value` null: remove. With write-behind `version` only goes up for a key, and the same may come twice: write it
   * as `... ON CONFLICT (id) DO UPDATE ... WHERE version < excluded.version`. Otherwise it is 0.
   */
  save?(key: string, value: T | null, version: number): void | Promise<void>
}

export interface BehindOptions {
  /** A file of this process's own: what was acknowledged survives `kill -9`. Left out: it does not. */
  readonly journal?: string
  /** Writes that are not saved yet: 10,000; more wait. */
  readonly dirtyMax?: number
  /** A write waits so long for more of its key: 100. */
  readonly delayMs?: number
  /** Something unsaved for so long makes new writes wait: 60,000. */
  readonly ageMaxMs?: number
  /** A write waits so long for room, then fails: 5,000. */
  readonly waitMs?: number
  /** Saves at once: 8. */
  readonly concurrency?: number
  readonly serialiser?: Serialiser
}

export interface StoreOptions<T> {
  /** Region of the cache: keys get it as a prefix. */
  readonly name: string
  readonly strategy: Strategy
  readonly source: Source<T>
  readonly entry?: CallOptions<T>
  readonly behind?: BehindOptions
  readonly onEvent?: (event: CacheEvent) => void
  readonly clock?: Clock
}

const drainMs = 10_000

export class Store<T> {
  readonly strategy: Strategy
  readonly #region: Region<T>
  readonly #source: Source<T>
  readonly #entry: CallOptions<T>
  readonly #behind: WriteBehind | null

  constructor(region: Region<T>, options: StoreOptions<T>, behind: WriteBehind | null) {
    this.strategy = options.strategy
    this.#region = region
    this.#source = options.source
    this.#entry =
      options.strategy === 'refresh-ahead'
        ? { refreshAheadShare: 0.5, ...options.entry }
        : (options.entry ?? {})
    this.#behind = behind
  }

  /** Writes that were accepted and are not saved yet. */
  get unsaved(): number {
    return this.#behind?.dirty ?? 0
  }

  async get(key: string): Promise<T | null> {
    const dirty = this.#behind?.find(key)
    if (dirty) return dirty.value as T | null
    const load = (context: LoadContext): T | Promise<T> => this.#source.load(key, context) as T | Promise<T>
    return this.#region.getOrSet(key, load, this.#entry)
  }

  async put(key: string, value: T): Promise<void> {
    if (this.#behind !== null) return this.#behind.put(key, freezeDeep(value))
    await this.#write(key, value)
  }

  async remove(key: string): Promise<void> {
    if (this.#behind !== null) return this.#behind.put(key, null)
    await this.#write(key, null)
  }

  /** Saves what is dirty now. Gives what is still dirty after `limitMs`. */
  async flush(limitMs: number = drainMs): Promise<number> {
    return (await this.#behind?.flush(limitMs)) ?? 0
  }

  /** Drains. Gives how many writes could not be saved: they are in the journal, or lost where there is none. */
  async close(limitMs: number = drainMs): Promise<number> {
    return (await this.#behind?.close(limitMs)) ?? 0
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #write(key: string, value: T | null): Promise<void> {
    const { save } = this.#source
    if (save === undefined || this.strategy === 'read-through')
      throw new Failure(cacheFailures.readOnly, `${this.#region.keyOf(key)}: this store only reads`)
    const fills = this.strategy === 'write-through'
    await this.#region.update(key, () => save.call(this.#source, key, value, 0), {
      entry: this.#entry,
      ...(fills && { fill: () => value as T }),
    })
  }
}

/** Opens a store; one with a journal saves first what its last life left unsaved, in the background. */
export async function openStore<T>(cache: Cache, options: StoreOptions<T>): Promise<Store<T>> {
  const region = cache.region<T>(options.name)
  if (options.strategy !== 'write-behind') return new Store(region, options, null)
  return new Store(region, options, await openBehind(cache, region, options))
}

async function openBehind<T>(
  cache: Cache,
  region: Region<T>,
  options: StoreOptions<T>,
): Promise<WriteBehind> {
  const { source, behind = {}, onEvent = () => {} } = options
  const save = source.save?.bind(source)
  if (save === undefined) throw refused(`store ${options.name}`, 'source.save', undefined, 'a function')
  const settings = behindSettings(options.name, behind)
  const journal = behind.journal === undefined ? null : await openJournal(behind.journal)
  if (journal !== null && journal.damaged > 0)
    onEvent({ kind: 'journal-damaged', cache: cache.name, lines: journal.damaged })
  const { encode, decode } = behind.serialiser ?? jsonSerialiser
  const user = {
    save: (key: string, value: unknown, version: number) =>
      region.update(key, async () => save(key, value as T | null, version), {
        fill: () => value as T,
        ...(options.entry && { entry: options.entry }),
      }),
    encode: (value: unknown) => Buffer.from(encode(value)).toString('base64'),
    failed: (key: string, cause: unknown) => onEvent({ kind: 'save-failed', cache: cache.name, key, cause }),
  }
  return new WriteBehind(settings, user, journal, options.clock ?? systemClock, text =>
    decode(Buffer.from(text, 'base64')),
  )
}

function behindSettings(name: string, given: BehindOptions): BehindSettings {
  const number = (key: string, value: number, least: number, most: number): number =>
    checkedNumber(`store ${name}`, key, value, least, most)
  return {
    dirtyMax: number('dirtyMax', given.dirtyMax ?? 10_000, 1, 10_000_000),
    delayMs: number('delayMs', given.delayMs ?? 100, 0, 3_600_000),
    ageMaxMs: number('ageMaxMs', given.ageMaxMs ?? 60_000, 1, 86_400_000),
    waitMs: number('waitMs', given.waitMs ?? 5_000, 0, 600_000),
    concurrency: number('concurrency', given.concurrency ?? 8, 1, 1_000),
  }
}
