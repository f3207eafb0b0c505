// One way of placing keys in a process of its own: `placement-program.ts NAME KEYS`. Writes one line of JSON.

import { million, shards, ways } from './ways.ts'

export interface Placing {
  /** CPU nanoseconds a key, from its text to its shard. */
  readonly ns: number
  /** The fullest shard, relative to the mean. */
  readonly fullest: number
}

function measured(name: string, count: number): Placing {
  const way = ways[name]
  if (way === undefined) throw new Error(`no way is called ${name}: ${Object.keys(ways).join(', ')}`)
  const place = way.make()
  const keys = Array.from({ length: 100_000 }, (_, at) => way.key((at * 7919) % million))
  const counts = new Array<number>(shards.length).fill(0)
  for (const key of keys) counts[place(key)]!++
  const before = process.cpuUsage()
  for (let done = 0; done < count; done += keys.length) for (const key of keys) place(key)
  const { user, system } = process.cpuUsage(before)
  return {
    ns: ((user + system) * 1_000) / count,
    fullest: Math.max(...counts) / (keys.length / shards.length),
  }
}

console.log(JSON.stringify(measured(process.argv[2] ?? '', Number(process.argv[3]))))
