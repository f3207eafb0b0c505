// A shard that joins gets the schema of another: to the last definition, or nothing.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Session } from '../../src/database/servers/session.ts'
import { schemaDrift } from '../../src/database/shards/drift.ts'
import { copySchema } from '../../src/database/shards/reshard/schema-copy.ts'
import { installShardSchema } from '../../src/database/shards/schema/index.ts'
import type { ShardMap } from '../../src/policy/shard/contract.ts'
import { startPostgres } from '../tools/postgres-server.ts'

const map: ShardMap = { format: 1, version: 1, shards: ['1'], families: {}, tables: {} }

const rich = `SET search_path = public;
CREATE EXTENSION pg_trgm; CREATE SCHEMA shop AUTHORIZATION app; GRANT USAGE ON SCHEMA shop TO web;
CREATE TYPE shop.size AS ENUM ('small', 'it''s large'); CREATE TYPE shop.pair AS (one int, "Two" text);
CREATE DOMAIN shop.price AS numeric(12,2) DEFAULT 0 CONSTRAINT positive CHECK (VALUE >= 0) NOT NULL;
CREATE SEQUENCE shop.numbers AS bigint INCREMENT BY 5 START WITH 100 CACHE 10;
CREATE FUNCTION shop.half(n numeric) RETURNS numeric LANGUAGE sql IMMUTABLE RETURN n / 2;
CREATE FUNCTION shop.touched() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = shop AS $$ BEGIN NEW.note := 'it''s; $x$'; RETURN NEW; END $$;
REVOKE ALL ON FUNCTION shop.half(numeric) FROM PUBLIC; GRANT EXECUTE ON FUNCTION shop.half(numeric) TO web;
CREATE PROCEDURE shop.nothing(INOUT a int) LANGUAGE sql AS 'SELECT 1';
CREATE TABLE shop.customers (id bigint GENERATED ALWAYS AS IDENTITY (START WITH 7 INCREMENT BY 3) PRIMARY KEY, name text COLLATE "C" NOT NULL, size shop.size DEFAULT 'small',
  price shop.price, half numeric GENERATED ALWAYS AS (shop.half(price::numeric)) STORED, pair shop.pair, tags text[] DEFAULT '{}', UNIQUE NULLS NOT DISTINCT (name, size)) WITH (fillfactor = 70);
CREATE TABLE "Odd name" (a serial PRIMARY KEY, customer bigint REFERENCES shop.customers ON DELETE CASCADE DEFERRABLE, note text, during tsrange, gone int,
  n bigint DEFAULT nextval('shop.numbers'), CHECK (length(note) < 100) NOT VALID, EXCLUDE USING gist (during WITH &&));
ALTER TABLE "Odd name" DROP COLUMN gone; ALTER TABLE "Odd name" ALTER note SET STORAGE EXTERNAL; ALTER TABLE "Odd name" RENAME COLUMN n TO "N";
CREATE INDEX by_note ON "Odd name" USING gin (note gin_trgm_ops) WHERE note <> ''; CREATE UNIQUE INDEX lower_name ON shop.customers (lower(name)) INCLUDE (id);
CREATE TRIGGER touched BEFORE INSERT OR UPDATE OF note ON "Odd name" FOR EACH ROW WHEN (NEW.note IS NULL) EXECUTE FUNCTION shop.touched();
CREATE TRIGGER off AFTER DELETE ON "Odd name" FOR EACH STATEMENT EXECUTE FUNCTION shop.touched(); ALTER TABLE "Odd name" DISABLE TRIGGER off;
CREATE VIEW shop.cheap WITH (security_barrier) AS SELECT c.id, o.note FROM shop.customers c LEFT JOIN "Odd name" o ON o.customer = c.id WHERE c.price < 10;
CREATE MATERIALIZED VIEW shop.counted AS SELECT size, count(*) FROM shop.customers GROUP BY size;
CREATE UNIQUE INDEX counted_size ON shop.counted (size);
ALTER TABLE shop.customers ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON shop.customers FOR SELECT TO web USING (name = current_user);
CREATE STATISTICS shop.both (dependencies) ON name, size FROM shop.customers; CREATE RULE nothing AS ON DELETE TO shop.customers DO INSTEAD NOTHING;
COMMENT ON TABLE shop.customers IS 'who''s who'; COMMENT ON COLUMN shop.customers.name IS 'n'; COMMENT ON CONSTRAINT positive ON DOMAIN shop.price IS 'p';
ALTER TABLE shop.customers OWNER TO app; GRANT SELECT, INSERT ON shop.customers TO web WITH GRANT OPTION; GRANT UPDATE (name) ON shop.customers TO web; GRANT USAGE ON SEQUENCE shop.numbers TO web;
CREATE FUNCTION shop.later() RETURNS SETOF shop.customers LANGUAGE sql BEGIN ATOMIC SELECT * FROM shop.customers; END;
ALTER TABLE "Odd name" ALTER note SET DEFAULT 'x'; RESET search_path`

test('the schema of a shard is made on another, in all its parts; what is not copied is refused', async t => {
  const servers = await Promise.all([startPostgres(t), startPostgres(t)])
  const sessions = servers.map(
    ({ host, port }) =>
      new Session(() => ({ host, port, database: 'app', user: 'tenfold', password: 'secret' })),
  )
  t.after(() => sessions.forEach(one => void one.close()))
  const ask = (shard: string, sql: string, ms: number) =>
    (sessions[Number(shard) - 1] as Session).query(sql, ms)
  for (const shard of ['1', '2']) {
    await ask(shard, 'CREATE ROLE web', 5_000)
    await installShardSchema({ ask: sql => ask(shard, sql, 20_000), shard, map })
  }
  await ask('1', rich, 30_000)
  await copySchema(ask, '1', '2')
  assert.deepEqual((await schemaDrift(ask, ['1', '2'])).differences, [])
  const said = (shard: string) =>
    ask(
      shard,
      `SELECT obj_description('shop.customers'::regclass), col_description('shop.customers'::regclass, 2),
        (SELECT string_agg(attname || attacl::text, ',') FROM pg_attribute WHERE attacl IS NOT NULL AND attrelid = 'shop.customers'::regclass),
        (SELECT nspacl::text FROM pg_namespace WHERE nspname = 'shop'), (SELECT proacl::text FROM pg_proc WHERE proname = 'half'),
        (SELECT string_agg(stxname, ',') FROM pg_statistic_ext), (SELECT attstorage FROM pg_attribute WHERE attname = 'note' AND attrelid = 'public."Odd name"'::regclass),
        (SELECT relacl::text FROM pg_class WHERE relname = 'numbers'), pg_get_serial_sequence('public."Odd name"', 'a')`,
      5_000,
    )
  assert.deepEqual(await said('2'), await said('1'))
  // Again: it is there already.
  await copySchema(ask, '1', '2')

  await ask('1', 'CREATE TABLE public.parts (a int) PARTITION BY RANGE (a)', 5_000)
  await assert.rejects(copySchema(ask, '1', '2'), /partitioned table public.parts.*pg_dump --schema-only/)
  await ask('1', 'DROP TABLE public.parts; CREATE TABLE public.more (a int PRIMARY KEY)', 5_000)
  await assert.rejects(copySchema(ask, '1', '2'), /already exists/)
  const [more] = await ask('2', "SELECT to_regclass('public.more')", 5_000)
  assert.deepEqual(more, [null], 'nothing is made by halves')
})
