// Where the time of Tenfold goes: `node bench/tcp/profile.ts [SCENARIO] [SECONDS]` runs it under one load with V8's
// sampling profiler and prints the functions by their own time.

import { profile } from '../lib/cpu-profile.ts'
import { figure } from '../lib/statistics.ts'
import { measure, scenarios, startOrigin } from './bench.ts'
import { tenfold } from './peers.ts'

const [name = 'short', seconds = '5'] = process.argv.slice(2)
const scenario = scenarios.find(one => one.wish === name)
if (!scenario)
  throw new Error(`unknown scenario ${name}; allowed: ${scenarios.map(one => one.wish).join(', ')}`)
await profile(tenfold, startOrigin, async peer => {
  const { cpuUs } = await measure(peer, scenario, Number(seconds))
  return `${scenario.title}: ${figure(cpuUs)} us CPU a ${scenario.unit}`
})
