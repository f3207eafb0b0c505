// The application cache beside other caches of the registry: hits in process, hits over Redis, a stampede, and a delete in
// the middle of a load. See README.md for how to read it.

import { join } from 'node:path'
import { table } from '../lib/markdown.ts'
import { answerOf, end, freePort, program, start, until } from '../lib/processes.ts'
import { peerCore } from '../lib/rounds.ts'
import { figure, median, percent, spread } from '../lib/statistics.ts'
import type { BenchOptions } from '../run.ts'
import { makers, versionsText } from './caches.ts'
import type { Measured } from './program.ts'

export async function run({ quick, only }: BenchOptions): Promise<string> {
  const [rounds, hits] = quick ? [3, 200_000] : [7, 2_000_000]
  const names = makers.map(one => one.name).filter(name => only.length === 0 || only.includes(name))
  const results = new Map<string, Measured[]>(names.map(name => [name, []]))
  const port = await freePort()
  const redis = start('redis', ['redis-server', '--port', String(port), '--bind', '127.0.0.1', '--save', ''])
  try {
    await until('Redis listens', () => /Ready to accept connections/.test(redis.output()), 20_000)
    for (let round = 0; round < rounds; round++) {
      for (const name of names) {
        const file = join(import.meta.dirname, 'program.ts')
        const command = program(file, name, hits, `redis://127.0.0.1:${port}`)
        results.get(name)!.push(await answerOf<Measured>(name, command, peerCore))
      }
    }
  } finally {
    await end(redis)
  }
  return `${tableOf(results)}\n\n${versionsText()}; medians of ${rounds} alternating rounds of ${figure(hits)} hits.`
}

function tableOf(results: ReadonlyMap<string, readonly Measured[]>): string {
  const rows = [...results].map(([name, list]) => {
    const of = (key: 'now' | 'get' | 'getOrSet' | 'shared'): string => {
      const values = list.map(one => one[key] ?? Number.NaN)
      return Number.isFinite(values[0]!) ? `${figure(median(values))} (${percent(spread(values))})` : '-'
    }
    const { stampede, keepsOld } = list[0]!
    const old = keepsOld === null ? '-' : keepsOld ? 'keeps the old value' : 'right'
    return [
      name,
      of('now'),
      of('get'),
      of('getOrSet'),
      of('shared'),
      stampede === null ? '-' : String(stampede),
      old,
    ]
  })
  const head = [
    '',
    'hits at once, M/s',
    'awaited get, M/s',
    'get or load, hits, M/s',
    'over Redis, k/s',
    'loads of a stampede',
    'delete during a load',
  ]
  return table(head, rows)
}
