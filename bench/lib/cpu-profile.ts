// V8's sampling profiles of a run of a data plane: functions by their own time. It measures shares, not costs: the profiler
// itself costs about a tenth.

import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Origin } from './origin.ts'
import type { Peer, StartedPeer } from './peers.ts'
import { openFolder, peerCore } from './rounds.ts'
import { percent } from './statistics.ts'

interface Profile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

const rowsShown = 45

/** What makes Node write a profile of each thread into the folder. */
export function profileEnv(folder: string): Record<string, string> {
  return { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${folder}` }
}

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
    const edge = [...own].filter(([name]) => /src\/(edge|database|io\/net)/.test(name))
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

/** Prints the busiest profile of the folder. */
export function printProfile(folder: string): void {
  const { file, own, totalUs } = busiest(folder)
  console.log(`${join(folder, file)}\n`)
  for (const [place, us] of [...own].sort((a, b) => b[1] - a[1]).slice(0, rowsShown))
    console.log(`${percent(us / totalUs).padStart(8)}  ${place}`)
}

/** Runs a peer under the profiler in a folder that stays, for a viewer; `measure` says in a sentence what it saw. */
export async function profile(
  peer: Peer,
  startOrigin: (folder: string) => Promise<Origin>,
  measure: (one: StartedPeer, folder: string) => Promise<string>,
): Promise<void> {
  const folder = openFolder('profile')
  const profiles = join(folder, 'profiles')
  mkdirSync(profiles)
  const origin = await startOrigin(folder)
  const env = profileEnv(profiles)
  const one = await peer.start({ folder, core: peerCore, originPort: origin.port, env })
  const sentence = await measure(one, folder)
  await one.stop()
  await origin.stop()
  console.log(`${sentence} under the profiler\n`)
  printProfile(profiles)
}
