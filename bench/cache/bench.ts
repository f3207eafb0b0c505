// Caches before one origin, in one alternating run: hits of 1 KB and 100 KB, misses that are stored, validations, a Zipf mix
// with a store that is full, hits beside a store that evicts, and what a million objects cost. See README.md.

import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Figures, figuresTable, measureWrk, withCpu } from '../lib/figures.ts'
import { table } from '../lib/markdown.ts'
import type { StartedPeer } from '../lib/peers.ts'
import { privateBytes } from '../lib/processes.ts'
import {
  alternate,
  choosePeers,
  effortOf,
  inFolder,
  isWanted,
  loadCore,
  peerCore,
  told,
  withPeers,
} from '../lib/rounds.ts'
import { figure, median } from '../lib/statistics.ts'
import { wrk } from '../lib/wrk.ts'
import type { BenchOptions } from '../run.ts'
import { objectBytes, startCacheOrigin } from './origin.ts'
import { nginxCacheFolder, peers } from './peers.ts'

interface Scenario {
  readonly name: string
  readonly title: string
  readonly path: string
  /** Lua that makes the requests; absent: one URL. */
  readonly script?: (round: number) => string
  /** Run once on each program before it is measured. */
  readonly warm?: string
}

const mixObjects = 1_000_000
const validatedObjects = 60_000
let misses = 0

/** Each URL once, never again: rounds go on where the last one ended. */
const counting = (path: string, from: number, modulo: number): string => `
local n = ${from}
request = function()
  n = n + 1
  return wrk.format(nil, '${path}' .. (n % ${modulo}))
end
`
/** Zipf 0.99 by rejection-free inversion over a table of cumulated shares. */
const zipf = (objects: number): string => `
local shares, sum = {}, 0
for i = 1, ${objects} do sum = sum + 1 / i ^ 0.99; shares[i] = sum end
math.randomseed(7)
request = function()
  local wanted, low, high = math.random() * sum, 1, ${objects}
  while low < high do
    local middle = math.floor((low + high) / 2)
    if shares[middle] < wanted then low = middle + 1 else high = middle end
  end
  return wrk.format(nil, '/o/' .. low)
end
`

const scenarios: readonly Scenario[] = [
  { name: 'hit-1k', title: 'Hits of 1 KB, 64 connections', path: '/o/1' },
  { name: 'hit-100k', title: 'Hits of 100 KB, 64 connections', path: '/big' },
  {
    name: 'miss',
    title: 'Misses of 1 KB, each stored, 64 connections',
    path: '/o/',
    script: () => counting('/o/', (misses += 10_000_000), 1e12),
  },
  {
    name: 'validate',
    title: 'Validations: each answer is a second old, the origin says 304',
    path: '/r/',
    warm: counting('/r/', 0, validatedObjects),
    script: () => counting('/r/', 0, validatedObjects),
  },
  {
    name: 'mix',
    title: `Zipf 0.99 over ${mixObjects.toLocaleString('en')} objects of 1 KB, a store for a tenth of them`,
    path: '/o/',
    warm: zipf(mixObjects),
    script: () => zipf(mixObjects),
  },
]

const memoryBytes = 160 << 20

async function measure(
  peer: StartedPeer,
  { path, script }: Scenario,
  seconds: number,
  folder: string,
): Promise<Figures> {
  const url = `http://127.0.0.1:${peer.port}${path}`
  return measureWrk(peer, { url, connections: 64, seconds, ...(script && { script: script(0) }) }, folder)
}

/** One hot URL at a fixed pace beside nothing, then beside misses that fill and evict. */
async function besideEvictions(
  peer: StartedPeer,
  seconds: number,
  folder: string,
): Promise<readonly number[]> {
  const base = `http://127.0.0.1:${peer.port}`
  const hot = { url: `${base}/o/1`, connections: 4, seconds, core: loadCore }
  const alone = await wrk(hot, folder)
  const other = join(folder, 'filling')
  mkdirSync(other, { recursive: true })
  const filling = wrk(
    {
      url: `${base}/o/`,
      connections: 4,
      seconds,
      core: loadCore,
      script: counting('/o/', (misses += 10_000_000), 1e12),
    },
    other,
  )
  const beside = await wrk(hot, folder)
  await filling
  return [alone.p50Us, alone.p99Us, beside.p50Us, beside.p99Us]
}

/** Bytes of private memory beyond the bodies, for each of many small objects. */
async function overhead(peer: StartedPeer, objects: number, folder: string): Promise<readonly number[]> {
  const url = `http://127.0.0.1:${peer.port}/o/`
  const before = privateBytes(peer.pids)
  const from = (misses += 10_000_000)
  let asked = 0
  const [, used] = await withCpu(peer, async () => {
    while (asked < objects) {
      const script = counting('/o/', from + asked, 1e12)
      asked += (await wrk({ url, connections: 64, seconds: 4, core: loadCore, script }, folder)).requests
    }
  })
  return [asked, (privateBytes(peer.pids) - before) / asked - objectBytes, used / asked]
}

/** Medians of each column over the rounds. */
function rowsOf(results: ReadonlyMap<string, readonly (readonly number[])[]>): string[][] {
  return [...results].map(([name, rounds]) => [
    name,
    ...(rounds[0] ?? []).map((_, at) => figure(median(rounds.map(one => one[at] ?? Number.NaN)))),
  ])
}

export function run(options: BenchOptions): Promise<string> {
  const chosen = choosePeers(peers, options)
  const wanted = scenarios.filter(({ name }) => isWanted(options, name))
  const effort = effortOf(options, 3)
  const { rounds, seconds } = effort
  return inFolder(async folder => {
    const origin = await startCacheOrigin(folder)
    const tables: string[] = []
    const place = { folder, core: peerCore, originPort: origin.port, memoryBytes }
    try {
      for (const scenario of wanted) {
        await withPeers(chosen, place, async runners => {
          const { name, title, warm } = scenario
          await alternate(runners, 1, 'warming up', peer =>
            measure(
              peer,
              { ...scenario, ...(warm && { script: () => warm }) },
              warm ? seconds * 4 : 1,
              folder,
            ),
          )
          const results = await alternate(runners, rounds, name, peer =>
            measure(peer, scenario, seconds, folder),
          )
          const form = {
            title,
            unit: 'request',
            comparedTo: ['nginx', 'varnish'],
            times: ['p50Us', 'p99Us'],
          } as const
          tables.push(figuresTable(form, results))
        })
      }
      if (isWanted(options, 'evict')) {
        await withPeers(chosen, { ...place, memoryBytes: 32 << 20 }, async runners => {
          await alternate(runners, 1, 'filling', peer =>
            measure(peer, scenarios[2] as Scenario, seconds * 2, folder),
          )
          const results = await alternate(runners, rounds, 'evict', peer =>
            besideEvictions(peer, seconds, folder),
          )
          const rows = rowsOf(results)
          const head = [
            '',
            'p50 us alone',
            'p99 us alone',
            'p50 us beside evictions',
            'p99 us beside evictions',
          ]
          tables.push(`### Hits while the store evicts, 4 + 4 connections\n\n${table(head, rows)}`)
        })
      }
      if (isWanted(options, 'objects')) {
        const objects = options.quick ? 100_000 : 1_000_000
        await withPeers(chosen, { ...place, memoryBytes: 3 * 1024 ** 3 }, async runners => {
          const results = await alternate(runners, 1, 'objects', peer => overhead(peer, objects, folder))
          const rows = rowsOf(results)
          tables.push(
            `### Objects of 1 KB in memory\n\n${table(['', 'objects', 'bytes beside the body', 'CPU us a miss'], rows)}`,
          )
        })
      }
    } finally {
      await origin.stop()
      rmSync(nginxCacheFolder(folder), { recursive: true, force: true })
    }
    return `${tables.join('\n\n')}\n\n${told(options, effort, chosen)}`
  })
}
