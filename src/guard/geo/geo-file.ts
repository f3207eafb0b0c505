// One of the operator's MaxMind DB files in memory: read whole, read anew when it changes. A changed file that is unusable
// leaves the one before in use, and people are told.

import { type AsnResponse, type CountryResponse, Reader } from 'mmdb-lib'
import { readPieces } from '../../io/durable-files.ts'
import { factsAt } from '../../io/files.ts'
import { Failure } from '../../kit/failure.ts'
import { geoFailures } from './failures.ts'

/** The largest that are sold are a tenth of it. */
const bytesMax = 2 ** 30

/** What of a file's records is looked at; either kind of file may have both. */
export type GeoRecord = Partial<Pick<CountryResponse, 'country' | 'registered_country'>> &
  Partial<AsnResponse>

export class GeoFile {
  readonly path: string
  #reader: Reader<CountryResponse> | null = null
  #modified = ''

  constructor(path: string) {
    this.path = path
  }

  /** Reads it when it is another one than before. Throws a Failure when it can't be used. */
  async refresh(): Promise<boolean> {
    try {
      const modified = await this.#facts()
      if (modified === this.#modified) return false
      const pieces: Buffer[] = []
      for await (const piece of readPieces(this.path)) pieces.push(piece)
      // Whole first: a file that is unusable leaves the old one in use.
      this.#reader = new Reader<CountryResponse>(Buffer.concat(pieces))
      this.#modified = modified
      return true
    } catch (error) {
      const why = (error as Error).message
      throw new Failure(geoFailures.fileUnusable, `${this.path} can't be used (${why}).`, { cause: error })
    }
  }

  #facts(): Promise<string> {
    return new Promise((resolve, reject) => {
      factsAt(this.path, (code, { size, mtimeMs }) => {
        if (code !== '') reject(new Error(code))
        else if (size > bytesMax) reject(new Error(`it has ${size} bytes, more than ${bytesMax}`))
        else resolve(`${size} ${mtimeMs}`)
      })
    })
  }

  /** Null for text that is no address, or an address that the file does not know. */
  find(address: string): GeoRecord | null {
    try {
      return (this.#reader?.get(address) as GeoRecord | null | undefined) ?? null
    } catch {
      return null
    }
  }
}
