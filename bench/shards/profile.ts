// Where the time of a sharded database's router goes: `node bench/shards/profile.ts [SCENARIO] [SECONDS]` runs it under one of
// pgbench's loads of one-shard statements with V8's sampling profiler and prints the functions by their own time.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { printProfile, profileEnv } from '../lib/cpu-profile.ts'
import { openFolder, peerCore } from '../lib/rounds.ts'
import { figure } from '../lib/statistics.ts'
import { withCluster } from '../router/cluster.ts'
import { targetOf, tenfold } from '../router/peers.ts'
import { initialise } from '../router/pgbench.ts'
import { measure, scenarios, spreadOver } from './single.ts'

const [name = 'select-prepared-16', seconds = '5'] = process.argv.slice(2)
const scenario = scenarios.find(one => one.name === name)
if (scenario === undefined)
  throw new Error(`unknown scenario ${name}; allowed: ${scenarios.map(one => one.name).join(', ')}`)
const folder = openFolder('profile')
const profiles = join(folder, 'profiles')
mkdirSync(profiles)
await withCluster(folder, 0, async cluster => {
  await initialise(targetOf(cluster.primary.port, cluster), 1)
  const spot = { folder, core: peerCore, cluster, env: profileEnv(profiles) }
  const router = await tenfold('tenfold sharded', { kind: 'primary' }, spreadOver).start(spot)
  const us = await measure(router, { ...scenario, seconds: Number(seconds) }, spot)
  await router.stop()
  console.log(`${name}: ${figure(us)} us CPU a transaction under the profiler\n`)
})
printProfile(profiles)
