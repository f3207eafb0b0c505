// pgbench, as a benchmark uses it: one run against one address, and what it says of itself. Never measures CPU.

import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { outputOf } from '../lib/processes.ts'
import { loadCore } from '../lib/rounds.ts'
import { median } from '../lib/statistics.ts'

const program = '/usr/lib/postgresql/15/bin/pgbench'

export interface PgbenchWish {
  /** `select`: -S. `tpcb`: the default script. `mix`: 95 selects of 100. `account`: one row, read, written and read again. */
  readonly script: 'select' | 'tpcb' | 'mix' | 'account'
  readonly protocol: 'simple' | 'extended' | 'prepared'
  readonly clients: number
  readonly seconds: number
}

export interface PgbenchResult {
  readonly transactions: number
  readonly perSecond: number
  /** Of each transaction; null where it was not asked for: writing them down would cost more than they take. */
  readonly p50Us: number | null
  readonly failed: number
}

const scripts = {
  select: ['-S'],
  tpcb: ['-N', '-b', 'tpcb-like'].slice(1),
  mix: ['-b', 'select-only@95', '-b', 'simple-update@5'],
  account: ['-f', join(import.meta.dirname, 'account.sql'), '-D', 'scale=1'],
}

export interface Target {
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
}

function connection({ port, user, database }: Target): string[] {
  return ['-h', '127.0.0.1', '-p', String(port), '-U', user, database]
}

const withPassword = ({ password }: Target, command: readonly string[]): string[] => [
  'env',
  `PGPASSWORD=${password}`,
  'PGSSLMODE=disable',
  ...command,
]

/** Makes and fills pgbench's tables. */
export async function initialise(target: Target, scale: number): Promise<void> {
  const output = await outputOf(
    loadCore,
    withPassword(target, [program, '-i', '-q', '-s', String(scale), ...connection(target)]),
  )
  if (!/done in/.test(output)) throw new Error(`pgbench -i: ${output}`)
}

/** Null: the server or pooler can't do it; `why` is its first error. */
export async function pgbench(
  target: Target,
  wish: PgbenchWish,
  folder: string,
): Promise<PgbenchResult | { readonly why: string }> {
  const { script, protocol, clients, seconds } = wish
  const prefix = join(folder, 'pgbench-log')
  const logged = clients === 1 ? ['-l', `--log-prefix=${prefix}`] : []
  const command = [
    program,
    ...scripts[script],
    '-n',
    '-M',
    protocol,
    '-c',
    String(clients),
    '-j',
    '1',
    '-T',
    String(seconds),
    ...logged,
    ...connection(target),
  ]
  const output = await outputOf(loadCore, withPassword(target, command))
  const count = /number of transactions actually processed: (\d+)/.exec(output)?.[1]
  const rate = /tps = ([\d.]+)/.exec(output)?.[1]
  const aborted = /(?:error|ERROR|FATAL):? .*/.exec(output)?.[0]
  if (count === undefined || rate === undefined || aborted !== undefined)
    return { why: aborted ?? output.slice(-300) }
  const failed = Number(/number of failed transactions: (\d+)/.exec(output)?.[1] ?? 0)
  return {
    transactions: Number(count),
    perSecond: Number(rate),
    p50Us: clients === 1 ? loggedMedian(folder) : null,
    failed,
  }
}

/** Column 3 of pgbench's log is the transaction's microseconds. */
function loggedMedian(folder: string): number {
  const files = readdirSync(folder).filter(name => name.startsWith('pgbench-log'))
  const times = files.flatMap(name =>
    readFileSync(join(folder, name), 'utf8')
      .trimEnd()
      .split('\n')
      .map(line => Number(line.split(' ')[2])),
  )
  for (const name of files) rmSync(join(folder, name))
  return median(times)
}
