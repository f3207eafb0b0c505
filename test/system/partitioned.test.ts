// Partitions in a whole system: made once the table is there, of a plain database and on each shard; shown, and rolled when asked.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { project, until } from '../tools/project.ts'

const service = {
  command: [process.execPath, join(import.meta.dirname, '../tools/sql-service.mjs')],
  health: { path: '/healthz' },
  ready: { timeout: '60s' },
}

test('partitions of a plain database and of two shards are made in time, shown, and said when they can not be', async t => {
  const shop = project(t)
  const describe = (keep?: number): void =>
    shop.configure({
      name: 'shop',
      control: { listen: 0 },
      edge: { listen: { http: '127.0.0.1:0' }, workers: 1 },
      services: { api: service },
      databases: {
        plain: {
          partitions: {
            events: {
              by: 'at',
              every: 'month',
              ahead: 1,
              ...(keep === undefined ? {} : { keep, old: 'drop' }),
            },
            wrong: { by: 'at', every: 'day' },
          },
        },
        spread: {
          shards: { count: 2, slots: 16, tables: { readings: { by: 'sensor' } } },
          partitions: { readings: { by: 'at', every: 'year', ahead: 1 } },
        },
      },
    })
  describe()
  await shop.up('--no-watch')
  const psql = async (name: string, sql: string): Promise<string> => {
    const ran = await shop.run('db', 'psql', name, '-c', sql)
    assert.equal(ran.code, 0, ran.out + ran.error)
    return ran.out
  }
  const waits = await shop.run('db', 'partitions', 'plain')
  assert.match(waits.out, /plain: public\.events: the table is not there yet/)
  await psql('plain', 'CREATE TABLE events (at timestamptz NOT NULL, n int) PARTITION BY RANGE (at)')
  await psql('plain', 'CREATE TABLE wrong (at timestamptz)')
  await psql(
    'spread',
    'CREATE TABLE readings (sensor bigint, at timestamptz NOT NULL, value int, PRIMARY KEY (sensor, at)) PARTITION BY RANGE (at)',
  )
  const rolled = await shop.run('db', 'partitions', 'plain', '--now')
  assert.equal(rolled.code, 1)
  // The supervisor may have been there before.
  assert.match(rolled.out, /plain: [02] partitions made, 0 taken away/)
  assert.match(rolled.out, /public\.wrong: it is not partitioned: CREATE TABLE wrong/)
  assert.equal((await shop.run('db', 'partitions', 'spread', '--now')).code, 0)
  const shown = await shop.run('db', 'partitions', 'spread', '--json')
  const { groups } = JSON.parse(shown.out) as {
    groups: { name: string; tables: { partitions: { name: string }[] }[] }[]
  }
  const year = new Date().getUTCFullYear()
  for (const group of groups)
    assert.deepEqual(
      group.tables[0]?.partitions.map(({ name }) => name),
      [`readings_p${year}`, `readings_p${year + 1}`],
    )
  assert.deepEqual(
    groups.map(({ name }) => name),
    ['spread-s1', 'spread-s2'],
  )
  await psql(
    'spread',
    `INSERT INTO readings VALUES (1, '${year}-06-01', 5), (2, '${year + 1}-06-01', 6), (3, '${year}-01-01', 7)`,
  )
  assert.match(await psql('spread', 'SELECT count(*), sum(value) FROM readings'), /3 \| +18/)
  const direct = await shop.run('db', 'psql', 'spread', '-c', `SELECT * FROM readings_p${year}`)
  assert.match(direct.out + direct.error, /readings_p\d+/)
  assert.notEqual(direct.code, 0)
  const drift = await shop.run('db', 'drift', 'spread')
  assert.equal(drift.code, 0, drift.out)

  // By itself, soon after a reload; and what is old goes when the file says so.
  await psql(
    'plain',
    "CREATE TABLE events_old PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2020-02-01')",
  )
  await psql('plain', 'DROP TABLE wrong')
  describe(12)
  const reload = await shop.run('reload')
  assert.equal(reload.code, 0, reload.out + reload.error)
  await until('the old partition is gone', async () => {
    const view = await shop.run('db', 'partitions', 'plain', '--json')
    return !view.out.includes('events_old')
  })
  const logs = await shop.run('db', 'partitions', 'plain')
  assert.match(logs.out, /events_p\d{4}_\d\d +FROM \('\d{4}-\d\d-01 00:00:00\+00'\)/)
  const stopped = await shop.run('stop')
  assert.equal(stopped.code, 0, stopped.out + stopped.error)
})
