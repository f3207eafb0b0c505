// The proxies: how each is started in front of the origin, on one core, with one worker, keep-alive to the origin, the
// client's address added, no access log. Each as its own documentation does it; where a setting is ours it says why.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { haproxy, haproxyHttp } from '../lib/haproxy.ts'
import { packageVersion } from '../lib/machine.ts'
import { nginx, nginxProxy } from '../lib/nginx.ts'
import { type Peer, started } from '../lib/peers.ts'
import { end, freePort, listening, node, program, type Running, start, until } from '../lib/processes.ts'

const root = join(import.meta.dirname, '..', '..')
const bun = join(root, 'node_modules', '.bin', 'bun')

// Ours: its default would write bodies above 16 KB to disk.
const nginxBodies = `
  client_max_body_size 100m;
  client_body_buffer_size 128k;`

/** A program of ours that takes its port and the origin's. */
function script(name: string, runtime: string, file: string, version: () => string): Peer {
  return {
    name,
    version,
    start: async ({ core, originPort }) => {
      const port = await freePort()
      const command = [runtime, join(import.meta.dirname, 'peers', file), String(port), String(originPort)]
      return started(start(name, command, { core, env: { NODE_ENV: 'production' } }), port)
    },
  }
}

interface TenfoldStatus {
  readonly edge: { readonly pid: number }
}

/** The whole product as a user starts it, its defaults kept; the edge's CPU counts, the supervisor's does not. */
export const tenfold: Peer = {
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
    const running = start('tenfold', program(main, 'up', file, '--no-watch'), {
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
    const command = [bun, join(import.meta.dirname, '..', 'lib', 'edge-program.ts'), state]
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
    const one = start('tenfold status', program(main, 'status', file, '--json'))
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
  nginx((place, port) => nginxProxy(place, port, { http: nginxBodies })),
  haproxy({ defaults: haproxyHttp, bind: 'backlog 4096' }),
  tenfold,
  tenfoldOnBun,
  script('bare Node', node, 'bare-node.mjs', () => process.versions.node),
  script('bare Bun', bun, 'bare-bun.mjs', () => packageVersion('bun')),
  script('http-proxy-3', node, 'http-proxy-3.mjs', () => packageVersion('http-proxy-3')),
  script('reply-from', node, 'reply-from.mjs', () => packageVersion('@fastify/reply-from')),
]
