// Where the time of Tenfold goes: `node bench/tcp/profile.ts [SCENARIO] [SECONDS]` runs it under one load with V8's
// sampling profiler and prints the functions by their own time.

import { mkdirSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { printProfile } from '../lib/cpu-profile.ts'
import { figure } from '../lib/statistics.ts'
import { loadCore, measure, scenarios, startOrigin } from './bench.ts'
import { peers } from './peers.ts'

const [name = 'short', seconds = '5'] = process.argv.slice(2)
const scenario = scenarios.find(one => one.wish === name)
if (!scenario)
  throw new Error(`unknown scenario ${name}; allowed: ${scenarios.map(one => one.wish).join(', ')}`)
const folder = mkdtempSync(join(tmpdir(), 'tenfold-profile-'))
const profiles = join(folder, 'profiles')
mkdirSync(profiles)
const origin = await startOrigin(loadCore)
const env = { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profiles}` }
const tenfold = peers.find(peer => peer.name === 'tenfold')!
const peer = await tenfold.start({ folder, core: 1, originPort: origin.port, env })
const figures = await measure(peer, scenario, Number(seconds))
await peer.stop()
await origin.stop()
console.log(`${scenario.title}: ${figure(figures.cpuUs)} us CPU a ${scenario.unit} under the profiler\n`)
printProfile(profiles)
