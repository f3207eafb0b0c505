// The same statements over shards and on one PostgreSQL: the same rows, names, types, counts and errors; or the refusal that the
// corpus names. By Query, by Parse and Bind, prepared by name, in binary, inside a transaction that has written.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import pg from 'pg'
import { createRouter, type Router } from '../../src/database/router/router.ts'
import { Session } from '../../src/database/servers/session.ts'
import { installShardSchema } from '../../src/database/shards/schema/index.ts'
import { startPostgres } from '../tools/postgres-server.ts'
import { databaseOf } from '../tools/router-harness.ts'
import { corpusReads, type Read } from './corpus/reads.ts'
import { corpusMap, corpusRows, corpusSchema, tableNames } from './corpus/tables.ts'
import { corpusWrites } from './corpus/writes.ts'

const endings: (() => Promise<void> | void)[] = []
const scope = { after: (end: unknown) => void endings.push(end as () => void) } as never
let operators: readonly Session[] = []
let router: Router
let sharded: pg.Client
let plain: pg.Client

const asText = { getTypeParser: () => (value: string | Buffer) => value } as never

before(async () => {
  const settings = { max_prepared_transactions: '20', shared_buffers: '16MB' }
  const servers = await Promise.all(
    [...corpusMap.shards, 'plain'].map(() => startPostgres(scope, { settings })),
  )
  operators = servers.map(
    ({ host, port }) =>
      new Session(() => ({ host, port, database: 'app', user: 'tenfold', password: 'secret' })),
  )
  for (const [at, operator] of operators.entries()) {
    const shard = corpusMap.shards[at]
    if (shard !== undefined)
      await installShardSchema({ ask: sql => operator.query(sql, 20_000), shard, map: corpusMap })
    await operator.query(
      `GRANT ALL ON SCHEMA public TO app; SET ROLE app; SET search_path = public; ${corpusSchema}; RESET search_path; RESET ROLE`,
      20_000,
    )
  }
  const groups = servers.slice(0, -1).map((server, at) => ({
    ...databaseOf({ servers: [server] }),
    name: `main.${corpusMap.shards[at]}`,
  }))
  const whole = {
    ...databaseOf({ servers: [] }),
    primary: null,
    shards: { map: corpusMap, groups, systemId: 'test' },
  }
  router = await createRouter({ snapshot: { format: 1, version: 1, databases: [whole] }, tell: () => {} })
  const clientOf = async (connectionString: string): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString, types: asText })
    client.on('error', () => {})
    await client.connect()
    return client
  }
  sharded = await clientOf(`postgres://app:secret@127.0.0.1:${router.portOf('main')}/app`)
  plain = await clientOf((servers.at(-1) as (typeof servers)[number]).url)
  for (const client of [sharded, plain]) for (const text of corpusRows()) await client.query(text)
})

test.after(async () => {
  await sharded?.end().catch(() => {})
  await plain?.end().catch(() => {})
  router?.close()
  for (const operator of operators) operator.close()
  for (const end of endings.reverse()) await end()
})

type Said =
  | { readonly rows: readonly string[]; readonly names: readonly string[]; readonly tag: string }
  | { readonly code: string; readonly detail: string }

interface Manner {
  readonly name: string
  readonly config: (text: string, values: readonly unknown[] | undefined) => object
}

const names = new Map<string, string>()

function nameOf(text: string): string {
  const name = names.get(text) ?? `s${names.size}`
  names.set(text, name)
  return name
}

const manners: readonly Manner[] = [
  { name: 'by Query or Bind', config: (text, values) => ({ text, ...(values && { values: [...values] }) }) },
  {
    name: 'by Bind',
    config: (text, values) => ({ text, values: [...(values ?? [])], queryMode: 'extended' }),
  },
  {
    name: 'prepared',
    config: (text, values) => ({ text, values: [...(values ?? [])], name: nameOf(text) }),
  },
  {
    name: 'in binary',
    config: (text, values) => ({ text, values: [...(values ?? [])], queryMode: 'extended', binary: true }),
  },
]

async function said(client: pg.Client, config: object, ordered: boolean): Promise<Said> {
  try {
    const result = (await client.query({
      ...config,
      rowMode: 'array',
    } as never)) as unknown as pg.QueryArrayResult
    const rows = (result.rows as (string | Buffer | null)[][]).map(row =>
      row.map(one => (one === null ? '\\N' : Buffer.isBuffer(one) ? one.toString('hex') : one)).join('|'),
    )
    return {
      rows: ordered ? rows : rows.sort(),
      names: result.fields.map(
        // Types that users make have other numbers on each server.
        ({ name, dataTypeID, dataTypeModifier }) =>
          `${name} ${dataTypeID < 16_384 ? dataTypeID : 'own'} ${dataTypeModifier}`,
      ),
      tag: `${result.command} ${result.rowCount}`,
    }
  } catch (error) {
    const { code, detail, message } = error as pg.DatabaseError
    return { code: code ?? message, detail: detail ?? '' }
  }
}

/** What PostgreSQL orders by is the client's word; what it leaves open is nobody's. */
function isOrdered(text: string): boolean {
  const outside = text.replaceAll(/\([^()]*(?:\([^()]*(?:\([^()]*\)[^()]*)*\)[^()]*)*\)/g, '')
  return /order by/i.test(outside)
}

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

async function tables(client: pg.Client): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const table of tableNames) {
    const { rows } = await client.query(`SELECT t::text AS row FROM ${table} AS t`)
    found[table] = rows
      .map(({ row }) => row as string)
      .sort()
      .join('\n')
  }
  return found
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
