// Which services get which databases, and by which environment variables. What a variable holds is known only when the
// system runs.

import type { CheckedSystem, CommandService } from './checked.ts'
import type { CheckedAccess, CheckedDatabase } from './checked-databases.ts'

/** By service: every service that Tenfold runs and that may use the database. */
export function accessOf(
  system: CheckedSystem,
  { access }: CheckedDatabase,
): Readonly<Record<string, CheckedAccess>> {
  const services = Object.values(system.services).filter(one => one.kind === 'command')
  return Object.fromEntries(
    services.flatMap(({ name }) => {
      const may = access === null ? 'owner' : access[name]
      return may === undefined ? [] : [[name, may] as const]
    }),
  )
}

export interface DatabaseVariable {
  readonly variable: string
  readonly database: string
}

/** `DATABASE_URL` for `main` or the only one that the service gets; `DATABASE_URL_NAME` for each. The service's own `env` wins. */
export function databaseVariables(system: CheckedSystem, service: CommandService): DatabaseVariable[] {
  const names = Object.values(system.databases)
    .filter(database => Object.hasOwn(accessOf(system, database), service.name))
    .map(database => database.name)
  const plain = names.includes('main') ? 'main' : names.length === 1 ? names[0] : undefined
  const all = [
    ...(plain === undefined ? [] : [{ variable: 'DATABASE_URL', database: plain }]),
    ...names.map(database => ({
      variable: `DATABASE_URL_${database.toUpperCase().replaceAll('-', '_')}`,
      database,
    })),
  ]
  return all.filter(({ variable }) => !Object.hasOwn(service.env, variable))
}
