// Statements over several shards give what one database with all their rows gives, hold no more than a page of a shard, and
// leave every connection between statements, whatever fails.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runAcross } from '../../src/database/shards/gather/index.ts'
import type { AcrossPlan, MergeKey } from '../../src/database/sql/shards/contract.ts'
import { answered, KeptAnswer, shardOf, sorted, startGathering } from './gather-harness.ts'

type Merge = Extract<AcrossPlan, { how: 'merge' }>

const concatPlan: AcrossPlan = { how: 'concat', limit: null, offset: null, sql: null }
const key = (column: number, compare: MergeKey['compare'], more: Partial<MergeKey> = {}): MergeKey => ({
  column,
  compare,
  descending: false,
  nullsFirst: false,
  ...more,
})
const mergePlan = (sql: string, order: readonly MergeKey[], more: Partial<Merge> = {}): Merge => ({
  how: 'merge',
  sql,
  order,
  hidden: 0,
  limit: null,
  offset: null,
  ...more,
})

test('statements over several shards', { timeout: 120_000 }, async t => {
  const gathering = await startGathering(t)
  const { run, expected, everywhere, fill, seats } = gathering
  await everywhere(
    'CREATE TABLE orders (id bigint PRIMARY KEY, amount numeric, at timestamptz, note text, paid boolean, weight float8)',
  )
  await everywhere(
    'CREATE TABLE films (id bigint PRIMARY KEY, title text, made timestamptz DEFAULT clock_timestamp())',
  )
  await fill(
    'orders',
    Array.from({ length: 60 }, (_, id) => [
      id,
      [null, 'NaN', '1.10', '1.1', '12345678901234567890.5', '12345678901234567890.25', '-3', 'Infinity'][
        id % 8
      ],
      [
        null,
        'infinity',
        '2026-01-02 03:04:05.123456+00',
        '2026-01-02 03:04:05.1+00',
        '0044-03-15 00:00:00+00 BC',
      ][id % 5],
      [null, 'b', 'a\tb', 'back\\slash', 'line\nbreak', 'ü', 'Z', ''][id % 8],
      [true, false, null][id % 3],
      [null, '1e300', '-0', '0', 'NaN', '0.1', '1e-5', '-Infinity'][(id * 5) % 8],
    ]),
  )

  await t.test('concat gives every row once, with one description and the counts added', async () => {
    const answer = await run(concatPlan, 'SELECT * FROM orders WHERE id < $1', ['50'])
    assert.equal(answer.tag, 'SELECT 50')
    assert.deepEqual(answer.names, ['id', 'amount', 'at', 'note', 'paid', 'weight'])
    assert.deepEqual(sorted(answer.rows), sorted(await expected('SELECT * FROM orders WHERE id < 50')))
  })

  await t.test(
    'concat cuts LIMIT and OFFSET, and declares the types of parameters that the text lacks',
    async () => {
      const plan: AcrossPlan = {
        how: 'concat',
        sql: 'SELECT id FROM orders WHERE id >= $1 LIMIT 12',
        limit: { from: 'literal', text: '10' },
        offset: { from: 'parameter', index: 1 },
      }
      const answer = await run(plan, 'SELECT id FROM orders WHERE id >= $1 LIMIT 10 OFFSET $2', ['5', '2'])
      assert.equal(answer.tag, 'SELECT 10')
      assert.equal(new Set(answer.rows.map(row => row[0])).size, 10)
      const negative = await run(plan, 'SELECT id FROM orders WHERE id >= $1 LIMIT 10 OFFSET $2', ['5', '-2'])
      assert.equal(negative.code, '2201X')
    },
  )

  await t.test(
    'merge orders as PostgreSQL does: numbers, times, bytes, booleans, NULLs either way',
    async () => {
      const columns = ['id', 'amount', 'at', 'note COLLATE "C"', 'paid', 'weight']
      const compares = ['number', 'number', 'timestamp', 'bytes', 'boolean', 'number'] as const
      for (const [column, compare] of compares.entries()) {
        for (const descending of [false, true]) {
          for (const nullsFirst of [false, true]) {
            const direction = `${descending ? 'DESC' : 'ASC'} NULLS ${nullsFirst ? 'FIRST' : 'LAST'}`
            const sql = `SELECT * FROM orders ORDER BY ${columns[column]} ${direction}, id`
            const plan = mergePlan(sql, [key(column, compare, { descending, nullsFirst }), key(0, 'number')])
            for (const resultFormats of [[], [1]]) {
              const base = gathering.input(plan, sql)
              const answer = new KeptAnswer()
              const end = await runAcross({ ...base, answer, request: { ...base.request, resultFormats } })
              assert.equal('tag' in end && end.tag, 'SELECT 60')
              const ids = answer.rows.map(row =>
                resultFormats.length === 0 ? row[0] : String(Buffer.from(row[0] ?? '', 'utf8').readUInt8(7)),
              )
              const wanted = (await expected(sql)).map(row => row[0])
              assert.deepEqual(ids, wanted, `${sql} ${resultFormats}`)
            }
          }
        }
      }
    },
  )

  await t.test('merge cuts hidden columns, LIMIT and OFFSET', async () => {
    const sql = 'SELECT note FROM orders ORDER BY id DESC LIMIT 7 OFFSET 3'
    const plan = mergePlan(
      'SELECT note, id FROM orders ORDER BY id DESC LIMIT 10',
      [key(1, 'number', { descending: true })],
      { hidden: 1, limit: { from: 'literal', text: '7' }, offset: { from: 'literal', text: '3' } },
    )
    const answer = await run(plan, sql)
    assert.equal(answer.tag, 'SELECT 7')
    assert.deepEqual(answer.names, ['note'])
    assert.deepEqual(answer.rows, await expected(sql))
  })

  await t.test(
    'combine answers with the whole of SQL over rows of all shards, and leaves nothing behind',
    async () => {
      const sql =
        'SELECT note, count(*), sum(amount), stddev(weight) FILTER (WHERE paid), array_agg(id ORDER BY at DESC, id) ' +
        'FROM orders WHERE id <> $1 GROUP BY GROUPING SETS ((note), ()) ORDER BY 2 DESC, note COLLATE "C" NULLS FIRST'
      const columns = [
        { name: 'id', type: 'bigint', collation: '' },
        { name: 'amount', type: 'numeric', collation: '' },
        { name: 'at', type: 'timestamp with time zone', collation: '' },
        { name: 'note', type: 'text', collation: 'default' },
        { name: 'paid', type: 'boolean', collation: '' },
        { name: 'weight', type: 'double precision', collation: '' },
      ]
      const part = { name: 'part_1', columns, sql: 'SELECT * FROM orders WHERE id <> $1', keys: null }
      const whole = { parts: [part], sql: sql.replace('FROM orders', 'FROM part_1 AS orders') }
      const plan: AcrossPlan = { how: 'combine', ...whole, everywhere: whole }
      const answer = await run(plan, sql, ['3'])
      assert.equal(answer.code, null, answer.message ?? '')
      assert.deepEqual(
        answer.rows.filter(row => row[0] !== null),
        (await expected(sql, ['3'])).filter(row => row[0] !== null),
      )
      assert.deepEqual(sorted(answer.rows), sorted(await expected(sql, ['3'])))
      assert.equal(seats.scratches, 0)
      const keyed = { ...part, keys: { family: 'orders', keys: [[{ from: 'literal' as const, text: '4' }]] } }
      const one = await run(
        { ...plan, parts: [keyed], sql: 'SELECT count(*) FROM part_1' },
        'SELECT count(*) FROM orders WHERE id <> $1',
        ['3'],
      )
      assert.equal(one.message, null)
      assert.deepEqual(one.rows, [['20']])
    },
  )

  await t.test('combine writes types of their own as text', async () => {
    await everywhere("CREATE TYPE mood AS ENUM ('good', 'bad')")
    await everywhere('CREATE TABLE moods (id bigint, all_moods mood[], word text)')
    await fill('moods', [
      [1, '{good,bad}', 'a\\b'],
      [2, null, 'tab\there'],
      [3, '{}', 'new\nline'],
    ])
    const sql = 'SELECT id, all_moods, word FROM moods ORDER BY id'
    const columns = [
      { name: 'id', type: 'bigint', collation: '' },
      { name: 'all_moods', type: 'mood[]', collation: '' },
      { name: 'word', type: 'text', collation: 'default' },
    ]
    const whole = {
      parts: [{ name: 'p', columns, sql: 'SELECT id, all_moods, word FROM moods', keys: null }],
      sql: 'SELECT id, all_moods, word FROM p ORDER BY id',
    }
    const answer = await run({ how: 'combine', ...whole, everywhere: whole }, sql)
    assert.deepEqual(answer.rows, await expected(sql))
  })

  await t.test('combine beyond its bounds is refused, and the shards are left as they were', async () => {
    const part = {
      name: 'p',
      columns: [{ name: 'n', type: 'integer', collation: '' }],
      sql: 'SELECT generate_series(1, 100000)',
      keys: null,
    }
    const whole = { parts: [part], sql: 'SELECT count(*) FROM p' }
    const plan: AcrossPlan = { how: 'combine', ...whole, everywhere: whole }
    const answer = await run(plan, 'SELECT 1', [], {
      limits: { rowsMax: 1_000, bytesMax: 1 << 20, pageRows: 10, copyRowBytes: 1_000 },
    })
    assert.equal(answer.code, '54000')
    assert.equal(answer.detail, 'shard-combine-too-large')
    assert.equal(seats.scratches, 0)
    for (const seat of seats.all) assert.equal((await seat.command('SELECT 1')).tag, 'SELECT 1')
  })

  await t.test('the first error wins; the other shards are cancelled, waited for and clean', async () => {
    const before = seats.all.map(seat => seat.cancels)
    const answer = await run(
      concatPlan,
      "SELECT CASE WHEN current_database() = 'shard2' THEN 1 / (length(current_database()) - 6) ELSE (SELECT 1 FROM pg_sleep(100)) END",
    )
    assert.equal(answer.code, '22012')
    for (const seat of seats.all) {
      assert.equal(seat.busy, false)
      assert.equal(seat.status, 'I')
    }
    assert.deepEqual(
      seats.all.map((seat, index) => seat.cancels > (before[index] as number)),
      [true, false, true],
    )
    // A cancel request may still be under way.
    await new Promise(resolve => setTimeout(resolve, 200))
  })

  await t.test('a write adds counts and RETURNING in one transaction that the session ends', async () => {
    const answer = await run({ how: 'write' }, "UPDATE orders SET note = 'w' WHERE id < 6 RETURNING id")
    assert.equal(answer.tag, 'UPDATE 6')
    assert.deepEqual(sorted(answer.rows), ['0', '1', '2', '3', '4', '5'])
    assert.deepEqual([...seats.writers].sort(), [0, 1, 2])
    assert.ok(seats.all.every(seat => seat.status === 'T'))
    await seats.end('ROLLBACK')
  })

  await t.test('rows of an INSERT go to their shards, RETURNING comes in their order', async () => {
    const rows = ["(100, $1, 'x')", "(101, $2, 'y')", "(103, $1, 'z')", '(105, NULL, $3)']
    const keys = ['100', '101', '103', '105'].map(text => [{ from: 'literal' as const, text }])
    const head = 'INSERT INTO orders (id, amount, note) VALUES '
    const tail = ' RETURNING id, amount, note'
    const sql = head + rows.join(', ') + tail
    const answer = await run({ how: 'split-insert', head, rows, tail }, sql, ['1.5', '2.50', 'n'], {
      keyed: { family: 'orders', keys },
    })
    assert.equal(answer.tag, 'INSERT 0 4', answer.message ?? '')
    assert.deepEqual(answer.rows, [
      ['100', '1.5', 'x'],
      ['101', '2.50', 'y'],
      ['103', '1.5', 'z'],
      ['105', null, 'n'],
    ])
    await seats.end('COMMIT')
    const refused = await run({ how: 'split-insert', head, rows: ["(NULL, 1, '')"], tail }, sql, [], {
      keyed: { family: 'orders', keys: [[{ from: 'literal', text: null }]] },
    })
    assert.equal(refused.code, '23502')
    assert.equal(refused.detail, 'shard-key-null')
    assert.equal(seats.writers.size, 0)
    await run({ how: 'write' }, 'DELETE FROM orders WHERE id >= 100')
    await seats.end('COMMIT')
  })

  await t.test(
    'a write to all copies must count alike; values made by the server are made once',
    async () => {
      const insert = {
        sql: "INSERT INTO films (id, title) VALUES (1, 'a\tb'), (2, NULL) RETURNING id, id, title, made",
        table: 'public.films',
        columns: ['id', 'title', 'made'],
        returning: 1,
      }
      const answer = await run({ how: 'everywhere', copyRows: insert }, 'INSERT INTO films ... RETURNING id')
      assert.equal(answer.tag, 'INSERT 0 2', answer.message ?? '')
      assert.deepEqual(answer.rows, [['1'], ['2']])
      assert.deepEqual(answer.names, ['id'])
      await seats.end('COMMIT')
      const copies = await run(concatPlan, 'SELECT made, title FROM films WHERE id = 1')
      assert.equal(new Set(sorted(copies.rows)).size, 1)
      assert.equal(copies.rows.length, 3)
      const update = await run(
        { how: 'everywhere', copyRows: null },
        "UPDATE films SET title = 'c' WHERE id = 2",
      )
      assert.equal(update.tag, 'UPDATE 1')
      await seats.end('COMMIT')
      await seats.all[2]?.command('DELETE FROM films WHERE id = 2')
      const drifted = await run({ how: 'everywhere', copyRows: null }, "UPDATE films SET title = 'd'")
      assert.equal(drifted.detail, 'shard-drift')
      await seats.end('ROLLBACK')
    },
  )

  await t.test('an update of the key takes rows and puts them where they belong', async () => {
    const before = await run(concatPlan, 'SELECT * FROM orders')
    const columns = ['id', 'amount', 'at', 'note', 'paid', 'weight']
    const plan: AcrossPlan = {
      how: 'move',
      from: null,
      table: 'public.orders',
      take: 'DELETE FROM orders WHERE id >= $1 RETURNING id + 1000, amount, at, note, paid, weight',
      columns,
      key: [0],
    }
    const answer = await run(plan, 'UPDATE orders SET id = id + 1000 WHERE id >= $1', ['40'], {
      family: 'orders',
    })
    assert.equal(answer.tag, 'UPDATE 20', answer.message ?? '')
    await seats.end('COMMIT')
    const placed = await run(
      concatPlan,
      'SELECT count(*) FROM orders WHERE id % 3 <> substr(current_database(), 6)::int - 1',
    )
    assert.deepEqual(placed.rows, [['0'], ['0'], ['0']])
    const after = await run(concatPlan, 'SELECT * FROM orders')
    const shifted = before.rows.map(([id, ...rest]) => [
      Number(id) >= 40 ? `${Number(id) + 1000}` : `${id}`,
      ...rest,
    ])
    assert.deepEqual(sorted(after.rows), sorted(shifted))
    assert.equal(shardOf(1040), 2)
  })

  await t.test('a reader that is slow holds the shards back, and merging keeps a page of each', async () => {
    const rows = 40_000
    const sql = `SELECT n, repeat('x', 500) FROM generate_series(1, ${rows}) AS n ORDER BY n`
    let held = 0
    const delivered = (): number => seats.all.reduce((sum, seat) => sum + seat.rows, 0)
    for (const plan of [concatPlan, mergePlan(sql, [key(0, 'number')])]) {
      const pausesBefore = seats.all.map(seat => seat.pauses)
      const rowsBefore = delivered()
      const answer = new KeptAnswer(
        1_000,
        () => {
          held = Math.max(held, delivered() - rowsBefore - answer.count)
        },
        true,
      )
      const end = await runAcross({ ...gathering.input(plan, sql), answer })
      assert.deepEqual(end, { tag: `SELECT ${rows * 3}` })
      assert.equal(answer.count, rows * 3)
      for (const [index, seat] of seats.all.entries())
        assert.ok(seat.pauses > (pausesBefore[index] as number))
    }
    // A page of each, and what was in the pieces of the network that had come by then: 64 KiB have 120 rows.
    assert.ok(held > 0 && held < 3 * (256 + 400), `${held} rows were held`)
  })

  await t.test('answers keep the shape that the client expects', async () => {
    const answer = new KeptAnswer()
    await everywhere('CREATE TABLE drifting (id bigint, word text)')
    await seats.all[1]?.command('ALTER TABLE drifting ALTER word TYPE integer USING 1')
    const end = await runAcross({ ...gathering.input(concatPlan, 'SELECT word FROM drifting'), answer })
    assert.equal(answered(end, answer).detail, 'shard-drift')
  })
})
