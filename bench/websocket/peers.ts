// The proxies that pass WebSockets on, each with one worker on one core, no log, one origin.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEdgeAlone, upstreamAt } from '../lib/edge-alone.ts'
import { packageVersion, versionOf } from '../lib/machine.ts'
import { end, freePort, listening, type Running, start, treeOf } from '../lib/processes.ts'

export interface Place {
  readonly folder: string
  readonly core: number
  readonly originPort: number
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

const nginx: Peer = {
  name: 'nginx',
  version: () => versionOf('nginx', ['-v']),
  start: async ({ folder, core, originPort }) => {
    const port = await freePort()
    const file = join(folder, 'nginx.conf')
    writeFileSync(
      file,
      `
worker_processes 1;
daemon off;
pid ${folder}/nginx.pid;
error_log ${folder}/nginx.log error;
worker_rlimit_nofile 65536;
events { worker_connections 30000; }
http {
  access_log off;
  client_body_temp_path ${folder}/nb; proxy_temp_path ${folder}/np; fastcgi_temp_path ${folder}/nf;
  uwsgi_temp_path ${folder}/nu; scgi_temp_path ${folder}/ns;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://127.0.0.1:${originPort};
      proxy_http_version 1.1;
      proxy_set_header Connection "upgrade";
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Host $http_host;
      proxy_read_timeout 600s;
    }
  }
}
`,
    )
    return started(start('nginx', ['nginx', '-p', folder, '-c', file], { core }), port)
  },
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
  mode http
  option forwardfor
  timeout connect 5s
  timeout client 600s
  timeout server 60s
  timeout tunnel 600s
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

const tenfold: Peer = {
  name: 'tenfold',
  version: () => packageVersion('../'),
  start: async ({ folder, core, originPort }) => {
    const home = join(folder, 'tenfold')
    mkdirSync(home, { recursive: true })
    const action = { kind: 'proxy', upstream: 'origin', upgrade: true } as const
    const routes = [{ id: '/*', match: { path: '/*' }, action }]
    const { running, port } = await startEdgeAlone(home, core, routes, [upstreamAt(originPort)])
    return started(running, port)
  },
}

export const peers: readonly Peer[] = [nginx, haproxy, tenfold]
