// One cache in a process of its own: `program.ts NAME REQUESTS`. What other caches taught the compiler would slow it down.
// Writes one line of JSON. Figures are CPU time of the process, so what else the machine does counts less.

import { zipf } from '../../src/policy/evict/testing/traces.ts'
import { caches, type TextCache } from './caches.ts'

export interface Measured {
  /** Millions of requests a CPU second: get, and set where it was not in. */
  readonly mixed: number
  /** Millions of hits a CPU second, all keys in. */
  readonly hits: number
  /** Percent, in the mix, once the cache is warm. */
  readonly ratio: number
}

const entriesMax = 10_000
const keyCount = 100_000

const [name, requests] = [process.argv[2], Number(process.argv[3])]
const maker = caches.find(one => one.name === name)
if (!maker) throw new Error(`no cache is called ${name}: ${caches.map(one => one.name).join(', ')}`)

const keys = Array.from({ length: keyCount }, (_, rank) => `film:${rank}:summary`)
// Ranks are spread over the keys, so that popular ones do not lie side by side in memory.
const places = Int32Array.from({ length: keyCount }, (_, rank) => (rank * 7919) % keyCount)
const trace = zipf(keyCount, 0.99, requests, 11).map(rank => places[rank]!)

function mixed(cache: TextCache): number {
  let hits = 0
  for (let at = 0; at < trace.length; at++) {
    const key = keys[trace[at]!]!
    if (cache.get(key) === undefined) cache.set(key, at)
    else hits++
  }
  return hits
}

function onlyHits(cache: TextCache): number {
  let hits = 0
  for (let at = 0; at < trace.length; at++) {
    if (cache.get(keys[trace[at]! % entriesMax]!) !== undefined) hits++
  }
  return hits
}

/** Millions of requests a CPU second of the main thread; the collector's and the compiler's threads count too. */
function rateOf(work: () => void): number {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return trace.length / (user + system)
}

const cache = maker.make(entriesMax)
for (let pass = 0; pass < 2; pass++) mixed(cache)
let found = 0
const mixedRate = rateOf(() => (found = mixed(cache)))
const full = maker.make(entriesMax)
for (const key of keys.slice(0, entriesMax)) full.set(key, 1)
for (let pass = 0; pass < 2; pass++) onlyHits(full)
const hitRate = rateOf(() => {
  if (onlyHits(full) !== trace.length) throw new Error(`${name} lost keys that fit`)
})
const measured: Measured = { mixed: mixedRate, hits: hitRate, ratio: (100 * found) / trace.length }
console.log(JSON.stringify(measured))
