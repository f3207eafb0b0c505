// The same statements over shards and on one PostgreSQL: the same rows, names, types, counts and errors; or the refusal that the
// corpus names. By Query, by Parse and Bind, prepared by name, in binary, inside a transaction that has written.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import type pg from 'pg'
import { isOrdered, type Manner, manners, type Pair, said, startPair, tables } from './corpus/harness.ts'
import { corpusReads, type Read } from './corpus/reads.ts'
import { corpusRows, tableNames } from './corpus/tables.ts'
import { corpusWrites } from './corpus/writes.ts'

let pair: Pair
let sharded: pg.Client
let plain: pg.Client

before(async () => {
  pair = await startPair()
  ;({ sharded, plain } = pair)
})

test.after(() => pair?.close())

async function compare([text, values, refused]: Read, manner: Manner): Promise<string | null> {
  const ordered = isOrdered(text)
  const wanted = await said(plain, manner.config(text, values), ordered)
  const got = await said(sharded, manner.config(text, values), ordered)
  const same =
    'code' in wanted
      ? 'code' in got && got.code === wanted.code
      : JSON.stringify(got) === JSON.stringify(wanted)
  if (refused !== undefined)
    return 'code' in got && got.detail.includes(refused)
      ? null
      : `${text}\n  refused with ${refused}: ${JSON.stringify(got).slice(0, 300)}`
  if (same) return null
  return `${text} ${manner.name}\n  sharded ${JSON.stringify(got).slice(0, 400)}\n  plain   ${JSON.stringify(wanted).slice(0, 400)}`
}

for (const manner of manners)
  test(`reads, ${manner.name}`, async () => {
    const wrong: string[] = []
    for (const read of corpusReads) {
      const trouble = await compare(read, manner)
      if (trouble !== null) wrong.push(trouble)
    }
    assert.deepEqual(wrong, [], `${wrong.length} of ${corpusReads.length}\n${wrong.join('\n')}`)
  })

/** These tables, and what points to them, have the corpus' rows again. */
async function reset(changed: readonly string[]): Promise<void> {
  if (changed.length === 0) return
  const all = changed.includes('orders') && !changed.includes('lines') ? [...changed, 'lines'] : changed
  for (const client of [sharded, plain]) {
    await client.query(`TRUNCATE ${all.join(', ')}`)
    for (const text of corpusRows())
      if (all.includes(/INTO (\w+)/.exec(text)?.[1] ?? '')) await client.query(text)
  }
}

test('writes, one script after another', async t => {
  const wrong: string[] = []
  const refusals = new Map<string, number>()
  await sharded.query('SET tenfold.allow_broadcast TO on')
  const first = await tables(plain)
  for (const { name, script } of corpusWrites) {
    if (process.env.TRACE) console.error(name)
    for (const [text, values, refused] of script) {
      const ordered = isOrdered(text)
      const config = (manners[values === undefined ? 0 : 1] as Manner).config(text, values)
      const wanted = await said(plain, config, ordered)
      if (refused !== undefined) {
        const got = await said(sharded, config, ordered)
        refusals.set(refused, (refusals.get(refused) ?? 0) + 1)
        if (!('code' in got && got.detail.includes(refused)))
          wrong.push(`${name}: ${text}\n  refused with ${refused}: ${JSON.stringify(got).slice(0, 200)}`)
        break
      }
      const got = await said(sharded, config, ordered)
      const same =
        'code' in wanted
          ? 'code' in got && got.code === wanted.code
          : JSON.stringify(got) === JSON.stringify(wanted)
      if (same) continue
      wrong.push(
        `${name}: ${text}\n  sharded ${JSON.stringify(got).slice(0, 300)}\n  plain   ${JSON.stringify(wanted).slice(0, 300)}`,
      )
      break
    }
    // What was left open, and what a refusal left undone: the last statement was the script's end.
    for (const client of [sharded, plain]) await client.query('ROLLBACK')
    const [one, other] = [await tables(sharded), await tables(plain)]
    const isRefused = script.at(-1)?.[2] !== undefined
    for (const table of tableNames)
      if (one[table] !== (isRefused ? first : other)[table])
        wrong.push(`${name}: table ${table} is another one`)
    await reset(tableNames.filter(table => one[table] !== first[table] || other[table] !== first[table]))
  }
  t.diagnostic(`refused: ${[...refusals].map(([code, count]) => `${code} ${count}`).join(', ')}`)
  assert.deepEqual(wrong, [], `${wrong.length} of ${corpusWrites.length}\n${wrong.join('\n')}`)
})

test('reads inside a transaction that has written', async () => {
  const wrong: string[] = []
  for (const client of [sharded, plain]) {
    await client.query('BEGIN')
    await client.query("UPDATE customers SET name = 'changed', vip = true WHERE id IN (1, 2, 3, 4, 17)")
    await client.query("INSERT INTO films VALUES (77, 'new', 1, '1 hour')")
    await client.query('UPDATE orders SET film = 77 WHERE customer = 5')
    await client.query('DELETE FROM lines WHERE customer = 7')
  }
  for (const read of corpusReads) {
    for (const client of [sharded, plain]) await client.query('SAVEPOINT here')
    const trouble = await compare(read, manners[0] as Manner)
    if (trouble !== null) wrong.push(trouble)
    for (const client of [sharded, plain]) await client.query('ROLLBACK TO here')
  }
  for (const client of [sharded, plain]) await client.query('ROLLBACK')
  assert.deepEqual(wrong, [], `${wrong.length} of ${corpusReads.length}\n${wrong.join('\n')}`)
})
