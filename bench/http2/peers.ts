// The three that speak HTTP/2 by prior knowledge in front of the plain origin, on one core, with one worker, HTTP/1.1 kept
// alive to the origin, the client's address added, no access log.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Peer, Place, StartedPeer } from '../edge/peers.ts'
import { startEdgeAlone, upstreamAt } from '../lib/edge-alone.ts'
import { packageVersion, versionOf } from '../lib/machine.ts'
import { end, freePort, listening, type Running, start, treeOf } from '../lib/processes.ts'

async function started(running: Running, port: number): Promise<StartedPeer> {
  await listening(running, port)
  // nginx listens before its worker begins.
  await sleep(500)
  return { port, pids: treeOf(running.pid), stop: () => end(running) }
}

function nginxConfiguration(folder: string, port: number, { originPort }: Place): string {
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
  client_body_temp_path ${folder}/nb; proxy_temp_path ${folder}/np; fastcgi_temp_path ${folder}/nf;
  uwsgi_temp_path ${folder}/nu; scgi_temp_path ${folder}/ns;
  upstream origin { server 127.0.0.1:${originPort}; keepalive 256; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} http2 backlog=4096;
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

function haproxyConfiguration(port: number, { originPort }: Place): string {
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
  bind 127.0.0.1:${port} proto h2
  default_backend origin
backend origin
  server one 127.0.0.1:${originPort}
`
}

const nginx: Peer = {
  name: 'nginx',
  version: () => versionOf('nginx', ['-v']),
  start: async place => {
    const port = await freePort()
    const file = join(place.folder, 'nginx-http2.conf')
    writeFileSync(file, nginxConfiguration(place.folder, port, place))
    return started(start('nginx', ['nginx', '-p', place.folder, '-c', file], { core: place.core }), port)
  },
}

const haproxy: Peer = {
  name: 'haproxy',
  version: () => versionOf('haproxy', ['-v']),
  start: async place => {
    const port = await freePort()
    const file = join(place.folder, 'haproxy-http2.cfg')
    writeFileSync(file, haproxyConfiguration(port, place))
    return started(start('haproxy', ['haproxy', '-db', '-f', file], { core: place.core }), port)
  },
}

const tenfold: Peer = {
  name: 'tenfold',
  version: () => `Node ${packageVersion('node')}`,
  start: async ({ folder, core, originPort, env }) => {
    const route = {
      id: '/*',
      match: { path: '/*' },
      action: { kind: 'proxy', upstream: 'origin', upgrade: false },
    } as const
    const { running, port } = await startEdgeAlone(folder, core, [route], [upstreamAt(originPort)], env ?? {})
    return { port, pids: treeOf(running.pid), stop: () => end(running) }
  },
}

export const http2Peers: readonly Peer[] = [nginx, haproxy, tenfold]
