// Makes the schema of a shard that joins, from the catalogue of another: each thing by PostgreSQL's own words for it, in one
// transaction. What comes out must be the same to the last definition, or nothing is made.

import { type AskOne, schemaDrift } from '../drift.ts'
import { cannotCopySql, schemaSql } from './schema-sql.ts'

const readMs = 60_000
const makeMs = 60_000
const statementsMax = 100_000
const differencesShown = 3
const plainPath = "set_config('search_path', 'pg_catalog', true)"

/** Fine when it is there already. Throws with what can't be made, and what helps. */
export async function copySchema(ask: AskOne, from: string, into: string): Promise<void> {
  if ((await schemaDrift(ask, [from, into])).differences.length === 0) return
  const strange = await ask(from, `SELECT ${plainPath}; ${cannotCopySql}`, readMs)
  if (strange.length > 0) {
    const named = strange.map(([what]) => what).join(', ')
    throw new Error(
      `The schema of shard ${from} has what is not copied (${named}): make it on shard ${into} yourself (pg_dump --schema-only), and begin again.`,
    )
  }
  const rows = await ask(from, `SELECT ${plainPath}; ${schemaSql}`, readMs)
  if (rows.length > statementsMax)
    throw new Error(`The schema of shard ${from} has more than ${statementsMax} parts.`)
  const [path] = await ask(into, "SELECT current_setting('search_path')", readMs)
  await ask(into, 'BEGIN', makeMs)
  try {
    await ask(into, `SELECT ${plainPath}, set_config('check_function_bodies', 'off', true)`, makeMs)
    await make(
      ask,
      into,
      rows.map(([statement]) => statement ?? ''),
    )
    await ask(
      into,
      `SELECT set_config('search_path', '${(path?.[0] ?? '').replaceAll("'", "''")}', true)`,
      makeMs,
    )
    const { differences } = await schemaDrift(ask, [from, into])
    if (differences.length > 0) {
      const named = differences
        .slice(0, differencesShown)
        .map(
          ({ object, shards }) =>
            `${object}: ${shards[from] ?? 'nothing'} became ${shards[into] ?? 'nothing'}`,
        )
      throw new Error(
        `The schema of shard ${from} could not be made the same on shard ${into} (${named.join('; ')}): make it there yourself (pg_dump --schema-only), and begin again.`,
      )
    }
    await ask(into, 'COMMIT', makeMs)
  } catch (error) {
    await ask(into, 'ROLLBACK', makeMs).catch(() => {})
    throw error
  }
}

/** What needs something that is made later is tried again after it. */
async function make(ask: AskOne, shard: string, statements: readonly string[]): Promise<void> {
  let left = statements
  while (left.length > 0) {
    const failed: string[] = []
    let first: Error | null = null
    for (const statement of left) {
      await ask(shard, 'SAVEPOINT made', makeMs)
      try {
        await ask(shard, statement, makeMs)
        await ask(shard, 'RELEASE SAVEPOINT made', makeMs)
      } catch (error) {
        await ask(shard, 'ROLLBACK TO SAVEPOINT made', makeMs)
        first ??= new Error(`shard ${shard}: ${(error as Error).message} (${statement.slice(0, 200)})`)
        failed.push(statement)
      }
    }
    if (failed.length === left.length && first !== null) throw first
    left = failed
  }
}
