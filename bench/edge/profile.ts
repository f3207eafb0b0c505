// Where the edge's time goes: `node bench/edge/profile.ts [SCENARIO] [SECONDS]` runs Tenfold under one load with V8's
// sampling profiler and prints the functions by their own time. The profiles stay in the folder that it names, for a
// viewer. It measures shares, not costs: the profiler itself costs about a tenth.

import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { end } from '../lib/processes.ts'
import { figure, percent } from '../lib/statistics.ts'
import { startOrigin } from './origin.ts'
import { peers } from './peers.ts'
import { loads, measureLoad } from './scenarios.ts'

interface Profile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

const rowsShown = 45

/** Own microseconds by function; idle time is left out. */
function ownTimes(profile: Profile): Map<string, number> {
  const names = new Map(
    profile.nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => {
      const place = url.replace(/^.*\/(src|node_modules)\//, '$1/')
      return [id, `${functionName || '(anonymous)'} ${place}${place ? `:${lineNumber + 1}` : ''}`.trim()]
    }),
  )
  const own = new Map<string, number>()
  profile.samples.forEach((id, index) => {
    const name = names.get(id)!
    if (name !== '(idle)') own.set(name, (own.get(name) ?? 0) + (profile.timeDeltas[index] ?? 0))
  })
  return own
}

/** The busiest of all profiles: the worker thread that carried the load. */
function busiest(folder: string): { file: string; own: Map<string, number>; totalUs: number } {
  const all = readdirSync(folder).map(file => {
    const own = ownTimes(JSON.parse(readFileSync(join(folder, file), 'utf8')) as Profile)
    const edge = [...own].filter(([name]) => name.includes('src/edge/') || name.includes('src/io/net'))
    return {
      file,
      own,
      totalUs: [...own.values()].reduce((a, b) => a + b, 0),
      edgeUs: edge.reduce((sum, [, us]) => sum + us, 0),
    }
  })
  const first = all.sort((a, b) => b.edgeUs - a.edgeUs)[0]
  if (!first) throw new Error(`no profile was written to ${folder}`)
  return first
}

async function main(): Promise<void> {
  const [name = 'small', seconds = '5'] = process.argv.slice(2)
  const load = loads.find(one => one.name === name)
  if (!load) throw new Error(`unknown scenario ${name}; allowed: ${loads.map(one => one.name).join(', ')}`)
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-profile-'))
  const profiles = join(folder, 'profiles')
  chmodSync(folder, 0o755)
  mkdirSync(profiles)
  const origin = await startOrigin(folder, 0)
  const env = { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profiles}` }
  const tenfold = peers.find(peer => peer.name === 'tenfold')!
  const peer = await tenfold.start({ folder, core: 1, originPort: origin.port, env })
  const setting = { folder, core: 0, seconds: Number(seconds) }
  const figures = await measureLoad(peer, load, setting)
  await peer.stop()
  await end(origin.running)

  const { file, own, totalUs } = busiest(profiles)
  console.log(
    `${load.title}: ${figure(figures.cpuUsPerRequest)} us CPU a request under the profiler; ${join(profiles, file)}\n`,
  )
  for (const [place, us] of [...own].sort((a, b) => b[1] - a[1]).slice(0, rowsShown)) {
    console.log(`${percent(us / totalUs).padStart(8)}  ${place}`)
  }
}

await main()
