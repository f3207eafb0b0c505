// Static files: nginx with sendfile and its cache of open files, and Tenfold, serve the same folder in one alternating
// run. The load generator has core 0, the server core 1. CPU a request is what counts; see README.md.

import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Figures, figuresTable, measureWrk } from '../lib/figures.ts'
import type { StartedPeer } from '../lib/peers.ts'
import { alternate, choosePeers, effortOf, inFolder, peerCore, told, withPeers } from '../lib/rounds.ts'
import type { BenchOptions } from '../run.ts'
import { peers, rootIn } from './peers.ts'

interface Scenario {
  readonly name: string
  readonly title: string
  readonly connections: number
}

const scenarios: readonly Scenario[] = [
  { name: '1k.txt', title: '1 KB from hot memory, 64 connections', connections: 64 },
  { name: '100k.bin', title: '100 KB from hot memory, 64 connections', connections: 64 },
  { name: '10m.bin', title: '10 MB from the page cache, 8 connections', connections: 8 },
]
const sizes: Readonly<Record<string, number>> = { '1k.txt': 1024, '100k.bin': 100 << 10, '10m.bin': 10 << 20 }

/** Times in the past, as of files that were deployed. */
async function writeFiles(root: string): Promise<void> {
  mkdirSync(root)
  for (const [name, size] of Object.entries(sizes)) writeFileSync(join(root, name), randomBytes(size))
  await sleep(2_500)
}

async function measure(
  peer: StartedPeer,
  { name, connections }: Scenario,
  seconds: number,
  folder: string,
): Promise<Figures> {
  const url = `http://127.0.0.1:${peer.port}/${name}`
  const result = await measureWrk(peer, { url, connections, seconds }, folder)
  const expected = result.requests * (sizes[name] as number)
  if (result.bytes < expected * 0.9)
    throw new Error(`${url} gave ${result.bytes} bytes for ${result.requests} requests`)
  return result
}

export function run(options: BenchOptions): Promise<string> {
  const chosen = choosePeers(peers, options)
  const wanted = scenarios.filter(
    ({ name }) => options.scenarios.length === 0 || options.scenarios.some(one => name.startsWith(one)),
  )
  const effort = effortOf(options, 3)
  const { rounds, seconds } = effort
  return inFolder(async folder => {
    await writeFiles(rootIn(folder))
    const tables: string[] = []
    await withPeers(chosen, { folder, core: peerCore }, async runners => {
      for (const scenario of wanted) {
        const { name, title } = scenario
        await alternate(runners, 1, 'warming up', peer => measure(peer, scenario, 1, folder))
        const results = await alternate(runners, rounds, name, peer =>
          measure(peer, scenario, seconds, folder),
        )
        const form = { title, unit: 'request', comparedTo: ['nginx'], times: ['p50Us', 'p99Us'] } as const
        tables.push(figuresTable(form, results))
      }
    })
    return `${tables.join('\n\n')}\n\n${told(options, effort, chosen)}`
  })
}
