// What is looked for over the shards of a database when an operator asks: differences of their schemas, references that point
// nowhere. Owns how the findings are said. Loaded when it is asked for.

import { setTimeout as sleep } from 'node:timers/promises'
import { danglingReferences } from '../database/shards/dangling.ts'
import { type AskOne, schemaDrift } from '../database/shards/drift.ts'
import { Failure } from '../kit/failure.ts'
import type { OperationResult, Progress } from './control/handlers.ts'
import { systemFailures } from './failures.ts'
import type { ShardGroup } from './shards-view.ts'

/** Clients come between. */
const pauseMs = 5
const definitionCharactersMax = 200

/** Throws DATABASE_NO_PRIMARY. */
export function askerOf(groups: readonly ShardGroup[]): AskOne {
  return (shard, sql, timeoutMs) => {
    const group = groups.find(({ id }) => id === shard)?.group
    const primary = group?.topology.primary ?? null
    if (group !== undefined && primary !== null) return group.servers.query(primary, sql, timeoutMs)
    throw new Failure(systemFailures.databaseWithoutPrimary, `Shard ${shard} has no primary now.`)
  }
}

/** Findings: each thing that is not the same on all shards. */
export async function driftReport(
  name: string,
  groups: readonly ShardGroup[],
  progress: Progress,
): Promise<OperationResult> {
  const shards = groups.map(({ id }) => id)
  progress(name, `comparing the schemas of ${shards.length} shards`)
  const { differences, cut, objects } = await schemaDrift(askerOf(groups), shards)
  if (differences.length === 0)
    return { text: `the schemas of ${shards.length} shards are the same: ${objects} objects` }
  const findings = differences.map(({ object, shards: found }) => {
    const each = Object.entries(found).map(([shard, definition]) => `shard ${shard}: ${shown(definition)}`)
    return `${object}: ${each.join('; ')}`
  })
  if (cut) findings.push('there are more differences')
  return { text: `the schemas of ${shards.length} shards are not the same`, findings }
}

function shown(definition: string | null): string {
  if (definition === null) return 'not there'
  const line = definition.replaceAll(/\s+/g, ' ')
  return line.length > definitionCharactersMax ? `${line.slice(0, definitionCharactersMax)}...` : line
}

/** Findings: each reference that no shard has a row for. */
export async function danglingReport(
  name: string,
  groups: readonly ShardGroup[],
  progress: Progress,
): Promise<OperationResult> {
  const shards = groups.map(({ id }) => id)
  progress(name, 'looking for references that point nowhere')
  const { references, cut, looked } = await danglingReferences({
    ask: askerOf(groups),
    shards,
    pause: () => sleep(pauseMs),
  })
  const text = `${looked} references that are not enforced were looked for on ${shards.length} shards`
  if (references.length === 0) return { text: `${text}: all are there` }
  const findings = references.map(
    ({ table, constraint, shard, key, target }) =>
      `${table} on shard ${shard}: ${constraint}: ${target} has no (${key.join(', ')})`,
  )
  if (cut) findings.push('there are more')
  return { text: `${text}: some point nowhere`, findings }
}
