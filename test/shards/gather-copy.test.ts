// COPY over shards: rows in pieces of any size and in each format arrive on the shards of their keys and hold what one
// PostgreSQL would hold; what it refuses is refused, and nothing stays.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CopyIn, copyOutAcross, gatherLimits, openCopyIn } from '../../src/database/shards/gather/index.ts'
import type { CopyOptions } from '../../src/database/sql/shards/contract.ts'
import type { TablePlace } from '../../src/policy/shard/contract.ts'
import { type Answered, answered, KeptAnswer, sorted, startGathering } from './gather-harness.ts'
import type { PlainSeats } from './plain-seats.ts'

const textOptions: CopyOptions = {
  format: 'text',
  delimiter: '\t',
  nullText: '\\N',
  quote: '"',
  escape: '"',
  header: false,
}
const csvOptions: CopyOptions = { ...textOptions, format: 'csv', delimiter: ',', nullText: '' }
const byId: TablePlace = { kind: 'sharded', family: 'things', key: ['id'] }
const columns = ['word', 'id', 'data']

test('COPY over shards', { timeout: 120_000 }, async t => {
  const gathering = await startGathering(t)
  const { everywhere, expected, seats, reference } = gathering
  await everywhere('CREATE TABLE things (word text, id bigint NOT NULL, data bytea)')
  await everywhere('CREATE TABLE copies (word text, id bigint, data bytea)')
  await reference.query(
    `INSERT INTO things SELECT
       (ARRAY[NULL, '', 'a,b', E'tab\\there', E'line\\nbreak', E'cr\\rhere', 'back\\slash', '"quoted"', 'it''s', '\\N', 'ü€😀', '\\.'])[1 + n % 12],
       n - 100, CASE WHEN n % 3 = 0 THEN NULL ELSE decode(lpad(to_hex(n), 8, '0'), 'hex') END
     FROM generate_series(0, 999) AS n`,
  )
  const source = await seats.reference()
  t.after(() => source.close())

  const copyIn = (
    data: Buffer,
    options: CopyOptions,
    sql: string,
    pieceBytes: number,
    more: { place?: TablePlace; columns?: readonly string[] } = {},
  ): Promise<Answered> => copied(seats, data, options, sql, pieceBytes, more)
  const onShards = async (table = 'things'): Promise<string[]> =>
    sorted(
      (
        await gathering.run(
          { how: 'concat', sql: null, limit: null, offset: null },
          `SELECT word, id, data FROM ${table}`,
        )
      ).rows,
    )
  const empty = async (): Promise<void> => {
    for (const seat of seats.all) await seat.command('TRUNCATE things, copies')
  }

  const forms: readonly [clause: string, options: CopyOptions][] = [
    ['', textOptions],
    [
      "(DELIMITER '|', NULL 'nil', HEADER)",
      { ...textOptions, delimiter: '|', nullText: 'nil', header: true },
    ],
    ['(FORMAT csv)', csvOptions],
    [
      "(FORMAT csv, HEADER, DELIMITER ';', QUOTE '''', ESCAPE '\\', NULL 'none')",
      { ...csvOptions, header: true, delimiter: ';', quote: "'", escape: '\\', nullText: 'none' },
    ],
    ["(FORMAT csv, ESCAPE '!')", { ...csvOptions, escape: '!' }],
    ['(FORMAT binary)', { ...textOptions, format: 'binary' }],
  ]
  for (const [clause, options] of forms) {
    await t.test(`in and out ${clause || 'as text'}, in pieces of any size`, async () => {
      const wanted = sorted(await expected('SELECT word, id, data FROM things'))
      const parts: Buffer[] = []
      // A line of CSV that is the end of data to older servers can't be placed.
      const query = `COPY (SELECT * FROM things WHERE word IS DISTINCT FROM '\\.') TO STDOUT ${clause}`
      const end = await source.run(request(query), {
        row: () => {},
        copyData: (bytes, from, to) => parts.push(Buffer.from(bytes.subarray(from + 5, to))),
      })
      assert.match(end.tag ?? end.error?.message ?? '', /^COPY/)
      const data = Buffer.concat(parts)
      for (const pieceBytes of [1, 7, 1_000, 1 << 20]) {
        const answer = await copyIn(data, options, `COPY things FROM STDIN ${clause}`, pieceBytes)
        assert.equal(answer.tag, end.tag, answer.message ?? '')
        await seats.end('COMMIT')
        assert.deepEqual(
          await onShards(),
          wanted.filter(row => !row.startsWith('\\.|')),
        )
        const wrong = await gathering.run(
          { how: 'concat', sql: null, limit: null, offset: null },
          'SELECT count(*) FROM things WHERE (id % 3 + 3) % 3 <> substr(current_database(), 6)::int - 1',
        )
        assert.deepEqual(sorted(wrong.rows), ['0', '0', '0'])
        await empty()
      }
      await empty()
      await copyIn(data, options, `COPY things FROM STDIN ${clause}`, 1_000)
      await seats.end('COMMIT')
      const answer = new KeptAnswer()
      const out = await copyOutAcross({
        request: request(`COPY things TO STDOUT ${clause}`),
        targets: [0, 1, 2],
        options,
        seats,
        answer,
      })
      assert.deepEqual(out, { tag: end.tag })
      assert.equal(answer.copyHeads, 1)
      await source.command('TRUNCATE copies')
      const copy = await source.copyIn(`COPY copies FROM STDIN ${clause}`)
      assert.ok('frame' in copy)
      for (const part of answer.copied) copy.send(part, 0, part.length)
      assert.equal((await copy.done()).tag, end.tag)
      assert.deepEqual(sorted(await expected('SELECT word, id, data FROM copies')), await onShards())
      await empty()
    })
  }

  await t.test('an empty table goes out as one that is empty', async () => {
    for (const [clause, options] of forms) {
      const answer = new KeptAnswer()
      const sql = `COPY copies TO STDOUT ${clause}`
      await copyOutAcross({ request: request(sql), targets: [0, 1, 2], options, seats, answer })
      await source.command('TRUNCATE copies')
      const single: Buffer[] = []
      await source.run(request(sql), {
        row: () => {},
        copyData: (bytes, from, to) => single.push(Buffer.from(bytes.subarray(from + 5, to))),
      })
      assert.deepEqual(Buffer.concat(answer.copied), Buffer.concat(single), clause)
    }
  })

  const sql = 'COPY things FROM STDIN'
  const csv = 'COPY things FROM STDIN (FORMAT csv)'
  const odd: readonly [name: string, data: string, options: CopyOptions, sql: string][] = [
    ['lines that end in carriage return and newline', 'a\t1\t\\N\r\nb\t2\t\\N\r\n', textOptions, sql],
    ['a last line without an end', 'a\t1\t\\N\nb\t2\t\\N', textOptions, sql],
    ['a newline behind a backslash', 'a\\\nb\t1\t\\N\nc\\\\\t2\t\\N\n', textOptions, sql],
    ['the mark of the end, and what follows it', 'a\t1\t\\N\n\\.\nb\t2\t\\N\n', textOptions, sql],
    ['keys written as codes', 'a\t\\061\t\\N\nb\t\\x32\t\\N\n', textOptions, sql],
    ['too few columns', 'a\n', textOptions, sql],
    ['too many columns', 'a\t1\t\\N\t9\n', textOptions, sql],
    ['mixed ends of lines', 'a\t1\t\\N\nb\t2\t\\N\r\n', textOptions, sql],
    ['a value that is none', 'a\tx\t\\N\n', textOptions, sql],
    ['a NULL key', 'a\t1\t\\N\nb\t\\N\t\\N\n', textOptions, sql],
    ['quotes within a value', 'a"b,c"d,1,\n"x""y",2,\n', csvOptions, csv],
    ['a quoted newline', '"a\nb",1,\n"c\r\nd",2,\n', csvOptions, csv],
    ['a quote that does not end', '"a,1,\n', csvOptions, csv],
    ['a quoted key that is empty', 'a,"",\n', csvOptions, csv],
    ['nothing', '', textOptions, sql],
  ]
  for (const [name, data, options, text] of odd) {
    await t.test(`as PostgreSQL does it: ${name}`, async () => {
      await empty()
      const plain = await seats.reference()
      await plain.command('BEGIN')
      await plain.command('TRUNCATE things')
      const one = await plain.copyIn(text)
      assert.ok('frame' in one)
      if (data !== '') one.send(Buffer.from(data), 0, Buffer.byteLength(data))
      const wanted = await one.done()
      const rows: string[] = []
      await plain.run(request('SELECT count(*)::text FROM things'), {
        row: (bytes, _from, to) => rows.push(bytes.subarray(to - 1, to).toString()),
      })
      plain.close()
      const answer = await copyIn(Buffer.from(data), options, text, 2)
      assert.equal(answer.code, wanted.error?.code ?? null, answer.message ?? '')
      assert.equal(answer.tag, wanted.tag)
      await seats.end(answer.tag === null ? 'ROLLBACK' : 'COMMIT')
      assert.equal((await onShards()).length, answer.tag === null ? 0 : Number(rows[0]))
    })
  }

  await t.test(
    'a NULL key is refused with its line; a table everywhere gets all rows; others go round',
    async () => {
      const refused = await copyIn(Buffer.from('a\t1\t\\N\nb\t\\N\t\\N\n'), textOptions, sql, 3)
      assert.equal(refused.detail, 'shard-key-null')
      assert.match(refused.message ?? '', /line 2 of COPY/)
      await seats.end('ROLLBACK')
      const missing = await copyIn(Buffer.from('a\n'), textOptions, 'COPY things (word) FROM STDIN', 3, {
        columns: ['word'],
      })
      assert.equal(missing.detail, 'shard-key-null')
      await seats.end('ROLLBACK')
      const data = Buffer.from('a\t1\t\\N\nb\t2\t\\N\nc\t3\t\\N\n')
      const copy = 'COPY copies FROM STDIN'
      const all = await copyIn(data, textOptions, copy, 5, { place: { kind: 'everywhere' } })
      assert.equal(all.tag, 'COPY 3')
      await seats.end('COMMIT')
      assert.equal((await onShards('copies')).length, 9)
      await empty()
      const round = await copyIn(data, textOptions, copy, 5, { place: { kind: 'round-robin' } })
      assert.equal(round.tag, 'COPY 3')
      assert.deepEqual([...seats.writers].sort(), [0, 1, 2])
      await seats.end('COMMIT')
      assert.equal((await onShards('copies')).length, 3)
      await empty()
    },
  )

  await t.test('the client gives up: all shards do', async () => {
    const copy = await opened(seats, textOptions, sql)
    copy.take(Buffer.from('a\t1\t\\N\nb\t2\t\\N\n'), 0, 16)
    const end = answered(await copy.fail('enough'), new KeptAnswer())
    assert.equal(end.code, '57014')
    await seats.end('ROLLBACK')
    assert.deepEqual(await onShards(), [])
  })
})

function request(sql: string): Parameters<typeof copyOutAcross>[0]['request'] {
  return { sql, types: [], parameters: [], parameterFormats: [], resultFormats: [] }
}

async function opened(
  seats: PlainSeats,
  options: CopyOptions,
  sql: string,
  more: { place?: TablePlace; columns?: readonly string[] } = {},
): Promise<CopyIn> {
  const copy = await open(seats, options, sql, more)
  assert.ok(copy instanceof CopyIn)
  return copy
}

function open(
  seats: PlainSeats,
  options: CopyOptions,
  sql: string,
  more: { place?: TablePlace; columns?: readonly string[] },
): ReturnType<typeof openCopyIn> {
  const places = seats.places()
  return openCopyIn({ sql, place: byId, columns, options, seats, places, limits: gatherLimits, ...more })
}

async function copied(
  seats: PlainSeats,
  data: Buffer,
  options: CopyOptions,
  sql: string,
  pieceBytes: number,
  more: { place?: TablePlace; columns?: readonly string[] },
): Promise<Answered> {
  const copy = await open(seats, options, sql, more)
  if (!(copy instanceof CopyIn)) return answered(copy, new KeptAnswer())
  const piece = Buffer.alloc(pieceBytes)
  for (let at = 0; at < data.length; at += pieceBytes) {
    // Valid in the call only.
    const size = data.copy(piece, 0, at, Math.min(data.length, at + pieceBytes))
    if (!copy.take(piece, 0, size)) await copy.drained()
    piece.fill(0x3f)
  }
  return answered(await copy.done(), new KeptAnswer())
}
