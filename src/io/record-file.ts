// Small JSON records in a folder, each replaced whole: a reader sees the old one or the new one, never half of one, even
// if the writer dies between any two instructions. Not for data that must survive a loss of power: nothing is synced.

import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const recordBytesMax = 65_536

export class RecordFolder {
  readonly #folder: string

  /** Creates the folder, for this user only. */
  constructor(folder: string) {
    this.#folder = folder
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  }

  /** @param name a file name without its ending */
  write(name: string, record: unknown): void {
    const path = join(this.#folder, `${name}.json`)
    writeFileSync(`${path}.new`, `${JSON.stringify(record)}\n`, { mode: 0o600 })
    renameSync(`${path}.new`, path)
  }

  remove(name: string): void {
    rmSync(join(this.#folder, `${name}.json`), { force: true })
  }

  /** Every record; `value` is undefined where the file is not JSON or larger than any that we write. */
  list(): { readonly name: string; readonly value: unknown }[] {
    return readdirSync(this.#folder)
      .filter(file => file.endsWith('.json'))
      .sort()
      .map(file => ({ name: file.slice(0, -'.json'.length), value: this.#read(file) }))
  }

  #read(file: string): unknown {
    try {
      const text = readFileSync(join(this.#folder, file), 'utf8')
      return text.length > recordBytesMax ? undefined : JSON.parse(text)
    } catch {
      return undefined
    }
  }
}
