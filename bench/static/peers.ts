// nginx and Tenfold as servers of the folder `files`, each with one worker on one core, keep-alive, no log.

import { join } from 'node:path'
import { edgeAlone } from '../lib/edge-alone.ts'
import { nginx, nginxHttp, nginxKeepAlive } from '../lib/nginx.ts'
import type { Peer, Spot } from '../lib/peers.ts'

export function rootIn(folder: string): string {
  return join(folder, 'files')
}

function nginxConfiguration({ folder }: Spot, port: number): string {
  return nginxHttp(
    folder,
    `${nginxKeepAlive}
  sendfile on;
  tcp_nopush on;
  open_file_cache max=1000 inactive=60s;
  open_file_cache_valid 60s;
  types { text/plain txt; application/octet-stream bin; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    root ${rootIn(folder)};
    add_header X-Content-Type-Options nosniff;
  }`,
  )
}

export const peers: readonly Peer<Spot>[] = [
  nginx(nginxConfiguration),
  edgeAlone(({ folder }) => {
    const action = {
      kind: 'files',
      root: rootIn(folder),
      prefix: '/',
      index: ['index.html'],
      precompressed: true,
      immutable: true,
      dotFiles: false,
    } as const
    return { routes: [{ id: '/*', match: { path: '/*' }, action }] }
  }),
]
