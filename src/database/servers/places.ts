// Where the files of a database's servers are, so that PostgreSQL's user can get to his own and nobody to ours:
//   STATE/db/NAME/            ours; servers.json, roles.json (0600)
//   STATE/db/NAME/SERVER/     ours; postgresql.conf, pg_hba.conf, the marker `fenced`
//   STATE/db/NAME/SERVER/data PostgreSQL's (0700); `data.new` while it is being made
// Where PostgreSQL's user can't get to STATE at all (a root's home), it is all under /var/lib/tenfold, behind a link.

import { createHash } from 'node:crypto'
import { dirname, join } from 'node:path'
import { barredFor, isThere, linkFolder, type Owner, ownFolder, realPath } from '../../io/owned-files.ts'
import { Failure } from '../../kit/failure.ts'
import { databaseFailures } from '../failures.ts'

const elsewhere = '/var/lib/tenfold'

export interface ServerPlace {
  readonly id: string
  /** Ours. */
  readonly folder: string
  readonly data: string
  /** The data directory while it is copied or made: what is there after a crash is worth nothing. */
  readonly partial: string
  readonly configuration: string
  readonly access: string
  /** libpq's password file for replication. */
  readonly passwords: string
  /** There is such a file: the data may not be started as a primary. */
  readonly fenced: string
  readonly output: string
}

export interface PlacesQuestion {
  readonly stateDirectory: string
  readonly name: string
  /** Null: ourselves. */
  readonly user: Owner | null
  readonly directories: Readonly<Record<string, string>>
}

export class Places {
  readonly #question: PlacesQuestion
  /** Real path. */
  readonly home: string
  /** For a copy of PostgreSQL's programs. */
  readonly shelf: string

  /** Makes the folders. Throws DATABASE_DIRECTORY_UNUSABLE. */
  constructor(question: PlacesQuestion) {
    this.#question = question
    const asked = join(question.stateDirectory, 'db', question.name)
    this.home = question.user === null ? ownHome(asked) : sharedHome(asked, question, question.user)
    this.shelf = dirname(this.home)
  }

  get book(): string {
    return join(this.home, 'servers.json')
  }

  get roles(): string {
    return join(this.home, 'roles.json')
  }

  /** Makes the server's folders, too. */
  server(id: string): ServerPlace {
    const { user, directories, name, stateDirectory } = this.#question
    const folder = join(this.home, id)
    ownFolder(folder, user === null ? 0o700 : 0o711, null)
    const around = directories[id] === undefined ? folder : this.#told(id, directories[id])
    return {
      id,
      folder,
      data: join(around, 'data'),
      partial: join(around, 'data.new'),
      configuration: join(folder, 'postgresql.conf'),
      access: join(folder, 'pg_hba.conf'),
      passwords: join(folder, 'replication.pgpass'),
      fenced: join(folder, 'fenced'),
      output: join(stateDirectory, 'logs', `db-${name}-${id}.log`),
    }
  }

  /** A directory that the file names for this server's data: it is what it is, so it is only looked at. */
  #told(id: string, directory: string): string {
    const { user, name } = this.#question
    try {
      if (!isThere(directory)) ownFolder(directory, user === null ? 0o700 : 0o711, null)
    } catch (cause) {
      throw unusable(`The directory ${directory} for ${id} can't be made: ${(cause as Error).message}.`)
    }
    const real = realPath(directory)
    const barred = user === null ? null : barredFor(real, user)
    if (barred === null) return real
    throw unusable(
      `databases.${name}: the data of ${id} can't be in ${directory}, because PostgreSQL's user may not enter ${barred}.`,
    )
  }
}

function unusable(sentence: string): Failure {
  return new Failure(databaseFailures.directoryUnusable, sentence)
}

function ownHome(asked: string): string {
  ownFolder(asked, 0o700, null)
  return realPath(asked)
}

/** Somebody else than we must get through: nothing but through (0711), as every file in these folders is closed itself. */
function sharedHome(asked: string, question: PlacesQuestion, user: Owner): string {
  const { stateDirectory } = question
  const barred = isThere(dirname(stateDirectory))
    ? barredFor(realPath(dirname(stateDirectory)), user)
    : barredFor(dirname(stateDirectory), user)
  ownFolder(stateDirectory, barred === null ? 0o711 : 0o700, null)
  ownFolder(dirname(asked), barred === null ? 0o711 : 0o700, null)
  const real = realPath(asked)
  // What was begun behind a link stays there.
  const linked = real !== join(realPath(dirname(asked)), question.name)
  if (barred === null && !linked) {
    ownFolder(asked, 0o711, null)
    return real
  }
  return linkedHome(asked, question, user, barred ?? asked)
}

function linkedHome(asked: string, question: PlacesQuestion, user: Owner, barred: string): string {
  const hash = createHash('sha256').update(realPath(question.stateDirectory)).digest('hex').slice(0, 16)
  const home = join(elsewhere, hash, question.name)
  try {
    for (const folder of [elsewhere, dirname(home), home]) ownFolder(folder, 0o711, null)
    linkFolder(asked, home)
  } catch (cause) {
    throw unusable(
      `PostgreSQL's user may not enter ${barred}, and ${home} can't be used instead: ${(cause as Error).message}.`,
    )
  }
  const closed = barredFor(home, user)
  if (closed !== null)
    throw unusable(`PostgreSQL's user may enter neither ${barred} nor ${closed}: its data has no place.`)
  return home
}
