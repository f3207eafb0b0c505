// Random statements over shards and on one PostgreSQL: the same rows, or a refusal that the reference documents.
// TENFOLD_TEST_SEED=N TENFOLD_TEST_RUNS=5000 for more.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { before, test } from 'node:test'
import fc from 'fast-check'
import { isOrdered, type Manner, manners, type Pair, said, startPair, tables } from './corpus/harness.ts'
import { randomRead } from './corpus/random-reads.ts'
import { randomScript } from './corpus/random-writes.ts'
import { tableNames } from './corpus/tables.ts'

const seed = Number(process.env.TENFOLD_TEST_SEED ?? Date.now() % 1e9)
const runs = Number(process.env.TENFOLD_TEST_RUNS ?? 250)
const documented = new Set(
  [...readFileSync('docs/reference/sharding.md', 'utf8').matchAll(/<a id="(shard-[a-z-]+)">/g)].map(
    ([, code]) => code as string,
  ),
)
let pair: Pair

before(async () => {
  pair = await startPair()
})

test.after(() => pair?.close())

test('random reads: the same rows, or a documented refusal', async t => {
  t.diagnostic(`TENFOLD_TEST_SEED=${seed}`)
  const refusals = new Map<string, number>()
  let asked = 0
  let failed = 0
  let rows = 0
  const property = fc.asyncProperty(fc.gen(), fc.nat(2), async (draw, how) => {
    const { text, values } = randomRead(draw)
    const ordered = isOrdered(text)
    const config = (manners[values === undefined ? how : 1] as Manner).config(text, values)
    const got = await said(pair.sharded, config, ordered)
    asked++
    if ('code' in got && got.detail.startsWith('shard-')) {
      const code = got.detail.split(/\s/)[0] as string
      assert.ok(documented.has(code), `${code} is not in the reference: ${text}`)
      refusals.set(code, (refusals.get(code) ?? 0) + 1)
      return
    }
    const wanted = await said(pair.plain, config, ordered)
    if ('code' in wanted) failed++
    else rows += wanted.rows.length
    const trouble = `${text} ${JSON.stringify(values ?? [])}`
    if ('code' in wanted) assert.equal('code' in got ? got.code : 'answered', wanted.code, trouble)
    else assert.deepEqual(got, wanted, trouble)
  })
  await fc.assert(property, { seed, numRuns: runs, interruptAfterTimeLimit: 540_000 })
  const refused = [...refusals.values()].reduce((sum, count) => sum + count, 0)
  t.diagnostic(
    `${asked} reads, ${rows} rows; ${failed} errors of PostgreSQL; refused ${refused}: ${[...refusals].map(([code, count]) => `${code} ${count}`).join(', ')}`,
  )
  assert.ok(refused < 0.25 * asked, `${refused} of ${asked} were refused`)
  assert.ok(failed < 0.1 * asked, `${failed} of ${asked} are no statements`)
  assert.ok(rows > asked, 'there is something to compare')
})

test('random scripts that write: the same answers, and the same rows after each', async t => {
  t.diagnostic(`TENFOLD_TEST_SEED=${seed}`)
  const { sharded, plain } = pair
  const refusals = new Map<string, number>()
  let asked = 0
  let changed = 0
  await sharded.query('SET tenfold.allow_broadcast TO on')
  const property = fc.asyncProperty(fc.gen(), fc.nat(2), async (draw, how) => {
    const script = randomScript(draw)
    const trace = JSON.stringify(script)
    for (const { text, values } of script) {
      const config = (manners[values === undefined ? how : 1] as Manner).config(text, values)
      const got = await said(sharded, config, false)
      asked++
      if ('code' in got && got.detail.startsWith('shard-')) {
        const code = got.detail.split(/\s/)[0] as string
        assert.ok(documented.has(code), `${code} is not in the reference: ${text}`)
        refusals.set(code, (refusals.get(code) ?? 0) + 1)
        // Nothing of it was done; what the transaction did before is undone on both sides.
        break
      }
      const wanted = await said(plain, config, false)
      if ('rows' in wanted && /^(INSERT|UPDATE|DELETE) [1-9]/.test(wanted.tag)) changed++
      const trouble = `${text} ${JSON.stringify(values ?? [])} of ${trace}`
      if ('code' in wanted) assert.equal('code' in got ? got.code : 'answered', wanted.code, trouble)
      else assert.deepEqual(got, wanted, trouble)
    }
    for (const client of [sharded, plain]) await client.query('ROLLBACK')
    const [one, other] = [await tables(sharded), await tables(plain)]
    for (const table of tableNames) assert.equal(one[table], other[table], `${table} after ${trace}`)
  })
  await fc.assert(property, { seed, numRuns: Math.ceil(runs / 2), endOnFailure: true })
  const refused = [...refusals.values()].reduce((sum, count) => sum + count, 0)
  t.diagnostic(
    `${asked} statements, ${changed} that changed rows; refused ${refused}: ${[...refusals].map(([code, count]) => `${code} ${count}`).join(', ')}`,
  )
  assert.ok(refused < 0.15 * asked, `${refused} of ${asked} were refused`)
  assert.ok(changed > 0.2 * asked, `${changed} of ${asked} changed anything`)
})
