// The edge without a supervisor, from a snapshot that a benchmark changes: with the defaults that a system file has, one
// worker, on one core.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { EdgeSnapshot, UpstreamSpec } from '../../src/edge/snapshot.ts'
import { packageVersion } from './machine.ts'
import { type Peer, type Place, type Spot, started } from './peers.ts'
import { freePort, program, start } from './processes.ts'

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

/** Everything goes to the origin. */
export function proxyTo(originPort: number, upgrade = false): Pick<EdgeSnapshot, 'routes' | 'upstreams'> {
  const action = { kind: 'proxy', upstream: 'origin', upgrade } as const
  return { routes: [{ id: '/*', match: { path: '/*' }, action }], upstreams: [upstreamAt(originPort)] }
}

function snapshotOf(port: number, change: Partial<EdgeSnapshot>): EdgeSnapshot {
  return {
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
    routes: [],
    upstreams: [],
    stickySecret: Buffer.alloc(32, 1).toString('base64'),
    ...change,
  }
}

/** Tenfold's edge as a peer; `changeOf` says what its snapshot has beside one HTTP listener without routes. */
export function edgeAlone<P extends Spot = Place>(
  changeOf: (place: P, port: number) => Partial<EdgeSnapshot>,
  version: () => string = () => packageVersion('../'),
): Peer<P> {
  return {
    name: 'tenfold',
    version,
    start: async place => {
      const port = await freePort()
      const state = join(place.folder, 'edge-alone')
      mkdirSync(join(state, 'edge'), { recursive: true })
      const snapshot = snapshotOf(port, changeOf(place, port))
      writeFileSync(join(state, 'edge', 'snapshot.json'), JSON.stringify(snapshot))
      const file = join(import.meta.dirname, 'edge-program.ts')
      const env = { NODE_ENV: 'production', ...place.env }
      return started(start('tenfold', program(file, state), { core: place.core, env }), port)
    },
  }
}
