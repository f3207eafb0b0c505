// `tenfold db reset`: a database of a system that is stopped, deleted for good. Takes the lock meanwhile, so that no `up`
// starts what is being deleted.

import { processes } from '../io/process-table.ts'
import { Failure } from '../kit/failure.ts'
import { compileDatabases } from './compile-databases.ts'
import { databasesOnDisk, deleteDatabase } from './database-leftovers.ts'
import { systemFailures } from './failures.ts'
import { loadSystemFile } from './load.ts'
import { loadSecretValues } from './load-secrets.ts'
import { holderAlive, type LockRecord, readLock, takeLock } from './lock.ts'
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
  if (holder !== null) refuseInUse(holder, name)
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

/** What a supervisor that died has left serves on, with this data: only `stop` or another boot ends it. */
function refuseInUse(holder: LockRecord, name: string): void {
  if (holderAlive(holder))
    throw new Failure(
      systemFailures.databaseRunning,
      `The system runs (process ${holder.pid}): '${name}' may be in use.`,
    )
  if (holder.bootId === processes.bootId())
    throw new Failure(
      systemFailures.databaseRunning,
      `The supervisor (process ${holder.pid}) has ended without stopping the system, whose services and servers may run on: '${name}' may be in use.`,
    )
}
