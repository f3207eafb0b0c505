// One run: the folder it works in, which programs and scenarios it has, and rounds that alternate between the programs, so
// that what else the machine does hits all alike. What is measured is not known here.

import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BenchOptions } from '../run.ts'
import type { Peer, Spot, StartedPeer } from './peers.ts'

/** Origin and load share the first; the program under measurement has the other for itself. */
export const loadCore = 0
export const peerCore = 1

export type Runners = ReadonlyMap<string, StartedPeer>

/** A new folder that nginx's workers, who run as another user, may read. */
export function openFolder(purpose: string): string {
  const folder = mkdtempSync(join(tmpdir(), `tenfold-${purpose}-`))
  chmodSync(folder, 0o755)
  return folder
}

/** A folder that is gone afterwards. */
export async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  if (availableParallelism() < 2)
    throw new Error('this benchmark needs two cores: one for what is measured, one for the rest')
  const folder = openFolder('bench')
  try {
    return await work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Those that were asked for and are installed; `--only` writes names with dashes. */
export function choosePeers<P extends Spot>(
  peers: readonly Peer<P>[],
  { only }: BenchOptions,
): readonly Peer<P>[] {
  const named = peers.filter(({ name }) => only.length === 0 || only.includes(name.replaceAll(' ', '-')))
  const there = named.filter(peer => peer.version() !== undefined)
  for (const peer of named) if (!there.includes(peer)) console.error(`${peer.name} is not there: left out`)
  return there
}

export function isWanted({ scenarios }: BenchOptions, name: string): boolean {
  return scenarios.length === 0 || scenarios.includes(name)
}

export interface Effort {
  readonly rounds: number
  readonly seconds: number
}

/** @param seconds of a round of a quick run. */
export function effortOf({ quick }: BenchOptions, seconds: number): Effort {
  return quick ? { rounds: 1, seconds } : { rounds: 5, seconds: 4 }
}

/** What stands below the tables; `more` follows the versions, and what is said of the rounds. */
export function told(
  { quick }: BenchOptions,
  { rounds, seconds }: Effort,
  peers: readonly Pick<Peer, 'name' | 'version'>[],
  more: { readonly versions?: string; readonly rounds?: string } = {},
): string {
  const whole = `medians of ${rounds} alternating rounds of ${seconds} s${more.rounds ?? ''}`
  return `${versionsOf(peers)}${more.versions ?? ''}; ${quick ? 'one short round' : whole}.`
}

export function versionsOf(peers: readonly Pick<Peer, 'name' | 'version'>[]): string {
  return peers.map(peer => `${peer.name} ${peer.version()}`).join(', ')
}

/** All run beside each other; those that wait cost nothing. */
export async function withPeers<P extends Spot, T>(
  peers: readonly Peer<P>[],
  place: P,
  work: (runners: Runners) => Promise<T>,
): Promise<T> {
  const runners = new Map<string, StartedPeer>()
  try {
    for (const peer of peers) runners.set(peer.name, await peer.start(place))
    return await work(runners)
  } finally {
    for (const runner of runners.values()) await runner.stop()
  }
}

/** One line that is written over; nothing where nobody watches. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
}

/** Every one in turn, `rounds` times. */
async function inTurn<R, T>(
  runners: ReadonlyMap<string, R>,
  rounds: number,
  title: string,
  measure: (runner: R) => Promise<T>,
): Promise<Map<string, T[]>> {
  const results = new Map<string, T[]>([...runners.keys()].map(name => [name, []]))
  for (let round = 1; round <= rounds; round++) {
    for (const [name, runner] of runners) {
      progress(`${title}: round ${round} of ${rounds}, ${name}`)
      results.get(name)!.push(await measure(runner))
    }
  }
  progress('')
  return results
}

export function alternate<T>(
  runners: Runners,
  rounds: number,
  title: string,
  measure: (peer: StartedPeer) => Promise<T>,
): Promise<Map<string, T[]>> {
  return inTurn(runners, rounds, title, measure)
}

/** A new process for each measurement: memory that an earlier one left behind would hide what the next one takes. */
export function freshly<P extends Spot, T>(
  peers: readonly Peer<P>[],
  rounds: number,
  title: string,
  place: P,
  measure: (peer: StartedPeer) => Promise<T>,
): Promise<Map<string, T[]>> {
  return inTurn(new Map(peers.map(peer => [peer.name, peer])), rounds, title, async peer => {
    const one = await peer.start(place)
    try {
      return await measure(one)
    } finally {
      await one.stop()
    }
  })
}
