// What makes a folder a disk tier of ours: the seed of the store's hashes, so that names hash the same after a restart.

import { RecordFolder } from '../../../io/record-file.ts'

const name = 'identity'
const version = 1

/** The folder's seed; `fresh` where it has none yet, which it then gets. Undefined: the folder can't be used. */
export function seedOf(directory: string, fresh: number): number | undefined {
  try {
    const folder = new RecordFolder(directory)
    const found = folder.list().find(record => record.name === name)?.value as
      | { seed?: unknown; version?: unknown }
      | undefined
    if (found?.version === version && Number.isSafeInteger(found.seed)) return found.seed as number
    folder.write(name, { seed: fresh, version })
    return fresh
  } catch {
    return undefined
  }
}
