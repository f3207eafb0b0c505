// What must be remembered of a database's servers between supervisors: ports, whom each follows, which process it is. One
// file, replaced whole at each change.

import { textOf, writeOwned } from '../../io/owned-files.ts'
import type { LifeIdentity } from '../../io/process.ts'
import { Failure } from '../../kit/failure.ts'
import { databaseFailures } from '../failures.ts'

export interface ServerRecord {
  readonly port: number
  /** The id of the server that it follows; null: nobody, it is a primary. */
  readonly follows: string | null
  /** `synchronous_standby_names`. */
  readonly synchronous: string
  /** Written before the process is started, too (then pid is 0). */
  readonly life: (LifeIdentity & { readonly bootId: string }) | null
}

const fresh: ServerRecord = { port: 0, follows: null, synchronous: '', life: null }

interface BookFile {
  readonly format: 1
  readonly servers: Readonly<Record<string, ServerRecord>>
}

export class Book {
  readonly #path: string
  readonly #records = new Map<string, ServerRecord>()

  /** Throws DATABASE_DIRECTORY_UNUSABLE for a file that is not ours to read: guessing ports and roles would be worse. */
  constructor(path: string) {
    this.#path = path
    const text = textOf(path)
    if (text === null) return
    for (const [id, record] of Object.entries(readBook(path, text).servers)) this.#records.set(id, record)
  }

  get ids(): readonly string[] {
    return [...this.#records.keys()]
  }

  of(id: string): ServerRecord {
    return this.#records.get(id) ?? fresh
  }

  change(id: string, change: Partial<ServerRecord>): void {
    this.#records.set(id, { ...this.of(id), ...change })
    this.#write()
  }

  forget(id: string): void {
    if (this.#records.delete(id)) this.#write()
  }

  #write(): void {
    const file: BookFile = { format: 1, servers: Object.fromEntries(this.#records) }
    writeOwned(this.#path, `${JSON.stringify(file, null, 2)}\n`, 0o600, null)
  }
}

function readBook(path: string, text: string): BookFile {
  try {
    const file = JSON.parse(text) as BookFile
    if (file.format === 1 && typeof file.servers === 'object') return file
  } catch {
    // Told below.
  }
  throw new Failure(
    databaseFailures.directoryUnusable,
    `${path} is damaged. It says which port each server has and whom it follows.`,
    { details: { remedy: `Stop the servers and delete ${path}: ports are then chosen anew.` } },
  )
}
