// The pool of connections, and what is tried again when one fails. Servers fail over behind DATABASE_URL, so a lost
// connection is an ordinary event: whatever runs here may run twice, and everything the shop does is made for that.

import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'

const pauseMsMax = 400
/**
 * What a request may spend on the database, attempts and pauses together: less than the pages wait for us. A failover takes
 * a second or two, and statements wait for its end without an error; a longer silence is a lost server.
 */
const forRequests = { connectionsMax: 10, answerTimeoutMs: 5_000, patienceMs: 9_000 }
/** Making tables takes as long as it takes, also on a busy machine. */
export const forSetup = { connectionsMax: 1, answerTimeoutMs: 60_000, patienceMs: 120_000 }

/** By SQLSTATE: serialization and deadlock. The connection is as good as before. */
const colliding = new Set(['40001', '40P01'])
/** A server that goes, comes, is full, or is no longer the primary. */
const leaving = new Set(['57P01', '57P02', '57P03', '53300', '25006'])
const broken = /^(08|ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|EAI_AGAIN)/
const endings =
  /Connection terminated|not queryable|timeout exceeded when trying to connect|Query read timeout/

function isLost(error) {
  const code = String(error.code ?? '')
  return leaving.has(code) || broken.test(code) || endings.test(error.message)
}

/** What is asked for is not there, or not allowed: told to the client as it is, never tried again. */
export class Refusal extends Error {
  constructor(status, code, message) {
    super(message)
    Object.assign(this, { status, code })
  }
}

export function createDatabase(url, { connectionsMax, answerTimeoutMs, patienceMs } = forRequests) {
  const pool = new pg.Pool({
    connectionString: url,
    max: connectionsMax,
    connectionTimeoutMillis: 3_000,
    query_timeout: answerTimeoutMs,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    application_name: 'boxoffice-api',
  })
  // A connection that ends (a failover, a restart) leaves the pool by itself, and whoever waits for its answer is told.
  // Without listeners, on the pool for idle ones and on each from its beginning, Node would exit.
  pool.on('error', error => console.error(`a connection to the database ended: ${error.message}`))
  pool.on('connect', client => client.on('error', () => {}))

  /** Runs `work` until it succeeds, is refused, or patience ends. `work` must be safe to run again after a lost answer. */
  async function persist(work) {
    const end = performance.now() + patienceMs
    for (let attempt = 0; ; attempt++) {
      try {
        return await work()
      } catch (error) {
        const passes = colliding.has(error.code) || isLost(error)
        if (!passes || performance.now() > end) throw error
        await sleep(Math.random() * Math.min(pauseMsMax, 20 * 2 ** attempt))
      }
    }
  }

  async function once(work) {
    const client = await pool.connect()
    let lost
    try {
      await client.query('BEGIN')
      const result = await work(client)
      await client.query('COMMIT')
      return result
    } catch (error) {
      lost = isLost(error) ? error : await client.query('ROLLBACK').then(() => undefined, String)
      throw error
    } finally {
      client.release(lost !== undefined)
    }
  }

  return {
    /** Rows of one statement; named ones are prepared once a connection. */
    async rows(name, text, values = []) {
      return (await persist(() => pool.query({ name, text, values }))).rows
    },
    /** All or nothing. After a lost COMMIT it runs again, so `work` must find out whether it was done before. */
    transaction: work => persist(() => once(work)),
    end: () => pool.end(),
  }
}
