// The schema `tenfold` of a shard: decisions of commits over shards, the map, functions for keys and ids. Installed by the
// servers' superuser when a shard stands, again after each change of the map; the same twice changes nothing. Everything in
// it belongs to him: what clients may do there is to call functions, and to read the map.

import { Failure } from '../../../kit/failure.ts'
import type { ShardMap } from '../../../policy/shard/contract.ts'
import { shardFailures } from '../failures.ts'
import { hashStatements } from './hashes.ts'
import { lockSpace, numberStatements, shardNumberMax } from './numbers.ts'
import { uniqueStatements } from './unique.ts'
import { waitingStatements } from './waiting.ts'

export {
  abortDecisionSql,
  decisionSql,
  forgetDecisionsSql,
  oldDecisionsSql,
  type PreparedName,
  preparedName,
} from './decisions.ts'
export { tellWaitingSql, type WaitingRow, waitingSql } from './waiting.ts'

/** Counted up by each change of what is below. */
export const shardSchemaVersion = 2

/** Rows of the last statement, as texts; by the superuser, as simple queries on one connection. */
export type AskShard = (sql: string) => Promise<readonly (readonly (string | null)[])[]>

export interface ShardSchemaOptions {
  readonly ask: AskShard
  /** Whose servers these are: an id of the map. */
  readonly shard: string
  readonly map: ShardMap
}

const decisionStatements: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS tenfold.decisions (
  gid text PRIMARY KEY, outcome text NOT NULL CHECK (outcome IN ('commit', 'abort')), at timestamptz NOT NULL DEFAULT now())`,
  'CREATE INDEX IF NOT EXISTS decisions_at ON tenfold.decisions (at)',
  `CREATE OR REPLACE FUNCTION tenfold.decide(commit_gid text) RETURNS void
  LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  INSERT INTO tenfold.decisions (gid, outcome) VALUES (commit_gid, 'commit') ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'This commit over several shards took too long and was given up: nothing was committed.'
      USING ERRCODE = '40001', HINT = 'Try the transaction again.';
  END IF;
END $$`,
  // Waits for a transaction that is about to say 'commit'.
  `CREATE OR REPLACE FUNCTION tenfold.presume_abort(commit_gid text) RETURNS text
  LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog AS $$
BEGIN
  INSERT INTO tenfold.decisions (gid, outcome) VALUES (commit_gid, 'abort') ON CONFLICT DO NOTHING;
  RETURN (SELECT outcome FROM tenfold.decisions WHERE gid = commit_gid);
END $$`,
  'REVOKE ALL ON FUNCTION tenfold.presume_abort(text) FROM PUBLIC',
]

const mapStatements: readonly string[] = [
  'CREATE TABLE IF NOT EXISTS tenfold.shard_map (one boolean PRIMARY KEY DEFAULT true CHECK (one), version bigint NOT NULL, map jsonb NOT NULL)',
  'CREATE TABLE IF NOT EXISTS tenfold.directory (family text, key text, shard text NOT NULL, PRIMARY KEY (family, key))',
  'GRANT SELECT ON tenfold.shard_map, tenfold.directory TO PUBLIC',
]

/** Copies by another key: what each is made of, and what streams have brought their first rows. */
const copyStatements: readonly string[] = [
  'CREATE SCHEMA IF NOT EXISTS tenfold_copies',
  'GRANT USAGE ON SCHEMA tenfold_copies TO PUBLIC',
  'CREATE TABLE IF NOT EXISTS tenfold.copies (name text PRIMARY KEY, definition text NOT NULL)',
  'CREATE TABLE IF NOT EXISTS tenfold.copy_streams (stream text PRIMARY KEY, position pg_lsn NOT NULL, timeline text NOT NULL)',
]

/** The operator is called as the schema is: `"$user"` would lead him, and the tables that he makes, into it. */
const operatorsPath = `DO $$ BEGIN
  EXECUTE format('ALTER ROLE %I IN DATABASE %I SET search_path = public', current_user, current_database());
END $$`

/** Throws SHARDS_SCHEMA_FOREIGN; SHARDS_SCHEMA_NEWER; what the server says. */
export async function installShardSchema({ ask, shard, map }: ShardSchemaOptions): Promise<void> {
  const number = Number(shard)
  if (!Number.isInteger(number) || number < 0 || number > shardNumberMax)
    throw new Failure(
      shardFailures.schemaForeign,
      `the shard '${shard}' has no number up to ${shardNumberMax}`,
    )
  await ask('BEGIN')
  try {
    // Who installs at the same time waits.
    await ask(`SELECT pg_advisory_xact_lock(${lockSpace}, 0)`)
    await check(ask, shard)
    await ask('CREATE SCHEMA IF NOT EXISTS tenfold')
    const statements = [
      'GRANT USAGE ON SCHEMA tenfold TO PUBLIC',
      operatorsPath,
      'CREATE TABLE IF NOT EXISTS tenfold.installed (one boolean PRIMARY KEY DEFAULT true CHECK (one), version integer NOT NULL, shard text NOT NULL)',
      ...decisionStatements,
      ...waitingStatements,
      ...mapStatements,
      ...hashStatements,
      ...numberStatements(number),
      ...uniqueStatements(map),
      ...copyStatements,
      `INSERT INTO tenfold.installed (version, shard) VALUES (${shardSchemaVersion}, '${shard}')
        ON CONFLICT (one) DO UPDATE SET version = excluded.version, shard = excluded.shard
        WHERE (installed.version, installed.shard) IS DISTINCT FROM (excluded.version, excluded.shard)`,
      mapSql(map),
    ]
    await ask(statements.join(';\n'))
    await ask('COMMIT')
  } catch (error) {
    await ask('ROLLBACK').catch(() => {})
    throw error
  }
}

/** Maps never go back. */
function mapSql(map: ShardMap): string {
  return `INSERT INTO tenfold.shard_map (version, map) VALUES (${map.version}, '${JSON.stringify(map).replaceAll("'", "''")}')
    ON CONFLICT (one) DO UPDATE SET version = excluded.version, map = excluded.map WHERE shard_map.version < excluded.version`
}

/** Functions here run as the superuser: nobody else may own where they are. */
async function check(ask: AskShard, shard: string): Promise<void> {
  const owners = await ask(
    `SELECT nspname, pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname IN ('tenfold', 'tenfold_sequences', 'tenfold_unique', 'tenfold_copies')
      AND nspowner <> (SELECT oid FROM pg_roles WHERE rolname = current_user)`,
  )
  const [foreign] = owners
  if (foreign !== undefined)
    throw new Failure(
      shardFailures.schemaForeign,
      `the schema '${foreign[0]}' on shard '${shard}' belongs to '${foreign[1]}'`,
    )
  const [table] = await ask("SELECT to_regclass('tenfold.installed')::text")
  if (table?.[0] == null) return
  const [installed] = await ask('SELECT version, shard FROM tenfold.installed')
  if (installed === undefined) return
  const [version, known] = installed
  if (Number(version) > shardSchemaVersion)
    throw new Failure(
      shardFailures.schemaNewer,
      `the schema 'tenfold' on shard '${shard}' has version ${version}; this is version ${shardSchemaVersion}`,
    )
  if (known !== shard)
    throw new Failure(
      shardFailures.schemaForeign,
      `these are the servers of shard '${known}', not of '${shard}'`,
    )
}
