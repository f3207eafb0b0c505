// Real clients in several languages' libraries, through a router: what works with PostgreSQL works here. Each case runs
// against PostgreSQL itself, too: what it expects is not our opinion.

import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { after, before, describe, type TestContext, test } from 'node:test'
import { sql as drizzleSql, eq } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { integer, pgTable, serial, text } from 'drizzle-orm/pg-core'
import { drizzle as drizzlePostgres } from 'drizzle-orm/postgres-js'
import { type Generated, Kysely, sql as kyselySql, PostgresDialect } from 'kysely'
import pg from 'pg'
import postgres from 'postgres'
import { bytesFrame } from '../../src/wire/postgres/compose.ts'
import {
  bindMessage,
  cancelRequest,
  closeMessage,
  copyDoneMessage,
  copyFailMessage,
  describeMessage,
  executeMessage,
  flushMessage,
  frontend,
  parseMessage,
  queryMessage,
  statementTarget,
  syncMessage,
} from '../../src/wire/postgres/index.ts'
import { type PeerTarget, PostgresPeer } from '../tools/postgres-peer.ts'
import { startPostgres } from '../tools/postgres-server.ts'
import { startRouter } from '../tools/router-harness.ts'

interface Place extends PeerTarget {
  readonly url: string
}

type Start = (ending: Pick<TestContext, 'after'>) => Promise<Place>

const places: Readonly<Record<string, Start>> = {
  'through the router': async ending => {
    const server = await startPostgres(ending)
    const router = await startRouter(ending, { servers: [server], pool: { sizeMax: 8 } })
    const { host, port, url } = router
    return { host, port, database: 'app', user: 'app', password: 'secret', url }
  },
  'PostgreSQL itself': async ending => {
    const server = await startPostgres(ending)
    const { host, port, database } = server
    const url = `postgres://app:secret@${host}:${port}/${database}`
    return { host, port, database, user: 'app', password: 'secret', url }
  },
}

for (const [name, start] of Object.entries(places)) {
  describe(name, () => {
    const ends: (() => Promise<void> | void)[] = []
    let place: Place
    before(async () => {
      place = await start({ after: end => void ends.push(end as () => void) })
    })
    after(async () => {
      for (const end of ends.reverse()) await end()
    })
    cases(() => place)
  })
}

async function withClient<T>(place: Place, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: place.url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

function fails(code: string): (error: unknown) => boolean {
  return error => {
    assert.equal((error as { code?: string }).code, code, String(error))
    return true
  }
}

function cases(at: () => Place): void {
  // --- pg -------------------------------------------------------------------------------------------------------

  test('pg: values of many types come back as they went', () =>
    withClient(at(), async client => {
      const { rows } = await client.query({
        text: `SELECT $1::int8 AS big, $2::numeric AS exact, $3::timestamptz AS at, $4::jsonb AS json, $5::bytea AS bytes,
          $6::text[] AS list, $7::uuid AS id, $8::bool AS yes, $9::text AS nothing, $10::text AS empty, $11::text AS word,
          $12::int4range AS range, $13::float8 AS half`,
        values: [
          '9007199254740993',
          '12345678901234567890.000000000000000001',
          new Date('2026-01-02T03:04:05.678Z'),
          { deep: [1, null, 'ü'] },
          Buffer.from([0, 1, 255, 92, 39]),
          ['a', 'b,c', 'd"e', null],
          '0b0f6b4a-4f0e-4f0c-8f27-1a2b3c4d5e6f',
          true,
          null,
          '',
          'Zürich 🦩 \\ \' " \n',
          '[1,5)',
          0.5,
        ],
      })
      assert.deepEqual(rows[0], {
        big: '9007199254740993',
        exact: '12345678901234567890.000000000000000001',
        at: new Date('2026-01-02T03:04:05.678Z'),
        json: { deep: [1, null, 'ü'] },
        bytes: Buffer.from([0, 1, 255, 92, 39]),
        list: ['a', 'b,c', 'd"e', null],
        id: '0b0f6b4a-4f0e-4f0c-8f27-1a2b3c4d5e6f',
        yes: true,
        nothing: null,
        empty: '',
        word: 'Zürich 🦩 \\ \' " \n',
        range: '[1,5)',
        half: 0.5,
      })
    }))

  test('pg: a transaction commits as a whole or not at all', () =>
    withClient(at(), async client => {
      await client.query('CREATE TABLE pg_transactions (n int PRIMARY KEY)')
      await client.query('BEGIN')
      await client.query('INSERT INTO pg_transactions VALUES (1)')
      await client.query('SAVEPOINT one')
      await assert.rejects(client.query('INSERT INTO pg_transactions VALUES (1)'), fails('23505'))
      await assert.rejects(client.query('SELECT 1'), fails('25P02'))
      await client.query('ROLLBACK TO one')
      await client.query('INSERT INTO pg_transactions VALUES (2)')
      await client.query('COMMIT')
      await client.query('BEGIN')
      await client.query('INSERT INTO pg_transactions VALUES (3)')
      await assert.rejects(client.query('SELECT 1/0'), fails('22012'))
      assert.equal((await client.query('COMMIT')).command, 'ROLLBACK')
      const { rows } = await client.query('SELECT n FROM pg_transactions ORDER BY n')
      assert.deepEqual(rows, [{ n: 1 }, { n: 2 }])
    }))

  test('pg: an error says all that PostgreSQL says of it, and the next statement works', () =>
    withClient(at(), async client => {
      await client.query('CREATE TABLE pg_errors (n int CONSTRAINT small CHECK (n < 5))')
      const error = await client.query('INSERT INTO pg_errors VALUES (9)').catch(reason => reason)
      const { code, severity, table, constraint, schema, detail } = error as pg.DatabaseError
      assert.deepEqual(
        [code, severity, table, constraint, schema],
        ['23514', 'ERROR', 'pg_errors', 'small', 'public'],
      )
      assert.match(detail ?? '', /Failing row/)
      const syntax = await client.query('SELEC 1').catch(reason => reason)
      assert.deepEqual([syntax.code, syntax.position], ['42601', '1'])
      assert.equal((await client.query('SELECT 1 AS one')).rows[0].one, 1)
    }))

  test('pg: statements of the same name and other text stay those of their clients', async () => {
    const clients = [0, 1, 2].map(() => new pg.Client({ connectionString: at().url }))
    for (const client of clients) await client.connect()
    for (let round = 0; round < 5; round++) {
      const answers = await Promise.all(
        clients.map((client, index) =>
          client.query({ name: 'same', text: `SELECT ${index} + $1::int AS n`, values: [round] }),
        ),
      )
      assert.deepEqual(
        answers.map(answer => answer.rows[0].n),
        [round, 1 + round, 2 + round],
      )
    }
    for (const client of clients) await client.end()
  })

  test('pg: a prepared statement survives a change of its table', () =>
    withClient(at(), async client => {
      await client.query('CREATE TABLE pg_changed (a int)')
      await client.query('INSERT INTO pg_changed VALUES (1)')
      const named = { name: 'count', text: 'SELECT count(*)::int AS n FROM pg_changed WHERE a = $1' }
      assert.equal((await client.query({ ...named, values: [1] })).rows[0].n, 1)
      await client.query('ALTER TABLE pg_changed ALTER COLUMN a TYPE int8')
      assert.equal((await client.query({ ...named, values: [1] })).rows[0].n, 1)
    }))

  test('pg: notices reach the client that caused them, in their order', () =>
    withClient(at(), async client => {
      const notices: (string | undefined)[] = []
      client.on('notice', notice => notices.push(notice.message))
      await client.query("DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two ü'; END $$")
      await client.query('DROP TABLE IF EXISTS no_such_table')
      assert.deepEqual(notices, ['one', 'two ü', 'table "no_such_table" does not exist, skipping'])
    }))

  test('pg: LISTEN hears what others notify, once their transaction has committed', () =>
    withClient(at(), async listener => {
      const heard: string[] = []
      listener.on('notification', message => heard.push(`${message.channel} ${message.payload}`))
      await listener.query('LISTEN films')
      await withClient(at(), async client => {
        await client.query("NOTIFY films, 'first'")
        await client.query('BEGIN')
        await client.query("SELECT pg_notify('films', 'rolled back')")
        await client.query('ROLLBACK')
        await client.query('BEGIN')
        await client.query("SELECT pg_notify('films', 'zweitens ü')")
        await client.query('COMMIT')
        await client.query("NOTIFY other, 'nobody listens'")
      })
      await until(() => heard.length >= 2)
      await listener.query('UNLISTEN films')
      assert.deepEqual(heard, ['films first', 'films zweitens ü'])
    }))

  test('pg: several statements in one text give several results, and are one transaction', () =>
    withClient(at(), async client => {
      const results = (await client.query(
        'SELECT 1 AS a; SELECT 2 AS b, 3 AS c',
      )) as unknown as pg.QueryResult[]
      assert.deepEqual(
        results.map(result => result.rows),
        [[{ a: 1 }], [{ b: 2, c: 3 }]],
      )
      await client.query('CREATE TABLE pg_several (n int)')
      await assert.rejects(client.query('INSERT INTO pg_several VALUES (1); SELECT 1/0'), fails('22012'))
      assert.equal((await client.query('SELECT count(*)::int AS n FROM pg_several')).rows[0].n, 0)
    }))

  test('pg: settings of a client are its own, over transactions and beside others', async () => {
    const clients = [0, 1, 2, 3].map(() => new pg.Client({ connectionString: at().url }))
    for (const client of clients) await client.connect()
    await Promise.all(
      clients.map((client, index) => client.query(`SET TIME ZONE INTERVAL '+0${index}:00' HOUR TO MINUTE`)),
    )
    await Promise.all(
      clients.map((client, index) => client.query(`SET application_name = 'client ${index}'`)),
    )
    for (let round = 0; round < 3; round++) {
      const answers = await Promise.all(
        clients.map(client =>
          client.query(
            "SELECT current_setting('application_name') AS name, extract(timezone FROM now())::int / 3600 AS zone",
          ),
        ),
      )
      assert.deepEqual(
        answers.map(answer => answer.rows[0]),
        clients.map((_, index) => ({ name: `client ${index}`, zone: index })),
      )
    }
    for (const client of clients) await client.end()
  })

  test('pg: a statement that runs is cancelled, and its connection goes on', () =>
    withClient(at(), async client => {
      const running = assert.rejects(client.query('SELECT pg_sleep(60)'), fails('57014'))
      await sleeps(at(), 1)
      const { processID, secretKey } = client as unknown as { processID: number; secretKey: number }
      const key = Buffer.alloc(4)
      key.writeInt32BE(secretKey)
      const peer = await PostgresPeer.connect(at())
      peer.write(cancelRequest(processID, key))
      assert.deepEqual(await peer.rest(), [], 'a cancel request is never answered')
      await running
      assert.equal((await client.query('SELECT 7 AS n')).rows[0].n, 7)
    }))

  test('pg: a parameter and a row of 50 MB pass', () =>
    withClient(at(), async client => {
      const text = 'x'.repeat(50_000_000)
      const { rows } = await client.query('SELECT $1::text AS back, length($1) AS size', [text])
      assert.equal(rows[0].size, 50_000_000)
      assert.ok(rows[0].back === text)
    }))

  test('pg: a hundred thousand rows come whole and in order', () =>
    withClient(at(), async client => {
      const { rows } = await client.query(
        'SELECT n, md5(n::text) AS hash FROM generate_series(1, 100000) AS n',
      )
      assert.equal(rows.length, 100_000)
      assert.ok(rows.every((row, index) => row.n === index + 1 && row.hash.length === 32))
    }))

  // --- postgres.js ----------------------------------------------------------------------------------------------

  test('postgres.js: pipelined statements are answered in their order, errors among them', async () => {
    const sql = connectPostgres(at(), 1)
    const answers = await Promise.allSettled(
      Array.from({ length: 200 }, (_, index) =>
        index % 10 === 3 ? sql`SELECT 1 / (${index}::int - ${index}::int)` : sql`SELECT ${index}::int AS n`,
      ),
    )
    answers.forEach((answer, index) => {
      if (index % 10 === 3) assert.equal(answer.status === 'rejected' && answer.reason.code, '22012')
      else assert.equal(answer.status === 'fulfilled' && answer.value[0]?.n, index)
    })
    await sql.end()
  })

  test('postgres.js: types, transactions, savepoints and cursors', async () => {
    const sql = connectPostgres(at(), 3)
    await sql`CREATE TABLE postgres_js (id serial PRIMARY KEY, tags text[], data jsonb, at timestamptz)`
    const at1 = new Date('2026-05-06T07:08:09.010Z')
    await sql.begin(async transaction => {
      await transaction`INSERT INTO postgres_js ${transaction([{ tags: ['a', 'b'], data: { x: 1 }, at: at1 }])}`
      await transaction
        .savepoint(async savepoint => {
          await savepoint`INSERT INTO postgres_js (tags) VALUES ('{}')`
          throw new Error('taken back')
        })
        .catch(() => {})
    })
    await assert.rejects(
      sql.begin(async transaction => {
        await transaction`INSERT INTO postgres_js (tags) VALUES ('{}')`
        await transaction`SELECT 1/0`
      }),
      fails('22012'),
    )
    const rows = await sql`SELECT tags, data, at FROM postgres_js`
    assert.deepEqual([...rows], [{ tags: ['a', 'b'], data: { x: 1 }, at: at1 }])
    const seen: number[] = []
    for await (const part of sql`SELECT n FROM generate_series(1, 25) AS n`.cursor(10)) seen.push(part.length)
    assert.deepEqual(seen, [10, 10, 5])
    await sql.end()
  })

  test('postgres.js: COPY in and out, a million bytes each way', async () => {
    const sql = connectPostgres(at(), 1)
    await sql`CREATE TABLE postgres_copy (n int, word text)`
    const lines = Array.from({ length: 50_000 }, (_, n) => `${n}\tword ${n} ü\n`)
    await pipeline(Readable.from(lines), await sql`COPY postgres_copy FROM STDIN`.writable())
    const [sum] = await sql`SELECT count(*)::int AS n, sum(n)::int8 AS sum FROM postgres_copy`
    assert.deepEqual({ ...sum }, { n: 50_000, sum: '1249975000' })
    let out = ''
    for await (const chunk of await sql`COPY (SELECT * FROM postgres_copy ORDER BY n) TO STDOUT`.readable())
      out += chunk
    assert.equal(out, lines.join(''))
    await sql.end()
  })

  test('postgres.js: cancel, listen and notify', async () => {
    const sql = connectPostgres(at(), 2)
    const sleeping = sql`SELECT pg_sleep(61)`
    const rejected = assert.rejects(sleeping.execute(), fails('57014'))
    await sleeps(at(), 1)
    sleeping.cancel()
    await rejected
    const heard: string[] = []
    const { unlisten } = await sql.listen('orders', payload => heard.push(payload))
    await sql.notify('orders', 'paid')
    await until(() => heard.length > 0)
    await unlisten()
    assert.deepEqual(heard, ['paid'])
    await sql.end()
  })

  // --- query builders -------------------------------------------------------------------------------------------

  test('Kysely: schema, inserts, joins, a transaction that is taken back, a stream', async () => {
    interface Tables {
      kysely_film: { id: Generated<number>; title: string }
      kysely_seat: { film_id: number; row: number; taken: boolean }
    }
    const pool = new pg.Pool({ connectionString: at().url, max: 3 })
    const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
    await db.schema
      .createTable('kysely_film')
      .addColumn('id', 'serial', column => column.primaryKey())
      .addColumn('title', 'text', column => column.notNull().unique())
      .execute()
    await db.schema
      .createTable('kysely_seat')
      .addColumn('film_id', 'integer', column => column.references('kysely_film.id'))
      .addColumn('row', 'integer')
      .addColumn('taken', 'boolean')
      .execute()
    const film = await db
      .insertInto('kysely_film')
      .values({ title: 'Metropolis' })
      .returningAll()
      .executeTakeFirstOrThrow()
    const seats = [1, 2, 3].map(row => ({ film_id: film.id, row, taken: row === 2 }))
    await db.insertInto('kysely_seat').values(seats).execute()
    await assert.rejects(
      db.transaction().execute(async transaction => {
        await transaction.deleteFrom('kysely_seat').execute()
        await transaction.insertInto('kysely_film').values({ title: 'Metropolis' }).execute()
      }),
      fails('23505'),
    )
    const free = await db
      .selectFrom('kysely_seat')
      .innerJoin('kysely_film', 'kysely_film.id', 'kysely_seat.film_id')
      .select(['title', 'row'])
      .where('taken', '=', false)
      .orderBy('row')
      .execute()
    assert.deepEqual(free, [
      { title: 'Metropolis', row: 1 },
      { title: 'Metropolis', row: 3 },
    ])
    const { rows } = await kyselySql<{ n: number }>`SELECT ${4}::int AS n`.execute(db)
    assert.deepEqual(rows, [{ n: 4 }])
    await db.destroy()
  })

  test('Drizzle, over pg and over postgres.js', async () => {
    const pool = new pg.Pool({ connectionString: at().url, max: 2 })
    const client = connectPostgres(at(), 2)
    await pool.query('CREATE TABLE drizzle_films (id serial PRIMARY KEY, title text NOT NULL, year integer)')
    const films = pgTable('drizzle_films', {
      id: serial('id').primaryKey(),
      title: text('title').notNull(),
      year: integer('year'),
    })
    for (const db of [drizzle(pool), drizzlePostgres(client)]) {
      // Both have the same methods; their types differ in what `execute` gives.
      const one = db as ReturnType<typeof drizzle>
      const [made] = await one.insert(films).values({ title: 'M', year: 1931 }).returning()
      assert.equal(made?.year, 1931)
      const undone = one.transaction(async transaction => {
        await transaction.update(films).set({ year: 1 })
        transaction.rollback()
      })
      await assert.rejects(undone, /Rollback/)
      const found = await one
        .select()
        .from(films)
        .where(eq(films.id, made?.id ?? 0))
      assert.deepEqual(found, [{ id: made?.id, title: 'M', year: 1931 }])
      const counted = one
        .select({ n: drizzleSql<number>`count(*)::int` })
        .from(films)
        .prepare('drizzle_count')
      assert.equal((await counted.execute())[0]?.n, made?.id)
    }
    await client.end()
    await pool.end()
  })

  // --- psql and pgbench -----------------------------------------------------------------------------------------

  test('psql: a script with \\copy, \\gexec, \\d and variables', async t => {
    const directory = temporary(t)
    const data = join(directory, 'films.csv')
    writeFileSync(data, 'title,year\nM,1931\n"Metropolis, the film",1927\n')
    const script = `
      CREATE TABLE psql_films (title text, year int);
      \\copy psql_films FROM '${data}' WITH (FORMAT csv, HEADER)
      \\copy (SELECT title FROM psql_films ORDER BY year) TO STDOUT
      SELECT format('COMMENT ON TABLE %I IS %L', 'psql_films', 'all of them') \\gexec
      \\set year 1930
      SELECT count(*) FROM psql_films WHERE year < :year;
      BEGIN; DELETE FROM psql_films; ROLLBACK;
      SELECT count(*) FROM psql_films;
      SELECT obj_description('psql_films'::regclass);
      \\d psql_films
    `
    const { out, error, code } = await psql(at(), script)
    assert.equal(`${code} ${error}`, '0 ')
    assert.match(out, /Metropolis, the film\nM\n/)
    assert.match(out, /all of them/)
    assert.match(out, /title\|text\|/)
    assert.deepEqual(
      out.split('\n').filter(line => /^\d+$/.test(line)),
      ['1', '2'],
    )
  })

  test('psql: an error ends a script where it should, with its place', async () => {
    const { code, error } = await psql(at(), "SELECT 1;\nSELECT * FROM nowhere;\nSELECT 'not reached';")
    assert.equal(code, 3)
    assert.match(error, /ERROR: +relation "nowhere" does not exist\s+LINE 1/)
  })

  test('psql: an interrupt cancels what runs', async () => {
    const child = spawn('psql', [...psqlArguments(at()), '-c', 'SELECT pg_sleep(62)'], {
      env: psqlEnvironment(at()),
    })
    let said = ''
    child.stderr.on('data', chunk => {
      said += chunk
    })
    await sleeps(at(), 1)
    child.kill('SIGINT')
    const [code] = await once(child, 'exit')
    assert.notEqual(code, 0)
    assert.match(said, /canceling statement due to user request/)
  })

  test('pgbench: simple, extended, prepared and pipelined, and no money is lost', async t => {
    assert.equal((await pgbench(at(), ['-i', '-s', '1', '-q'])).code, 0)
    for (const protocol of ['simple', 'extended', 'prepared']) {
      for (const kind of [['-S'], ['-N'], []]) {
        const run = await pgbench(at(), ['-n', '-M', protocol, '-c', '8', '-t', '25', ...kind])
        assert.equal(run.code, 0, run.out)
        assert.match(run.out, /transactions actually processed: 200\/200/)
        assert.match(run.out, /failed transactions: 0 /)
      }
    }
    const file = join(temporary(t), 'pipeline.sql')
    writeFileSync(file, pipelined)
    for (const protocol of ['extended', 'prepared']) {
      const run = await pgbench(at(), ['-n', '-M', protocol, '-c', '4', '-t', '25', '-f', file])
      assert.match(run.out, /transactions actually processed: 100\/100/, run.out)
    }
    await withClient(at(), async client => {
      const { rows } = await client.query(`SELECT (SELECT sum(bbalance) FROM pgbench_branches) AS branches,
        (SELECT sum(tbalance) FROM pgbench_tellers) AS tellers,
        (SELECT sum(delta) FROM pgbench_history WHERE bid > 0) AS history, (SELECT count(*)::int FROM pgbench_history) AS n`)
      assert.equal(rows[0].branches, rows[0].tellers)
      assert.equal(rows[0].n, 2 * 3 * 200)
    })
  })

  // --- by hand --------------------------------------------------------------------------------------------------

  test('after an error inside a batch everything up to its Sync is passed over, and only that', async () => {
    const peer = await PostgresPeer.logIn(at())
    const run = (sql: string): Buffer[] => [
      parseMessage('', sql),
      bindMessage('', '', []),
      executeMessage('', 0),
    ]
    peer.write(
      ...run('SELECT 1'),
      ...run('SELECT 1/0'),
      ...run('SELECT 2'),
      syncMessage,
      ...run('SELECT 3'),
      syncMessage,
    )
    assert.equal(await peer.types(2), '1 2 D C 1 E22012 ZI 1 2 D C ZI')
    peer.write(
      parseMessage('', 'SELEC'),
      queryMessage('SELECT 1'),
      describeMessage(statementTarget, ''),
      syncMessage,
    )
    assert.equal(await peer.types(), 'E42601 ZI')
    peer.close()
  })

  test('a batch without Sync is answered as far as Flush asks, and goes on', async () => {
    const peer = await PostgresPeer.logIn(at())
    peer.write(parseMessage('one', 'SELECT $1::int'), describeMessage(statementTarget, 'one'), flushMessage)
    assert.equal((await peer.until('T')).map(message => message.type).join(' '), '1 t T')
    peer.write(
      bindMessage('', 'one', ['5']),
      executeMessage('', 0),
      closeMessage(statementTarget, 'one'),
      syncMessage,
    )
    assert.equal(await peer.types(), '2 D C 3 ZI')
    peer.write(bindMessage('', 'one', ['5']), syncMessage)
    assert.equal(await peer.types(), 'E26000 ZI')
    peer.close()
  })

  test('a COPY whose data is wrong fails; what still comes of it is dropped, and the connection goes on', async () => {
    const peer = await PostgresPeer.logIn(at())
    peer.write(queryMessage('CREATE TEMP TABLE bad_copy (n int)'))
    assert.equal(await peer.types(), 'C ZI')
    peer.write(queryMessage('COPY bad_copy FROM STDIN'))
    assert.equal((await peer.next())?.type, 'G')
    peer.write(copyData('1\n'), copyData('two\n'), copyData('3\n'), copyDoneMessage)
    assert.equal(await peer.types(), 'E22P02 ZI')
    peer.write(copyData('4\n'), copyDoneMessage, queryMessage('SELECT count(*) FROM bad_copy'))
    assert.equal(await peer.types(), 'T D C ZI')
    peer.write(queryMessage('COPY bad_copy FROM STDIN'), copyData('1\n'), copyFailMessage('not now'))
    assert.equal(await peer.types(), 'G E57014 ZI')
    peer.close()
  })

  test('a COPY behind a write in one Query begins at once', async () => {
    const peer = await PostgresPeer.logIn(at())
    peer.write(
      queryMessage('CREATE TEMP TABLE behind (n int); INSERT INTO behind VALUES (0); COPY behind FROM STDIN'),
    )
    assert.equal((await peer.until('G')).map(message => message.type).join(' '), 'C C G')
    peer.write(copyData('1\n'), copyDoneMessage, queryMessage('SELECT count(*) FROM behind'))
    assert.equal(await peer.types(2), 'C ZI T D C ZI')
    peer.close()
  })

  test('a COPY by the extended protocol swallows the Sync behind its Execute, and wants one of its own', async () => {
    const peer = await PostgresPeer.logIn(at())
    peer.write(queryMessage('CREATE TEMP TABLE late_copy (n int)'))
    assert.equal(await peer.types(), 'C ZI')
    const copy = [
      parseMessage('', 'COPY late_copy FROM STDIN'),
      bindMessage('', '', []),
      executeMessage('', 0),
      syncMessage,
    ]
    for (let round = 1; round <= 2; round++) {
      peer.write(...copy)
      const begun = (await peer.until('G')).map(message => message.type)
      assert.equal(begun.join(' '), '1 2 G')
      peer.write(copyData('1\n'), copyData('2\n'), copyDoneMessage, syncMessage)
      assert.equal(await peer.types(), 'C ZI')
    }
    peer.write(
      ...copy,
      copyData('5\n'),
      copyDoneMessage,
      syncMessage,
      queryMessage('SELECT count(*) FROM late_copy'),
    )
    const messages = [...(await peer.until('Z')), ...(await peer.until('Z'))]
    assert.equal(messages.map(message => message.type).join(' '), '1 2 G C Z T D C Z')
    assert.equal(messages.find(message => message.type === 'D')?.payload.toString('latin1', 6), '5')
    peer.close()
  })

  test('every message in pieces of one byte means the same', async () => {
    const peer = await PostgresPeer.logIn(at())
    const bytes = Buffer.concat([
      parseMessage('p', 'SELECT $1::text'),
      bindMessage('', 'p', ['pieces']),
      executeMessage('', 0),
      syncMessage,
      queryMessage('SELECT 1'),
    ])
    for (const byte of bytes) {
      peer.write(Buffer.of(byte))
      await new Promise(resolve => setImmediate(resolve))
    }
    assert.equal(await peer.types(2), '1 2 D C ZI T D C ZI')
    peer.close()
  })
}

function copyData(text: string): Buffer {
  return bytesFrame(frontend.copyData, Buffer.from(text))
}

const pipelined = `\\set aid random(1, 100000)
\\startpipeline
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + 0 WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
COMMIT;
\\endpipeline
`

function connectPostgres(place: Place, max: number): postgres.Sql {
  return postgres(place.url, { max, onnotice: () => {}, connect_timeout: 20 })
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, 'what was awaited did not come within 20 s')
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}

/** Waits until so many statements of ours sleep. */
async function sleeps(place: Place, count: number): Promise<void> {
  const text =
    "SELECT count(*)::int AS n FROM pg_stat_activity WHERE query LIKE '%pg_sleep(6%' AND state = 'active' AND pid <> pg_backend_pid()"
  await withClient(place, client => until(async () => (await client.query(text)).rows[0].n >= count))
}

function temporary(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'tenfold-clients-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

interface Run {
  readonly code: number
  readonly out: string
  readonly error: string
}

function run(command: string, args: readonly string[], place: Place, input = ''): Promise<Run> {
  return new Promise(resolve => {
    const options = { env: psqlEnvironment(place), maxBuffer: 1 << 26, timeout: 120_000 }
    const child = execFile(command, args, options, (error, out, stderr) => {
      resolve({
        code: error === null ? 0 : Number(error.code ?? 99),
        out: out + (command === 'psql' ? '' : stderr),
        error: stderr,
      })
    })
    child.stdin?.end(input)
  })
}

function psqlEnvironment(place: Place): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH ?? '',
    LC_ALL: 'C.UTF-8',
    PGPASSWORD: place.password,
    PGCONNECT_TIMEOUT: '20',
  }
}

function psqlArguments({ host, port, user, database }: Place): string[] {
  return [
    '-X',
    '-q',
    '-A',
    '-t',
    '-v',
    'ON_ERROR_STOP=1',
    '-h',
    host,
    '-p',
    String(port),
    '-U',
    user,
    '-d',
    database,
  ]
}

function psql(place: Place, script: string): Promise<Run> {
  return run('psql', psqlArguments(place), place, script)
}

function pgbench({ host, port, user, database, ...rest }: Place, args: readonly string[]): Promise<Run> {
  const place = { host, port, user, database, ...rest }
  const to = ['-h', host, '-p', String(port), '-U', user]
  return run('/usr/lib/postgresql/15/bin/pgbench', [...to, ...args, database], place)
}
