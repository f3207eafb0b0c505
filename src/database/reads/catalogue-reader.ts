// Reads what the primary says of itself (which functions are volatile, who commits without waiting), over a connection of
// its own, at the start and after DDL, so that samples need not wait behind it. While it is not known, commits count as
// if they were acknowledged before they are flushed.

import { Client } from 'pg'
import { backoffUs } from '../../policy/backoff.ts'
import type { ReadPlannerOptions } from './contract.ts'
import { configOf, type LinkTarget } from './link.ts'

const statementTimeoutMs = 30_000
const pauseBaseMs = 100
const pauseMaxMs = 30_000

export class CatalogueReader {
  /** Somebody may commit without waiting for the flush, or it is not known yet. */
  lossy = true
  readonly #options: ReadPlannerOptions
  /** It was read: `lossy` is what it says. */
  readonly #known: () => void
  #target: LinkTarget | null = null
  #reading = false
  #again = false
  #attempts = 0
  #pause: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: ReadPlannerOptions, known: () => void) {
    this.#options = options
    this.#known = known
  }

  use(target: LinkTarget | null): void {
    this.#target = target
  }

  /** Coalesced: what is asked for while one is under way is read once more after it. */
  read(): void {
    this.lossy = true
    this.#again = true
    clearTimeout(this.#pause)
    if (!this.#reading) void this.#run()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#pause)
  }

  async #run(): Promise<void> {
    this.#reading = true
    try {
      while (this.#again && !this.#closed && this.#target !== null) {
        this.#again = false
        await this.#once(this.#target)
        this.#attempts = 0
      }
    } catch (error) {
      this.#failed((error as Error).message)
    } finally {
      this.#reading = false
    }
  }

  async #once(target: LinkTarget): Promise<void> {
    const client = new Client({ ...(await configOf(target)), statement_timeout: statementTimeoutMs })
    // The rejection of what is under way says the same.
    client.on('error', () => undefined)
    try {
      await client.connect()
      const catalogue = await this.#options.readCatalogue(async sql => {
        const { rows } = await client.query<(string | null)[]>({ text: sql, rowMode: 'array' })
        return rows
      })
      if (this.#closed || this.#again) return
      this.lossy = catalogue.asynchronousCommit
      this.#options.learn(catalogue)
      this.#known()
    } finally {
      await client.end().catch(() => undefined)
    }
  }

  #failed(why: string): void {
    if (this.#closed) return
    this.#again = true
    const { database, log, random } = this.#options
    if (this.#attempts === 3)
      log.warn(
        { database: database.name, why },
        `database ${database.name}: its catalogue can't be read (${why}); functions that are not PostgreSQL's own count as writing`,
      )
    const pauseMs = pauseBaseMs + backoffUs(this.#attempts++, pauseBaseMs, pauseMaxMs, random) / 1_000
    this.#pause = setTimeout(() => void this.#run(), pauseMs)
  }
}
