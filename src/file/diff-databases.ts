// What a reload would do to databases: which of their keys change in a running system, and which services start anew
// because their DATABASE_URL comes, goes or leads elsewhere.

import { cacheVariables } from './cache-variables.ts'
import type { CheckedSystem, CommandService } from './checked.ts'
import type { CheckedDatabase } from './checked-databases.ts'
import { databaseVariables } from './database-variables.ts'
import { guardUrl, guardVariables } from './guard-variables.ts'
import { keyPath } from './plain.ts'
import type { Change, ChangeEffect } from './results.ts'

const stopFirst = 'stop the system and start it again'

/** Why a key cannot change while the database runs; null: it can. */
export function refusalOf(key: string): string | null {
  switch (key) {
    case 'database':
      return `the database inside PostgreSQL is made when the servers are: ${stopFirst}, with another name in 'databases'`
    case 'listen':
      return `services hold connections to where the router listens: ${stopFirst}`
    case 'servers.kind':
      return `servers of our own and servers elsewhere do not become each other: give the new ones another name in 'databases'`
    case 'servers.directory':
      return `data is not moved while it is used: ${stopFirst} after moving it`
    default:
      return null
  }
}

/** Of the keys of one database that is there before and after. */
export function databaseEffect(key: string, from: CheckedDatabase, to: CheckedDatabase): ChangeEffect {
  const told = key === 'servers' ? serversKey(from, to) : key
  const reason = refusalOf(told)
  return reason === null ? { kind: 'live' } : { kind: 'refused', reason }
}

function serversKey({ servers: from }: CheckedDatabase, { servers: to }: CheckedDatabase): string {
  if (from.kind !== to.kind) return 'servers.kind'
  if (from.kind !== 'embedded' || to.kind !== 'embedded') return 'servers'
  const moved = from.members.some(one => {
    const now = to.members.find(other => other.id === one.id)
    return now !== undefined && now.directory !== one.directory
  })
  return moved ? 'servers.directory' : 'servers'
}

/** Instances learn where databases are by their environment: they are replaced when that changes. */
export function variableChanges(before: CheckedSystem, after: CheckedSystem): Change[] {
  return Object.values(after.services).flatMap(service => {
    const was = before.services[service.name]
    if (service.kind !== 'command' || was?.kind !== 'command') return []
    const [from, to] = [variables(before, was), variables(after, service)]
    const names = [...new Set([...from.keys(), ...to.keys()])].filter(name => from.get(name) !== to.get(name))
    return names.map(name => ({
      path: keyPath(`${keyPath('services', service.name)}.env`, name),
      ...(from.has(name) ? { from: '***' } : {}),
      ...(to.has(name) ? { to: '***' } : {}),
      effect: { kind: 'rolls', service: service.name } as const,
    }))
  })
}

function variables(system: CheckedSystem, service: CommandService): Map<string, string> {
  const databases = databaseVariables(system, service).map(one => [one.variable, one.database] as const)
  // By value: another server behind the same name is another URL.
  const caches = cacheVariables(system, service).map(
    one => [one.variable, JSON.stringify([one.holds, one.cache, system.caches[one.cache] ?? null])] as const,
  )
  const guard = guardVariables(system, service).map(
    ({ variable, holds }) =>
      [
        variable,
        JSON.stringify(holds === 'url' ? guardUrl(system) : (system.guard?.secret ?? null)),
      ] as const,
  )
  return new Map([...databases, ...caches, ...guard])
}
