// What resharding moves in a second, beside what PostgreSQL does by itself: the first copy of a table beside `COPY` from one server
// into the other by psql, and changes applied beside PostgreSQL's own subscription. Both servers on one core, who copies on the other.

import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { lsnOf } from '../../src/database/backup/segments.ts'
import { Applier } from '../../src/database/shards/reshard/applier.ts'
import { writerOf } from '../../src/database/shards/reshard/changes.ts'
import type { MovedTable, MoveStream } from '../../src/database/shards/reshard/contract.ts'
import { copyTable } from '../../src/database/shards/reshard/copy.ts'
import type { ShardMap } from '../../src/policy/shard/contract.ts'
import { table } from '../lib/markdown.ts'
import { inFolder } from '../lib/rounds.ts'
import { figure, median, ratio } from '../lib/statistics.ts'
import { type Cluster, database, withCluster } from '../router/cluster.ts'
import type { BenchOptions } from '../run.ts'

const psql = '/usr/lib/postgresql/15/bin/psql'
const slot = 'tenfold_reshard_bench_1_2'
const map: ShardMap = {
  format: 1,
  version: 1,
  shards: ['1', '2'],
  families: { lines: { types: ['bigint'], rule: { by: 'hash', slots: [0] } } },
  tables: {},
}
const next: ShardMap = {
  ...map,
  version: 2,
  families: { lines: { types: ['bigint'], rule: { by: 'hash', slots: [1] } } },
}
const lines: MovedTable = {
  schema: 'public',
  name: 'lines',
  columns: ['id', 'customer', 'body', 'amount'],
  generated: [],
  primary: ['id'],
  key: ['customer'],
  family: 'lines',
  where: 'true',
}
const quiet = { signal: new AbortController().signal, progress: () => {} }

interface Side {
  readonly port: number
  readonly client: pg.Client
  readonly end: MoveStream['from']
}

async function sideOf({ primary, operator }: Cluster, at: number): Promise<Side> {
  const login = { host: '127.0.0.1', port: primary.port, database, ...operator }
  const client = new pg.Client(login)
  await client.connect()
  return {
    port: primary.port,
    client,
    end: { shard: map.shards[at] as string, target: () => ({ ...login, tls: { mode: 'off' } }) },
  }
}

/** As a person would: psql reads, psql writes. */
async function byHand(from: Side, into: Side, { operator }: Cluster, other: Cluster): Promise<void> {
  const at = (side: Side, user: string, command: string): string[] => [
    ...['-h', '127.0.0.1', '-p', String(side.port), '-U', user, '-d', database, '-q', '-c', command],
  ]
  const run = (args: string[], password: string, stdio: ('ignore' | 'pipe' | 'inherit')[]) =>
    spawn(psql, args, { env: { ...process.env, PGPASSWORD: password, PGSSLMODE: 'disable' }, stdio })
  const out = run(at(from, operator.user, 'COPY public.lines TO STDOUT (FORMAT binary)'), operator.password, [
    'ignore',
    'pipe',
    'inherit',
  ])
  const incoming = run(
    at(into, other.operator.user, 'COPY public.lines FROM STDIN (FORMAT binary)'),
    other.operator.password,
    ['pipe', 'ignore', 'inherit'],
  )
  if (out.stdout === null || incoming.stdin === null) throw new Error('psql has no pipes')
  out.stdout.pipe(incoming.stdin)
  const code = await new Promise<number | null>(resolve => incoming.once('exit', resolve))
  if (code !== 0) throw new Error(`psql ended with ${code}`)
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return (performance.now() - start) / 1_000
}

export function reshard({ quick }: BenchOptions): Promise<string> {
  const [rows, changes, rounds] = quick ? [200_000, 50_000, 3] : [1_000_000, 200_000, 5]
  return inFolder(folder => {
    const folders = ['one', 'two'].map(name => join(folder, name))
    for (const one of folders) mkdirSync(one)
    return withCluster(folders[0] as string, 0, one =>
      withCluster(folders[1] as string, 0, async two => {
        const [from, into] = [await sideOf(one, 0), await sideOf(two, 1)]
        try {
          return await measured(from, into, one, two, { rows, changes, rounds })
        } finally {
          await from.client.end()
          await into.client.end()
        }
      }),
    )
  })
}

interface Effort {
  readonly rows: number
  readonly changes: number
  readonly rounds: number
}

async function measured(
  from: Side,
  into: Side,
  one: Cluster,
  two: Cluster,
  { rows, changes, rounds }: Effort,
): Promise<string> {
  const ask = (side: Side, sql: string): Promise<pg.QueryResult> => side.client.query(sql)
  for (const side of [from, into])
    await ask(
      side,
      'CREATE TABLE public.lines (id bigint PRIMARY KEY, customer bigint, body text, amount numeric); ALTER TABLE public.lines REPLICA IDENTITY FULL',
    )
  await ask(
    from,
    `INSERT INTO public.lines SELECT n, n % 1000, repeat('x', 100), n FROM generate_series(1, ${rows}) AS n`,
  )
  const { rows: sizes } = await ask(from, "SELECT pg_relation_size('public.lines') AS bytes")
  const megabytes = Number((sizes as { bytes: string }[])[0]?.bytes) / (1 << 20)
  await ask(from, `CREATE PUBLICATION ${slot} FOR TABLE public.lines`)
  await ask(from, `SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')`)
  const stream: MoveStream = {
    from: from.end,
    into: into.end,
    tables: [lines],
    before: map,
    next,
    slot,
    publication: slot,
  }
  const plain: number[] = []
  const ours: number[] = []
  let position = ''
  for (let round = 0; round < rounds; round++) {
    await ask(into, 'TRUNCATE public.lines')
    plain.push(await seconds(() => byHand(from, into, one, two)))
    await ask(into, 'TRUNCATE public.lines')
    ours.push(
      await seconds(async () => {
        position = await copyTable(stream, lines, quiet)
      }),
    )
  }
  const copied = [
    ['psql, COPY into COPY', plain],
    ['resharding', ours],
  ] as const
  const copies = copied.map(([name, list]) => [
    name,
    figure(rows / median(list)),
    figure(megabytes / median(list)),
    ratio(median(plain), median(list)),
  ])
  const applied = await changesApplied(from, into, one, stream, position, rows, changes)
  return [
    table(['first copy', 'rows/s', 'MB/s', 'to COPY'], copies),
    '',
    table(['changes applied', 'a second', "PostgreSQL's subscription", 'to it'], applied),
    '',
    `${figure(rows)} rows of ${figure((megabytes * (1 << 20)) / rows)} bytes, ${figure(changes)} changes of a kind in one statement; medians of ${rounds} for the copy, one run of the changes.`,
  ].join('\n')
}

/** One statement of each kind, and how long until the other side has it. */
async function changesApplied(
  from: Side,
  into: Side,
  one: Cluster,
  stream: MoveStream,
  position: string,
  rows: number,
  changes: number,
): Promise<string[][]> {
  const kinds: readonly (readonly [name: string, sql: (base: number) => string])[] = [
    [
      'INSERT',
      base =>
        `INSERT INTO public.lines SELECT n, n % 1000, repeat('x', 100), n FROM generate_series(${base + 1}, ${base + changes}) AS n`,
    ],
    ['UPDATE', base => `UPDATE public.lines SET amount = amount + 1 WHERE id > ${base}`],
    ['DELETE', base => `DELETE FROM public.lines WHERE id > ${base}`],
  ]
  const applier = new Applier({
    stream,
    maker: writerOf(stream),
    copied: { 'public.lines': position },
    tell: () => {},
  })
  const reached = async (): Promise<void> => {
    await from.client.query("SELECT pg_logical_emit_message(true, 'bench', '', true)")
    const { rows: found } = await from.client.query('SELECT pg_current_wal_flush_lsn() AS at')
    await applier.until(lsnOf((found as { at: string }[])[0]?.at ?? ''), 600_000)
  }
  const ours: number[] = []
  try {
    await reached()
    for (const [, sql] of kinds) {
      await from.client.query(sql(rows))
      ours.push(changes / (await seconds(reached)))
    }
  } finally {
    await applier.stop()
  }
  const { user, password } = one.operator
  const login = `host=127.0.0.1 port=${one.primary.port} user=${user} password=${password} dbname=${database}`
  await into.client.query(
    `CREATE SUBSCRIPTION plain CONNECTION '${login}' PUBLICATION ${slot} WITH (copy_data = false)`,
  )
  const theirs: number[] = []
  for (const [, sql] of kinds) {
    await from.client.query(sql(rows))
    const { rows: found } = await from.client.query('SELECT pg_current_wal_flush_lsn() AS at')
    const at = (found as { at: string }[])[0]?.at ?? ''
    theirs.push(
      changes /
        (await seconds(async () => {
          for (;;) {
            const { rows: state } = await from.client.query(
              `SELECT 1 FROM pg_stat_replication WHERE application_name = 'plain' AND replay_lsn >= '${at}'`,
            )
            if (state.length > 0) return
            await sleep(10)
          }
        })),
    )
  }
  await into.client.query('DROP SUBSCRIPTION plain')
  return kinds.map(([name], at) => [
    name,
    figure(ours[at] ?? 0),
    figure(theirs[at] ?? 0),
    ratio(ours[at] ?? 0, theirs[at] ?? 1),
  ])
}
