import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Client } from 'pg'
import { startPostgres } from '../../../test/tools/postgres-server.ts'
import { shownStatement } from './slow.ts'

test('what PostgreSQL keeps of values in pg_stat_statements is not shown', async t => {
  const server = await startPostgres(t)
  const client = new Client({ connectionString: server.url })
  await client.connect()
  await client.query('CREATE EXTENSION pg_stat_statements')
  await client.query("CREATE ROLE somebody PASSWORD 'hunter2'")
  await client.query("SELECT 'hunter2' WHERE 1 = $1", [1])
  await client.query("COMMENT ON ROLE somebody IS 'hunter2' -- hunter2")
  const { rows } = await client.query<{ query: string }>('SELECT query FROM pg_stat_statements')
  await client.end()
  const kept = rows.map(row => row.query)
  assert.ok(
    kept.some(text => text.includes('hunter2')),
    'PostgreSQL keeps none of them any more',
  )
  const shown = kept.map(shownStatement)
  assert.ok(!shown.some(text => text.includes('hunter2')), shown.join('\n'))
  assert.ok(shown.includes('CREATE ROLE somebody PASSWORD $1'))
})

test('a text that was cut inside a value shows nothing of it', () => {
  assert.equal(shownStatement("SELECT * FROM t WHERE a = 'hunt"), 'SELECT * FROM t WHERE a = $1')
  assert.equal(shownStatement('SELECT $a$ hunt'), 'SELECT $1')
  assert.equal(shownStatement('SELECT 1 /* hunt'), 'SELECT $1')
})
