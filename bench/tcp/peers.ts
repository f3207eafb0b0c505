// The proxies of layer 4, each with one worker on one core, no log, one origin.

import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { EdgeSnapshot } from '../../src/edge/snapshot.ts'
import { packageVersion, versionOf } from '../lib/machine.ts'
import { end, freePort, listening, type Running, start, treeOf } from '../lib/processes.ts'

export interface Place {
  readonly folder: string
  readonly core: number
  readonly originPort: number
  /** Added to Tenfold's environment: for profiles. */
  readonly env?: Record<string, string>
}

export interface StartedPeer {
  readonly port: number
  readonly pids: readonly number[]
  stop(): Promise<void>
}

export interface Peer {
  readonly name: string
  /** Undefined: not installed here. */
  version(): string | undefined
  start(place: Place): Promise<StartedPeer>
}

const root = join(import.meta.dirname, '..', '..')
const streamModule = '/usr/lib/nginx/modules/ngx_stream_module.so'

async function started(running: Running, port: number): Promise<StartedPeer> {
  await listening(running, port)
  // nginx listens before its worker begins.
  await sleep(500)
  return { port, pids: treeOf(running.pid), stop: () => end(running) }
}

const haproxy: Peer = {
  name: 'haproxy',
  version: () => versionOf('haproxy', ['-v']),
  start: async ({ folder, core, originPort }) => {
    const port = await freePort()
    const file = join(folder, 'haproxy.cfg')
    writeFileSync(
      file,
      `global
  nbthread 1
  no strict-limits
  maxconn 12000
defaults
  mode tcp
  timeout connect 5s
  timeout client 600s
  timeout server 600s
frontend front
  bind 127.0.0.1:${port} backlog 4096
  default_backend origin
backend origin
  server one 127.0.0.1:${originPort}
`,
    )
    return started(start('haproxy', ['haproxy', '-db', '-f', file], { core }), port)
  },
}

const nginx: Peer = {
  name: 'nginx stream',
  version: () => (existsSync(streamModule) ? versionOf('nginx', ['-v']) : undefined),
  start: async ({ folder, core, originPort }) => {
    const port = await freePort()
    const file = join(folder, 'stream.conf')
    writeFileSync(
      file,
      `load_module ${streamModule};
worker_processes 1;
daemon off;
pid ${folder}/stream.pid;
error_log ${folder}/stream.log error;
worker_rlimit_nofile 65536;
events { worker_connections 30000; }
stream {
  server { listen 127.0.0.1:${port} backlog=4096; proxy_pass 127.0.0.1:${originPort}; proxy_timeout 600s; }
}
`,
    )
    return started(start('nginx stream', ['nginx', '-p', folder, '-c', file], { core }), port)
  },
}

/** The edge as its supervisor would start it, with the defaults that a system file has. */
function snapshotOf(port: number, originPort: number): EdgeSnapshot {
  return {
    format: 1,
    version: 1,
    name: 'bench',
    listeners: [
      { id: 'tcp', kind: 'tcp', host: '127.0.0.1', port, upstream: 'origin', idleTimeoutMs: 600_000 },
    ],
    trustedProxies: [],
    forwarded: 'x-forwarded',
    limits: {
      requestLineBytesMax: 8_192,
      headerBytesMax: 32_768,
      headerCountMax: 128,
      bodyBytesMax: 128 << 20,
      headTimeoutMs: 30_000,
      idleTimeoutMs: 60_000,
      bodyTimeoutMs: 30_000,
      sendTimeoutMs: 30_000,
      connectionsMax: 20_000,
      requestsPerConnectionMax: 1_000_000_000,
      drainTimeoutMs: 1_000,
    },
    accessLog: null,
    routes: [],
    upstreams: [
      {
        name: 'origin',
        balance: { kind: 'round-robin' },
        members: [
          { id: 'one', epoch: '1', host: '127.0.0.1', port: originPort, weight: 1, tier: 0, state: 'active' },
        ],
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
        idleTimeoutMs: 30_000,
        upgradeIdleTimeoutMs: 60_000,
        keepAlive: { connectionsMax: 256, timeoutMs: 60_000 },
      },
    ],
    stickySecret: Buffer.alloc(32).toString('base64'),
  }
}

const tenfold: Peer = {
  name: 'tenfold',
  version: () => packageVersion('../'),
  start: async ({ folder, core, originPort, env }) => {
    const port = await freePort()
    const state = join(folder, `tenfold-${port}`)
    mkdirSync(join(state, 'edge'), { recursive: true })
    writeFileSync(join(state, 'edge', 'snapshot.json'), JSON.stringify(snapshotOf(port, originPort)))
    const node = join(root, 'node_modules', '.bin', 'node')
    const command = [node, join(import.meta.dirname, 'peers', 'edge.ts'), state]
    const options = { core, env: { NODE_ENV: 'production', ...env } }
    return started(start('tenfold', command, options), port)
  },
}

export const peers: readonly Peer[] = [haproxy, nginx, tenfold]
