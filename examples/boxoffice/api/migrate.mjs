// Brings the tables to what this version of the service expects: the files in migrations/, in order, each once, each in a
// transaction of its own. Whichever instance comes first does it; the others wait at the lock and find it done.

import { existsSync, readdirSync, readFileSync } from 'node:fs'

const folder = new URL('migrations/', import.meta.url)
/** What a database of several shards has instead. */
const shardedFolder = process.env.BOXOFFICE_SHARDED ? new URL('migrations/sharded/', import.meta.url) : folder
/** Any number, the same in each instance. Held by a transaction, so it needs no connection of its own and can't be left behind. */
const lock = 7_264_110

const isMigration = name => /\.(sql|mjs)$/.test(name)

async function apply(client, file) {
  await client.query('SELECT pg_advisory_xact_lock($1)', [lock])
  await client.query(
    'CREATE TABLE IF NOT EXISTS migrations (file text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())',
  )
  const { rowCount } = await client.query('SELECT FROM migrations WHERE file = $1', [file])
  if (rowCount > 0) return false
  const instead = new URL(file, shardedFolder)
  const url = existsSync(instead) ? instead : new URL(file, folder)
  if (file.endsWith('.sql')) await client.query(readFileSync(url, 'utf8'))
  else await (await import(url)).up(client)
  await client.query('INSERT INTO migrations (file) VALUES ($1)', [file])
  return true
}

/** The files that were applied now. */
export async function migrate(database) {
  const done = []
  for (const file of readdirSync(folder).filter(isMigration).sort()) {
    if (await database.transaction(client => apply(client, file))) done.push(file)
  }
  return done
}
