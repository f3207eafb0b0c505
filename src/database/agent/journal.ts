// What the agent of one database must not forget: STATE/db/NAME/agent.json, on disk before each step that it speaks of.
// A loss of power finds the old content or the new.

import { dirname, join } from 'node:path'
import { isThere, ownFolder, syncFolder, textOf, writeOwned } from '../../io/owned-files.ts'
import { Failure } from '../../kit/failure.ts'
import { type FailoverJournal, newJournal } from '../../policy/index.ts'
import { databaseFailures } from '../failures.ts'
import type { FailoverRecord } from './contract.ts'

const format = 1
/** Failovers that are remembered. */
export const recordsMax = 20

export interface Remembered {
  readonly journal: FailoverJournal
  readonly failovers: readonly FailoverRecord[]
}

export class Journal {
  readonly #path: string
  #written = ''

  constructor(stateDirectory: string, database: string) {
    this.#path = join(stateDirectory, 'db', database, 'agent.json')
  }

  /** Null: nothing was ever written. Throws DATABASE_JOURNAL_DAMAGED. */
  read(): Remembered | null {
    const text = textOf(this.#path)
    if (text === null) return null
    try {
      const found = JSON.parse(text) as Remembered & { format: number }
      if (found.format !== format || typeof found.journal.epoch !== 'number')
        throw new Error(`its format is ${found.format}, not ${format}`)
      this.#written = text
      return { journal: { ...newJournal, ...found.journal }, failovers: found.failovers }
    } catch (cause) {
      throw new Failure(
        databaseFailures.journalDamaged,
        `${this.#path} can't be used: ${(cause as Error).message}. It says which server is the primary; without it none is started.`,
        { cause },
      )
    }
  }

  /** On disk when it returns; does nothing when nothing has changed. */
  write(remembered: Remembered): void {
    const text = `${JSON.stringify({ format, ...remembered })}\n`
    if (text === this.#written) return
    // Servers of others have no folder of their own here.
    if (!isThere(dirname(this.#path))) ownFolder(dirname(this.#path), 0o700, null)
    writeOwned(this.#path, text, 0o600, null)
    syncFolder(dirname(this.#path))
    this.#written = text
  }
}
