// Databases by what is on disk, without a system that runs: which there are, ending servers that a supervisor left running,
// deleting one for good. Loaded when it is asked for: it needs PostgreSQL's client.

import { readdirSync, realpathSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseSpec } from '../database/contract.ts'
import type { FoundServer, ServersOptions } from '../database/servers/contract.ts'
import { chooseServerUser, createServers } from '../database/servers/index.ts'
import { systemClock } from '../kit/clock.ts'
import { readJsonOrNull } from './role-process.ts'

/** Names of databases that have something in the state directory. */
export function databasesOnDisk(stateDirectory: string): string[] {
  try {
    return readdirSync(join(stateDirectory, 'db')).filter(name => idsOf(stateDirectory, name).length > 0)
  } catch {
    return []
  }
}

/** Its servers, as they were last. */
function idsOf(stateDirectory: string, name: string): string[] {
  const book = readJsonOrNull<{ servers?: object }>(join(stateDirectory, 'db', name, 'servers.json'))
  return Object.keys(book?.servers ?? {})
}

/** What was ended, in words. */
export async function endServers(
  stateDirectory: string,
  name: string,
  mode: 'fast' | 'immediate',
): Promise<string[]> {
  const servers = createServers(optionsOf(stateDirectory, specOnDisk(stateDirectory, name)))
  const found = await servers.open()
  const running = found.filter(server => server.running)
  await Promise.all(running.map(({ id }) => servers.stop(id, mode)))
  servers.release()
  return running.map(({ id }) => `database server ${id}`)
}

/**
 * Servers, data, passwords: all of it. Backups stay. @param told of the file; null: it does not name the database
 */
export async function deleteDatabase(
  stateDirectory: string,
  name: string,
  told: DatabaseSpec | null,
): Promise<readonly FoundServer[]> {
  const spec = told?.servers.kind === 'embedded' ? told : specOnDisk(stateDirectory, name)
  const servers = createServers(optionsOf(stateDirectory, spec))
  const found = await servers.open()
  for (const { id } of found) await servers.remove(id)
  servers.release()
  const home = join(stateDirectory, 'db', name)
  // It may be a link to where PostgreSQL's user can get to.
  const real = realpathSync(home)
  rmSync(real, { recursive: true, force: true })
  if (real !== home) rmSync(home, { force: true })
  return found
}

function specOnDisk(stateDirectory: string, name: string): DatabaseSpec {
  const members = idsOf(stateDirectory, name).map(id => ({ id, from: 'primary', delayMs: 0 }))
  return {
    name,
    database: 'app',
    servers: { kind: 'embedded', members, settings: {}, directories: {} },
    durability: 'primary',
    failover: { automatic: false, detectTimeoutMs: 1_000 },
    access: {},
    backup: null,
  }
}

function optionsOf(stateDirectory: string, spec: DatabaseSpec): ServersOptions {
  return {
    spec,
    stateDirectory,
    user: chooseServerUser(process.geteuid?.(), []),
    clock: systemClock,
    log: { info: () => {}, warn: () => {}, error: () => {} },
  }
}
