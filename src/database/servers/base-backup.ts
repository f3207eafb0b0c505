// A base backup over the replication protocol (BASE_BACKUP): the whole data directory as a tar archive, with the log that
// makes it consistent, handed on piece by piece. Whoever takes the pieces does so at once; nothing is kept here.

import { Client } from 'pg'
import type { SessionTarget } from './session.ts'

export interface BackupTaker {
  /** An archive begins: `base.tar`; others are tablespaces, with where they are on the server. */
  archive(name: string, tablespace: string): void
  /** Valid until it returns. */
  data(bytes: Buffer): void
  /** Bytes done of about how many. */
  progress(done: number, total: number): void
}

export interface BackupOptions {
  readonly label: string
  /** Bytes a second; 0: as fast as it goes. */
  readonly rateMax: number
  /** false: the log from the backup's start on comes another way (an archive). */
  readonly withLog: boolean
}

export interface BackupResult {
  /** As PostgreSQL writes it: `0/2000028`. */
  readonly startLsn: string
  readonly endLsn: string
  readonly timeline: number
}

/** Resolves when all was handed on. Rejects when the server or the taker fails; then the connection is gone. */
export async function takeBaseBackup(
  target: SessionTarget,
  options: BackupOptions,
  taker: BackupTaker,
  signal?: AbortSignal,
): Promise<BackupResult> {
  const client = new Client({ ...target, replication: 'true', application_name: 'tenfold backup' } as never)
  const ended = new Promise<never>((_, reject) => {
    client.on('error', reject)
    client.on('end', () => reject(new Error('the connection ended in the middle of the copy')))
    signal?.addEventListener('abort', () => reject(new Error('given up')), { once: true })
  })
  ended.catch(() => {})
  try {
    signal?.throwIfAborted()
    await Promise.race([client.connect(), ended])
    const command = new BackupCommand(commandText(options), taker)
    ;(client as unknown as { query(command: BackupCommand): void }).query(command)
    return await Promise.race([command.done, ended])
  } finally {
    cut(client)
  }
}

function commandText({ label, rateMax, withLog }: BackupOptions): string {
  const options = [
    `LABEL '${label.replaceAll("'", "''")}'`,
    'PROGRESS true',
    "CHECKPOINT 'fast'",
    `WAL ${withLog}`,
    "MANIFEST 'no'",
    // In kB/s, from 32 kB/s to 1 GB/s.
    ...(rateMax > 0 ? [`MAX_RATE ${Math.min(1_048_576, Math.max(32, Math.round(rateMax / 1024)))}`] : []),
  ]
  return `BASE_BACKUP (${options.join(', ')})`
}

function cut(client: Client): void {
  client.removeAllListeners('end')
  client.on('error', () => {})
  ;(client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy()
}

interface Fields {
  readonly fields: readonly (string | null)[]
}

/** What `pg` calls for each message of the server. */
class BackupCommand {
  readonly done: Promise<BackupResult>
  readonly #text: string
  readonly #taker: BackupTaker
  #resolve: (result: BackupResult) => void = () => {}
  #reject: (error: unknown) => void = () => {}
  /** Result sets in order: start position, tablespaces, end position. */
  #set = -1
  #start: readonly (string | null)[] = []
  #end: readonly (string | null)[] = []
  #totalBytes = 0

  constructor(text: string, taker: BackupTaker) {
    this.#text = text
    this.#taker = taker
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.done.catch(() => {})
  }

  submit(connection: { query(text: string): void }): void {
    connection.query(this.#text)
  }

  handleRowDescription(): void {
    this.#set++
  }

  handleDataRow({ fields }: Fields): void {
    if (this.#set === 0) this.#start = fields
    // Sizes are in kB, estimated before the copy.
    else if (this.#set === 1) this.#totalBytes += Number(fields[2] ?? 0) * 1024
    else this.#end = fields
  }

  handleCopyData({ chunk }: { readonly chunk: Buffer }): void {
    try {
      this.#piece(chunk)
    } catch (error) {
      this.#reject(error)
      // Nobody takes the rest.
      this.#taker.data = () => {}
    }
  }

  /** protocol-replication: the first byte says what a CopyData message is. */
  #piece(chunk: Buffer): void {
    const kind = chunk[0]
    if (kind === 0x64) this.#taker.data(chunk.subarray(1))
    else if (kind === 0x70) this.#taker.progress(Number(chunk.readBigInt64BE(1)), this.#totalBytes)
    else if (kind === 0x6e) {
      const end = chunk.indexOf(0, 1)
      const name = chunk.toString('utf8', 1, end)
      this.#taker.archive(name, chunk.toString('utf8', end + 1, chunk.indexOf(0, end + 1)))
    }
  }

  handleCommandComplete(): void {}

  handleEmptyQuery(): void {}

  handlePortalSuspended(): void {}

  handleReadyForQuery(): void {
    const [endLsn] = this.#end
    const [startLsn, timeline] = this.#start
    if (typeof endLsn !== 'string') this.#reject(new Error('the server ended the copy without saying where'))
    else this.#resolve({ startLsn: startLsn ?? '', endLsn, timeline: Number(timeline) })
  }

  handleError(error: Error): void {
    this.#reject(error)
  }
}
