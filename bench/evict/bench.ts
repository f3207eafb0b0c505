// Eviction policies as caches of text keys, beside the LRU caches of the registry: requests a CPU second and hit ratios. See
// README.md for how to read it.

import { join } from 'node:path'
import { table } from '../lib/markdown.ts'
import { answerOf, program } from '../lib/processes.ts'
import { peerCore } from '../lib/rounds.ts'
import { figure, median, percent, ratio, spread } from '../lib/statistics.ts'
import type { BenchOptions } from '../run.ts'
import { caches, versionsText } from './caches.ts'
import type { Measured } from './program.ts'

/** Ours that has the same policy as the peers. */
const level = 'tenfold lru'

export async function run({ quick, only }: BenchOptions): Promise<string> {
  const [rounds, requests] = quick ? [3, 1_000_000] : [7, 4_000_000]
  const names = caches
    .map(one => one.name)
    .filter(name => only.length === 0 || only.includes(name.replaceAll(' ', '-')))
  const results = new Map<string, Measured[]>(names.map(name => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const name of names) {
      const command = program(join(import.meta.dirname, 'program.ts'), name, requests)
      results.get(name)!.push(await answerOf<Measured>(name, command, peerCore))
    }
  }
  return `${tableOf(results)}\n\n${versionsText()}; medians of ${rounds} alternating rounds of ${figure(requests)} requests.`
}

function tableOf(results: ReadonlyMap<string, readonly Measured[]>): string {
  const of = (name: string, key: keyof Measured): number[] => (results.get(name) ?? []).map(one => one[key])
  const head = [
    '',
    'get + set, M/s',
    'spread',
    `${level} to it`,
    'hits, M/s',
    'spread',
    `${level} to it`,
    'hit ratio',
  ]
  const rows = [...results.keys()].map(name => [
    name,
    figure(median(of(name, 'mixed'))),
    percent(spread(of(name, 'mixed'))),
    ratio(median(of(level, 'mixed')), median(of(name, 'mixed'))),
    figure(median(of(name, 'hits'))),
    percent(spread(of(name, 'hits'))),
    ratio(median(of(level, 'hits')), median(of(name, 'hits'))),
    `${median(of(name, 'ratio')).toFixed(1)} %`,
  ])
  return table(head, rows)
}
