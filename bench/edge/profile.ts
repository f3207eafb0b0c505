// Where the edge's time goes: `node bench/edge/profile.ts [SCENARIO] [SECONDS]` runs Tenfold under one load with V8's
// sampling profiler and prints the functions by their own time. The profiles stay in the folder that it names, for a
// viewer. It measures shares, not costs: the profiler itself costs about a tenth.

import { chmodSync, mkdirSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { printProfile } from '../lib/cpu-profile.ts'
import { end } from '../lib/processes.ts'
import { figure } from '../lib/statistics.ts'
import { startOrigin } from './origin.ts'
import { peers } from './peers.ts'
import { loads, measureLoad } from './scenarios.ts'

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

  console.log(`${load.title}: ${figure(figures.cpuUsPerRequest)} us CPU a request under the profiler`)
  printProfile(profiles)
}

await main()
