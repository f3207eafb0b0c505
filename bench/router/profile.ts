// Where the time of the router goes: `node bench/router/profile.ts [SCENARIO] [SECONDS] [primary|fresh]` runs it under one of
// pgbench's loads with V8's sampling profiler and prints the functions by their own time.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { printProfile, profileEnv } from '../lib/cpu-profile.ts'
import { openFolder, peerCore } from '../lib/rounds.ts'
import { figure } from '../lib/statistics.ts'
import { measure, scenarios } from './bench.ts'
import { withCluster } from './cluster.ts'
import { targetOf, tenfold } from './peers.ts'
import { initialise } from './pgbench.ts'

const [name = 'select-simple-16', seconds = '5', reads = 'primary'] = process.argv.slice(2)
const scenario = scenarios.find(one => one.name === name)
if (scenario === undefined)
  throw new Error(`unknown scenario ${name}; allowed: ${scenarios.map(one => one.name).join(', ')}`)
const folder = openFolder('profile')
const profiles = join(folder, 'profiles')
mkdirSync(profiles)
await withCluster(folder, reads === 'fresh' ? 2 : 0, async cluster => {
  await initialise(targetOf(cluster.primary.port, cluster), 10)
  const spot = { folder, core: peerCore, cluster, env: profileEnv(profiles) }
  const router = await tenfold('tenfold', { kind: reads === 'fresh' ? 'fresh' : 'primary' }).start(spot)
  const result = await measure(router, { ...scenario, seconds: Number(seconds) }, spot)
  await router.stop()
  const sentence = 'why' in result ? result.why : `${figure(result.routerUs)} us CPU a transaction`
  console.log(`${name}: ${sentence} under the profiler\n`)
})
printProfile(profiles)
