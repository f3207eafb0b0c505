// Reads audit logs: one request's line, and whether the lines are as they were written. Never writes.

import { eachLine, filesOf } from '../../io/line-file.ts'
import type { RequestRecord } from '../messages.ts'
import { type ChainLine, chainBegins, chainEnds, hashOf } from './lines.ts'

/** The last line about that request in the log or its older files; null: there is none. */
export async function recordInLog(path: string, filesMax: number, id: string): Promise<RequestRecord | null> {
  const wanted = `"id":${JSON.stringify(id)}`
  for (const file of filesOf(path, filesMax).reverse()) {
    let found: RequestRecord | null = null
    await eachLine(file, (line, whole) => {
      const record = whole && line.includes(wanted) ? recordOf(line) : null
      if (record?.id === id) found = record
      return true
    })
    if (found !== null) return found
  }
  return null
}

function recordOf(line: string): RequestRecord | null {
  const parsed = parsedLine(line)
  if (parsed === null || (parsed.event !== 'refused' && parsed.event !== 'detected')) return null
  const { chain: _chain, seq: _seq, prev: _prev, at, event, ...rest } = parsed
  return { ...rest, outcome: event, atMs: Date.parse(at) } as unknown as RequestRecord
}

function parsedLine(line: string): ChainLine | null {
  try {
    const parsed = JSON.parse(line) as ChainLine
    const isOne =
      typeof parsed === 'object' &&
      parsed !== null &&
      typeof parsed.chain === 'string' &&
      typeof parsed.seq === 'number' &&
      typeof parsed.prev === 'string'
    return isOne ? parsed : null
  } catch {
    return null
  }
}

export interface AuditTrouble {
  readonly file: string
  /** From 1. */
  readonly line: number
  readonly text: string
}

export interface AuditVerdict {
  readonly files: readonly string[]
  readonly lines: number
  readonly chains: number
  /** Chains whose process was killed, or still writes. Lines may be missing at their ends, which nothing here can tell. */
  readonly open: readonly { readonly chain: string; readonly seq: number; readonly hash: string }[]
  /** Lines that were cut amid being written; each followed by a chain that says so. */
  readonly torn: number
  readonly troubles: readonly AuditTrouble[]
  /** The line that had to be there, where one was named: the text of its hash, and where it is. */
  readonly head?: { readonly hash: string; readonly at: string | null }
}

const troublesMax = 100

interface OpenChain {
  seq: number
  hash: string
}

/**
 * Holds every line against the one before it in its chain. Files that were put aside and deleted are no trouble.
 * @param head the beginning of the hash of a line that has to be there: what was cut off an open chain shows only so
 */
export async function verifyLog(path: string, filesMax: number, head = ''): Promise<AuditVerdict> {
  const files = filesOf(path, filesMax)
  // As long as no file had to be deleted the log begins with its first line.
  const verifier = new Verifier(files.length <= filesMax, head)
  for (const file of files) {
    verifier.begin(file)
    await eachLine(file, (line, whole) => verifier.take(line, whole))
  }
  return { files, ...verifier.verdict() }
}

class Verifier {
  readonly #chains = new Map<string, OpenChain>()
  readonly #ended = new Set<string>()
  /** Of every whole line: what a chain may say that it follows. */
  readonly #hashes = new Set<string>()
  readonly #troubles: AuditTrouble[] = []
  #file = ''
  #line = 0
  #lines = 0
  #count = 0
  #torn = 0
  /** The line before was no line of ours. */
  #cut = 0
  readonly #complete: boolean
  readonly #head: string
  #headAt: string | null = null

  constructor(complete: boolean, head: string) {
    this.#complete = complete
    this.#head = head
  }

  begin(file: string): void {
    this.#file = file
    this.#line = 0
  }

  take(line: string, whole: boolean): undefined {
    this.#line++
    const parsed = parsedLine(line)
    if (parsed === null || !whole) return this.#odd(line, whole)
    this.#lines++
    if (parsed.event === chainBegins && parsed.seq === 1) this.#begins(parsed)
    else this.#follows(parsed)
    const hash = hashOf(line)
    this.#hashes.add(hash)
    if (this.#head !== '' && hash.startsWith(this.#head)) this.#headAt = `${this.#file}:${this.#line}`
    if (parsed.event === chainEnds) {
      this.#chains.delete(parsed.chain)
      this.#ended.add(parsed.chain)
    } else this.#chains.set(parsed.chain, { seq: parsed.seq, hash })
    this.#cut = 0
    return undefined
  }

  #odd(line: string, whole: boolean): undefined {
    // What a stopped process left; it counts as cut only when a chain says so, or nothing follows.
    if (line === '') return undefined
    this.#torn++
    this.#cut = this.#line
    if (whole) return undefined
    this.#cut = 0
    return undefined
  }

  #begins(line: ChainLine): void {
    this.#count++
    if (this.#cut > 0 && line.afterTorn !== true)
      this.#trouble('is no line of this log, and what follows does not say that it was cut', this.#cut)
    if (this.#chains.has(line.chain) || this.#ended.has(line.chain))
      this.#trouble(`begins chain ${line.chain} a second time`)
    const isFirst = this.#lines === 1 && (line.prev === '' || !this.#complete)
    if (isFirst || (line.prev !== '' && this.#hashes.has(line.prev))) return
    this.#trouble('begins a chain behind a line that is not there: lines before it were changed or removed')
  }

  #follows(line: ChainLine): void {
    if (this.#cut > 0) this.#trouble('is no line of this log', this.#cut)
    const before = this.#chains.get(line.chain)
    // The chain's beginning was put aside and deleted long ago.
    if (before === undefined && this.#isFirstOfFiles(line)) return
    if (before === undefined)
      this.#trouble(`belongs to chain ${line.chain}, whose lines before it are missing`)
    else if (line.seq !== before.seq + 1)
      this.#trouble(`is line ${line.seq} of its chain and follows line ${before.seq}`)
    else if (line.prev !== before.hash)
      this.#trouble('does not fit the line before it: one of them was changed')
  }

  /** Nothing of this chain was seen, and its beginning may lie in a file that is gone. */
  #isFirstOfFiles(line: ChainLine): boolean {
    return !this.#complete && line.seq > 1 && !this.#ended.has(line.chain) && this.#count === 0
  }

  #trouble(text: string, line = this.#line): void {
    if (this.#troubles.length < troublesMax) this.#troubles.push({ file: this.#file, line, text })
  }

  /** The line with that hash was cut off, or its file was deleted as files grew too many. */
  #missesHead(): void {
    if (this.#head === '' || this.#headAt !== null) return
    const older = this.#complete ? '' : ', unless it stood in a file that grew too old'
    this.#trouble(
      `is the last line, and the one with the hash ${this.#head.slice(0, 16)} is nowhere: lines were cut off${older}`,
    )
  }

  verdict(): Omit<AuditVerdict, 'files'> {
    this.#missesHead()
    return {
      lines: this.#lines,
      chains: this.#count,
      open: [...this.#chains].map(([chain, { seq, hash }]) => ({ chain, seq, hash })),
      torn: this.#torn,
      troubles: this.#troubles,
      ...(this.#head === '' ? {} : { head: { hash: this.#head, at: this.#headAt } }),
    }
  }
}
