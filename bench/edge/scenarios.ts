// What is measured of one running proxy: closed-loop loads (CPU and rate), a fixed rate (latency), idle connections
// (memory), and a million requests (does memory come back).

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { OpenLoopResult } from '../lib/open-loop.ts'
import { cpuUs, end, privateBytes, start, until } from '../lib/processes.ts'
import { type WrkLoad, wrk } from '../lib/wrk.ts'
import type { StartedPeer } from './peers.ts'

export interface Setting {
  readonly folder: string
  /** Core of the load generator and the origin. */
  readonly core: number
  readonly seconds: number
}

export interface LoadFigures {
  readonly cpuUsPerRequest: number
  readonly requestsPerSecond: number
  readonly p50Us: number
  readonly p99Us: number
  readonly errors: number
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

export async function measureLoad(peer: StartedPeer, { load }: Load, setting: Setting): Promise<LoadFigures> {
  const { path, ...rest } = load
  const before = cpuUs(peer.pids)
  const url = `http://127.0.0.1:${peer.port}${path}`
  const result = await wrk({ ...rest, url, seconds: setting.seconds, core: setting.core }, setting.folder)
  const used = cpuUs(peer.pids) - before
  return { ...result, cpuUsPerRequest: used / result.requests }
}

const nodeBinary = join(import.meta.dirname, '..', '..', 'node_modules', '.bin', 'node')
const program = (name: string): string => join(import.meta.dirname, '..', 'lib', name)

/** Requests per second that every proxy here can serve with room to spare, so that latency is not queueing at 100 %. */
export const fixedRate = 2_000

export async function measureFixedRate(peer: StartedPeer, setting: Setting): Promise<OpenLoopResult> {
  const numbers = [peer.port, fixedRate, setting.seconds, 64].map(String)
  const one = start('open loop', [nodeBinary, program('open-loop.ts'), ...numbers, '/small'], {
    core: setting.core,
  })
  await new Promise(resolve => one.child.once('close', resolve))
  return JSON.parse(one.output().trim().split('\n').at(-1) ?? '') as OpenLoopResult
}

export interface IdleFigures {
  readonly connections: number
  readonly bytesPerConnection: number
}

/** How much private memory grows from a warm, idle proxy to one with `count` more idle keep-alive connections. */
export async function measureIdle(peer: StartedPeer, count: number, setting: Setting): Promise<IdleFigures> {
  await settled(peer)
  const before = privateBytes(peer.pids)
  const command = [nodeBinary, program('idle-holder.ts'), String(peer.port), String(count), '/small']
  const holder = start('idle holder', command, { core: setting.core })
  await until(`${count} connections are open`, () => /^open \d+$/m.test(holder.output()), 120_000)
  await settled(peer)
  const connections = Number(/^open (\d+)$/m.exec(holder.output())?.[1])
  const bytesPerConnection = (privateBytes(peer.pids) - before) / connections
  await end(holder)
  return { connections, bytesPerConnection }
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
      done += Math.round((cpuUs(peer.pids) - before) / figures.cpuUsPerRequest)
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
