// A sharded database: what placing a key costs, beside npm's hashring; what a statement of one shard costs the router, beside
// the router of a database that is not sharded; how far a statement over four shards goes, and what the router holds of many
// rows. See README.md for what is counted.

import { join } from 'node:path'
import { packageVersion } from '../lib/machine.ts'
import { table } from '../lib/markdown.ts'
import { answerOf, program } from '../lib/processes.ts'
import { isWanted, peerCore } from '../lib/rounds.ts'
import { figure, median, percent, ratio, spread } from '../lib/statistics.ts'
import type { BenchOptions } from '../run.ts'
import type { Placing } from './placement-program.ts'
import { reshard } from './reshard.ts'
import { memory, scatter } from './scatter.ts'
import { single } from './single.ts'
import { ways } from './ways.ts'

export async function run(options: BenchOptions): Promise<string> {
  const made: string[] = []
  if (isWanted(options, 'placement')) made.push(`### Placing a key\n\n${await placement(options)}`)
  if (isWanted(options, 'single')) made.push(`### A statement of one shard\n\n${await single(options)}`)
  if (isWanted(options, 'scatter')) made.push(`### A statement over four shards\n\n${await scatter(options)}`)
  if (isWanted(options, 'memory')) made.push(`### Many rows\n\n${await memory(options)}`)
  if (isWanted(options, 'reshard')) made.push(`### Rows that move\n\n${await reshard(options)}`)
  return made.join('\n\n')
}

async function placement({ quick }: BenchOptions): Promise<string> {
  const [rounds, keys] = quick ? [3, 1_000_000] : [7, 4_000_000]
  const results = new Map<string, Placing[]>(Object.keys(ways).map(name => [name, []]))
  for (let round = 0; round < rounds; round++)
    for (const name of results.keys()) {
      const command = program(join(import.meta.dirname, 'placement-program.ts'), name, keys)
      results.get(name)!.push(await answerOf<Placing>(name, command, peerCore))
    }
  const of = (name: string): number[] => (results.get(name) ?? []).map(one => one.ns)
  const rows = [...results].map(([name, list]) => [
    name,
    figure(median(of(name))),
    percent(spread(of(name))),
    ratio(median(of(name)), median(of('hashring text'))),
    list[0]!.fullest.toFixed(3),
  ])
  const head = ['8 shards', 'CPU ns a key', 'spread', 'to hashring', 'fullest shard to the mean']
  return `${table(head, rows)}\n\nhashring ${packageVersion('hashring')}; medians of ${rounds} alternating rounds of ${figure(keys)} keys.`
}
