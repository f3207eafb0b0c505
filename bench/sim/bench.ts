// The simulator's engine beside SimPy, on M/M/1: customers and events a second of processor time; with a balancer of
// production in the loop; memory over run lengths; a million pending events. README.md tells how to read it.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { table } from '../lib/markdown.ts'
import { answerOf, program } from '../lib/processes.ts'
import { peerCore } from '../lib/rounds.ts'
import { figure, median, percent, ratio, spread } from '../lib/statistics.ts'
import type { BenchOptions } from '../run.ts'
import type { Measured } from './program.ts'

const python = '/usr/bin/python3'
const simpyThere = '/usr/lib/python3/dist-packages/simpy/__init__.py'

interface Contender {
  readonly name: string
  readonly command: (customers: number) => readonly string[]
  /** So many customers take a few seconds. */
  readonly customers: number
}

const ours =
  (model: string) =>
  (customers: number): string[] =>
    program(join(import.meta.dirname, 'program.ts'), model, customers)
const contenders: readonly Contender[] = [
  {
    name: 'SimPy 3',
    command: n => [python, join(import.meta.dirname, 'mm1.py'), String(n)],
    customers: 150_000,
  },
  { name: 'tenfold engine', command: ours('mm1'), customers: 5_000_000 },
  { name: 'tenfold engine, two choices of 100', command: ours('two-choices'), customers: 3_000_000 },
  { name: 'tenfold system of a file, one server', command: ours('system'), customers: 1_000_000 },
]

export async function run({ quick, only }: BenchOptions): Promise<string> {
  const rounds = quick ? 3 : 7
  const chosen = contenders.filter(
    ({ name }) => only.length === 0 || only.includes(name.replaceAll(/[ ,]+/g, '-')),
  )
  const there = chosen.filter(({ name }) => !name.startsWith('SimPy') || existsSync(simpyThere))
  if (there.length < chosen.length) console.error('SimPy is not there (Debian: python3-simpy3): left out')
  const results = new Map<string, Measured[]>(there.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round++)
    for (const { name, command, customers } of there)
      results.get(name)?.push(await answerOf<Measured>(name, command(customers), peerCore))
  const memory: string[][] = []
  for (const customers of quick ? [1e6, 1e7] : [1e6, 1e7, 1e8]) {
    const one = await answerOf<Measured>('memory', ours('mm1')(customers), peerCore)
    memory.push([figure(customers), `${one.rssMegabytes} MB`])
  }
  const pending: string[][] = []
  for (const count of [1e3, 1e5, 1e6]) {
    const one = await answerOf<Measured>(
      'pending',
      program(join(import.meta.dirname, 'program.ts'), 'hold', 3_000_000, count),
      peerCore,
    )
    pending.push([
      figure(count),
      `${(one.events / one.cpuSeconds / 1e6).toFixed(2)} M/s`,
      `${one.rssMegabytes} MB`,
    ])
  }
  return [
    tableOf(results),
    `Medians of ${rounds} alternating rounds, processor seconds of the process.`,
    table(['customers', 'resident memory at the end'], memory),
    table(['pending events', 'events', 'resident memory'], pending),
  ].join('\n\n')
}

function tableOf(results: ReadonlyMap<string, readonly Measured[]>): string {
  const rate = (name: string, of: (one: Measured) => number): number =>
    median((results.get(name) ?? []).map(one => of(one) / one.cpuSeconds))
  const simpy = rate('SimPy 3', one => one.customers)
  const rows = [...results].map(([name, all]) => [
    name,
    figure(rate(name, one => one.customers)),
    ratio(
      rate(name, one => one.customers),
      simpy,
    ),
    `${(rate(name, one => one.events) / 1e6).toFixed(2)} M`,
    percent(spread(all.map(one => one.customers / one.cpuSeconds))),
    (median(all.map(one => one.mean)) || 0).toFixed(2),
  ])
  return table(
    ['M/M/1 at load 0.9', 'customers/s', 'to SimPy', 'events/s', 'spread', 'mean time in system'],
    rows,
  )
}
