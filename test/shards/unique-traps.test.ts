// Columns that are unique over all shards, reached by other ways than plain statements: triggers and functions of users, views, rules,
// other encodings, names that need quotes, changes of the table itself. Either look-ups have what the rows have, or it is refused.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import pg from 'pg'
import { createRouter, type Router } from '../../src/database/router/router.ts'
import { Session } from '../../src/database/servers/session.ts'
import { installShardSchema } from '../../src/database/shards/schema/index.ts'
import { firstMap } from '../../src/policy/shard/map.ts'
import { uniquesOf } from '../../src/policy/shard/unique.ts'
import { startPostgres } from '../tools/postgres-server.ts'
import { databaseOf } from '../tools/router-harness.ts'

const ids = ['1', '2']
const spread = { kind: 'sharded', with: null, rule: { by: 'hash' } } as const
const map = firstMap({
  shards: ids,
  slots: 12,
  tables: {
    'public.people': {
      ...spread,
      key: ['id'],
      types: ['bigint'],
      unique: [{ columns: ['email'], types: ['text'] }],
    },
    'public.pages': { ...spread, key: ['person'], types: ['bigint'] },
    'public.My "Table"': {
      ...spread,
      key: ['The Key'],
      types: ['text'],
      unique: [{ columns: ["E-Mail's", 'added'], types: ['text', 'text'] }],
    },
    'public.клиенты': {
      ...spread,
      key: ['ид'],
      types: ['bigint'],
      unique: [
        { columns: ['электронная_почта_основная'], types: ['text'] },
        { columns: ['электронная_почта_запасная'], types: ['text'] },
      ],
    },
    'public.times': {
      ...spread,
      key: ['id'],
      types: ['uuid'],
      unique: [
        { columns: ['day'], types: ['date'] },
        { columns: ['at', 'flag'], types: ['timestamptz', 'boolean'] },
        { columns: ['plain'], types: ['timestamp'] },
        { columns: ['small'], types: ['smallint'] },
      ],
    },
  },
})

const tables = [
  'CREATE TABLE people (id bigint PRIMARY KEY, email text UNIQUE, seen integer DEFAULT 0)',
  'CREATE TABLE pages (person bigint)',
  `CREATE TABLE "My ""Table""" ("The Key" text PRIMARY KEY, "E-Mail's" text, added text, UNIQUE ("E-Mail's", added))`,
  'CREATE TABLE клиенты (ид bigint PRIMARY KEY, электронная_почта_основная text UNIQUE, электронная_почта_запасная text UNIQUE)',
  `CREATE TABLE times (id uuid PRIMARY KEY, day date UNIQUE, at timestamptz, flag boolean, plain timestamp UNIQUE,
    small smallint UNIQUE, UNIQUE (at, flag))`,
]

const endings: (() => Promise<void> | void)[] = []
const scope = { after: (end: unknown) => void endings.push(end as () => void) } as never
let operators: readonly Session[]
let router: Router
let url: string
let client: pg.Client

const asText = { getTypeParser: () => (value: string) => value } as never

async function opened(options?: object): Promise<pg.Client> {
  const made = new pg.Client({ connectionString: url, types: asText, ...options })
  made.on('error', () => {})
  await made.connect()
  return made
}

before(async () => {
  const settings = { max_prepared_transactions: '20', shared_buffers: '16MB' }
  const servers = await Promise.all(ids.map(() => startPostgres(scope, { settings })))
  operators = servers.map(
    ({ host, port }) =>
      new Session(() => ({ host, port, database: 'app', user: 'tenfold', password: 'secret' })),
  )
  for (const [index, operator] of operators.entries()) {
    await installShardSchema({ ask: sql => operator.query(sql, 20_000), shard: ids[index] as string, map })
    await operator.query('GRANT ALL ON SCHEMA public TO app', 20_000)
  }
  const groups = servers.map((server, index) => ({
    ...databaseOf({ servers: [server] }),
    name: `main.${ids[index]}`,
  }))
  const whole = { ...databaseOf({ servers: [] }), primary: null, shards: { map, groups, systemId: 'test' } }
  router = await createRouter({ snapshot: { format: 1, version: 1, databases: [whole] }, tell: () => {} })
  url = `postgres://app:secret@127.0.0.1:${router.portOf('main')}/app`
  client = await opened()
  for (const table of tables) await client.query(table)
})

test.after(async () => {
  await client?.end().catch(() => {})
  router?.close()
  for (const operator of operators ?? []) operator.close()
  for (const end of endings.reverse()) await end()
})

/** '': it went through; else its code, and detail where the router refused. */
async function said(text: string, values?: readonly unknown[], by = client): Promise<string> {
  try {
    await by.query({ text, ...(values && { values: [...values] }) })
    return ''
  } catch (error) {
    const { code, detail, message } = error as pg.DatabaseError
    return [code ?? message, detail?.startsWith('shard-') ? detail : ''].filter(Boolean).join(' ')
  }
}

async function rowsOf(sql: string): Promise<string[]> {
  const answers = await Promise.all(operators.map(operator => operator.query(sql, 20_000)))
  return answers
    .flat()
    .map(row => row.join('|'))
    .sort()
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** Look-ups have what the rows have, and nothing waits to be taken. */
async function kept(): Promise<void> {
  for (const { table, lookup, columns, key } of [...uniquesOf(map).values()].flat()) {
    const named = [...columns, ...key].map(quoted)
    const known = columns.map(column => `${quoted(column)} IS NOT NULL`).join(' AND ')
    const [schema, bare] = [table.slice(0, 6), table.slice(7)]
    const inLookup = lookup.slice('tenfold_unique.'.length)
    assert.deepEqual(
      await rowsOf(`SELECT * FROM tenfold_unique.${quoted(inLookup)}`),
      await rowsOf(`SELECT ${named.join(', ')} FROM ${schema}.${quoted(bare)} WHERE ${known}`),
      lookup,
    )
  }
  assert.deepEqual(await rowsOf('SELECT lookup FROM tenfold.unique_changes'), [])
  assert.deepEqual(await rowsOf('SELECT xact FROM tenfold.unique_unread'), [])
}

/** Each as a client says it, and what he is told; look-ups are right after each. */
async function tried(attempts: readonly (readonly [string, string])[]): Promise<void> {
  for (const [sql, expected] of attempts) {
    assert.equal(await said(sql), expected, sql)
    await client.query('RESET ALL')
    await kept().catch(error => assert.fail(`${sql}: ${(error as Error).message}`))
  }
}

const many = Array.from({ length: 12 }, (_, n) => n)

test('names that need quotes, and columns that are called as variables of ours', async () => {
  for (const n of many)
    assert.equal(await said(`INSERT INTO "My ""Table""" VALUES ('k${n}', 'm', 'a${n}')`), '')
  for (const n of many)
    assert.equal(await said(`INSERT INTO "My ""Table""" VALUES ('other${n}', 'm', 'a${n}')`), '23505')
  assert.equal(await said(`UPDATE "My ""Table""" SET added = 'a2' WHERE "The Key" = 'k1'`), '23505')
  assert.equal(await said(`UPDATE "My ""Table""" SET added = 'it''s \\ "new"' WHERE "The Key" = 'k1'`), '')
  await kept()
})

test('names in other alphabets, longer in bytes than in letters', async () => {
  for (const n of many)
    assert.equal(await said(`INSERT INTO клиенты VALUES (${n}, 'один${n}', 'два${n}')`), '')
  for (const n of many) {
    assert.equal(await said(`INSERT INTO клиенты VALUES (${n + 100}, 'один${n}', 'иное${n}')`), '23505')
    assert.equal(await said(`INSERT INTO клиенты VALUES (${n + 100}, 'иное${n}', 'два${n}')`), '23505')
  }
  await kept()
})

test('times, flags and small numbers, also the strange ones', async () => {
  const rows = [
    `'infinity', 'infinity', true, '-infinity', 1`,
    `'0044-03-15 BC', '0044-03-15 12:00:00.000001 BC', false, '0044-03-15 BC', -1`,
    `'12026-01-01', '12026-01-01 00:00+02', true, '12026-01-01 00:00:00.5', 32767`,
    `'2026-01-01', '2026-01-01 00:00+02', true, '2026-01-01', 0`,
  ]
  const id = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`
  for (const [n, row] of rows.entries())
    assert.equal(await said(`INSERT INTO times VALUES ('${id(n)}', ${row})`), '', row)
  for (const [n, row] of rows.entries())
    for (const m of [10, 20, 30])
      assert.equal(await said(`INSERT INTO times VALUES ('${id(m + n)}', ${row})`), '23505', row)
  const elsewhere = await opened({ options: '-c datestyle=German,DMY -c timezone=Asia/Kathmandu' })
  for (const m of many)
    assert.equal(
      await said(
        `INSERT INTO times (id, at, flag) VALUES ('${id(200 + m)}', '2026-01-01 03:45+05:45', true)`,
        undefined,
        elsewhere,
      ),
      '23505',
    )
  await elsewhere.end()
  await kept()
})

test('other encodings of clients', async () => {
  const latin = await opened({ options: '-c client_encoding=LATIN1' }).catch(error => String(error))
  if (typeof latin === 'string') return
  const told = await said(
    `INSERT INTO people VALUES (5000, convert_from('\\xc3a9', 'UTF8'))`,
    undefined,
    latin,
  )
  await latin.end()
  await kept()
  if (told === '')
    for (const n of many) assert.equal(await said(`INSERT INTO people VALUES (${5001 + n}, 'é')`), '23505')
})

test('texts with all that JSON and SQL escape, and long ones', async () => {
  const values = [
    '',
    '\u0001\u001f\t\n\r',
    '\\u0000',
    '"',
    "'",
    '😀',
    '\u2028',
    'e\u0301',
    'è',
    'x'.repeat(200),
    '{}',
    '$1',
    '\\',
  ]
  for (const [n, value] of values.entries())
    assert.equal(await said('INSERT INTO people VALUES ($1, $2)', [6000 + n, value]), '', value)
  for (const [n, value] of values.entries())
    for (const m of [100, 200, 300])
      assert.equal(await said('INSERT INTO people VALUES ($1, $2)', [6000 + n + m, value]), '23505', value)
  await kept()
})

test('triggers of users, before and after', async () => {
  for (const operator of operators)
    await operator.query(
      `CREATE FUNCTION public.lowered() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.email := lower(NEW.email); RETURN NEW; END $$;
       CREATE FUNCTION public.marked() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
         IF NEW.email LIKE 'mark%' THEN UPDATE public.people SET email = 'was ' || email WHERE id = NEW.id; END IF;
         IF NEW.email LIKE 'gone%' THEN DELETE FROM public.people WHERE id = NEW.id; END IF;
         RETURN NULL; END $$;
       CREATE TRIGGER lowered BEFORE INSERT OR UPDATE ON public.people FOR EACH ROW EXECUTE FUNCTION public.lowered();
       CREATE TRIGGER marked AFTER INSERT ON public.people FOR EACH ROW EXECUTE FUNCTION public.marked()`,
      20_000,
    )
  for (const n of many) assert.equal(await said(`INSERT INTO people VALUES (${7000 + n}, 'LOUD${n}')`), '')
  for (const n of many)
    assert.equal(await said(`INSERT INTO people VALUES (${7100 + n}, 'loud${n}')`), '23505')
  await kept()
  for (const n of many) assert.equal(await said(`INSERT INTO people VALUES (${7200 + n}, 'mark${n}')`), '')
  await kept()
  for (const n of many)
    assert.equal(await said(`INSERT INTO people VALUES (${7300 + n}, 'was mark${n}')`), '23505')
  for (const n of many) assert.equal(await said(`INSERT INTO people VALUES (${7400 + n}, 'gone${n}')`), '')
  await kept()
  for (const operator of operators)
    await operator.query(
      'DROP TRIGGER lowered ON public.people; DROP TRIGGER marked ON public.people',
      20_000,
    )
})

test('more rows than are taken at once: all get other values, and all go', async () => {
  await client.query('SET tenfold.allow_broadcast = on')
  const rows = Array.from({ length: 12_000 }, (_, n) => `(${100_000 + n}, 'mail${n}')`)
  assert.equal(await said(`INSERT INTO people (id, email) VALUES ${rows.join(', ')}`), '')
  const next = `UPDATE people SET email = 'mail' || (id - 99999 - CASE id WHEN 111999 THEN 12000 ELSE 0 END) WHERE id >= 100000`
  // A shard's own constraint is for each row as it comes.
  assert.equal(await said(next.replace("'mail'", "'other'")), '')
  await kept()
  assert.equal(await said(`INSERT INTO people (id, email) VALUES (200000, 'other0')`), '23505')
  assert.equal(await said(next), '')
  await kept()
  assert.equal(
    await said(`UPDATE people SET email = 'one' WHERE id IN (100000, 100001, 100002, 100003)`),
    '23505',
  )
  assert.equal(await said('DELETE FROM people WHERE id >= 100000'), '')
  await kept()
  await client.query('RESET ALL')
})

test('functions, views, rules, DO: kept, or refused', async () => {
  for (const operator of operators)
    await operator.query(
      `CREATE FUNCTION public.add_person(n bigint, mail text) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.people VALUES (n, mail); RETURN n; END $$;
       CREATE FUNCTION public.churn(n bigint) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN
         INSERT INTO public.people VALUES (n, 'churn a'); DELETE FROM public.people WHERE id = n;
         INSERT INTO public.people VALUES (n, 'churn b'); UPDATE public.people SET email = 'churn c' WHERE id = n; RETURN n; END $$;
       CREATE PROCEDURE public.add_person_too(n bigint, mail text) LANGUAGE sql AS $$ INSERT INTO public.people VALUES (n, mail) $$`,
      20_000,
    )
  await tried([
    [`SELECT add_person(8000, 'by function')`, '0A000 shard-unique'],
    [`SELECT add_person(id + 1000000, 'of a row') FROM people WHERE id = 7000`, '0A000 shard-unique'],
    [`SELECT churn(id + 1000000) FROM people WHERE id = 6000`, '0A000 shard-unique'],
    [`CALL add_person_too(8001, 'by procedure')`, '0A000 shard-code'],
    [`DO $$ BEGIN INSERT INTO public.people VALUES (8002, 'by do'); END $$`, '0A000 shard-code'],
    [`DO $$ BEGIN PERFORM tenfold.unique_take(10); END $$`, '0A000 shard-statement'],
    [`CREATE VIEW seen_people AS SELECT * FROM people`, ''],
    [`INSERT INTO seen_people VALUES (8003, 'by view')`, '0A000 shard-table-unknown'],
    [`UPDATE seen_people SET email = 'by view too' WHERE id = 6001`, '0A000 shard-table-unknown'],
    [`DELETE FROM seen_people WHERE id = 6002`, '0A000 shard-table-unknown'],
    [`CREATE RULE also AS ON INSERT TO people DO ALSO INSERT INTO pages VALUES (NEW.id)`, ''],
    [`INSERT INTO people VALUES (8003, 'by rule')`, ''],
    [`DROP RULE also ON people`, ''],
    [`CREATE RULE also AS ON INSERT TO pages DO ALSO INSERT INTO people VALUES (NEW.person, 'by page')`, ''],
    [`INSERT INTO pages VALUES (8100)`, ''],
    [`INSERT INTO pages VALUES (8101)`, '23505'],
    [`DROP RULE also ON pages`, ''],
    [`INSERT INTO pages VALUES (8102)`, ''],
    [
      `WITH made AS (INSERT INTO people VALUES (8004, 'by with') RETURNING id) SELECT * FROM made`,
      '0A000 shard-nested-write',
    ],
    [`SET search_path = tenfold, public; SELECT unique_take(10)`, ''],
    [`SELECT * FROM "tenfold"."unique_take"(1)`, '0A000 shard-statement'],
    [`DELETE FROM tenfold.unique_changes`, '0A000 shard-statement'],
    [`TABLE tenfold_unique."public$people$email"`, '0A000 shard-statement'],
    [
      `SELECT U&"tenfold!005funique" UESCAPE '!'."public$people$email"('[]', '[]', true)`,
      '0A000 shard-statement',
    ],
    [`SET session_replication_role = replica`, '42501'],
    [`CREATE TABLE kids () INHERITS (people)`, '0A000 shard-table-unknown'],
  ])
})

test('the table itself is changed', async () => {
  await tried([
    [`ALTER TABLE people ALTER COLUMN email TYPE text USING upper(email)`, '0A000 shard-unique'],
    [`ALTER TABLE people DROP COLUMN email, ADD COLUMN email text UNIQUE`, '0A000 shard-unique'],
    [`ALTER TABLE people RENAME COLUMN email TO mail`, '0A000 shard-unique'],
    [`ALTER TABLE people RENAME TO humans`, '0A000 shard-rename'],
    // Ours go on, whatever is done to them.
    [`ALTER TABLE people DISABLE TRIGGER USER`, ''],
    [`INSERT INTO people VALUES (8500, 'switched off')`, ''],
    [`INSERT INTO people VALUES (8501, 'switched off'), (8502, 'not there')`, '23505'],
    [`ALTER TRIGGER "tenfold_unique_i_public$people$email" ON people RENAME TO mine`, ''],
    [`INSERT INTO people VALUES (8503, 'called anew')`, ''],
    [`DROP TRIGGER "tenfold_unique_u_public$people$email" ON people`, ''],
    [`UPDATE people SET email = 'dropped' WHERE id = 8503`, ''],
    [`INSERT INTO people VALUES (8504, 'called anew')`, ''],
    [`ALTER TABLE people ADD COLUMN further text`, ''],
    [`TRUNCATE people RESTART IDENTITY`, ''],
    [
      `BEGIN; INSERT INTO people VALUES (1, 'a'); TRUNCATE people; INSERT INTO people VALUES (2, 'a'); COMMIT`,
      '',
    ],
    [`DROP TABLE people CASCADE; ${tables[0]}`, ''],
    [`INSERT INTO people VALUES (3, 'a')`, ''],
  ])
})
