// A replication connection to one server: who it is, its slots, a base backup as it streams, the log as it streams. Owns
// back-pressure: what the reader has not taken stays in the socket. Decides nothing, keeps nothing.

import pg from 'pg'
import type { Lsn } from '../contract.ts'
import { lsnOf, lsnText } from './segments.ts'

export interface ReplicationAddress {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  /** For logical replication; absent: physical. */
  readonly database?: string
  readonly ssl?: pg.ClientConfig['ssl']
}

export interface SystemIdentity {
  readonly systemId: string
  readonly timeline: number
  readonly lsn: Lsn
}

type Row = readonly (string | null)[]

/** What `pg` has beside its documented face, as far as it is used here. */
interface RawConnection {
  query(text: string): void
  sendCopyFromChunk(bytes: Uint8Array): void
  endCopyFrom(): void
  on(event: 'copyDone', listener: () => void): void
  readonly stream: { pause(): void; resume(): void; destroy(): void }
}

interface RawClient {
  readonly connection: RawConnection
  query(work: Submitted): void
}

/** What `pg` calls on a query that brings its own handling. */
interface Submitted {
  submit(connection: RawConnection): void
  handleRowDescription(): void
  handleDataRow(message: { readonly fields: Row }): void
  handleCommandComplete(): void
  handleReadyForQuery(): void
  handleCopyData(message: { readonly chunk: Buffer }): void
  handleError(error: Error): void
}

/** Bytes that may wait for the reader before the socket is paused. One message (at most 128 KB) comes on top. */
const waitingBytesMax = 1 << 20

/** Messages that were taken and are still in the list. */
const takenMax = 1024

/** One command on its way: rows are kept (there are few), copied bytes are read one by one. */
export class ReplicationStream {
  readonly rows: Row[] = []
  /** A copy in both directions (the log): its end must be answered. */
  readonly bothWays: boolean
  readonly #connection: RawConnection
  #waiting: Buffer[] = []
  /** How many of them were taken: many small messages may wait, and moving all of them for each is dear. */
  #takenCount = 0
  #waitingBytes = 0
  #paused = false
  #over = false
  #error: Error | null = null
  #wake: (() => void) | null = null

  constructor(connection: RawConnection, bothWays: boolean) {
    this.#connection = connection
    this.bothWays = bothWays
  }

  /** There is a message that can be read at once. */
  get waits(): boolean {
    return this.#waiting.length > this.#takenCount
  }

  /** The next copied message; null at the command's good end. Throws what the server or the connection said. */
  async next(): Promise<Buffer | null> {
    for (;;) {
      const first = this.#waiting[this.#takenCount]
      if (first !== undefined) return this.#taken(first)
      if (this.#error !== null) throw this.#error
      if (this.#over) return null
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }

  /** To the server, inside a copy in both directions. */
  send(bytes: Uint8Array): void {
    if (!this.#over) this.#connection.sendCopyFromChunk(bytes)
  }

  #taken(bytes: Buffer): Buffer {
    this.#takenCount++
    if (this.#takenCount >= takenMax || this.#takenCount * 2 >= this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#takenCount)
      this.#takenCount = 0
    }
    this.#waitingBytes -= bytes.length
    if (this.#paused && this.#waitingBytes < waitingBytesMax / 2) {
      this.#paused = false
      this.#connection.stream.resume()
    }
    return bytes
  }

  copied(chunk: Buffer): void {
    // The parser's buffer belongs to its next read.
    this.#waiting.push(Buffer.from(chunk))
    this.#waitingBytes += chunk.length
    if (!this.#paused && this.#waitingBytes > waitingBytesMax) {
      this.#paused = true
      this.#connection.stream.pause()
    }
    this.#woken()
  }

  ended(error: Error | null): void {
    if (this.#over) return
    this.#over = true
    this.#error = error
    this.#woken()
  }

  #woken(): void {
    this.#wake?.()
    this.#wake = null
  }
}

export class ReplicationConnection {
  readonly #client: pg.Client
  #current: ReplicationStream | null = null

  private constructor(client: pg.Client) {
    this.#client = client
  }

  static async open(
    address: ReplicationAddress,
    name: string,
    timeoutMs: number,
  ): Promise<ReplicationConnection> {
    const { ssl, ...place } = address
    const config = {
      ...place,
      ...(ssl === undefined ? {} : { ssl }),
      database: address.database ?? 'postgres',
      application_name: name,
      replication: address.database === undefined ? 'true' : 'database',
      connectionTimeoutMillis: timeoutMs,
      keepAlive: true,
    }
    const client = new pg.Client(config)
    const made = new ReplicationConnection(client)
    client.on('error', error => made.#current?.ended(error))
    client.on('end', () => made.#current?.ended(new Error('the server ended the connection')))
    await client.connect()
    const { connection } = client as unknown as RawClient
    // The server has sent all of a timeline: the other direction ends too, and the rest are rows.
    connection.on('copyDone', () => {
      if (made.#current?.bothWays) connection.endCopyFrom()
    })
    return made
  }

  run(text: string, bothWays: boolean = false): ReplicationStream {
    const { connection } = this.#client as unknown as RawClient
    const stream = new ReplicationStream(connection, bothWays)
    this.#current = stream
    const work: Submitted = {
      submit: raw => raw.query(text),
      handleRowDescription: () => {},
      handleDataRow: message => void stream.rows.push(message.fields.map(field => field?.toString() ?? null)),
      handleCommandComplete: () => {},
      handleReadyForQuery: () => stream.ended(null),
      handleCopyData: message => stream.copied(message.chunk),
      handleError: error => stream.ended(error),
    }
    ;(this.#client as unknown as RawClient).query(work)
    return stream
  }

  /** A command whose answer is rows. */
  async rows(text: string): Promise<readonly Row[]> {
    const stream = this.run(text)
    while ((await stream.next()) !== null);
    return stream.rows
  }

  async identify(): Promise<SystemIdentity> {
    const [row] = await this.rows('IDENTIFY_SYSTEM')
    return { systemId: row?.[0] ?? '', timeline: Number(row?.[1]), lsn: lsnOf(row?.[2] ?? '') }
  }

  async setting(name: string): Promise<string> {
    const [row] = await this.rows(`SHOW ${name}`)
    return row?.[0] ?? ''
  }

  /**
   * Makes it, with the log reserved from now on, where it is missing or has lost what it kept; where the log that it keeps
   * begins.
   */
  async keepSlot(slot: string): Promise<Lsn> {
    const kept = await this.#slotBegin(slot)
    if (kept.lsn > 0) return kept.lsn
    if (kept.there) await this.rows(`DROP_REPLICATION_SLOT ${slot}`)
    await this.rows(`CREATE_REPLICATION_SLOT ${slot} PHYSICAL RESERVE_WAL`)
    return (await this.#slotBegin(slot)).lsn
  }

  /** READ_REPLICATION_SLOT answers nulls for a slot that is not there. */
  async #slotBegin(slot: string): Promise<{ there: boolean; lsn: Lsn }> {
    const [row] = await this.rows(`READ_REPLICATION_SLOT ${slot}`)
    return { there: row?.[0] != null, lsn: row?.[1] == null ? 0 : lsnOf(row[1]) }
  }

  async history(timeline: number): Promise<string> {
    const [row] = await this.rows(`TIMELINE_HISTORY ${timeline}`)
    return row?.[1] ?? ''
  }

  startLog(slot: string, timeline: number, from: Lsn): ReplicationStream {
    return this.run(`START_REPLICATION SLOT ${slot} PHYSICAL ${lsnText(from)} TIMELINE ${timeline}`, true)
  }

  /** Changes of the tables of a publication, from where the slot was acknowledged last. */
  startChanges(slot: string, publication: string): ReplicationStream {
    const options = `proto_version '1', publication_names '${publication}'`
    return this.run(`START_REPLICATION SLOT ${slot} LOGICAL 0/0 (${options})`, true)
  }

  /** The same from a position on, without what came by replication itself: two ways do not echo. */
  startOwnChanges(slot: string, publication: string, from: Lsn): ReplicationStream {
    const options = `proto_version '1', publication_names '${publication}', origin 'none'`
    return this.run(`START_REPLICATION SLOT ${slot} LOGICAL ${lsnText(from)} (${options})`, true)
  }

  /** At once, whatever is under way. */
  close(): void {
    const { connection } = this.#client as unknown as RawClient
    this.#current?.ended(new Error('closed'))
    connection.stream.destroy()
  }
}
