// The proxies of layer 4, each with one worker on one core, no log, one origin.

import { existsSync } from 'node:fs'
import { edgeAlone, upstreamAt } from '../lib/edge-alone.ts'
import { haproxy } from '../lib/haproxy.ts'
import { versionOf } from '../lib/machine.ts'
import { nginx, nginxConfiguration } from '../lib/nginx.ts'
import type { Peer, Place } from '../lib/peers.ts'

const streamModule = '/usr/lib/nginx/modules/ngx_stream_module.so'

function streamConfiguration({ folder, originPort }: Place, port: number): string {
  const stream = `stream {
  server { listen 127.0.0.1:${port} backlog=4096; proxy_pass 127.0.0.1:${originPort}; proxy_timeout 600s; }
}`
  return `load_module ${streamModule};\n${nginxConfiguration(folder, stream)}`
}

export const tenfold: Peer = edgeAlone(({ originPort }, port) => ({
  listeners: [
    { id: 'tcp', kind: 'tcp', host: '127.0.0.1', port, upstream: 'origin', idleTimeoutMs: 600_000 },
  ],
  upstreams: [upstreamAt(originPort)],
}))

export const peers: readonly Peer[] = [
  haproxy({ defaults: ['mode tcp', 'timeout server 600s'], bind: 'backlog 4096' }),
  nginx(streamConfiguration, {
    name: 'nginx stream',
    version: () => (existsSync(streamModule) ? versionOf('nginx', ['-v']) : undefined),
  }),
  tenfold,
]
