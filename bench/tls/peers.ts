// The three that end TLS in front of the plain origin, on one core, with one worker and the same certificate (ECDSA P-256),
// the same cipher for everybody (TLS_AES_128_GCM_SHA256; ECDHE-ECDSA-AES128-GCM-SHA256 in TLS 1.2), tickets on.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createAuthority, type Pair, writePair } from '../../test/tools/certificates.ts'
import type { Peer, Place, StartedPeer } from '../edge/peers.ts'
import { startEdgeAlone, upstreamAt } from '../lib/edge-alone.ts'
import { packageVersion, versionOf } from '../lib/machine.ts'
import { end, freePort, listening, type Running, start, treeOf } from '../lib/processes.ts'

async function started(running: Running, port: number): Promise<StartedPeer> {
  await listening(running, port)
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
    listen 127.0.0.1:${port} ssl backlog=4096;
    ssl_certificate ${folder}/bench.cert.pem;
    ssl_certificate_key ${folder}/bench.key.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256;
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
    ssl_session_tickets on;
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

function haproxyConfiguration(folder: string, port: number, { originPort }: Place): string {
  return `
global
  nbthread 1
  no strict-limits
  maxconn 12000
  ssl-default-bind-ciphers ECDHE-ECDSA-AES128-GCM-SHA256
  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
defaults
  mode http
  option forwardfor
  http-reuse always
  timeout connect 5s
  timeout client 600s
  timeout server 60s
  timeout http-keep-alive 600s
frontend front
  bind 127.0.0.1:${port} ssl crt ${folder}/bench.both.pem ssl-min-ver TLSv1.2 alpn http/1.1 backlog 4096
  default_backend origin
backend origin
  server one 127.0.0.1:${originPort}
`
}

const nginx = (): Peer => ({
  name: 'nginx',
  version: () => versionOf('nginx', ['-v']),
  start: async place => {
    const port = await freePort()
    const file = join(place.folder, 'nginx.conf')
    writeFileSync(file, nginxConfiguration(place.folder, port, place))
    return started(start('nginx', ['nginx', '-p', place.folder, '-c', file], { core: place.core }), port)
  },
})

const haproxy = (pair: Pair): Peer => ({
  name: 'haproxy',
  version: () => versionOf('haproxy', ['-v']),
  start: async place => {
    const port = await freePort()
    const file = join(place.folder, 'haproxy.cfg')
    writeFileSync(join(place.folder, 'bench.both.pem'), pair.cert + pair.key)
    writeFileSync(file, haproxyConfiguration(place.folder, port, place))
    return started(start('haproxy', ['haproxy', '-db', '-f', file], { core: place.core }), port)
  },
})

/** The edge's own process, from a snapshot: what counts here is a worker under TLS. */
const tenfold = (): Peer => ({
  name: 'tenfold',
  version: () => packageVersion('../'),
  start: async place => {
    const { folder, core, originPort, env } = place
    const { running, port } = await startEdgeAlone(
      join(folder, 'tenfold'),
      core,
      [{ id: '/*', match: { path: '/*' }, action: { kind: 'proxy', upstream: 'origin', upgrade: false } }],
      [upstreamAt(originPort)],
      env,
      at => ({
        listeners: [{ id: 'https', kind: 'http', host: '127.0.0.1', port: at, tls: true }],
        tls: { minVersion: '1.2', certificates: [{ hosts: [], ...filesIn(folder), source: 'file' }] },
      }),
    )
    return started(running, port)
  },
})

function filesIn(folder: string): { certFile: string; keyFile: string } {
  return { certFile: join(folder, 'bench.cert.pem'), keyFile: join(folder, 'bench.key.pem') }
}

/** Writes the certificate that all of them use. */
export async function tlsPeers(folder: string): Promise<readonly Peer[]> {
  const authority = await createAuthority('bench')
  const pair = await authority.sign({ hosts: ['localhost', 'ip:127.0.0.1'] })
  writePair(folder, 'bench', pair)
  return [nginx(), haproxy(pair), tenfold()]
}
