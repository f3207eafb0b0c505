// Rows by a directory, over two routers that remember different keys: a new key gets one place whoever is first, a key that
// has none is nobody's, and a key that moves while clients write loses nothing, also on the way back.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import {
  findInDirectory,
  foldDirectories,
  listDirectory,
  pinInDirectory,
  setInDirectory,
} from '../../src/database/shards/directory-keys.ts'
import type { PlacementRule, ShardMap } from '../../src/policy/shard/contract.ts'
import { type Resharding, startResharding } from './reshard-harness.ts'

const mapOf = (shards: readonly string[]): ShardMap => {
  const directory = (more: object): PlacementRule => ({ by: 'directory', otherwise: null, ...more })
  return {
    format: 1,
    version: 1,
    shards,
    families: {
      'public.tenants': { types: ['text'], rule: directory({ assign: 'round-robin' }) },
      'public.notes': { types: ['bigint'], rule: directory({ assign: 'least-full' }) },
      'public.rooms': { types: ['bigint'], rule: directory({ otherwise: 1 }) },
      'public.strict': { types: ['uuid'], rule: directory({}) },
    },
    tables: {
      'public.tenants': { kind: 'sharded', family: 'public.tenants', key: ['id'] },
      'public.docs': { kind: 'sharded', family: 'public.tenants', key: ['tenant'] },
      'public.notes': { kind: 'sharded', family: 'public.notes', key: ['id'] },
      'public.rooms': { kind: 'sharded', family: 'public.rooms', key: ['id'] },
      'public.strict': { kind: 'sharded', family: 'public.strict', key: ['id'] },
    },
  }
}

const schema = `CREATE TABLE public.tenants (id text COLLATE "C" PRIMARY KEY, balance bigint NOT NULL DEFAULT 0);
CREATE TABLE public.docs (tenant text COLLATE "C" REFERENCES public.tenants, number bigint, PRIMARY KEY (tenant, number));
CREATE TABLE public.notes (id bigint PRIMARY KEY, text text);
CREATE TABLE public.rooms (id bigint PRIMARY KEY, name text);
CREATE TABLE public.strict (id uuid PRIMARY KEY);
${['tenants', 'docs', 'notes', 'rooms', 'strict'].map(one => `ALTER TABLE public.${one} OWNER TO app`).join('; ')}`

function keysOf(harness: Resharding) {
  return {
    ask: (shard: string, sql: string, timeoutMs: number) =>
      (harness.operators[Number(shard) - 1] as (typeof harness.operators)[number]).query(sql, timeoutMs),
    map: harness.map,
    keepMap: (map: ShardMap) => void harness.keepMap(map),
    tell: () => harness.keepMap(harness.map()),
  }
}

/** By shard, the values of a column. */
async function lies(harness: Resharding, table: string, column = 'id'): Promise<string[][]> {
  return Promise.all(
    harness.operators.map(async (one, at) =>
      harness.map().shards.includes(String(at + 1))
        ? (await one.query(`SELECT ${column} FROM public.${table} ORDER BY 1`, 10_000)).map(
            ([id]) => id as string,
          )
        : [],
    ),
  )
}

test('a key gets its place with its first row', async t => {
  const harness = await startResharding(t, { map: mapOf(['1', '2', '3']), schema, routers: 2 })
  const [one, other] = [await harness.client(0), await harness.client(1)]

  await t.test('one place, although two routers are asked at once', async () => {
    const keys = Array.from({ length: 60 }, (_, n) => `it's "key" \\${n}`)
    const insert = (client: pg.Client, key: string, number: number) =>
      client
        .query('INSERT INTO tenants (id) VALUES ($1) ON CONFLICT DO NOTHING', [key])
        .then(() => client.query('INSERT INTO docs VALUES ($1, $2)', [key, number]))
    for (const key of keys) await Promise.all([insert(one, key, 1), insert(other, key, 2)])
    const held = await lies(harness, 'tenants')
    assert.deepEqual(held.flat().sort(), [...keys].sort())
    assert.ok(
      held.every(list => list.length > 5),
      String(held.map(list => list.length)),
    )
    for (const client of [one, other]) {
      const all = await client.query('SELECT tenant, count(*) FROM docs GROUP BY tenant HAVING count(*) <> 2')
      assert.equal(all.rowCount, 0)
      const joined = await client.query(
        'SELECT count(*) FROM docs JOIN tenants ON tenants.id = docs.tenant WHERE tenant = ANY($1)',
        [keys],
      )
      assert.equal(joined.rows[0].count, '120')
    }
    // A shard knows the keys of its own rows.
    const known = await Promise.all(
      harness.operators.map((operator, at) =>
        operator.query(
          `SELECT count(*) FROM public.tenants t JOIN tenfold.directory d ON d.key = t.id AND d.family = 'public.tenants' AND d.shard = '${at + 1}'`,
          10_000,
        ),
      ),
    )
    assert.deepEqual(
      known.map(rows => Number(rows[0]?.[0])),
      held.map(list => list.length),
    )
  })

  await t.test('who looks for a key that is not there yet finds it when it is', async () => {
    for (let n = 0; n < 20; n++) {
      assert.equal((await other.query('SELECT 1 FROM notes WHERE id = $1', [n])).rowCount, 0)
      assert.equal((await other.query(`UPDATE notes SET text = 'x' WHERE id = ${n}`)).rowCount, 0)
      await one.query("INSERT INTO notes VALUES ($1, 'note')", [n])
      assert.equal((await other.query('SELECT 1 FROM notes WHERE id = $1', [n])).rowCount, 1)
      assert.equal((await other.query(`SELECT 1 FROM notes WHERE id IN (${n}, ${n + 1})`)).rowCount, 1)
    }
    // What was only asked for has no row.
    const { counts } = await listDirectory(keysOf(harness), 'public.notes', null, 10)
    assert.equal(
      Object.values(counts).reduce((sum, count) => sum + count, 0),
      20,
    )
    const each = (await lies(harness, 'notes')).map(list => list.length)
    assert.ok(
      each.every(count => count >= 6 && count <= 7),
      String(each),
    )
  })

  await t.test('many rows, COPY, a key that changes, and a rollback', async () => {
    const rows = Array.from({ length: 50 }, (_, n) => `(${100 + n}, 'many')`)
    assert.equal((await one.query(`INSERT INTO notes VALUES ${rows.join(', ')}`)).rowCount, 50)
    assert.equal((await one.query('UPDATE notes SET id = 1000 WHERE id = 100')).rowCount, 1)
    assert.equal((await other.query('SELECT text FROM notes WHERE id = 1000')).rows[0].text, 'many')
    await one.query('BEGIN')
    await one.query("INSERT INTO notes VALUES (2000, 'gone')")
    await one.query('ROLLBACK')
    assert.equal((await other.query('SELECT 1 FROM notes WHERE id = 2000')).rowCount, 0)
    await other.query("INSERT INTO notes VALUES (2000, 'there')")
    assert.equal((await one.query('SELECT text FROM notes WHERE id = 2000')).rows[0].text, 'there')
    const postgres = (await import('postgres')).default
    const sql = postgres(harness.urls[1] as string, { max: 1, onnotice: () => {} })
    try {
      const into = await sql`COPY notes (text, id) FROM STDIN`.writable()
      const written = new Promise((resolve, reject) => into.on('finish', resolve).on('error', reject))
      for (let n = 3000; n < 3200; n++) into.write(`copied\t${n}\n`)
      into.end()
      await written
      assert.equal((await sql`SELECT count(*) FROM notes WHERE text = 'copied'`)[0]?.count, '200')
      assert.equal((await sql`SELECT count(*) FROM notes WHERE id = 3111 AND text = 'copied'`)[0]?.count, '1')
    } finally {
      await sql.end()
    }
  })

  await t.test('a default shard; a directory that says no; keys that are none', async () => {
    await one.query("INSERT INTO rooms VALUES (1, 'a'), (2, 'b')")
    assert.deepEqual(
      (await lies(harness, 'rooms')).map(list => list.length),
      [0, 2, 0],
    )
    const id = '6ecd8c99-4036-403d-bf84-cf8400f67836'
    await assert.rejects(one.query('INSERT INTO strict VALUES ($1)', [id]), (error: pg.DatabaseError) => {
      assert.equal(error.code, '23514')
      assert.match(error.hint ?? '', /tenfold db directory/)
      return true
    })
    const keys = keysOf(harness)
    await setInDirectory(keys, 'public.strict', id.toUpperCase(), '3')
    await one.query('INSERT INTO strict VALUES ($1)', [id])
    assert.equal((await other.query('SELECT 1 FROM strict WHERE id = $1', [id])).rowCount, 1)
    assert.deepEqual(await lies(harness, 'strict'), [[], [], [id]])
    await assert.rejects(setInDirectory(keys, 'public.strict', id, '1'), /is on shard 3 already/)
    await assert.rejects(setInDirectory(keys, 'public.strict', 'x', '1'), /is no key/)
    await assert.rejects(setInDirectory(keys, 'public.strict', id, '9'), /no shard 9/)
    await assert.rejects(setInDirectory(keys, 'public.rooms', '7', '3'), /on shard 2 already/)
    await assert.rejects(one.query('INSERT INTO tenants VALUES (NULL)'), { code: '23502' })
    assert.equal((await one.query('SELECT 1 FROM tenants WHERE id = NULL')).rowCount, 0)
  })

  await t.test('EXPLAIN and a dry run give no key a place', async () => {
    await one.query("SET tenfold.dry_run = 'on'")
    await one.query("INSERT INTO notes VALUES (9999, 'x')").catch(() => {})
    await one.query("SET tenfold.dry_run = 'off'")
    assert.equal(await findInDirectory(keysOf(harness), 'public.notes', '9999'), null)
  })
})

test('a key moves while clients of two routers write, and back', async t => {
  const harness = await startResharding(t, { map: mapOf(['1', '2', '3']), schema, routers: 2 })
  const tenants = ['a', 'b', 'c', 'd']
  const first = await harness.client(0)
  for (const id of tenants) await first.query('INSERT INTO tenants VALUES ($1, 1000)', [id])
  const keys = keysOf(harness)
  let goesOn = true
  const written: [string, number][] = []
  const failed: string[] = []
  const writers = [0, 1, 0, 1].map(async (router, name) => {
    const client = await harness.client(router)
    for (let n = 0; goesOn; n++) {
      const number = name * 1_000_000 + n
      const tenant = tenants[n % tenants.length] as string
      try {
        await client.query('BEGIN')
        await client.query('UPDATE tenants SET balance = balance + 1 WHERE id = $1', [tenant])
        await client.query('INSERT INTO docs VALUES ($1, $2)', [tenant, number])
        await client.query('COMMIT')
        written.push([tenant, number])
      } catch (error) {
        failed.push((error as Error).message)
        await client.query('ROLLBACK')
      }
      // New keys come meanwhile.
      if (n % 50 === 0)
        await client
          .query('INSERT INTO tenants VALUES ($1)', [`new ${name} ${n}`])
          .catch(error => failed.push(error.message))
      await sleep(1)
    }
  })
  const reader = (async () => {
    const client = await harness.client(1)
    while (goesOn) {
      const { rows } = await client.query(
        "SELECT count(*) AS all, count(DISTINCT id) AS each FROM tenants WHERE id IN ('a', 'b', 'c', 'd')",
      )
      assert.deepEqual(rows[0], { all: '4', each: '4' })
      const scattered = await client.query('SELECT count(*) AS all FROM tenants WHERE length(id) = 1')
      assert.equal(scattered.rows[0].all, '4')
    }
  })()
  const move = async (key: string, into: string, way: 'finish' | 'rollBack'): Promise<void> => {
    const { shard } = await pinInDirectory(keys, 'public.tenants', key)
    assert.notEqual(shard, into)
    await harness.begin({ kind: 'isolate', family: 'public.tenants', key: [key], into })
    await harness.reach('reversible')
    await sleep(100)
    assert.equal(harness.executor.wish(way), null)
    await harness.reach(way === 'finish' ? 'done' : 'rolled-back')
  }
  const elsewhere = async (key: string): Promise<string> => {
    const now = await findInDirectory(keys, 'public.tenants', key)
    return now === '3' ? '1' : '3'
  }
  const intoA = await elsewhere('a')
  await move('a', intoA, 'finish')
  assert.equal(await findInDirectory(keys, 'public.tenants', 'a'), intoA)
  const wasB = await findInDirectory(keys, 'public.tenants', 'b')
  await move('b', await elsewhere('b'), 'rollBack')
  assert.equal(await findInDirectory(keys, 'public.tenants', 'b'), wasB)
  const intoA2 = await elsewhere('a')
  await move('a', intoA2, 'finish')
  await foldDirectories(keys)
  assert.equal(harness.map().families['public.tenants']?.exceptions, undefined)
  assert.equal(await findInDirectory(keys, 'public.tenants', 'a'), intoA2)
  await sleep(300)
  goesOn = false
  await Promise.all(writers)
  await reader
  assert.deepEqual(failed, [])
  assert.ok(written.length > 100)
  const docs = (
    await Promise.all(
      harness.operators.map(one => one.query('SELECT tenant, number FROM public.docs', 20_000)),
    )
  ).flat()
  const had = docs.map(([tenant, number]) => `${tenant} ${number}`).sort()
  assert.deepEqual(had, written.map(([tenant, number]) => `${tenant} ${number}`).sort())
  const held = await lies(harness, 'tenants')
  assert.ok(held[Number(intoA2) - 1]?.includes('a'))
  assert.equal(held.flat().length, new Set(held.flat()).size)
  const { rows } = await first.query("SELECT id, balance FROM tenants WHERE id IN ('a', 'b', 'c', 'd')")
  for (const { id, balance } of rows)
    assert.equal(Number(balance), 1000 + written.filter(([tenant]) => tenant === id).length)
  await harness.executor.stop()
  assert.deepEqual(await harness.left(), [])
})

test('while the directory can not be asked, keys that are remembered go on; others wait, and then have their place', async t => {
  const harness = await startResharding(t, { map: mapOf(['1', '2', '3']), schema })
  const client = await harness.client()
  const keys = keysOf(harness)
  await setInDirectory(keys, 'public.notes', '1', '2')
  await setInDirectory(keys, 'public.notes', '2', '3')
  await client.query("INSERT INTO notes VALUES (1, 'known')")
  const [home] = harness.operators as [(typeof harness.operators)[number]]
  await home.query('BEGIN; LOCK TABLE tenfold.directory IN ACCESS EXCLUSIVE MODE', 5_000)
  assert.equal((await client.query('SELECT text FROM notes WHERE id = 1')).rows[0].text, 'known')
  const late = client.query("INSERT INTO notes VALUES (2, 'late') RETURNING id")
  let answered = false
  late
    .finally(() => {
      answered = true
    })
    .catch(() => {})
  await sleep(700)
  assert.equal(answered, false)
  await home.query('COMMIT', 5_000)
  assert.equal((await late).rowCount, 1)
  assert.deepEqual(await lies(harness, 'notes'), [[], ['1'], ['2']])
})
