// A client that says its region gets what any shard may answer from the shard of that region; rows stay where their rule says.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import type { ShardMap } from '../../src/policy/shard/contract.ts'
import { startResharding } from './reshard-harness.ts'

const map: ShardMap = {
  format: 1,
  version: 1,
  shards: ['1', '2', '3'],
  families: {
    'public.users': {
      types: ['text'],
      rule: {
        by: 'geo',
        regions: [
          { values: ['eu', "o'eu"], shard: 1 },
          { values: ['us'], shard: 2 },
        ],
        otherwise: 0,
      },
    },
  },
  tables: {
    'public.users': { kind: 'sharded', family: 'public.users', key: ['region'] },
    'public.films': { kind: 'everywhere' },
    'public.log': { kind: 'round-robin' },
  },
}

const schema = `CREATE TABLE public.users (region text, id bigint, PRIMARY KEY (region, id));
CREATE TABLE public.films (id integer PRIMARY KEY);
CREATE TABLE public.log (line text);
ALTER TABLE public.users OWNER TO app; ALTER TABLE public.films OWNER TO app; ALTER TABLE public.log OWNER TO app`

test('a region says which shard is near', async t => {
  const harness = await startResharding(t, { map, schema })
  const client = await harness.client()
  const routeOf = async (text: string, of = client): Promise<string> => {
    await of.query(text)
    return (await of.query('SHOW tenfold.shard')).rows[0]['tenfold.shard']
  }
  await client.query('INSERT INTO films VALUES (1)')

  await t.test('reads of tables that are everywhere, and rows without a key', async () => {
    for (const [region, shard] of [
      ['eu', '2'],
      ['us', '3'],
      ["o''eu", '2'],
    ] as const) {
      await client.query(`SET tenfold.region = '${region}'`)
      assert.equal(
        (await client.query('SHOW tenfold.region')).rows[0]['tenfold.region'],
        region.replace("''", "'"),
      )
      assert.equal(await routeOf('BEGIN; SELECT * FROM films; COMMIT'), shard)
      const before = (
        await harness.operators[Number(shard) - 1]?.query('SELECT count(*) FROM public.log', 5_000)
      )?.[0]
      await client.query("INSERT INTO log VALUES ('near')")
      const after = (
        await harness.operators[Number(shard) - 1]?.query('SELECT count(*) FROM public.log', 5_000)
      )?.[0]
      assert.equal(Number(after?.[0]), Number(before?.[0]) + 1)
    }
  })

  await t.test('rows with a region lie where it says, wherever their client is', async () => {
    await client.query("SET tenfold.region TO 'us'")
    await client.query("INSERT INTO users VALUES ('eu', 1), ('mars', 2)")
    assert.equal(
      (await harness.operators[1]?.query('SELECT count(*) FROM public.users', 5_000))?.[0]?.[0],
      '1',
    )
    assert.equal(
      (await harness.operators[0]?.query('SELECT count(*) FROM public.users', 5_000))?.[0]?.[0],
      '1',
    )
    assert.equal((await client.query('SELECT count(*) FROM users')).rows[0].count, '2')
    await assert.rejects(client.query('INSERT INTO users (id) VALUES (3)'), { code: '23502' })
  })

  await t.test('for one transaction, at the start, and back', async () => {
    await client.query('BEGIN')
    await client.query("SET LOCAL tenfold.region = 'eu'")
    assert.equal((await client.query('SHOW tenfold.region')).rows[0]['tenfold.region'], 'eu')
    await client.query('ROLLBACK')
    assert.equal((await client.query('SHOW tenfold.region')).rows[0]['tenfold.region'], 'us')
    await client.query('RESET tenfold.region')
    assert.equal((await client.query('SHOW tenfold.region')).rows[0]['tenfold.region'], '')
    await assert.rejects(client.query("SET tenfold.region = 'mars'"), (error: pg.DatabaseError) => {
      assert.equal(error.code, '22023')
      assert.match(error.hint ?? '', /Regions are eu, o'eu, us\./)
      return true
    })
    const near = new pg.Client({ connectionString: harness.url, options: '-c tenfold.region=us' })
    await near.connect()
    try {
      assert.equal((await near.query('SHOW tenfold.region')).rows[0]['tenfold.region'], 'us')
      assert.equal(await routeOf('BEGIN; SELECT * FROM films; COMMIT', near), '3')
    } finally {
      await near.end()
    }
  })
})
