// A sharded table split by columns on every shard, behind a router: what is said to the view answers as a sharded table does, for
// one shard, for several, in transactions; the router hears of the change; a shard that was switched later stands beside it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { relearnThrough } from '../../src/database/columns/index.ts'
import { createRouter } from '../../src/database/router/router.ts'
import type { Session } from '../../src/database/servers/session.ts'
import { installShardSchema } from '../../src/database/shards/schema/index.ts'
import type { ShardMap } from '../../src/policy/shard/contract.ts'
import { startPostgres } from '../tools/postgres-server.ts'
import { databaseOf } from '../tools/router-harness.ts'
import { startResharding } from './reshard-harness.ts'
import { operatorOf, splitting } from './split-harness.ts'

const ids = ['1', '2']
const place = { kind: 'sharded', family: 'public.people', key: ['id'] } as const
const map: ShardMap = {
  format: 1,
  version: 1,
  shards: ids,
  families: { 'public.people': { types: ['bigint'], rule: { by: 'hash', slots: [0, 1, 0, 1, 0, 1, 0, 1] } } },
  tables: Object.fromEntries(
    ['people', 'people_hot', 'people_cold', 'plain', 'visits'].map(name => [`public.${name}`, place]),
  ),
}
const definition = (name: string): string =>
  `CREATE TABLE public.${name} (id bigint PRIMARY KEY, name text NOT NULL, age int DEFAULT 30, bio text DEFAULT 'none', photo bytea);
   ALTER TABLE public.${name} OWNER TO app`

const statements = [
  `INSERT INTO T (id, name) VALUES (1, 'a') RETURNING *`,
  `INSERT INTO T (id, name, bio) VALUES (2, 'b', 'long'), (3, 'c', NULL), (4, 'd', 'x'), (5, 'e', 'y'), (6, 'f', 'z')`,
  `INSERT INTO T (id, name) VALUES (1, 'again')`,
  `UPDATE T SET age = age + 1 WHERE id = 2 RETURNING id, age, bio`,
  `UPDATE T SET bio = bio || '!' WHERE id IN (1, 2, 3, 4)`,
  `SELECT * FROM T WHERE id = 2`,
  `SELECT id, name FROM T ORDER BY id`,
  `SELECT id, bio FROM T ORDER BY id DESC LIMIT 3`,
  `SELECT count(*), sum(age), max(bio) FROM T`,
  `SELECT bio, count(*) FROM T GROUP BY bio ORDER BY count(*), bio`,
  `SELECT t.name, v.at FROM T t JOIN visits v ON v.id = t.id ORDER BY v.at`,
  `SELECT name, (SELECT count(*) FROM visits v WHERE v.id = t.id) FROM T t ORDER BY name`,
  `DELETE FROM T WHERE id = 3 RETURNING id, bio`,
  `DELETE FROM T WHERE id IN (4, 5)`,
  `SELECT * FROM T ORDER BY id`,
]

test('a sharded table that is split answers as before, through a router that has heard of it', async t => {
  const servers = await Promise.all(
    ids.map(() =>
      startPostgres(t, { settings: { max_prepared_transactions: '50', shared_buffers: '16MB' } }),
    ),
  )
  const operators = servers.map(server => operatorOf(t, server))
  const ask = (shard: string, sql: string, ms = 60_000) =>
    (operators[ids.indexOf(shard)] as (typeof operators)[number]).query(sql, ms)
  for (const shard of ids) {
    await installShardSchema({ ask: sql => ask(shard, sql), shard, map })
    await ask(
      shard,
      `${definition('people')}; ${definition('plain')}; CREATE TABLE public.visits (id bigint, at int, PRIMARY KEY (id, at)); ALTER TABLE public.visits OWNER TO app`,
    )
  }
  const groups = servers.map((server, at) => ({
    ...databaseOf({ servers: [server] }),
    name: `main-s${ids[at]}`,
  }))
  const whole = { ...databaseOf({ servers: [] }), primary: null, shards: { map, groups, systemId: 'test' } }
  const router = await createRouter({
    snapshot: { format: 1, version: 1, databases: [whole] },
    tell: () => {},
  })
  t.after(() => router.close())
  const port = router.portOf('main') as number
  const client = new pg.Client({ connectionString: `postgres://app:secret@127.0.0.1:${port}/app` })
  client.on('error', () => {})
  await client.connect()
  t.after(() => client.end())
  const answer = async (sql: string): Promise<unknown> => {
    try {
      const { rows, rowCount } = await client.query({ text: sql, rowMode: 'array' })
      return { rows, rowCount }
    } catch (error) {
      return (error as { code: string }).code
    }
  }
  await client.query('INSERT INTO visits VALUES (1, 10), (2, 20), (2, 21), (6, 60), (7, 70)')
  const split = await splitting(
    t,
    ask,
    { schema: 'public', table: 'people', cold: ['bio', 'photo'] },
    { shards: ids },
  )
  await split.until('split')
  const login = { host: '127.0.0.1', port, user: 'app', password: 'secret', database: 'app', tls: false }
  const errors = new Set<string>()
  const both = async (list: readonly string[]): Promise<void> => {
    for (const one of list) {
      const expected = await answer(one.replaceAll(/\bT\b/g, 'plain'))
      if (typeof expected === 'string') errors.add(`${expected} ${one}`)
      assert.deepEqual(await answer(one.replaceAll(/\bT\b/g, 'people')), expected, one)
    }
  }
  // Also by what the router knew before.
  await both(statements)
  await relearnThrough(login, { schema: 'public', table: 'people' })
  await both([`DELETE FROM T WHERE id IN (1, 2, 6)`, ...statements])
  await client.query('BEGIN')
  await both([`UPDATE T SET bio = 'in a block' WHERE id = 1`, `UPDATE T SET bio = 'another' WHERE id = 2`])
  await client.query('COMMIT')
  await client.query('BEGIN')
  await both([`DELETE FROM T WHERE id = 1`, `DELETE FROM T WHERE id = 2`])
  await client.query('ROLLBACK')
  split.executor.wish('finish', false)
  await split.until('done')
  await relearnThrough(login, { schema: 'public', table: 'people' })
  await both([`SELECT * FROM T ORDER BY id`, `DELETE FROM T WHERE id IN (1, 2, 6)`, ...statements])
  assert.deepEqual([...errors], [`23505 ${statements[2]}`])
  const lies = await Promise.all(
    ids.map(shard =>
      ask(
        shard,
        'SELECT count(*) FROM public.people_hot h FULL JOIN public.people_cold c USING (id) WHERE h IS NULL OR c IS NULL',
      ),
    ),
  )
  assert.deepEqual(lies.flat(2), ['0', '0'])
  const spread = await Promise.all(ids.map(shard => ask(shard, 'SELECT count(*) > 0 FROM public.people_hot')))
  assert.deepEqual(spread.flat(2), ['t', 't'])
})

test('a table that was split goes to a shard that joins, halves and view', async t => {
  const first: ShardMap = {
    ...map,
    families: {
      'public.people': { types: ['bigint'], rule: { by: 'hash', slots: [0, 1, 0, 1, 0, 1, 0, 1] } },
    },
    tables: Object.fromEntries(
      ['people', 'people_hot', 'people_cold'].map(name => [`public.${name}`, place]),
    ),
  }
  const moved = await startResharding(t, { map: first, schema: definition('people') })
  const client = await moved.client()
  await client.query(
    `INSERT INTO people (id, name, bio) VALUES ${Array.from({ length: 200 }, (_, at) => `(${at}, 'n${at}', 'bio ${at}')`).join(', ')}`,
  )
  const ask = (shard: string, sql: string, ms = 60_000) =>
    (moved.operators[Number(shard) - 1] as Session).query(sql, ms)
  const split = await splitting(
    t,
    ask,
    { schema: 'public', table: 'people', cold: ['bio', 'photo'] },
    { shards: ids, finish: true },
  )
  await split.until('done')
  await client.query('CREATE TABLE IF NOT EXISTS people ()')
  const before = (await client.query('SELECT * FROM people ORDER BY id')).rows
  assert.equal(before.length, 200)
  await moved.begin({ kind: 'even', shards: ['1', '2', '3'] }, { finish: true })
  for (let at = 0; at < 20; at++) await client.query(`UPDATE people SET bio = 'changed' WHERE id = ${at * 7}`)
  await moved.reach('done')
  const after = (await client.query('SELECT * FROM people ORDER BY id')).rows
  assert.deepEqual(
    after,
    before.map((row, at) => (at % 7 === 0 && at < 140 ? { ...row, bio: 'changed' } : row)),
  )
  const [[hot, cold] = []] = await ask(
    '3',
    'SELECT (SELECT count(*) FROM public.people_hot), (SELECT count(*) FROM public.people_cold)',
  )
  assert.ok(Number(hot) > 30)
  assert.equal(hot, cold)
  await client.query(
    "INSERT INTO people (id, name, bio) VALUES (2000, 'new', 'b'), (2001, 'new', 'c'), (2002, 'new', 'd')",
  )
  assert.equal((await client.query('SELECT count(bio) FROM people WHERE id >= 2000')).rows[0].count, '3')
})
