// `tenfold db export`: asks the supervisor for the rows of a database in a folder, and shows how it goes.

import { resolve } from 'node:path'
import { Failure } from '../../kit/failure.ts'
import type { Action, CommandInput } from '../command.ts'
import { clientOf, showOperation } from '../connection.ts'
import { cliFailures } from '../failures.ts'

export const exportRows: Action = async input => {
  const { to, format = 'csv' } = input.options
  if (typeof to !== 'string')
    throw new Failure(
      cliFailures.argumentMissing,
      '`tenfold db export` needs an empty folder: --to exports/monday',
    )
  if (format !== 'csv' && format !== 'binary')
    throw new Failure(
      cliFailures.argumentMissing,
      `'${format}' is no format: --format csv, or --format binary`,
    )
  const client = clientOf(input)
  const name = await exportedOf(input, client)
  // Relative to where the command is said, not to where the supervisor runs.
  const done = await showOperation(input, progress =>
    client.databases.export(name, { to: resolve(to), format }, progress),
  )
  if (!input.json) input.terminal.print(done.text)
  return 0
}

/** The one that is named, or the only one; the groups `main-s1` are one database, `main`. */
export async function exportedOf(input: CommandInput, client: ReturnType<typeof clientOf>): Promise<string> {
  const { name } = input.args
  if (name !== undefined) return name
  const { databases } = await client.status()
  const names = new Set(databases.map(one => /^(.+)-s\d+$/.exec(one.name)?.[1] ?? one.name))
  const [only, ...others] = names
  if (only !== undefined && others.length === 0) return only
  if (only === undefined)
    throw new Failure(cliFailures.databaseUnnamed, 'The running system has no database.')
  const there = [...names].map(one => `'${one}'`).join(', ')
  throw new Failure(cliFailures.databaseUnnamed, `Which database? There are ${there}.`)
}
