// What a restore needs of the log, brought into a data directory: every segment on the way from a base backup to the newest
// timeline that goes on from it, checked while it is unpacked. The way ends at the first hole or damage, which is told.

import { join } from 'node:path'
import { writeDurably } from '../../io/durable-files.ts'
import type { Owner } from '../../io/owned-files.ts'
import type { Lsn } from '../contract.ts'
import type { Progress } from '../servers/contract.ts'
import type { BaseBackup } from './base.ts'
import { type KeptSegment, type LogArchive, once } from './log-archive.ts'
import { type HistoryStep, historyName, historyOf, stretchesOf } from './segments.ts'

export interface StagedLog {
  /** The timeline to recover on. */
  readonly timeline: number
  readonly segments: number
  /** Where the log ends: the end of the last segment, or of what is there of a growing one. */
  readonly endLsn: Lsn
  /** Why it ends before the newest segment; ''. */
  readonly problem: string
}

/** The newest timeline that goes on from the base; its own when no other does. */
export function wayFrom(base: BaseBackup, histories: ReadonlyMap<number, string>): readonly HistoryStep[] {
  const ways = [...histories]
    .sort(([one], [other]) => other - one)
    .map(([timeline, text]) => historyOf(timeline, text))
  const leads = (way: readonly HistoryStep[]): boolean =>
    way.some(step => step.timeline === base.timeline && step.end >= base.stopLsn)
  return ways.find(leads) ?? [{ timeline: base.timeline, end: Number.POSITIVE_INFINITY }]
}

export interface SegmentWay {
  readonly segments: readonly KeptSegment[]
  readonly problem: string
}

/** The segments of a way in order, up to the first that is missing although later ones are there. */
export function segmentsOn(
  way: readonly HistoryStep[],
  base: BaseBackup,
  archive: Pick<LogArchive, 'segmentBytes' | 'nameOf'>,
  kept: readonly KeptSegment[],
): SegmentWay {
  const from = { timeline: base.timeline, lsn: base.startLsn }
  const segments: KeptSegment[] = []
  for (const stretch of stretchesOf(way, from, archive.segmentBytes)) {
    const mine = new Map<number, KeptSegment>()
    // Finished ones come first, and win.
    for (const one of kept)
      if (one.timeline === stretch.timeline && !mine.has(one.number)) mine.set(one.number, one)
    const last = Number.isFinite(stretch.last) ? stretch.last : Math.max(stretch.first - 1, ...mine.keys())
    for (let number = stretch.first; number <= last; number++) {
      const found = mine.get(number)
      // The segment of a switch: the next timeline's copy will do.
      if (found === undefined && number === stretch.last) break
      if (found === undefined)
        return {
          segments,
          problem: `segment ${archive.nameOf({ timeline: stretch.timeline, number })} is missing`,
        }
      segments.push(found)
    }
  }
  return { segments, problem: '' }
}

export interface StageOptions {
  readonly archive: LogArchive
  readonly base: BaseBackup
  /** The data directory's `pg_wal`. */
  readonly folder: string
  readonly owner: Owner | null
  readonly progress: Progress
  readonly signal: AbortSignal
}

export async function stageLog(options: StageOptions): Promise<StagedLog> {
  const { archive, base, folder, owner, signal } = options
  const histories = await archive.histories()
  const way = wayFrom(base, histories)
  for (const [timeline, text] of histories)
    await writeDurably(join(folder, historyName(timeline)), once(text), owner)
  const found = segmentsOn(way, base, archive, await archive.segments())
  const timeline = (way.at(-1) as HistoryStep).timeline
  let [done, endLsn, problem] = [0, base.stopLsn, found.problem]
  for (const segment of found.segments) {
    signal.throwIfAborted()
    options.progress(`bringing the log, segment ${done + 1} of ${found.segments.length}`)
    const bytes = await staged(segment, options).catch((error: NodeJS.ErrnoException) =>
      // It was finished meanwhile.
      error.code === 'ENOENT' && !segment.finished
        ? staged({ ...segment, finished: true }, options).catch((again: Error) => again)
        : error,
    )
    if (bytes instanceof Error) {
      problem = `segment ${archive.nameOf(segment)} is damaged (${bytes.message})`
      break
    }
    done++
    endLsn = Math.max(endLsn, archive.positionOf(segment) + bytes)
  }
  return { timeline, segments: done, endLsn, problem }
}

/** A growing segment is filled up with zeros, which PostgreSQL takes for the end of the log. Returns the bytes before those. */
async function staged(segment: KeptSegment, { archive, folder, owner }: StageOptions): Promise<number> {
  let bytes = 0
  async function* whole(): AsyncGenerator<Uint8Array> {
    for await (const piece of archive.read(segment)) {
      bytes += piece.length
      yield piece
    }
    if (segment.finished && bytes !== archive.segmentBytes)
      throw new Error(`it has ${bytes} bytes instead of ${archive.segmentBytes}`)
    if (bytes < archive.segmentBytes) yield new Uint8Array(archive.segmentBytes - bytes)
  }
  await writeDurably(join(folder, archive.nameOf(segment)), whole(), owner)
  return bytes
}
