// One router over shards and one PostgreSQL, with the same tables and rows, and a client of each: who says the same to both.

import pg from 'pg'
import { createRouter, type Router } from '../../../src/database/router/router.ts'
import { Session } from '../../../src/database/servers/session.ts'
import { installShardSchema } from '../../../src/database/shards/schema/index.ts'
import { startPostgres } from '../../tools/postgres-server.ts'
import { databaseOf } from '../../tools/router-harness.ts'
import { corpusMap, corpusRows, corpusSchema, tableNames } from './tables.ts'

export interface Pair {
  readonly sharded: pg.Client
  readonly plain: pg.Client
  close(): Promise<void>
}

const asText = { getTypeParser: () => (value: string | Buffer) => value } as never

/** Not stopped by itself: `close`. */
export async function startPair(): Promise<Pair> {
  const endings: (() => Promise<void> | void)[] = []
  const scope = { after: (end: unknown) => void endings.push(end as () => void) } as never
  const settings = { max_prepared_transactions: '20', shared_buffers: '16MB' }
  const servers = await Promise.all(
    [...corpusMap.shards, 'plain'].map(() => startPostgres(scope, { settings })),
  )
  const operators = servers.map(
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
  const router: Router = await createRouter({
    snapshot: { format: 1, version: 1, databases: [whole] },
    tell: () => {},
  })
  const clientOf = async (connectionString: string): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString, types: asText })
    client.on('error', () => {})
    await client.connect()
    return client
  }
  const sharded = await clientOf(`postgres://app:secret@127.0.0.1:${router.portOf('main')}/app`)
  const plain = await clientOf((servers.at(-1) as (typeof servers)[number]).url)
  for (const client of [sharded, plain]) for (const text of corpusRows()) await client.query(text)
  return {
    sharded,
    plain,
    close: async () => {
      await sharded.end().catch(() => {})
      await plain.end().catch(() => {})
      router.close()
      for (const operator of operators) operator.close()
      for (const end of endings.reverse()) await end()
    },
  }
}

export type Said =
  | { readonly rows: readonly string[]; readonly names: readonly string[]; readonly tag: string }
  | { readonly code: string; readonly detail: string }

export interface Manner {
  readonly name: string
  readonly config: (text: string, values: readonly unknown[] | undefined) => object
}

const names = new Map<string, string>()

function nameOf(text: string): string {
  const name = names.get(text) ?? `s${names.size}`
  names.set(text, name)
  return name
}

export const manners: readonly Manner[] = [
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

export async function said(client: pg.Client, config: object, ordered: boolean): Promise<Said> {
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
export function isOrdered(text: string): boolean {
  const outside = text.replaceAll(/\([^()]*(?:\([^()]*(?:\([^()]*\)[^()]*)*\)[^()]*)*\)/g, '')
  return /order by/i.test(outside)
}

/** Each table's rows, as one text. */
export async function tables(client: pg.Client): Promise<Record<string, string>> {
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
