// The proxies that pass WebSockets on, each with one worker on one core, no log, one origin.

import { edgeAlone, proxyTo } from '../lib/edge-alone.ts'
import { haproxy } from '../lib/haproxy.ts'
import { nginx, nginxHttp } from '../lib/nginx.ts'
import type { Peer, Place } from '../lib/peers.ts'

function nginxConfiguration({ folder, originPort }: Place, port: number): string {
  return nginxHttp(
    folder,
    `
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
  }`,
  )
}

export const peers: readonly Peer[] = [
  nginx(nginxConfiguration),
  haproxy({
    defaults: ['mode http', 'option forwardfor', 'timeout server 60s', 'timeout tunnel 600s'],
    bind: 'backlog 4096',
  }),
  edgeAlone(({ originPort }) => proxyTo(originPort, true)),
]
