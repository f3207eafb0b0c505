// One file as it is served: what identifies its bytes, the ready field lines, and, while it is hot, the bytes. Never
// touches a disk: `file-load.ts` makes it, `file-shelf.ts` keeps it.

import { createHash } from 'node:crypto'
import type { FileFacts } from '../../io/files.ts'
import { type Acceptance, acceptanceOf, bestCoding, type Coding } from '../../policy/negotiate.ts'
import { httpDate } from '../../wire/http-date.ts'
import type { OpenFile } from './open-files.ts'

/** Bodies up to this size are kept as text too, which goes out in one write with the head. */
const textBytesMax = 4_096

export interface Representation {
  /** With quotes; `W/"..."` where the same tag could stand for other bytes. */
  readonly tag: string
  readonly modifiedAt: number
  readonly size: number
  readonly contentType: string
  /** Ready field lines of a 200, of a 206 without its range and length, of a 304. */
  readonly wholeFields: string
  readonly partFields: string
  readonly unchangedFields: string
  /** Bytes in memory; null: in the file. Never changed once they are here. */
  body: Buffer | null
  text: string | null
  opened: OpenFile | null
}

/** Joined text is a tree of pieces until somebody reads it: made flat once, not at each answer. */
const flat = (text: string): string => Buffer.from(text, 'latin1').latin1Slice()

export function representationOf(
  tag: string,
  modifiedAt: number,
  size: number,
  contentType: string,
  coding: Coding | null,
  negotiable: boolean,
  cacheControl: string,
): Representation {
  const cache = cacheControl === '' ? '' : `Cache-Control: ${cacheControl}\r\n`
  const vary = negotiable ? 'Vary: Accept-Encoding\r\n' : ''
  const unchanged = `ETag: ${tag}\r\nLast-Modified: ${httpDate(modifiedAt)}\r\n${cache}${vary}`
  const coded = coding === null ? '' : `Content-Encoding: ${coding}\r\n`
  const part = `${coded}${unchanged}X-Content-Type-Options: nosniff\r\n`
  return {
    tag,
    modifiedAt,
    size,
    contentType,
    unchangedFields: flat(unchanged),
    partFields: flat(part),
    wholeFields: flat(
      `Content-Type: ${contentType}\r\nContent-Length: ${size}\r\nAccept-Ranges: bytes\r\n${part}`,
    ),
    body: null,
    text: null,
    opened: null,
  }
}

export function keepBytes(representation: Representation, bytes: Buffer | null): void {
  representation.body = bytes
  representation.text = bytes !== null && bytes.length <= textBytesMax ? bytes.latin1Slice() : null
}

/** Of bytes that we have read whole: the same on every worker, host and day. */
export function contentTag(bytes: Buffer): string {
  return `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`
}

/**
 * Of a file that is too large to read for it. No program can set ctime, and what the clock is too coarse to tell from an
 * older state is weak until it has rested (`settled`), as is what git calls racily clean.
 */
export function factsTag(facts: FileFacts, settled: boolean): string {
  const numbers = [facts.size, facts.mtimeMs * 1000, facts.ctimeMs * 1000, facts.inode, facts.device]
  const text = numbers.map(number => Math.round(number).toString(36)).join('-')
  return settled ? `"${text}"` : `W/"${text}"`
}

export function sameFacts(a: FileFacts, b: FileFacts): boolean {
  return (
    a.size === b.size &&
    a.mtimeMs === b.mtimeMs &&
    a.ctimeMs === b.ctimeMs &&
    a.inode === b.inode &&
    a.device === b.device
  )
}

export class FileEntry {
  /** Name under the root; with the coding of a packed file beside another: how the shelf finds it. */
  readonly key: string
  readonly real: string
  readonly facts: FileFacts
  /** It had rested when it was read: as long as its facts are the same, so are its bytes. */
  readonly settled: boolean
  readonly plain: Representation
  /** Codings in which it can be had, ours first choice first. Some exist as files beside it (`packed`), others are made. */
  offered: readonly Coding[]
  readonly packed: readonly Coding[]
  /** Made here, while this entry is in memory. */
  readonly made: Map<Coding, Representation> = new Map()
  /** Microseconds: until then nobody looks at the disk. */
  freshUntil = 0
  /** Requests that asked for it; asked again since the clock's hand last passed; kept in memory. */
  uses = 0
  touched = false
  kept = false
  gone = false

  constructor(
    key: string,
    real: string,
    facts: FileFacts,
    settled: boolean,
    plain: Representation,
    offered: readonly Coding[],
    packed: readonly Coding[],
  ) {
    this.key = key
    this.real = real
    this.facts = facts
    this.settled = settled
    this.plain = plain
    this.offered = offered
    this.packed = packed
  }

  /** What memory it holds. */
  get bytes(): number {
    let sum = this.plain.body?.length ?? 0
    for (const { body } of this.made.values()) sum += body?.length ?? 0
    return sum
  }

  /** Bytes or an open file are at hand. */
  get ready(): boolean {
    const { body, opened } = this.plain
    return body !== null || (opened !== null && !opened.closed)
  }
}

const acceptances = new Map<string, Acceptance>()
const acceptancesMax = 256

/** Nearly all clients say one of a few dozen things. */
export function codingFor(entry: FileEntry, field: string | undefined): Coding | 'identity' | null {
  if (field === undefined) return 'identity'
  let acceptance = acceptances.get(field)
  if (acceptance === undefined) {
    acceptance = acceptanceOf(field)
    if (acceptances.size >= acceptancesMax) acceptances.clear()
    acceptances.set(Buffer.from(field, 'latin1').latin1Slice(), acceptance)
  }
  return bestCoding(acceptance, entry.offered)
}
