// The one writer of the audit log in an edge process. Lines wait in a bounded queue and go out in one write a moment; what
// does not fit is dropped, counted, and told by a line of its own. It never holds up a request.
//
// What a killed process had not written yet is lost (at most `flushMs`); what it wrote stays. The next process begins a
// chain of its own, behind an empty line end where the last line was cut.

import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { CheckedAudit } from '../../file/checked-guard.ts'
import { type LineFile, openLines, putAside, tailOf } from '../../io/line-file.ts'
import { Failure } from '../../kit/failure.ts'
import { guardFailures } from '../failures.ts'
import type { RequestRecord } from '../messages.ts'
import type { GuardEvent } from '../part.ts'
import { bodyOfEvent, bodyOfRecord, Chain, chainBegins, chainEnds, hashOf, type LineBody } from './lines.ts'

export const auditFilesMax = 8
const linesMax = 10_000
const flushMs = 100
/** One in so many of the sampled range. */
const sampleRange = 2 ** 32

export interface AuditCounts {
  readonly written: number
  readonly sampledOut: number
  readonly dropped: number
}

export interface AuditStatus extends AuditCounts {
  readonly file: string
  /** The last line that this process wrote: what `verify` holds the file against. */
  readonly head: { readonly chain: string; readonly seq: number; readonly hash: string } | null
}

interface Waiting {
  readonly atMs: number
  readonly body: LineBody
}

export function auditPath(audit: Pick<CheckedAudit, 'file'>, stateDirectory: string): string {
  return audit.file ?? join(stateDirectory, 'logs', 'guard.log')
}

export class AuditLog {
  readonly #tell: (text: string) => void
  #path = ''
  #bytesMax = 0
  #sample = 1
  #file: LineFile | null = null
  #chain: Chain | null = null
  #head: AuditStatus['head'] = null
  #waiting: Waiting[] = []
  #timer: NodeJS.Timeout | null = null
  #writing: Promise<void> = Promise.resolve()
  #written = 0
  #sampledOut = 0
  #dropped = 0
  #untoldDrops = 0
  #broken = false

  constructor(tell: (text: string) => void) {
    this.#tell = tell
  }

  /** Throws GUARD_AUDIT_FILE when the file can't be opened: then the one before stays in use. */
  async take(audit: CheckedAudit, stateDirectory: string): Promise<void> {
    const path = auditPath(audit, stateDirectory)
    this.#bytesMax = audit.bytesMax
    this.#sample = audit.sample
    if (path === this.#path) return
    await this.#flushNow()
    const file = await openLines(path).catch((cause: NodeJS.ErrnoException) => {
      throw new Failure(guardFailures.auditFile, `guard.audit: ${path} can't be opened (${cause.code}).`, {
        cause,
      })
    })
    await this.#endChain()
    await this.#file?.close()
    this.#file = file
    this.#path = path
    // A full disk keeps nobody from serving: the chain begins with the first line that can be written.
    await this.#beginChain().catch(error => this.#tellOnce(error as NodeJS.ErrnoException))
  }

  get counts(): AuditCounts {
    return { written: this.#written, sampledOut: this.#sampledOut, dropped: this.#dropped }
  }

  status(): AuditStatus {
    return { file: this.#path, head: this.#head, ...this.counts }
  }

  // --- what is to be written ----------------------------------------------------------------------------------------

  record(record: RequestRecord): void {
    if (this.#sample < 1 && randomBytes(4).readUInt32LE() >= this.#sample * sampleRange) {
      this.#sampledOut++
      return
    }
    this.#push({ atMs: record.atMs, body: bodyOfRecord(record) })
  }

  /** Never sampled. */
  event(event: GuardEvent): void {
    this.#push({ atMs: Date.now(), body: bodyOfEvent(event) })
  }

  #push(waiting: Waiting): void {
    if (this.#waiting.length >= linesMax) {
      this.#dropped++
      this.#untoldDrops++
      return
    }
    this.#waiting.push(waiting)
    this.#timer ??= setTimeout(() => void this.#flushNow(), flushMs)
  }

  // --- writing ------------------------------------------------------------------------------------------------------

  #flushNow(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#writing = this.#writing.then(() => this.#write())
    return this.#writing
  }

  async #write(): Promise<void> {
    if (this.#file === null || this.#waiting.length === 0) return
    const lines = this.#waiting
    this.#waiting = []
    if (this.#untoldDrops > 0) {
      lines.push({ atMs: Date.now(), body: { event: 'dropped', count: this.#untoldDrops } })
      this.#untoldDrops = 0
    }
    try {
      await this.#makeRoom()
      const chain = this.#chain ?? (await this.#beginChain())
      await this.#file.append(lines.map(({ atMs, body }) => `${chain.line(atMs, body)}\n`).join(''))
      this.#head = chain.head
      this.#written += lines.length
      this.#broken = false
    } catch (error) {
      this.#lost(lines.length, error as NodeJS.ErrnoException)
    }
  }

  /** The disk is full, or gone: a part of the lines may be there, so that what follows is another chain. */
  #lost(count: number, error: NodeJS.ErrnoException): void {
    this.#dropped += count
    this.#untoldDrops += count
    this.#chain = null
    this.#tellOnce(error)
  }

  #tellOnce({ code, message }: NodeJS.ErrnoException): void {
    if (!this.#broken)
      this.#tell(`the audit log can't be written: ${code ?? message}; requests go on without it`)
    this.#broken = true
  }

  async #makeRoom(): Promise<void> {
    const file = this.#file as LineFile
    // Another edge, which takes over or leaves, may have put the file aside.
    const moved = !(await file.isCurrent())
    if (!moved && (await file.size()) < this.#bytesMax) return
    if (!moved) putAside(this.#path, auditFilesMax)
    const next = await openLines(this.#path)
    await file.close()
    this.#file = next
  }

  /** Rejects, and leaves no chain, when its first line can't be written. */
  async #beginChain(): Promise<Chain> {
    const { line: last, torn } = await tailOf(this.#path)
    const line = last === '' && !torn ? (await tailOf(`${this.#path}.1`)).line : last
    const chain = new Chain(randomBytes(6).toString('hex'), line === '' ? '' : hashOf(line))
    const body: LineBody = { event: chainBegins, pid: process.pid, ...(torn ? { afterTorn: true } : {}) }
    await this.#file?.append(`${torn ? '\n' : ''}${chain.line(Date.now(), body)}\n`)
    this.#chain = chain
    this.#head = chain.head
    return chain
  }

  async #endChain(): Promise<void> {
    if (this.#chain === null) return
    await this.#file?.append(`${this.#chain.line(Date.now(), { event: chainEnds })}\n`).catch(() => {})
    this.#chain = null
  }

  async close(): Promise<void> {
    await this.#flushNow()
    await this.#endChain()
    await this.#file?.close()
    this.#file = null
  }
}
