// nginx and Tenfold as servers of the same folder, each with one worker on one core, keep-alive, no log.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEdgeAlone } from '../lib/edge-alone.ts'
import { packageVersion, versionOf } from '../lib/machine.ts'
import { end, freePort, listening, type Running, start, treeOf } from '../lib/processes.ts'

export interface Place {
  readonly folder: string
  /** What is served. */
  readonly root: string
  readonly core: number
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
  version(): string | undefined
  start(place: Place): Promise<StartedPeer>
}

async function started(running: Running, port: number): Promise<StartedPeer> {
  await listening(running, port)
  // nginx listens before its worker begins.
  await sleep(500)
  return { port, pids: treeOf(running.pid), stop: () => end(running) }
}

function nginxConfiguration(folder: string, root: string, port: number): string {
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
  sendfile on;
  tcp_nopush on;
  open_file_cache max=1000 inactive=60s;
  open_file_cache_valid 60s;
  client_body_temp_path ${folder}/nb; proxy_temp_path ${folder}/np; fastcgi_temp_path ${folder}/nf;
  uwsgi_temp_path ${folder}/nu; scgi_temp_path ${folder}/ns;
  types { text/plain txt; application/octet-stream bin; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    root ${root};
    add_header X-Content-Type-Options nosniff;
  }
}
`
}

const nginx: Peer = {
  name: 'nginx',
  version: () => versionOf('nginx', ['-v']),
  start: async ({ folder, root, core }) => {
    const port = await freePort()
    const file = join(folder, 'nginx.conf')
    writeFileSync(file, nginxConfiguration(folder, root, port))
    return started(start('nginx', ['nginx', '-p', folder, '-c', file], { core }), port)
  },
}

const tenfold: Peer = {
  name: 'tenfold',
  version: () => packageVersion('../'),
  start: async ({ folder, root, core, env }) => {
    const home = join(folder, 'tenfold')
    mkdirSync(home, { recursive: true })
    const action = {
      kind: 'files',
      root,
      prefix: '/',
      index: ['index.html'],
      precompressed: true,
      immutable: true,
      dotFiles: false,
    } as const
    const routes = [{ id: '/*', match: { path: '/*' }, action }]
    const { running, port } = await startEdgeAlone(home, core, routes, [], env)
    return started(running, port)
  },
}

export const peers: readonly Peer[] = [nginx, tenfold]
