// What is measured of one running proxy: closed-loop loads (CPU and rate), a fixed rate (latency), idle connections
// (memory), and a million requests (does memory come back).

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Figures, type IdleFigures, measureIdle, measureWrk } from '../lib/figures.ts'
import type { OpenLoopResult } from '../lib/open-loop.ts'
import type { StartedPeer } from '../lib/peers.ts'
import { answerOf, cpuUs, privateBytes, program } from '../lib/processes.ts'
import { loadCore } from '../lib/rounds.ts'
import type { WrkLoad } from '../lib/wrk.ts'

export interface Setting {
  readonly folder: string
  readonly seconds: number
}

export interface Load {
  readonly name: string
  readonly title: string
  readonly load: Pick<WrkLoad, 'connections' | 'method' | 'bodyBytes'> & { readonly path: string }
}

export const loads: readonly Load[] = [
  {
    name: 'small',
    title: 'Small answers (200 bytes), 64 connections',
    load: { path: '/small', connections: 64 },
  },
  { name: '100k', title: 'Answers of 100 KB, 64 connections', load: { path: '/100k', connections: 64 } },
  {
    name: 'upload-10k',
    title: 'Uploads of 10 KB, 64 connections',
    load: { path: '/upload', connections: 64, method: 'POST', bodyBytes: 10 * 1024 },
  },
  {
    name: 'upload-100k',
    title: 'Uploads of 100 KB, 64 connections',
    load: { path: '/upload', connections: 64, method: 'POST', bodyBytes: 100 * 1024 },
  },
]

export function measureLoad(
  peer: StartedPeer,
  { load }: Load,
  { seconds, folder }: Setting,
): Promise<Figures> {
  const { path, ...rest } = load
  return measureWrk(peer, { ...rest, url: `http://127.0.0.1:${peer.port}${path}`, seconds }, folder)
}

const library = (name: string): string => join(import.meta.dirname, '..', 'lib', name)

/** Requests per second that every proxy here can serve with room to spare, so that latency is not queueing at 100 %. */
export const fixedRate = 2_000

export function measureFixedRate(peer: StartedPeer, { seconds }: Setting): Promise<OpenLoopResult> {
  const command = program(library('open-loop.ts'), peer.port, fixedRate, seconds, 64, '/small')
  return answerOf('open loop', command, loadCore)
}

/** From a warm, idle proxy to one with `count` more idle keep-alive connections. */
export function measureKept(peer: StartedPeer, count: number): Promise<IdleFigures> {
  return measureIdle(peer, program(library('idle-holder.ts'), peer.port, count, '/small'), settled)
}

export interface ManyFigures {
  readonly requests: number
  readonly beforeBytes: number
  readonly afterBytes: number
}

/** Memory after a tenth of the requests (warm), and after all of them. */
export async function measureMany(
  peer: StartedPeer,
  requests: number,
  setting: Setting,
): Promise<ManyFigures> {
  const small = loads[0]!
  let done = 0
  const drive = async (target: number): Promise<number> => {
    while (done < target) {
      const before = cpuUs(peer.pids)
      const figures = await measureLoad(peer, small, setting)
      done += Math.round((cpuUs(peer.pids) - before) / figures.cpuUs)
    }
    await settled(peer)
    return privateBytes(peer.pids)
  }
  const beforeBytes = await drive(requests / 10)
  const afterBytes = await drive(requests * 1.1)
  return { requests: done, beforeBytes, afterBytes }
}

/** Until it has used almost no CPU for a second: garbage collectors and time-outs have run. */
async function settled(peer: StartedPeer): Promise<void> {
  for (let tries = 0; tries < 15; tries++) {
    const before = cpuUs(peer.pids)
    await sleep(1_000)
    if (cpuUs(peer.pids) - before < 10_000) return
  }
}
