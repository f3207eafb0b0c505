// Reports on schemas and references of shards, from two real servers.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { Session } from '../../src/database/servers/session.ts'
import { danglingReferences } from '../../src/database/shards/dangling.ts'
import { type AskOne, schemaDrift } from '../../src/database/shards/drift.ts'
import { startPostgres } from '../tools/postgres-server.ts'

const shards = ['1', '2']
const endings: (() => Promise<void> | void)[] = []
let sessions: readonly Session[] = []
const ask: AskOne = (shard, sql, timeoutMs) =>
  (sessions[shards.indexOf(shard)] as Session).query(sql, timeoutMs)

const common = `
  CREATE TABLE public.customers (country text, id bigint, PRIMARY KEY (country, id));
  CREATE TABLE public.orders (id numeric PRIMARY KEY, country text, customer bigint,
    CONSTRAINT whose FOREIGN KEY (country, customer) REFERENCES public.customers (country, id) NOT ENFORCED);
  CREATE TYPE public.mood AS ENUM ('good', 'bad');
  CREATE FUNCTION public.one() RETURNS int LANGUAGE sql AS 'SELECT 1';
  CREATE VIEW public.few AS SELECT id FROM public.orders`

before(async () => {
  const scope = { after: (end: unknown) => void endings.push(end as () => void) } as never
  const servers = await Promise.all(shards.map(() => startPostgres(scope)))
  sessions = servers.map(
    ({ host, port }) =>
      new Session(() => ({ host, port, database: 'app', user: 'tenfold', password: 'secret' })),
  )
  // Numbers of things differ then, the things do not.
  await ask('2', 'CREATE TABLE public.other (); DROP TABLE public.other', 5_000)
  for (const shard of shards) await ask(shard, common, 5_000)
})

test.after(async () => {
  for (const session of sessions) session.close()
  for (const end of endings.reverse()) await end()
})

test('shards with the same schema do not differ', async () => {
  const { differences, objects, cut } = await schemaDrift(ask, shards)
  assert.deepEqual(differences, [])
  assert.ok(objects >= 12, String(objects))
  assert.equal(cut, false)
})

test('what one shard has otherwise, or has not, is reported with both definitions', async () => {
  await ask(
    '2',
    `CREATE INDEX orders_customer ON public.orders (customer); ALTER TABLE public.orders ALTER customer SET DEFAULT 7;
     ALTER TYPE public.mood ADD VALUE 'worse'; CREATE OR REPLACE FUNCTION public.one() RETURNS int LANGUAGE sql AS 'SELECT 2'`,
    5_000,
  )
  const { differences } = await schemaDrift(ask, shards)
  assert.deepEqual(
    differences.map(one => one.object),
    [
      'column public.orders.customer',
      'function public.one()',
      'index public.orders_customer',
      'type public.mood',
    ],
  )
  const [column, , index] = differences
  assert.match(column?.shards['2'] ?? '', /default 7/)
  assert.equal(index?.shards['1'], null)
  assert.match(index?.shards['2'] ?? '', /USING btree \(customer\)/)
})

test('an index that was not made to its end is a difference', async () => {
  await ask('1', 'CREATE INDEX orders_customer ON public.orders (customer)', 5_000)
  await ask(
    '1',
    "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'public.orders_customer'::regclass",
    5_000,
  )
  const index = (await schemaDrift(ask, shards)).differences.find(one => one.object.startsWith('index'))
  assert.match(index?.shards['1'] ?? '', /\(invalid\)/)
})

test('references to rows of another shard are found there; those to nowhere are reported, page by page', async () => {
  await ask('1', "INSERT INTO public.customers SELECT 'de''', n FROM generate_series(1, 40) AS n", 5_000)
  await ask('2', "INSERT INTO public.customers SELECT 'fr', n FROM generate_series(1, 40) AS n", 5_000)
  await ask('1', "INSERT INTO public.orders SELECT n, 'fr', n % 42 FROM generate_series(1, 200) AS n", 5_000)
  await ask('2', "INSERT INTO public.orders SELECT n, 'de''', n FROM generate_series(1, 41) AS n", 5_000)
  await ask('2', "INSERT INTO public.orders VALUES (900, NULL, 5), (901, 'it', NULL)", 5_000)
  let pauses = 0
  const pause = async (): Promise<void> => {
    pauses++
  }
  const report = await danglingReferences({ ask, shards, pause, keysAtOnce: 10 })
  assert.deepEqual(
    report.references.map(one => [one.shard, one.key]),
    [
      ['1', ['fr', '0']],
      ['1', ['fr', '41']],
      ['2', ["de'", '41']],
    ],
  )
  assert.deepEqual(report.references[0], {
    table: 'public.orders',
    constraint: 'whose',
    shard: '1',
    columns: ['country', 'customer'],
    key: ['fr', '0'],
    target: 'public.customers',
  })
  assert.deepEqual([report.looked, report.cut, pauses], [83, false, 8])
})
