// SQL that says which slot a key is in, by PostgreSQL's own hash functions: the same as policy/shard/key-hash.ts, to be asked
// by people and by resharding. Immutable: a text of a deterministic collation hashes by its bytes.

import type { KeyType } from '../../../policy/shard/contract.ts'

/** HASH_PARTITION_SEED. */
const seed = '8816678312871386365'
/** The constant of hash_combine64, as a signed 64-bit number. */
const combine = '5305509591434766563'
const two64 = '18446744073709551616'

const hashes: Readonly<Record<KeyType, string>> = {
  smallint: 'hashint2extended($1, SEED)',
  integer: 'hashint4extended($1, SEED)',
  bigint: 'hashint8extended($1, SEED)',
  text: 'hashtextextended($1 COLLATE "C", SEED)',
  uuid: 'uuid_hash_extended($1, SEED)',
  date: 'hashdateextended($1, SEED)',
  timestamp: 'timestamp_hash_extended($1, SEED)',
  timestamptz: 'timestamptz_hash_extended($1, SEED)',
  boolean: 'hashboolextended($1, SEED)',
}

const immutable = 'LANGUAGE sql IMMUTABLE PARALLEL SAFE'

/** `key_hash(key)`, `slot_of(key, slots)`, `ring_slot_of(key, slots)`; `slot_of_row(slots, key_hash(a), key_hash(b))`. */
export const hashStatements: readonly string[] = [
  // Sums of 64 bits that wrap.
  `CREATE OR REPLACE FUNCTION tenfold.key_combine(row_hash bigint, column_hash bigint) RETURNS bigint ${immutable} STRICT AS $$
  SELECT row_hash # (CASE WHEN total >= 9223372036854775808 THEN total - ${two64} ELSE total END)::bigint
  FROM (SELECT mod(column_hash::numeric + ${combine} + (row_hash << 54)::numeric
    + ((row_hash >> 7) & 144115188075855871)::numeric + 2 * ${two64}::numeric, ${two64}) AS total) AS sums $$`,
  `CREATE OR REPLACE FUNCTION tenfold.slot_of_hash(row_hash bigint, slots integer) RETURNS integer ${immutable} STRICT AS $$
  SELECT mod(CASE WHEN row_hash < 0 THEN row_hash::numeric + ${two64} ELSE row_hash::numeric END, slots)::integer $$`,
  `CREATE OR REPLACE FUNCTION tenfold.ring_slot_of_hash(row_hash bigint, slots integer) RETURNS integer ${immutable} STRICT AS $$
  SELECT ((((row_hash >> 32) & 4294967295) * slots) >> 32)::integer $$`,
  // Null where one of the columns is.
  `CREATE OR REPLACE FUNCTION tenfold.row_hash(VARIADIC column_hashes bigint[]) RETURNS bigint
  LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog AS $$
DECLARE total bigint := 0; one bigint;
BEGIN
  FOREACH one IN ARRAY column_hashes LOOP total := tenfold.key_combine(total, one); END LOOP;
  RETURN total;
END $$`,
  `CREATE OR REPLACE FUNCTION tenfold.slot_of_row(slots integer, VARIADIC column_hashes bigint[]) RETURNS integer ${immutable} STRICT AS $$
  SELECT tenfold.slot_of_hash(tenfold.row_hash(VARIADIC column_hashes), slots) $$`,
  ...Object.entries(hashes).flatMap(([type, hash]) => [
    `CREATE OR REPLACE FUNCTION tenfold.key_hash(key ${type}) RETURNS bigint ${immutable} STRICT AS $$
  SELECT pg_catalog.${hash.replace('SEED', seed)} $$`,
    `CREATE OR REPLACE FUNCTION tenfold.slot_of(key ${type}, slots integer) RETURNS integer ${immutable} STRICT AS $$
  SELECT tenfold.slot_of_hash(tenfold.key_combine(0, tenfold.key_hash(key)), slots) $$`,
    `CREATE OR REPLACE FUNCTION tenfold.ring_slot_of(key ${type}, slots integer) RETURNS integer ${immutable} STRICT AS $$
  SELECT tenfold.ring_slot_of_hash(tenfold.key_combine(0, tenfold.key_hash(key)), slots) $$`,
  ]),
]
