// The proxies: how each is started in front of the origin, on one core, with one worker, keep-alive to the origin, the
// client's address added, no access log. Each as its own documentation does it; where a setting is ours it says why.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { packageVersion, versionOf } from '../lib/machine.ts'
import { end, freePort, listening, type Running, start, treeOf, until } from '../lib/processes.ts'

export interface Place {
  /** Added to Tenfold's environment: for profiles. */
  readonly env?: Record<string, string>
  readonly folder: string
  readonly core: number
  readonly originPort: number
}

export interface Peer {
  readonly name: string
  version(): string | undefined
  /** Undefined where it can't run here, with the reason printed. */
  start(place: Place): Promise<StartedPeer>
}

export interface StartedPeer {
  readonly port: number
  /** The processes whose CPU and memory count. */
  readonly pids: readonly number[]
  stop(): Promise<void>
}

const root = join(import.meta.dirname, '..', '..')
const bin = (name: string): string => join(root, 'node_modules', '.bin', name)
const peerFile = (name: string): string => join(import.meta.dirname, 'peers', name)

async function started(running: Running, port: number): Promise<StartedPeer> {
  await listening(running, port)
  // nginx listens before its worker begins.
  await sleep(500)
  return { port, pids: treeOf(running.pid), stop: () => end(running) }
}

function nginxConfiguration(folder: string, port: number, originPort: number): string {
  return `
worker_processes 1;
daemon off;
pid ${folder}/nginx.pid;
error_log ${folder}/nginx.log error;
worker_rlimit_nofile 65536;
events { worker_connections 30000; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  client_max_body_size 100m;
  # Ours: its default would write bodies above 16 KB to disk.
  client_body_buffer_size 128k;
  client_body_temp_path ${folder}/nb; proxy_temp_path ${folder}/np; fastcgi_temp_path ${folder}/nf;
  uwsgi_temp_path ${folder}/nu; scgi_temp_path ${folder}/ns;
  upstream origin { server 127.0.0.1:${originPort}; keepalive 256; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }
  }
}
`
}

const nginx: Peer = {
  name: 'nginx',
  version: () => versionOf('nginx', ['-v']),
  start: async ({ folder, core, originPort }) => {
    const port = await freePort()
    const file = join(folder, 'nginx.conf')
    writeFileSync(file, nginxConfiguration(folder, port, originPort))
    return started(start('nginx', ['nginx', '-p', folder, '-c', file], { core }), port)
  },
}

function haproxyConfiguration(port: number, originPort: number): string {
  return `
global
  nbthread 1
  no strict-limits
  maxconn 12000
defaults
  mode http
  option forwardfor
  http-reuse always
  timeout connect 5s
  timeout client 600s
  timeout server 60s
  timeout http-keep-alive 600s
frontend front
  bind 127.0.0.1:${port} backlog 4096
  default_backend origin
backend origin
  server one 127.0.0.1:${originPort}
`
}

const haproxy: Peer = {
  name: 'haproxy',
  version: () => versionOf('haproxy', ['-v']),
  start: async ({ folder, core, originPort }) => {
    const port = await freePort()
    const file = join(folder, 'haproxy.cfg')
    writeFileSync(file, haproxyConfiguration(port, originPort))
    return started(start('haproxy', ['haproxy', '-db', '-f', file], { core }), port)
  },
}

/** A program of ours that takes its port and the origin's. */
function script(name: string, runtime: string, file: string, version: () => string): Peer {
  return {
    name,
    version,
    start: async ({ core, originPort }) => {
      const port = await freePort()
      const command = [bin(runtime), peerFile(file), String(port), String(originPort)]
      return started(start(name, command, { core, env: { NODE_ENV: 'production' } }), port)
    },
  }
}

interface TenfoldStatus {
  readonly edge: { readonly pid: number }
}

/** The whole product as a user starts it, its defaults kept; the edge's CPU counts, the supervisor's does not. */
const tenfold: Peer = {
  name: 'tenfold',
  version: () => (existsSync(join(root, 'src', 'cli', 'main.ts')) ? packageVersion('../') : undefined),
  start: async ({ folder, core, originPort, env }) => {
    const port = await freePort()
    const home = join(folder, 'tenfold')
    mkdirSync(home, { recursive: true })
    const file = join(home, 'tenfold.config.json')
    const system = {
      name: 'bench',
      control: { listen: await freePort() },
      edge: {
        listen: { http: `127.0.0.1:${port}` },
        workers: 1,
        // One client is all the load here, and it stays: without this its connections would be renewed meanwhile.
        limits: { requestsPerConnection: 1_000_000_000, idleTimeout: '10m' },
        routes: [{ path: '/*', to: 'origin' }],
      },
      services: { origin: { addresses: [`127.0.0.1:${originPort}`] } },
    }
    writeFileSync(file, JSON.stringify(system, null, 2))
    const main = join(root, 'src', 'cli', 'main.ts')
    const running = start('tenfold', [bin('node'), main, 'up', file, '--no-watch'], {
      env: { NODE_ENV: 'production', ...env },
    })
    await listening(running, port)
    const pid = await edgePid(main, file)
    pin(pid, core)
    return { port, pids: [pid], stop: () => stopTenfold(running, pid) }
  },
}

/** The same edge and the same snapshot under Bun: what the runtime costs. The supervisor that compiled it has gone. */
const tenfoldOnBun: Peer = {
  name: 'tenfold on Bun',
  version: () => packageVersion('bun'),
  start: async place => {
    const home = join(place.folder, 'on-bun')
    mkdirSync(home, { recursive: true })
    const supervised = await tenfold.start({ ...place, folder: home })
    await supervised.stop()
    const state = join(home, 'tenfold', '.tenfold')
    const file = join(state, 'edge', 'snapshot.json')
    const port = await freePort()
    const snapshot = JSON.parse(readFileSync(file, 'utf8')) as { listeners: { port: number }[] }
    for (const listener of snapshot.listeners) listener.port = port
    writeFileSync(file, JSON.stringify(snapshot))
    const command = [bin('bun'), peerFile('edge-on-bun.ts'), state]
    return started(
      start('tenfold on Bun', command, { core: place.core, env: { NODE_ENV: 'production' } }),
      port,
    )
  },
}

/** The edge is a process of its own that outlives a supervisor which had to be killed. */
async function stopTenfold(supervisor: Running, pid: number): Promise<void> {
  await end(supervisor, 30_000)
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended with its supervisor, as it should.
  }
}

/** All threads of a process that runs already. */
function pin(pid: number, core: number): void {
  const run = spawnSync('taskset', ['-a', '-p', '-c', String(core), String(pid)], { encoding: 'utf8' })
  if (run.status !== 0) throw new Error(`taskset could not pin ${pid}: ${run.stderr}`)
}

async function edgePid(main: string, file: string): Promise<number> {
  let found: number | undefined
  await until('tenfold status names the edge process', async () => {
    const one = start('tenfold status', [bin('node'), main, 'status', file, '--json'])
    await new Promise(resolve => one.child.once('close', resolve))
    try {
      found = (JSON.parse(one.output()) as TenfoldStatus).edge.pid
    } catch {
      // Not up yet.
    }
    return found !== undefined
  })
  return found!
}

export const peers: readonly Peer[] = [
  nginx,
  haproxy,
  tenfold,
  tenfoldOnBun,
  script('bare Node', 'node', 'bare-node.mjs', () => process.versions.node),
  script('bare Bun', 'bun', 'bare-bun.mjs', () => packageVersion('bun')),
  script('http-proxy-3', 'node', 'http-proxy-3.mjs', () => packageVersion('http-proxy-3')),
  script('reply-from', 'node', 'reply-from.mjs', () => packageVersion('@fastify/reply-from')),
]
