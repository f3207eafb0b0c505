// Where backups lie: the port, and a folder that implements it. Objects have names with `/`, are written whole or not at
// all, and never change. Whoever writes decides what they are; the store knows names and bytes only.

import { join } from 'node:path'
import { filesBelow, readPieces, removePartials, writeDurably } from '../../io/durable-files.ts'
import { ownFolder, removeFile, removeTree } from '../../io/owned-files.ts'

export interface StoredObject {
  readonly name: string
  readonly bytes: number
  readonly modifiedMs: number
}

export interface BackupStore {
  /** Said to people: where it is. */
  readonly place: string
  /** On disk when it resolves; when it rejects, or the process ends before, there is no such object. Replaces an old one. */
  put(name: string, source: AsyncIterable<Uint8Array>): Promise<StoredObject>
  /** Throws with the code `ENOENT` when there is none. */
  get(name: string): AsyncIterable<Buffer>
  /** Those whose names begin with this, by name. */
  list(prefix: string): Promise<readonly StoredObject[]>
  remove(name: string): Promise<void>
}

const namePattern = /^[A-Za-z0-9_-][A-Za-z0-9_.-]*(\/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*$/

/** For us alone: who may read backups may read the database. */
export class DirectoryStore implements BackupStore {
  readonly place: string

  constructor(directory: string) {
    this.place = directory
  }

  /** Removes what a process left that ended while it wrote. One process writes at a time. */
  async open(): Promise<void> {
    ownFolder(this.place, 0o700, null)
    await removePartials(this.place)
    // It may have been empty but for a partial.
    ownFolder(this.place, 0o700, null)
  }

  async put(name: string, source: AsyncIterable<Uint8Array>): Promise<StoredObject> {
    const path = this.#pathOf(name)
    ownFolder(join(path, '..'), 0o700, null)
    const bytes = await writeDurably(path, source)
    return { name, bytes, modifiedMs: Date.now() }
  }

  get(name: string): AsyncIterable<Buffer> {
    return readPieces(this.#pathOf(name))
  }

  async list(prefix: string): Promise<readonly StoredObject[]> {
    const slash = prefix.lastIndexOf('/')
    const folder = prefix.slice(0, Math.max(0, slash))
    const found = await filesBelow(join(this.place, folder))
    const above = folder === '' ? '' : `${folder}/`
    return found
      .map(one => ({ ...one, name: `${above}${one.name}` }))
      .filter(one => one.name.startsWith(prefix))
  }

  async remove(name: string): Promise<void> {
    const path = this.#pathOf(name)
    removeFile(path)
    // A folder goes with its last object.
    const folder = join(path, '..')
    if (folder !== this.place && (await filesBelow(folder)).length === 0) await removeTree(folder)
  }

  #pathOf(name: string): string {
    if (!namePattern.test(name)) throw new Error(`'${name}' can't be an object's name`)
    return join(this.place, name)
  }
}
