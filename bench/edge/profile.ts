// Where the edge's time goes: `node bench/edge/profile.ts [SCENARIO] [SECONDS]` runs Tenfold under one load with V8's
// sampling profiler and prints the functions by their own time. The profiles stay in the folder that it names, for a
// viewer. It measures shares, not costs: the profiler itself costs about a tenth.

import { profile } from '../lib/cpu-profile.ts'
import { startOrigin } from '../lib/origin.ts'
import { figure } from '../lib/statistics.ts'
import { tenfold } from './peers.ts'
import { loads, measureLoad } from './scenarios.ts'

const [name = 'small', seconds = '5'] = process.argv.slice(2)
const load = loads.find(one => one.name === name)
if (!load) throw new Error(`unknown scenario ${name}; allowed: ${loads.map(one => one.name).join(', ')}`)
await profile(tenfold, startOrigin, async (peer, folder) => {
  const { cpuUs } = await measureLoad(peer, load, { folder, seconds: Number(seconds) })
  return `${load.title}: ${figure(cpuUs)} us CPU a request`
})
