// Brings the log of one database, whichever server writes it, into the archive: connects to the primary as a replica with a
// slot of its own, follows switches of timelines, begins again where the archive ends. One at a time; runs until stopped.
//
// A connection: connecting -> streaming -> (the timeline ends: the next one | it breaks: wait, connecting). Log that no server has any
// more is a gap: said loudly, remembered until the next base backup, and stepped over.

import type { GrowingFile } from '../../io/durable-files.ts'
import type { Clock } from '../../kit/clock.ts'
import { MS } from '../../kit/clock.ts'
import type { Lsn } from '../contract.ts'
import type { LogArchive } from './log-archive.ts'
import { type ReplicationAddress, ReplicationConnection, type ReplicationStream } from './replication.ts'
import { type HistoryStep, historyOf, lsnText, type Segment, segmentAt } from './segments.ts'

/** Shared by every primary of a database; servers' own slots have another beginning. */
export const archiveSlot = 'tenfold_archive'
const connectTimeoutMs = 5_000
const pauseMsMin = 100
const pauseMsMax = 5_000
/** The server hears this often what is on disk; it cuts whoever is silent for wal_sender_timeout (10 s). */
const replyEveryMs = 1_000
/** PostgreSQL counts from 2000. */
const epochUs = 946_684_800_000_000

export interface ReceiverOptions {
  readonly archive: LogArchive
  /** Of the primary as it is now; null: there is none. */
  primary(): { readonly id: string; readonly address: ReplicationAddress } | null
  /** The system that the archive is of; '' until the first contact. Throws when it is another one's. */
  admit(systemId: string): Promise<void>
  readonly clock: Clock
  /** The state changed in a way that people should hear of. */
  told(level: 'info' | 'warn' | 'error', text: string): void
}

export interface ReceiverStatus {
  readonly state: 'stopped' | 'connecting' | 'streaming' | 'refused'
  readonly server: string | null
  readonly timeline: number
  /** Everything before it is on disk. */
  readonly archivedLsn: Lsn
  /** What the server had written when it last said so. */
  readonly serverLsn: Lsn
  /** When the last gap was stepped over, and what is missing; null: the archive has none since its newest base backup. */
  readonly gap: { readonly atMs: number; readonly from: Lsn; readonly to: Lsn } | null
  readonly problem: string
}

export const idleReceiver: ReceiverStatus = {
  state: 'stopped',
  server: null,
  timeline: 0,
  archivedLsn: 0,
  serverLsn: 0,
  gap: null,
  problem: '',
}

interface Place {
  readonly timeline: number
  readonly lsn: Lsn
}

export class LogReceiver {
  readonly #options: ReceiverOptions
  readonly #archive: LogArchive
  #status: ReceiverStatus = idleReceiver
  #running: Promise<void> | null = null
  #stopping = false
  #connection: ReplicationConnection | null = null
  #wake: (() => void) | null = null
  #reached: (() => void)[] = []

  constructor(options: ReceiverOptions) {
    this.#options = options
    this.#archive = options.archive
  }

  get status(): ReceiverStatus {
    return this.#status
  }

  start(): void {
    this.#stopping = false
    this.#running ??= this.#run().finally(() => {
      this.#running = null
      this.#set({ state: 'stopped' })
    })
  }

  async stop(): Promise<void> {
    this.#stopping = true
    this.#connection?.close()
    this.#wake?.()
    await this.#running
  }

  /** A base backup makes a gap before it harmless. */
  forgetGap(): void {
    this.#set({ gap: null })
  }

  /** Resolves when everything before `lsn` is on disk; rejects by the signal. */
  async archived(lsn: Lsn, signal: AbortSignal): Promise<void> {
    while (this.#status.archivedLsn < lsn) {
      signal.throwIfAborted()
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, replyEveryMs)
        this.#reached.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
  }

  #set(change: Partial<ReceiverStatus>): void {
    this.#status = { ...this.#status, ...change }
  }

  async #run(): Promise<void> {
    let pauseMs = pauseMsMin
    while (!this.#stopping) {
      const before = this.#status.archivedLsn
      try {
        await this.#connected()
      } catch (error) {
        this.#complain(error as Error)
      }
      this.#connection?.close()
      this.#connection = null
      if (this.#stopping) return
      pauseMs = this.#status.archivedLsn > before ? pauseMsMin : Math.min(pauseMsMax, pauseMs * 2)
      await this.#pause(pauseMs)
    }
  }

  #complain(error: Error): void {
    const { problem, state } = this.#status
    if (this.#stopping) return
    // Said once, not at each attempt.
    if (problem !== error.message) this.#options.told('warn', `the log is not archived: ${error.message}`)
    this.#set({ state: state === 'refused' ? 'refused' : 'connecting', problem: error.message })
  }

  #pause(ms: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, ms)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  async #connected(): Promise<void> {
    const primary = this.#options.primary()
    if (primary === null) throw new Error('there is no primary')
    this.#set({ state: 'connecting', server: primary.id })
    const connection = await ReplicationConnection.open(primary.address, archiveSlot, connectTimeoutMs)
    this.#connection = connection
    const { systemId, timeline, lsn } = await connection.identify()
    await this.#options.admit(systemId)
    const reserved = await connection.keepSlot(archiveSlot)
    const history = await this.#historyOf(connection, timeline)
    let place = await this.#placeIn(history, reserved || lsn)
    while (!this.#stopping) {
      const step = history.find(one => one.timeline === place.timeline) as HistoryStep
      const stream = connection.startLog(archiveSlot, place.timeline, place.lsn)
      const end = await this.#take(stream, place).catch(error => this.#missing(error, place, reserved || lsn))
      if ('skipped' in end) {
        place = { timeline, lsn: end.skipped }
        continue
      }
      // The server's own timeline never ends while it is the primary; an older one does, and the next goes on from there.
      const next = history[history.indexOf(step) + 1]
      if (next === undefined) throw new Error(`${primary.id} ended the log`)
      place = { timeline: next.timeline, lsn: this.#segmentStart(step.end) }
    }
  }

  async #historyOf(connection: ReplicationConnection, timeline: number): Promise<HistoryStep[]> {
    if (timeline === 1) return historyOf(1, '')
    const known = (await this.#archive.histories()).get(timeline)
    const text = known ?? (await connection.history(timeline))
    if (known === undefined) await this.#archive.putHistory(timeline, text)
    return historyOf(timeline, text)
  }

  #segmentStart(lsn: Lsn): Lsn {
    return lsn - (lsn % this.#archive.segmentBytes)
  }

  /** Where the archive ends on the way of this history. A segment that is not finished is taken from its beginning again. */
  async #placeIn(history: readonly HistoryStep[], begin: Lsn): Promise<Place> {
    const kept = await this.#archive.segments()
    for (const step of history.toReversed()) {
      const last = kept.filter(one => one.timeline === step.timeline).at(-1)
      if (last === undefined) continue
      const lsn = this.#archive.positionOf(last) + (last.finished ? this.#archive.segmentBytes : 0)
      const next = history[history.indexOf(step) + 1]
      // What was received beyond the point where the others left is not part of this history.
      if (next !== undefined && lsn >= step.end)
        return { timeline: next.timeline, lsn: this.#segmentStart(step.end) }
      return { timeline: step.timeline, lsn }
    }
    const current = history.at(-1) as HistoryStep
    if (kept.length > 0) this.#gap(0, begin)
    return { timeline: current.timeline, lsn: this.#segmentStart(begin) }
  }

  /** `requested WAL segment ... has already been removed`: what is gone is gone. */
  #missing(error: Error & { code?: string }, place: Place, reserved: Lsn): { skipped: Lsn } {
    if (error.code !== '58P01' || this.#segmentStart(reserved) <= place.lsn) throw error
    this.#gap(place.lsn, reserved)
    return { skipped: this.#segmentStart(reserved) }
  }

  #gap(from: Lsn, to: Lsn): void {
    this.#set({ gap: { atMs: Math.round(this.#options.clock.wall() / MS), from, to } })
    this.#options.told(
      'error',
      `log between ${lsnText(from)} and ${lsnText(to)} was removed before it was archived: moments after it can be restored only from the next base backup on`,
    )
  }

  /** Until the server ends the timeline. */
  async #take(stream: ReplicationStream, from: Place): Promise<{ ended: true }> {
    const writer = new SegmentWriter(this.#archive, from)
    const reply = (): void => stream.send(statusMessage(writer.syncedLsn, this.#options.clock.wall()))
    const timer = setInterval(reply, replyEveryMs)
    const { timeline, archivedLsn } = this.#status
    // On another timeline what was archived of the old one beyond the switch counts for nothing.
    const kept = timeline === from.timeline ? archivedLsn : 0
    this.#set({ timeline: from.timeline, archivedLsn: Math.max(from.lsn, kept) })
    try {
      for (;;) {
        const message = await this.#nextOf(stream, writer)
        if (message === null) return { ended: true }
        if (this.#status.state !== 'streaming') this.#streams()
        if (message[0] === 0x77) {
          await writer.write(lsnIn(message, 1), message.subarray(25))
          this.#set({ serverLsn: Math.max(lsnIn(message, 9), writer.writtenLsn) })
        } else if (message[0] === 0x6b) {
          this.#set({ serverLsn: lsnIn(message, 1) })
          if (message[17] === 1) reply()
        }
      }
    } finally {
      clearInterval(timer)
      await writer.close()
    }
  }

  /** Syncs when nothing more waits: a burst is synced once. */
  async #nextOf(stream: ReplicationStream, writer: SegmentWriter): Promise<Buffer | null> {
    if (!stream.waits && writer.dirty) {
      await writer.sync()
      stream.send(statusMessage(writer.syncedLsn, this.#options.clock.wall()))
    }
    if (writer.syncedLsn > this.#status.archivedLsn) {
      this.#set({ archivedLsn: writer.syncedLsn })
      for (const resolve of this.#reached.splice(0)) resolve()
    }
    return stream.next()
  }

  #streams(): void {
    const { server, problem } = this.#status
    if (problem !== '') this.#options.told('info', `the log is archived again, from ${server}`)
    this.#set({ state: 'streaming', problem: '' })
  }
}

/** Splits what streams in into segments, in order; a hole in the stream is refused. */
class SegmentWriter {
  readonly #archive: LogArchive
  #segment: Segment
  #file: GrowingFile | null = null
  writtenLsn: Lsn
  syncedLsn: Lsn

  constructor(archive: LogArchive, from: Place) {
    this.#archive = archive
    this.#segment = segmentAt(from.timeline, from.lsn, archive.segmentBytes)
    this.writtenLsn = from.lsn
    this.syncedLsn = from.lsn
  }

  get dirty(): boolean {
    return this.writtenLsn > this.syncedLsn
  }

  async write(at: Lsn, bytes: Buffer): Promise<void> {
    if (at !== this.writtenLsn)
      throw new Error(`the server sent ${lsnText(at)} where ${lsnText(this.writtenLsn)} was to follow`)
    for (let done = 0; done < bytes.length; ) {
      const offset = this.writtenLsn - this.#archive.positionOf(this.#segment)
      const piece = bytes.subarray(done, done + this.#archive.segmentBytes - offset)
      this.#file ??= await this.#archive.openSegment(this.#segment)
      await this.#file.write(piece, offset)
      done += piece.length
      this.writtenLsn += piece.length
      if (offset + piece.length === this.#archive.segmentBytes) await this.#finish()
    }
  }

  async sync(): Promise<void> {
    const upTo = this.writtenLsn
    await this.#file?.sync()
    this.syncedLsn = upTo
  }

  async close(): Promise<void> {
    const file = this.#file
    this.#file = null
    await file?.close()
  }

  async #finish(): Promise<void> {
    await this.sync()
    await this.close()
    await this.#archive.finish(this.#segment)
    this.#segment = { ...this.#segment, number: this.#segment.number + 1 }
  }
}

function lsnIn(message: Buffer, at: number): Lsn {
  return Number(message.readBigUInt64BE(at))
}

/** Standby status update: written and flushed are what is on disk; nothing is applied here. */
function statusMessage(lsn: Lsn, wallUs: number): Buffer {
  const message = Buffer.alloc(34)
  message[0] = 0x72
  message.writeBigUInt64BE(BigInt(lsn), 1)
  message.writeBigUInt64BE(BigInt(lsn), 9)
  message.writeBigUInt64BE(0n, 17)
  message.writeBigInt64BE(BigInt(wallUs - epochUs), 25)
  return message
}
