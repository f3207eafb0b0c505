// One kept connection to one server for our own questions: opened when first asked, thrown away when an answer is late or
// it breaks, opened anew by the next question. Commits made on it wait for no replica. Not for clients' statements.

import { Client, type ClientConfig } from 'pg'

export interface SessionTarget {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  readonly ssl?: ClientConfig['ssl']
}

export type Row = readonly (string | null)[]

/** The server answered with an error; other errors mean that it did not answer. */
export function sqlState(error: unknown): string | null {
  const code = (error as { code?: unknown }).code
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && 'severity' in (error as object)
    ? code
    : null
}

const asText = { getTypeParser: () => (value: string) => value }

export class Session {
  readonly #target: () => SessionTarget
  readonly #broken: () => void
  #client: Client | null = null
  #connecting: Promise<Client> | null = null
  /** Until what was asked before is answered: `pg` takes one question at a time. */
  #turn: Promise<unknown> = Promise.resolve()
  #closed = false

  /** @param broken the connection ended although nobody here ended it */
  constructor(target: () => SessionTarget, broken: () => void = () => {}) {
    this.#target = target
    this.#broken = broken
  }

  /** Rows of the (last) statement, as texts. Rejects when there is no answer in time; the connection is then given up. */
  async query(sql: string, timeoutMs: number): Promise<readonly Row[]> {
    const deadline = performance.now() + timeoutMs
    const client = await late(this.#connected(), timeoutMs, () => this.drop())
    const question = { text: sql, rowMode: 'array', types: asText as never }
    const asked = this.#turn.then(() => client.query(question))
    this.#turn = asked.catch(() => {})
    const leftMs = Math.max(1, deadline - performance.now())
    const result = await late(asked as Promise<unknown>, leftMs, () => this.drop())
    // Several statements give a list of results.
    const last = (Array.isArray(result) ? result.at(-1) : result) as { rows: Row[] }
    return last.rows
  }

  /** Ends the connection at once; the next question opens another. */
  drop(): void {
    const client = this.#client
    this.#client = null
    this.#connecting = null
    this.#turn = Promise.resolve()
    if (client !== null) cut(client)
  }

  close(): void {
    this.#closed = true
    this.drop()
  }

  #connected(): Promise<Client> {
    if (this.#connecting !== null) return this.#connecting
    const client = new Client(settingsOf(this.#target()))
    this.#client = client
    const gone = (): void => {
      if (this.#client !== client) return
      this.drop()
      if (!this.#closed) this.#broken()
    }
    client.on('error', gone)
    client.on('end', gone)
    const connecting = client.connect().then(() => client)
    this.#connecting = connecting
    connecting.catch(() => {
      if (this.#client === client) this.drop()
    })
    return connecting
  }
}

function settingsOf(target: SessionTarget): ClientConfig {
  const { ssl, ...rest } = target
  return {
    ...rest,
    ...(ssl === undefined ? {} : { ssl }),
    application_name: 'tenfold',
    // A commit of ours never waits for a replica: that is what we are here to look at. Names mean PostgreSQL's own things
    // and no others: who owns a database could have us run a function of his, found first, as a superuser (CVE-2018-1058).
    options:
      '-c search_path=pg_catalog -c synchronous_commit=local -c lock_timeout=10s -c idle_in_transaction_session_timeout=0',
    keepAlive: true,
  }
}

/** `pg` says goodbye and waits; a server that hangs would never answer that. */
function cut(client: Client): void {
  const { stream } = (client as unknown as { connection: { stream: { destroy(): void } } }).connection
  stream.destroy()
}

async function late<Value>(work: Promise<Value>, timeoutMs: number, giveUp: () => void): Promise<Value> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      giveUp()
      reject(new Error(`no answer within ${Math.round(timeoutMs)} ms`))
    }, timeoutMs)
  })
  // What is given up rejects later, and nobody waits for it then.
  work.catch(() => {})
  try {
    return await Promise.race([work, tooLate])
  } finally {
    clearTimeout(timer)
  }
}
