// A comparison that finds rows which differ: nothing is switched, it is said which, and what can be done about it helps.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import type { ShardMap } from '../../src/policy/shard/contract.ts'
import { type Resharding, startResharding } from './reshard-harness.ts'

const map: ShardMap = {
  format: 1,
  version: 1,
  shards: ['1', '2'],
  families: {
    notes: {
      types: ['text'],
      rule: { by: 'list', lists: [{ values: ['far'], shard: 1 }], otherwise: 0 },
    },
  },
  tables: {
    'public.Notes': { kind: 'sharded', family: 'notes', key: ['owner'] },
    'public.right': { kind: 'sharded', family: 'notes', key: ['owner'] },
  },
}

const schema = `CREATE TABLE public."Notes" (owner text, number int, "the text" text, PRIMARY KEY (owner, number));
CREATE TABLE public.right (owner text PRIMARY KEY);
ALTER TABLE public."Notes" OWNER TO app; ALTER TABLE public.right OWNER TO app`

const rule = { by: 'list', lists: [{ values: ['far', "o'neill"], shard: 1 }], otherwise: 0 } as const

/** What is copied to shard 2 is not what it was; made before anything is copied, and after the checks. */
async function begun(
  t: Parameters<typeof startResharding>[0],
): Promise<{ harness: Resharding; app: pg.Client }> {
  const harness = await startResharding(t, { map, schema })
  const app = await harness.client()
  for (let number = 1; number <= 9; number++)
    await app.query('INSERT INTO "Notes" VALUES ($1, $2, $3)', ["o'neill", number, `note ${number}`])
  await app.query(`INSERT INTO "right" VALUES ('o''neill')`)
  const { host, port } = harness.servers[1] as (typeof harness.servers)[number]
  const wrong = new pg.Client({ host, port, database: 'app', user: 'tenfold', password: 'secret' })
  await wrong.connect()
  // Servers are prepared only when this lock is given back.
  await wrong.query('BEGIN; LOCK TABLE public."Notes" IN SHARE MODE')
  await harness.begin({ kind: 'rule', family: 'notes', rule })
  await harness.reach('preparing')
  await wrong.query(`CREATE FUNCTION public.wrong() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF NEW.number = 7 THEN RETURN NULL; END IF;
      IF NEW.number = 8 THEN NEW."the text" := NULL; END IF;
      RETURN NEW; END $$;
    CREATE TRIGGER wrong BEFORE INSERT ON public."Notes" FOR EACH ROW EXECUTE FUNCTION public.wrong();
    ALTER TABLE public."Notes" ENABLE ALWAYS TRIGGER wrong; COMMIT`)
  await wrong.end()
  return { harness, app }
}

async function differs(harness: Resharding): Promise<void> {
  const end = Date.now() + 40_000
  while (harness.executor.journal.differences === null) {
    assert.ok(Date.now() < end, harness.executor.journal.trouble)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  const { differences, step, trouble } = harness.executor.journal
  assert.equal(step, 'comparing')
  assert.equal(trouble, '2 rows differ: public.Notes between shards 1>2')
  assert.deepEqual(differences, {
    count: 2,
    tables: { '1>2': ['public.Notes'] },
    rows: [
      { stream: '1>2', table: 'public.Notes', key: ["o'neill", '7'], kind: 'missing' },
      { stream: '1>2', table: 'public.Notes', key: ["o'neill", '8'], kind: 'different' },
    ],
  })
}

const texts = async (app: pg.Client): Promise<readonly string[]> => {
  const { rows } = await app.query('SELECT "the text" FROM "Notes" ORDER BY number')
  return rows.map(row => row['the text'] as string)
}

test('rows that differ are named, and nothing is switched; copied again when the cause is gone, they go', async t => {
  const { harness, app } = await begun(t)
  assert.equal(harness.executor.wish('recopy'), 'no rows are known to differ')
  await differs(harness)
  assert.equal(harness.map().version, 1)
  // Whoever comes next knows it, too, and does not compare for ever.
  await harness.restart()
  assert.deepEqual(harness.executor.journal.differences?.count, 2)
  // Without the cause being gone it is the same again.
  assert.equal(harness.executor.wish('recopy'), null)
  await harness.reach('catching-up')
  await differs(harness)
  await harness.everywhere('DROP TRIGGER wrong ON public."Notes"', ['2'])
  // What is written meanwhile goes along, once.
  await app.query(`UPDATE "Notes" SET "the text" = 'new' WHERE owner = 'o''neill' AND number = 8`)
  await app.query(`DELETE FROM "Notes" WHERE owner = 'o''neill' AND number = 1`)
  assert.equal(harness.executor.wish('recopy'), null)
  await app.query(`UPDATE "Notes" SET "the text" = 'newer' WHERE owner = 'o''neill' AND number = 2`)
  await harness.reach('reversible')
  const now = ['newer', 'note 3', 'note 4', 'note 5', 'note 6', 'note 7', 'new', 'note 9']
  assert.deepEqual(await texts(app), now)
  assert.equal(harness.executor.wish('finish'), null)
  await harness.reach('done')
  assert.deepEqual(await texts(app), now)
  const there = await harness.operators[1]?.query('SELECT count(*) FROM public."Notes"', 5_000)
  assert.deepEqual(there, [['8']])
  assert.deepEqual(await harness.left(), [])
})

test('rows that differ: cancelled, all is as it was', async t => {
  const { harness, app } = await begun(t)
  await differs(harness)
  assert.equal(harness.executor.wish('cancel'), null)
  await harness.reach('cancelled')
  assert.equal(harness.map().version, 1)
  assert.equal((await texts(app)).length, 9)
  const there = await harness.operators[1]?.query('SELECT count(*) FROM public."Notes"', 5_000)
  assert.deepEqual(there, [['0']])
  assert.deepEqual(await harness.left(), [])
})
