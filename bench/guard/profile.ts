// Where an edge's time goes with a guard: `node bench/guard/profile.ts ['one limit'] [SECONDS]` runs it under the load of
// the benchmark with V8's sampling profiler, and prints the functions by their own time. It measures shares, not costs.

import { loads, measureLoad } from '../edge/scenarios.ts'
import { profile } from '../lib/cpu-profile.ts'
import { startOrigin } from '../lib/origin.ts'
import { figure } from '../lib/statistics.ts'
import { peers } from './peers.ts'

const [name = 'one limit', seconds = '5'] = process.argv.slice(2)
const peer = peers.find(one => one.name === name)
const [small] = loads
if (!peer || !small) throw new Error(`unknown: ${name}; allowed: ${peers.map(one => one.name).join(', ')}`)
await profile(peer, startOrigin, async (started, folder) => {
  const { cpuUs } = await measureLoad(started, small, { folder, seconds: Number(seconds) })
  return `${name}: ${figure(cpuUs)} us CPU a request`
})
