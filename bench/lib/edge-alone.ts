// The edge without a supervisor, from a snapshot that a benchmark writes: with the defaults that a system file has, one
// worker, on one core. As a program: `node edge-alone.ts STATE`.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runEdge } from '../../src/edge/index.ts'
import type { EdgeSnapshot, RouteSpec, UpstreamSpec } from '../../src/edge/snapshot.ts'
import { freePort, listening, type Running, start } from './processes.ts'

const node = join(import.meta.dirname, '..', '..', 'node_modules', '.bin', 'node')

export function upstreamAt(port: number): UpstreamSpec {
  return {
    name: 'origin',
    balance: { kind: 'round-robin' },
    members: [{ id: 'one', epoch: '1', host: '127.0.0.1', port, weight: 1, tier: 0, state: 'active' }],
    health: {
      active: null,
      passive: {
        consecutiveFailures: 5,
        failureShare: 0,
        requestsMin: 10,
        windowMs: 10_000,
        latencyFactor: 0,
        ejectBaseMs: 1_000,
        ejectMaxMs: 10_000,
        ejectShareMax: 0.5,
      },
      panicShare: 0.5,
    },
    limits: { connectionsMax: 0, inFlightMax: 0, pendingMax: 1_000, pendingTimeoutMs: 5_000 },
    retry: {
      attempts: 2,
      budgetShare: 0.2,
      budgetMin: 10,
      backoffBaseMs: 5,
      backoffMaxMs: 50,
      onStatus: [],
    },
    slowStartMs: 0,
    connectTimeoutMs: 5_000,
    responseTimeoutMs: 30_000,
    idleTimeoutMs: 60_000,
    upgradeIdleTimeoutMs: 600_000,
    keepAlive: { connectionsMax: 256, timeoutMs: 60_000 },
  }
}

export interface EdgeAlone {
  readonly running: Running
  readonly port: number
}

export async function startEdgeAlone(
  folder: string,
  core: number,
  routes: readonly RouteSpec[],
  upstreams: readonly UpstreamSpec[],
  env: Record<string, string> = {},
  change: (port: number) => Partial<EdgeSnapshot> = () => ({}),
): Promise<EdgeAlone> {
  const port = await freePort()
  const state = join(folder, 'state')
  const snapshot: EdgeSnapshot = {
    format: 1,
    version: 1,
    name: 'bench',
    listeners: [{ id: 'http', kind: 'http', host: '127.0.0.1', port }],
    trustedProxies: [],
    forwarded: 'x-forwarded',
    limits: {
      requestLineBytesMax: 8_192,
      headerBytesMax: 32_768,
      headerCountMax: 128,
      bodyBytesMax: 128 << 20,
      headTimeoutMs: 30_000,
      idleTimeoutMs: 600_000,
      bodyTimeoutMs: 30_000,
      sendTimeoutMs: 30_000,
      connectionsMax: 30_000,
      requestsPerConnectionMax: 1_000_000_000,
      drainTimeoutMs: 1_000,
    },
    accessLog: null,
    routes,
    upstreams,
    stickySecret: Buffer.alloc(32, 1).toString('base64'),
    ...change(port),
  }
  mkdirSync(join(state, 'edge'), { recursive: true })
  writeFileSync(join(state, 'edge', 'snapshot.json'), JSON.stringify(snapshot))
  const running = start('tenfold', [node, import.meta.filename, state], {
    core,
    env: { NODE_ENV: 'production', ...env },
  })
  await listening(running, port)
  return { running, port }
}

if (import.meta.main) await runEdge({ stateDirectory: process.argv[2] as string, nonce: 'bench', workers: 1 })
