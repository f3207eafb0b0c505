// From a loaded value, or from what a shared tier gave, to an entry: how long it lives, what it carries, how large it
// is; and from there to what a shared tier is given. Decides nothing about whether it may be stored.

import type { Random } from '../../kit/random.ts'
import type { TierEntry } from './contract.ts'
import { calmUntil, jittered } from './early.ts'
import type { Held } from './memory.ts'
import {
  type CacheSettings,
  checkedKey,
  checkedNumber,
  type EntryOptions,
  type EntrySettings,
  refused,
} from './options.ts'
import { encodedBytes, estimatedBytes, freezeDeep } from './values.ts'

/** What one call may say beside how entries are kept. */
export interface CallOptions<T> extends EntryOptions {
  /** Names by which it is forgotten with others; at most 64. */
  readonly tags?: readonly string[] | ((value: T) => readonly string[])
  /** Of the value, only going up: a row's version, a log position. An older one never replaces a newer one. */
  readonly version?: number | ((value: T) => number)
  /** Instead of `ttlMs`, from the value. */
  readonly ttlOf?: (value: T) => number
  /** Ends this caller's waiting, not the load. */
  readonly signal?: AbortSignal
}

const tagsMax = 64
const US = 1_000

/** An entry on its way to the tiers. */
export interface Draft {
  readonly value: unknown
  readonly negative: boolean
  /** 0: not to be stored. */
  readonly ttlUs: number
  readonly graceUs: number
  readonly loadUs: number
  readonly version: number
  readonly tags: readonly string[]
}

// biome-ignore lint/suspicious/noExplicitAny: options of any value's type
export type AnyCall = CallOptions<any>

export interface Maker {
  readonly settings: CacheSettings
  readonly random: Random
  readonly sizeOf: ((value: unknown, key: string) => number) | undefined
}

/** Freezes the value where values are frozen. */
export function draftOf(
  maker: Maker,
  value: unknown,
  call: AnyCall | undefined,
  entry: EntrySettings,
  loadUs: number,
): Draft {
  const where = `cache ${maker.settings.name}`
  const negative = value === null || value === undefined
  const wanted =
    !negative && call?.ttlOf ? checkedNumber(where, 'ttlOf', call.ttlOf(value), 0, 1e11) : entry.ttlMs
  const ttlMs = negative ? Math.min(entry.negativeTtlMs, wanted) : wanted
  return {
    value: maker.settings.values === 'frozen' ? freezeDeep(value) : value,
    negative,
    ttlUs: jittered(ttlMs * US, maker.settings.jitterShare, maker.random.float()),
    graceUs: negative ? 0 : entry.graceMs * US,
    loadUs,
    version: versionOf(where, value, call),
    tags: tagsOf(where, value, call),
  }
}

function versionOf(where: string, value: unknown, call: AnyCall | undefined): number {
  const given = call?.version
  if (given === undefined || (typeof given === 'function' && (value === null || value === undefined)))
    return -1
  const version = typeof given === 'function' ? given(value) : given
  return checkedNumber(where, 'version', version, 0, Number.MAX_SAFE_INTEGER)
}

const none: readonly string[] = []

function tagsOf(where: string, value: unknown, call: AnyCall | undefined): readonly string[] {
  const given = call?.tags
  if (given === undefined) return none
  const tags = typeof given === 'function' ? given(value) : given
  if (!Array.isArray(tags)) throw refused(where, 'tags', tags, 'a list')
  if (tags.length > tagsMax) throw refused(where, 'tags', `${tags.length} tags`, `at most ${tagsMax}`)
  for (const tag of tags) checkedKey(tag)
  return tags
}

/** @param capUs in process not longer than this */
export function heldOf(
  maker: Maker,
  key: string,
  draft: Draft,
  entry: EntrySettings,
  since: number,
  now: number,
  capUs: number,
): Held {
  const freshUntil = now + Math.min(draft.ttlUs, capUs)
  const ahead = entry.refreshAheadShare > 0 ? now + draft.ttlUs * entry.refreshAheadShare : Infinity
  const { bytesMax, valueBytesMax } = maker.settings
  const measured = bytesMax > 0 || valueBytesMax !== Infinity
  return {
    value: draft.value,
    negative: draft.negative,
    bytes: measured ? (maker.sizeOf?.(draft.value, key) ?? estimatedBytes(draft.value) + 2 * key.length) : 0,
    calmUntil: Math.min(calmUntil(freshUntil, draft.loadUs, entry.earlyBeta), ahead),
    freshUntil,
    deadAt: Math.min(freshUntil + draft.graceUs, now + capUs),
    loadUs: draft.loadUs,
    version: draft.version,
    tags: draft.tags,
    since,
  }
}

/** Null: larger than the shared tier is to be given. Throws what the serialiser throws. */
export function tierEntryOf(maker: Maker, draft: Draft): TierEntry | null {
  const { serialiser, sharedValueBytesMax } = maker.settings
  const value = draft.negative ? null : serialiser.encode(draft.value)
  if (value !== null && encodedBytes(value) > sharedValueBytesMax) return null
  return {
    value,
    format: serialiser.name,
    tags: draft.tags,
    version: draft.version,
    freshMs: draft.ttlUs / US,
    graceMs: draft.graceUs / US,
    loadMs: draft.loadUs / US,
  }
}

/** Null: of another serialiser, or not to be decoded: as good as not there. */
export function draftOfTier(maker: Maker, entry: TierEntry): Draft | null {
  const { serialiser, values } = maker.settings
  if (entry.format !== serialiser.name) return null
  try {
    const value = entry.value === null ? null : serialiser.decode(entry.value)
    return {
      value: values === 'frozen' ? freezeDeep(value) : value,
      negative: entry.value === null,
      ttlUs: Math.max(0, entry.freshMs * US),
      graceUs: Math.max(0, entry.graceMs * US + Math.min(0, entry.freshMs * US)),
      loadUs: entry.loadMs * US,
      version: entry.version,
      tags: entry.tags,
    }
  } catch {
    return null
  }
}
