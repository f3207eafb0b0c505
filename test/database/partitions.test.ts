// Partitions that roll forward on a real server, with a clock that is passed in.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { before, test } from 'node:test'
import pg from 'pg'
import { rollTable } from '../../src/database/partitions/roll.ts'
import { Session } from '../../src/database/servers/session.ts'
import type { PartitionSpec } from '../../src/policy/partition/contract.ts'
import { startPostgres } from '../tools/postgres-server.ts'

const endings: (() => Promise<void> | void)[] = []
const scope = { after: (end: unknown) => void endings.push(end as () => void) } as never
let server: Session
let user: pg.Client
let target: () => { host: string; port: number; database: string; user: string; password: string }
/** As a user. */
const ask = async (sql: string): Promise<(string | null)[][]> => {
  const result = await user.query({ text: sql, rowMode: 'array', types: asText } as never)
  return ([result].flat().at(-1) as unknown as pg.QueryArrayResult).rows as (string | null)[][]
}
const asText = { getTypeParser: () => (value: string) => value }
const us = (text: string): number => Date.parse(text) * 1_000
const at = (text: string, dry = false) => ({
  ask: (sql: string, timeoutMs: number) => server.query(sql, timeoutMs),
  nowUs: us(text),
  dry,
})

before(async () => {
  const { host, port } = await startPostgres(scope, {
    settings: { shared_buffers: '16MB', timezone: 'Asia/Tokyo' },
  })
  target = () => ({ host, port, database: 'app', user: 'tenfold', password: 'secret' })
  server = new Session(target)
  endings.push(() => server.close())
  user = new pg.Client(target())
  await user.connect()
  endings.push(() => user.end())
})

test.after(async () => {
  for (const end of endings.reverse()) await end()
})

const spec = (table: string, more: Partial<PartitionSpec> = {}): PartitionSpec => ({
  table: `public.${table}`,
  rule: { by: 'time', column: 'at', every: 'month' },
  ahead: 2,
  keep: null,
  old: 'detach',
  ...more,
})

async function partitionsOf(table: string): Promise<string[]> {
  const rows = await ask(
    `SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = '${table}'::regclass ORDER BY 1`,
  )
  return rows.map(([name]) => name ?? '')
}

test('months ahead, with indexes, checks, an owner; rows of each month find their place, whatever the time zone', async () => {
  await ask(
    `CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL, n int CHECK (n > 0), twice int GENERATED ALWAYS AS (n * 2) STORED, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
     CREATE INDEX ON events (n); ALTER TABLE events OWNER TO app`,
  )
  const dry = await rollTable(spec('events'), at('2026-11-23T00:00:00Z', true))
  assert.deepEqual(dry.made, ['events_p2026_11', 'events_p2026_12', 'events_p2027_01'])
  assert.deepEqual(await partitionsOf('events'), [])
  const rolled = await rollTable(spec('events'), at('2026-11-23T00:00:00Z'))
  assert.deepEqual([rolled.state, rolled.troubles], ['rolled', []])
  assert.deepEqual(rolled.made, dry.made)
  await ask(
    "INSERT INTO events (at, n) VALUES ('2026-11-01 00:00:00+00', 1), ('2026-11-30 23:59:59.999999+00', 2), ('2026-12-01 00:00:00+00', 3)",
  )
  const counts = await ask('SELECT tableoid::regclass, count(*) FROM events GROUP BY 1 ORDER BY 1')
  assert.deepEqual(counts, [
    ['events_p2026_11', '2'],
    ['events_p2026_12', '1'],
  ])
  assert.deepEqual(
    await ask(
      "SELECT pg_get_userbyid(relowner), (SELECT count(*) FROM pg_index WHERE indrelid = c.oid) FROM pg_class c WHERE relname = 'events_p2027_01'",
    ),
    [['app', '2']],
  )
  const again = await rollTable(spec('events'), at('2026-11-30T23:59:59Z'))
  assert.deepEqual([again.made, again.partitions.length], [[], 3])
  const later = await rollTable(spec('events'), at('2027-03-05T00:00:00Z'))
  assert.deepEqual(later.made, ['events_p2027_03', 'events_p2027_04', 'events_p2027_05'])
})

test('what is older than what is kept is detached or dropped, as the file says, and nothing else', async () => {
  for (const old of ['detach', 'drop'] as const) {
    const name = `aged_${old}`
    await ask(`CREATE TABLE ${name} (at date NOT NULL, n int) PARTITION BY RANGE (at)`)
    const aged = spec(name, { keep: 1, old, ahead: 1 })
    await rollTable(aged, at('2026-01-15T00:00:00Z'))
    await ask(
      `INSERT INTO ${name} SELECT d, 1 FROM generate_series('2026-01-01'::date, '2026-02-28'::date, '1 day') AS d`,
    )
    await rollTable(aged, at('2026-02-10T00:00:00Z'))
    const rolled = await rollTable(aged, at('2026-03-10T00:00:00Z'))
    assert.deepEqual(rolled.removed, [`${name}_p2026_01`])
    assert.deepEqual(await partitionsOf(name), [`${name}_p2026_02`, `${name}_p2026_03`, `${name}_p2026_04`])
    assert.deepEqual(await ask(`SELECT count(*) FROM ${name}`), [['28']])
    const [left] = await ask(`SELECT to_regclass('${name}_p2026_01')`)
    assert.equal(left?.[0], old === 'drop' ? null : `${name}_p2026_01`)
    if (old === 'detach') assert.deepEqual(await ask(`SELECT count(*) FROM ${name}_p2026_01`), [['31']])
  }
})

test('who died between detaching and dropping is finished; a detached table of another purpose stays', async () => {
  await ask('CREATE TABLE halves (at date NOT NULL) PARTITION BY RANGE (at)')
  const aged = spec('halves', { keep: 0, old: 'drop', ahead: 0 })
  await rollTable(aged, at('2026-01-15T00:00:00Z'))
  await ask(
    "COMMENT ON TABLE halves_p2026_01 IS 'tenfold: detached, to be dropped (halves)'; ALTER TABLE halves DETACH PARTITION halves_p2026_01; CREATE TABLE halves_mine (LIKE halves)",
  )
  const rolled = await rollTable(aged, at('2026-02-15T00:00:00Z'))
  assert.deepEqual([rolled.made, rolled.removed], [['halves_p2026_02'], ['halves_p2026_01']])
  assert.deepEqual(await ask("SELECT to_regclass('halves_p2026_01'), to_regclass('halves_mine')"), [
    [null, 'halves_mine'],
  ])
})

test('rows that fell into the default partition go into the one that comes, generated columns and all', async () => {
  await ask(
    `CREATE TABLE lates (at timestamp NOT NULL, n int, twice int GENERATED ALWAYS AS (n * 2) STORED) PARTITION BY RANGE (at);
     CREATE TABLE lates_rest PARTITION OF lates DEFAULT;
     INSERT INTO lates (at, n) VALUES ('2026-11-05', 1), ('2026-12-24 10:00', 2), ('2030-01-01', 3)`,
  )
  const rolled = await rollTable(spec('lates'), at('2026-11-23T00:00:00Z'))
  assert.deepEqual(rolled.troubles, [])
  assert.deepEqual(await ask('SELECT tableoid::regclass, n, twice FROM lates ORDER BY n'), [
    ['lates_p2026_11', '1', '2'],
    ['lates_p2026_12', '2', '4'],
    ['lates_rest', '3', '6'],
  ])
})

test('steps of integers follow the largest value; hash partitions are made once', async () => {
  await ask(
    'CREATE TABLE steps (id bigint PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE cut (t text) PARTITION BY HASH (t)',
  )
  const steps = spec('steps', { rule: { by: 'step', column: 'id', step: 1_000 }, ahead: 1 })
  assert.deepEqual((await rollTable(steps, at('2026-11-23T00:00:00Z'))).made, ['steps_p0', 'steps_p1000'])
  await ask('INSERT INTO steps VALUES (1), (1999)')
  assert.deepEqual((await rollTable(steps, at('2026-11-23T00:00:00Z'))).made, ['steps_p2000'])
  const cut = spec('cut', { rule: { by: 'hash', column: 't', count: 3 } })
  assert.equal((await rollTable(cut, at('2026-11-23T00:00:00Z'))).made.length, 3)
  await ask('INSERT INTO cut SELECT n::text FROM generate_series(1, 100) AS n')
  assert.deepEqual((await rollTable(cut, at('2026-11-23T00:00:00Z'))).made, [])
})

test('what is not as the file says is told, and left alone', async () => {
  const wanted = spec('missing')
  assert.equal((await rollTable(wanted, at('2026-11-23T00:00:00Z'))).state, 'waits')
  await ask(
    `CREATE TABLE plain (at date); CREATE TABLE listed (at date) PARTITION BY LIST (at); CREATE TABLE other (day date, at date) PARTITION BY RANGE (day);
     CREATE TABLE texts (at text) PARTITION BY RANGE (at); CREATE TABLE days (at date) PARTITION BY RANGE (at)`,
  )
  const why = async (table: string, more: Partial<PartitionSpec> = {}): Promise<string> => {
    const { state, troubles } = await rollTable(spec(table, more), at('2026-11-23T00:00:00Z'))
    assert.equal(state, 'trouble')
    return troubles.join('; ')
  }
  assert.match(
    await why('plain'),
    /it is not partitioned: CREATE TABLE plain \(\.\.\.\) PARTITION BY RANGE \(at\)/,
  )
  assert.match(await why('listed'), /partitioned otherwise than the file says/)
  assert.match(await why('other'), /partitioned otherwise than the file says/)
  assert.match(await why('texts'), /its column at is text: 'every' needs a date or a timestamp/)
  assert.match(await why('days', { rule: { by: 'time', column: 'at', every: 'hour' } }), /can't be 'hour'/)
  assert.match(await why('days', { rule: { by: 'step', column: 'at', step: 10 } }), /'step' needs an integer/)
})

test('a lock that somebody holds is not waited for: it is said, and done the next time; hostile names', async () => {
  await ask(`CREATE TABLE "It's ""mine" (at date NOT NULL) PARTITION BY RANGE (at)`)
  const mine = spec(`It's "mine`, { keep: 0, old: 'drop', ahead: 0 })
  assert.deepEqual((await rollTable(mine, at('2026-01-15T00:00:00Z'))).made, [`It's "mine_p2026_01`])
  assert.deepEqual((await rollTable(mine, at('2026-02-15T00:00:00Z'))).removed, [`It's "mine_p2026_01`])
  await ask('CREATE TABLE locked (at date NOT NULL) PARTITION BY RANGE (at)')
  const holder = new Session(target)
  const holding = holder.query('BEGIN; LOCK TABLE public.locked; SELECT pg_sleep(4); COMMIT', 20_000)
  while (
    (
      await ask(
        "SELECT FROM pg_locks WHERE relation = 'locked'::regclass AND granted AND mode = 'AccessExclusiveLock'",
      )
    ).length === 0
  );
  const blocked = await rollTable(spec('locked'), at('2026-11-23T00:00:00Z'))
  assert.equal(blocked.state, 'trouble')
  assert.match(blocked.troubles[0] ?? '', /lock timeout/)
  await holding
  holder.close()
  assert.equal((await rollTable(spec('locked'), at('2026-11-23T00:00:00Z'))).made.length, 3)
})

test('a plain table becomes the first partition by what the page says', async () => {
  const page = readFileSync('docs/operate/partitions.md', 'utf8')
  const statements = /```sql\n([\s\S]*?)```/.exec(page)?.[1]
  assert.ok(statements)
  await ask('DROP TABLE IF EXISTS events')
  await ask(
    `CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY, created_at timestamptz NOT NULL, n int, PRIMARY KEY (id, created_at));
     CREATE INDEX ON events (n); INSERT INTO events (created_at, n) SELECT '2026-11-01'::timestamptz + n * interval '1 hour', n FROM generate_series(1, 500) AS n`,
  )
  // One after another, as a person types them.
  for (const statement of statements.replaceAll(/--.*$/gm, '').split(';'))
    if (statement.trim() !== '') await ask(statement)
  const created = spec('events', { rule: { by: 'time', column: 'created_at', every: 'month' } })
  const rolled = await rollTable(created, at('2026-11-23T00:00:00Z'))
  assert.deepEqual([rolled.troubles, rolled.made], [[], ['events_p2027_01']])
  await ask(
    "ALTER TABLE events ALTER id RESTART WITH 501; INSERT INTO events (created_at, n) VALUES ('2027-01-05', 1)",
  )
  assert.deepEqual(await ask('SELECT count(*), max(id) FROM events'), [['501', '501']])
})

test("rows that leave the default partition take no row along that refers to them, and fire nobody's triggers", async () => {
  await ask(`CREATE TABLE parents (id int, at timestamptz NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
    CREATE TABLE parents_rest PARTITION OF parents DEFAULT;
    CREATE TABLE children (id int, at timestamptz, FOREIGN KEY (id, at) REFERENCES parents ON DELETE CASCADE);
    CREATE TABLE heard (id int);
    CREATE FUNCTION hear() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO heard VALUES (OLD.id); RETURN NULL; END' SET search_path TO public;
    CREATE TRIGGER hear AFTER DELETE ON parents FOR EACH ROW EXECUTE FUNCTION hear();
    INSERT INTO parents VALUES (1, '2026-11-10'), (2, '2030-01-01'); INSERT INTO children SELECT * FROM parents`)
  const rolled = await rollTable(spec('parents'), at('2026-11-15T00:00:00Z'))
  assert.deepEqual(rolled.troubles, [])
  assert.deepEqual(await ask('SELECT tableoid::regclass, id FROM parents ORDER BY id'), [
    ['parents_p2026_11', '1'],
    ['parents_rest', '2'],
  ])
  assert.deepEqual(await ask('SELECT id FROM children ORDER BY id'), [['1'], ['2']])
  assert.deepEqual(await ask('SELECT id FROM heard'), [])
  await ask('DELETE FROM parents WHERE id = 1')
  assert.deepEqual(await ask('SELECT id FROM children'), [['2']])
  await assert.rejects(ask("INSERT INTO children VALUES (9, '2026-11-10')"), /foreign key/)
})

test('rows that a trigger would follow in any case stay in the default partition, and that is said', async () => {
  await ask(`CREATE TABLE followed (at timestamptz) PARTITION BY RANGE (at); CREATE TABLE followed_rest PARTITION OF followed DEFAULT;
    CREATE TRIGGER follow AFTER DELETE ON followed_rest FOR EACH ROW EXECUTE FUNCTION hear();
    ALTER TABLE followed_rest ENABLE ALWAYS TRIGGER follow; INSERT INTO followed VALUES ('2026-11-10')`)
  const { troubles } = await rollTable(spec('followed', { ahead: 0 }), at('2026-11-15T00:00:00Z'))
  assert.match(troubles.join(), /^followed_rest has rows .* trigger follow that fires always/)
  assert.deepEqual(await ask('SELECT tableoid::regclass FROM followed'), [['followed_rest']])
})

test('a partition that somebody has detached by half is told', async () => {
  await ask(`CREATE TABLE undone (at timestamptz) PARTITION BY RANGE (at);
    CREATE TABLE undone_p2026_11 PARTITION OF undone FOR VALUES FROM ('2026-11-01 00:00+00') TO ('2026-12-01 00:00+00')`)
  const other = new pg.Client(target())
  await other.connect()
  await other.query('BEGIN; SELECT * FROM undone')
  await ask("SET statement_timeout = '1s'")
  await assert.rejects(ask('ALTER TABLE undone DETACH PARTITION undone_p2026_11 CONCURRENTLY'), /timeout/)
  await ask('RESET statement_timeout')
  await other.query('COMMIT')
  await other.end()
  const { state, troubles } = await rollTable(spec('undone', { ahead: 0 }), at('2026-11-15T00:00:00Z'))
  assert.equal(state, 'trouble')
  assert.match(troubles.join(), /^partition undone_p2026_11 is half detached/)
})

test('a partition that was to be dropped, and is to be kept by now, is kept', async () => {
  await ask(`CREATE TABLE minds (at timestamptz) PARTITION BY RANGE (at);
    CREATE TABLE minds_p2026_01 PARTITION OF minds FOR VALUES FROM ('2026-01-01 00:00+00') TO ('2026-02-01 00:00+00');
    INSERT INTO minds VALUES ('2026-01-10')`)
  // The mark of a detach that failed.
  await ask("COMMENT ON TABLE minds_p2026_01 IS 'tenfold: detached, to be dropped (minds)'")
  for (let round = 0; round < 2; round++)
    await rollTable(spec('minds', { keep: 1, old: 'detach' }), at('2026-11-15T00:00:00Z'))
  assert.deepEqual(await ask('SELECT count(*) FROM minds_p2026_01'), [['1']])
  // Kept, then taken out by a person.
  await ask(`CREATE TABLE minds_p2026_02 PARTITION OF minds FOR VALUES FROM ('2026-02-01 00:00+00') TO ('2026-03-01 00:00+00');
    COMMENT ON TABLE minds_p2026_02 IS 'tenfold: detached, to be dropped (minds)'`)
  await rollTable(spec('minds', { keep: 100, old: 'drop' }), at('2026-11-15T00:00:00Z'))
  await ask('ALTER TABLE minds DETACH PARTITION minds_p2026_02')
  await rollTable(spec('minds', { keep: 100, old: 'drop' }), at('2026-11-15T00:00:00Z'))
  assert.deepEqual(await ask('SELECT count(*) FROM minds_p2026_02'), [['0']])
})
