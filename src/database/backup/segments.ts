// Names and places of the write-ahead log's files: positions as text, segments by timeline and number, the history of
// timelines. Pure arithmetic; nothing here reads or writes.

import type { Lsn } from '../contract.ts'

export interface Segment {
  readonly timeline: number
  readonly number: number
}

/** One step of a server's past: the timeline it was on, and where it left it (the current one: Infinity). */
export interface HistoryStep {
  readonly timeline: number
  readonly end: Lsn
}

const hex8 = (value: number): string => value.toString(16).toUpperCase().padStart(8, '0')

/** `16/B374D848`. */
export function lsnText(lsn: Lsn): string {
  return `${Math.floor(lsn / 2 ** 32).toString(16)}/${(lsn % 2 ** 32).toString(16)}`.toUpperCase()
}

export function lsnOf(text: string): Lsn {
  const [high, low] = text.split('/')
  const lsn = Number.parseInt(high ?? '', 16) * 2 ** 32 + Number.parseInt(low ?? '', 16)
  if (!/^[0-9a-f]{1,8}\/[0-9a-f]{1,8}$/i.test(text) || !Number.isSafeInteger(lsn))
    throw new Error(`'${text}' is no position in the log`)
  return lsn
}

export function segmentAt(timeline: number, lsn: Lsn, segmentBytes: number): Segment {
  return { timeline, number: Math.floor(lsn / segmentBytes) }
}

export function segmentName(segment: Segment, segmentBytes: number): string {
  const perFile = 2 ** 32 / segmentBytes
  return `${hex8(segment.timeline)}${hex8(Math.floor(segment.number / perFile))}${hex8(segment.number % perFile)}`
}

/** Null: no segment's name. */
export function segmentOf(name: string, segmentBytes: number): Segment | null {
  if (!/^[0-9A-F]{24}$/.test(name)) return null
  const part = (from: number): number => Number.parseInt(name.slice(from, from + 8), 16)
  return { timeline: part(0), number: part(8) * (2 ** 32 / segmentBytes) + part(16) }
}

export function historyName(timeline: number): string {
  return `${hex8(timeline)}.history`
}

/** Null: no history's name. */
export function historyTimeline(name: string): number | null {
  return /^[0-9A-F]{8}\.history$/.test(name) ? Number.parseInt(name.slice(0, 8), 16) : null
}

/** A history file as PostgreSQL writes it: `1 0/3000158 no recovery target specified` a line; oldest first. */
export function historyOf(timeline: number, text: string): HistoryStep[] {
  const steps: HistoryStep[] = []
  for (const line of text.split('\n')) {
    const found = /^\s*(\d+)\s+([0-9A-Fa-f]+\/[0-9A-Fa-f]+)/.exec(line)
    if (found) steps.push({ timeline: Number(found[1]), end: lsnOf(found[2] as string) })
  }
  return [...steps, { timeline, end: Number.POSITIVE_INFINITY }]
}

/**
 * The log that leads from `from` on to the end of a history: each stretch of segments, with the timeline that holds it. The
 * segment in which a timeline was left begins the next one's stretch: it was copied there.
 */
export function stretchesOf(
  history: readonly HistoryStep[],
  from: { readonly timeline: number; readonly lsn: Lsn },
  segmentBytes: number,
): { readonly timeline: number; readonly first: number; readonly last: number }[] {
  const begin = history.findIndex(step => step.timeline === from.timeline)
  if (begin < 0) return []
  let first = Math.floor(from.lsn / segmentBytes)
  return history.slice(begin).map(step => {
    const last = step.end === Number.POSITIVE_INFINITY ? step.end : Math.floor(step.end / segmentBytes)
    const stretch = { timeline: step.timeline, first, last }
    first = last
    return stretch
  })
}
