// What the guard costs a proxied request: the same edge with more and more of it, in alternating rounds.

import { loads, measureLoad } from '../edge/scenarios.ts'
import type { Figures } from '../lib/figures.ts'
import { table } from '../lib/markdown.ts'
import { withOrigin } from '../lib/origin.ts'
import type { Place } from '../lib/peers.ts'
import { alternate, choosePeers, effortOf, told, withPeers } from '../lib/rounds.ts'
import { figure, median, percent, spread } from '../lib/statistics.ts'
import type { BenchOptions } from '../run.ts'
import { peers } from './peers.ts'

/** Above the edge without a guard. */
const barShare = 0.1

/** Each round against the same round without a guard: what the machine does meanwhile hits both. */
function report(results: ReadonlyMap<string, readonly Figures[]>): string {
  const none = results.get('none') ?? []
  const rows = [...results].map(([name, list]) => {
    const more = list.map((one, round) => one.cpuUs / (none[round]?.cpuUs ?? Number.NaN) - 1)
    return [
      name,
      figure(median(list.map(one => one.cpuUs))),
      percent(spread(list.map(one => one.cpuUs))),
      `${(median(more) * 100).toFixed(1)} %`,
      figure(median(list.map(one => one.perSecond))),
      figure(median(list.map(one => one.p99Us ?? Number.NaN))),
      String(list.reduce((sum, one) => sum + one.errors, 0)),
    ]
  })
  const head = ['guard', 'CPU us a request', 'spread', 'above none', 'requests/s', 'p99 us', 'errors']
  const title = `### Small answers (200 bytes), 64 connections; the bar is ${barShare * 100} % above none`
  return `${title}\n\n${table(head, rows)}`
}

async function measure(options: BenchOptions, place: Place): Promise<string> {
  const chosen = choosePeers(peers, options)
  // Differences are small: more rounds than elsewhere, shorter ones, and none before V8 has compiled the guard's code.
  const effort = options.quick ? effortOf(options, 2) : { rounds: 15, seconds: 2 }
  const setting = { folder: place.folder, seconds: effort.seconds }
  const small = loads[0]!
  const results = await withPeers(chosen, place, async runners => {
    await alternate(runners, 6, 'warming up', peer => measureLoad(peer, small, setting))
    return alternate(runners, options.quick ? 5 : effort.rounds, 'small', peer =>
      measureLoad(peer, small, setting),
    )
  })
  return `${report(results)}\n\n${told(options, effort, chosen)}`
}

export function run(options: BenchOptions): Promise<string> {
  return withOrigin(place => measure(options, place))
}
