// What a supervisor that died left running, ended without bringing the system up again. Takes the lock meanwhile, so that
// no `up` adopts what is being ended.

import { createFleet, type FleetLog, type FrontPort } from '../fleet/index.ts'
import { systemClock } from '../kit/clock.ts'
import { seededRandom } from '../kit/random.ts'
import { createEdgeProcess } from './edge-process.ts'
import { takeLock } from './lock.ts'
import { createRouterProcess } from './router-process.ts'
import { openStateDirectory } from './state-directory.ts'

const drainMs = 10_000
const silent: FleetLog = { info: () => {}, warn: () => {}, error: () => {} }
const nowhere: FrontPort = { publish: async () => {}, idle: async () => true }

/** What was ended, in words. Throws SYSTEM_ALREADY_RUNNING when a supervisor has come back. */
export async function endLeftovers(stateDirectory: string, options: { now: boolean }): Promise<string[]> {
  const state = openStateDirectory(stateDirectory)
  const lock = takeLock(state.path, '')
  try {
    return [
      ...(await endEdge(state, options)),
      ...(await endInstances(state.path, options)),
      ...(await endDatabases(state.path, options)),
    ]
  } finally {
    lock.release()
  }
}

async function endEdge(
  state: ReturnType<typeof openStateDirectory>,
  { now }: { now: boolean },
): Promise<string[]> {
  const edge = createEdgeProcess({ state, workers: 1, onEvent: () => {}, onChange: () => {} })
  const taken = await edge.adopt()
  // Those that drain, or are of another version, are ours to end as well.
  const pids = [...(taken ? [edge.state.pid] : []), ...edge.state.leaving]
  if (pids.length === 0) return []
  await (now ? edge.kill() : edge.stop(drainMs))
  return pids.map(pid => `edge (process ${pid})`)
}

async function endInstances(stateDirectory: string, { now }: { now: boolean }): Promise<string[]> {
  const random = seededRandom(process.pid)
  const fleet = createFleet({ stateDirectory, clock: systemClock, random, front: nowhere, log: silent })
  const { adopted, ended } = await fleet.adopt()
  await (now ? fleet.kill() : fleet.stop())
  return [...adopted, ...ended].map(({ service, member }) => `${service}/${member}`)
}

async function endDatabases(stateDirectory: string, { now }: { now: boolean }): Promise<string[]> {
  const router = createRouterProcess({ stateDirectory, onEvent: () => {}, onChange: () => {} })
  const { databasesOnDisk, endServers } = await import('./database-leftovers.ts')
  const taken = await router.adopt()
  const { pid } = router.state
  if (taken || router.replacesAnother) await (now ? router.kill() : router.stop(drainMs))
  const servers = await Promise.all(
    databasesOnDisk(stateDirectory).map(name => endServers(stateDirectory, name, now ? 'immediate' : 'fast')),
  )
  return [...(taken ? [`database router (process ${pid})`] : []), ...servers.flat()]
}
