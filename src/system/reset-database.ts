// `tenfold db reset`: a database of a system that is stopped, deleted for good. Takes the lock meanwhile, so that no `up`
// starts what is being deleted.

import { Failure } from '../kit/failure.ts'
import { compileDatabases } from './compile-databases.ts'
import { databasesOnDisk, deleteDatabase } from './database-leftovers.ts'
import { systemFailures } from './failures.ts'
import { loadSystemFile } from './load.ts'
import { loadSecretValues } from './load-secrets.ts'
import { holderAlive, readLock, takeLock } from './lock.ts'
import { openStateDirectory } from './state-directory.ts'

/** What was deleted, in words. Throws SYSTEM_DATABASE_RUNNING, SYSTEM_DATABASE_UNKNOWN. */
export async function deleteDatabaseOf(
  stateDirectory: string,
  file: string,
  environment: string | null,
  name: string,
): Promise<string> {
  const state = openStateDirectory(stateDirectory)
  const holder = readLock(state.path)
  if (holder !== null && holderAlive(holder))
    throw new Failure(
      systemFailures.databaseRunning,
      `The system runs (process ${holder.pid}): '${name}' may be in use.`,
    )
  const onDisk = databasesOnDisk(state.path)
  if (!onDisk.includes(name)) {
    const there = onDisk.map(one => `'${one}'`).join(', ')
    throw new Failure(
      systemFailures.databaseUnknown,
      `There is no data of a database '${name}' in ${state.path}${there === '' ? '' : `; there is ${there}`}.`,
    )
  }
  const lock = takeLock(state.path, file)
  try {
    const { system, directory } = await loadSystemFile(file, { environment })
    const context = {
      baseDirectory: directory,
      secrets: loadSecretValues(directory, process.env),
      passwordSecret: state.databaseSecret,
      ports: {},
    }
    const told = compileDatabases(system, context).find(one => one.spec.name === name)
    const found = await deleteDatabase(state.path, name, told?.spec ?? null)
    return `deleted all data of '${name}': ${found.map(one => one.id).join(', ')}. \`tenfold up\` makes it anew, empty`
  } finally {
    lock.release()
  }
}
