// One connection of the monitor to one server: opened, kept, opened again with growing pauses. Asks one prepared question
// at a time; any error ends the connection, so that what was known through it is void. Knows no roles, keeps no answers.

import { Client, type ClientConfig } from 'pg'
import { readTlsFile } from '../../io/tls-files.ts'
import type { Clock } from '../../kit/clock.ts'
import type { Random } from '../../kit/random.ts'
import { backoffUs } from '../../policy/backoff.ts'
import type { ServerTls } from '../contract.ts'
import { Asker, type Question, type Row } from './asker.ts'

export interface LinkTarget {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  readonly password: string
  readonly tls: ServerTls
}

export interface LinkOptions {
  readonly target: LinkTarget
  readonly clock: Clock
  readonly random: Random
  readonly opened: () => void
  /** Once for each `opened`, and for each failure to open. */
  readonly lost: (why: string) => void
}

const connectTimeoutMs = 2_000
const pauseBaseMs = 20
const pauseMaxMs = 1_000

/**
 * closed     not begun, or closed for good.
 * connecting exits: opened -> idle; an error -> pausing.
 * idle       answers; exits: `ask` -> asking; an error -> pausing.
 * asking     one question is out; exits: its answer -> idle; an error, or `expire` -> pausing.
 * pausing    exit: the pause is over -> connecting.
 */
type LinkState = 'closed' | 'connecting' | 'idle' | 'asking' | 'pausing'

export class MonitorLink {
  readonly target: LinkTarget
  readonly #options: LinkOptions
  #state: LinkState = 'closed'
  #client: Client | null = null
  #asker: Asker | null = null
  #attempts = 0
  #pause: NodeJS.Timeout | undefined
  #askedAt = 0

  constructor(options: LinkOptions) {
    this.#options = options
    this.target = options.target
  }

  get idle(): boolean {
    return this.#state === 'idle'
  }

  get open(): boolean {
    return this.#state === 'idle' || this.#state === 'asking'
  }

  connect(): void {
    if (this.#state !== 'closed' && this.#state !== 'pausing') return
    clearTimeout(this.#pause)
    this.#state = 'connecting'
    void this.#open()
  }

  /** In a pause, tries at once: something has changed. */
  hurry(): void {
    if (this.#state === 'pausing') this.connect()
  }

  /** Only when `idle`. The answer does not come when the connection is lost: `lost` does. */
  ask(question: Question, answer: (row: Row) => void): void {
    const client = this.#client
    this.#state = 'asking'
    this.#askedAt = this.#options.clock.monotonic()
    ;(this.#asker as Asker).ask(question, row => {
      if (this.#client !== client) return
      this.#state = 'idle'
      answer(row)
    })
  }

  /** A question that is not answered in this time: the connection is given up. */
  expire(now: number, timeoutUs: number): void {
    if (this.#state === 'asking' && now - this.#askedAt > timeoutUs) this.#lose('it does not answer')
  }

  /** What it says is not to be used: tried anew after a pause. */
  giveUp(why: string): void {
    if (this.open) this.#lose(why)
  }

  close(): void {
    clearTimeout(this.#pause)
    this.#state = 'closed'
    this.#drop()
  }

  async #open(): Promise<void> {
    let client: Client
    try {
      client = new Client(await configOf(this.target))
    } catch (error) {
      return this.#lose((error as Error).message)
    }
    if (this.#state !== 'connecting') return
    this.#client = client
    const failed = (why: string): void => {
      if (this.#client === client) this.#lose(why)
    }
    client.on('error', error => failed(error.message))
    client.on('end', () => failed('the connection was closed'))
    try {
      await client.connect()
    } catch (error) {
      return failed((error as Error).message)
    }
    if (this.#client !== client) return
    this.#attempts = 0
    // From here on the client only says when the connection has ended.
    this.#asker = new Asker(client.connection.stream, failed)
    this.#state = 'idle'
    this.#options.opened()
  }

  #lose(why: string): void {
    if (this.#state === 'closed') return
    this.#drop()
    this.#state = 'pausing'
    const pauseMs =
      pauseBaseMs + backoffUs(this.#attempts++, pauseBaseMs, pauseMaxMs, this.#options.random) / 1_000
    this.#pause = setTimeout(() => this.connect(), pauseMs)
    this.#options.lost(why)
  }

  #drop(): void {
    const client = this.#client
    this.#client = this.#asker = null
    if (client === null) return
    // A server that hangs would not see the polite end either.
    client.end().catch(() => undefined)
    client.connection.stream.destroy()
  }
}

export async function configOf({
  host,
  port,
  database,
  user,
  password,
  tls,
}: LinkTarget): Promise<ClientConfig> {
  const ca =
    tls.mode === 'verify' && tls.caFile !== undefined ? (await readTlsFile(tls.caFile)).text : undefined
  const secured =
    tls.mode === 'off'
      ? false
      : { rejectUnauthorized: tls.mode === 'verify', ...(ca !== undefined && { ca }) }
  return {
    host,
    port,
    database,
    user,
    password,
    ssl: secured,
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    application_name: 'tenfold-reads',
    // Whoever owns the database must not choose what our names mean.
    options: '-c search_path=pg_catalog',
    // Every value as PostgreSQL wrote it.
    types: { getTypeParser: () => (value: string | Buffer) => String(value) },
  }
}
