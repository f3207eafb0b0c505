// nginx, Varnish and Tenfold as caches before the origin: one worker on one core, keep-alive on both sides, no access log,
// memory (for nginx: files in memory) of the same size, collapsing of misses on.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { edgeAlone, upstreamAt } from '../lib/edge-alone.ts'
import { nginx, nginxHttp, nginxKeepAlive } from '../lib/nginx.ts'
import { type Peer, type Place, started } from '../lib/peers.ts'
import { freePort, start } from '../lib/processes.ts'

export interface CachePlace extends Place {
  readonly memoryBytes: number
}

function nginxCache({ folder, originPort, memoryBytes }: CachePlace, port: number): string {
  // Files of a cache in RAM, so that no disk is measured.
  const place = existsSync('/dev/shm')
    ? `/dev/shm/${folder.split('/').at(-1)}-nginx`
    : `${folder}/nginx-cache`
  return nginxHttp(
    folder,
    `${nginxKeepAlive}
  sendfile on;
  tcp_nopush on;
  open_file_cache max=10000 inactive=60s;
  proxy_cache_path ${place} levels=1:2 keys_zone=c:256m max_size=${memoryBytes} inactive=24h use_temp_path=off;
  upstream origin { server 127.0.0.1:${originPort}; keepalive 256; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_cache c;
      proxy_cache_lock on;
      proxy_cache_revalidate on;
    }
  }`,
  )
}

/** Where its files are, to be removed. */
export function nginxCacheFolder(folder: string): string {
  return `/dev/shm/${folder.split('/').at(-1)}-nginx`
}

function varnishVersion(): string | undefined {
  const run = spawnSync('varnishd', ['-V'], { encoding: 'utf8' })
  return run.error ? undefined : (/varnish-([\d.]+)/.exec(run.stderr + run.stdout)?.[1] ?? 'unknown')
}

const varnish: Peer<CachePlace> = {
  name: 'varnish',
  version: varnishVersion,
  start: async ({ folder, core, originPort, memoryBytes }) => {
    const port = await freePort()
    const work = join(folder, 'varnish')
    mkdirSync(work, { recursive: true })
    const file = join(folder, 'default.vcl')
    writeFileSync(
      file,
      `vcl 4.1;\nbackend origin { .host = "127.0.0.1"; .port = "${originPort}"; }\nsub vcl_backend_response { set beresp.grace = 0s; set beresp.keep = 60s; }\n`,
    )
    const limits = ['thread_pools=1', 'thread_pool_min=100', 'thread_pool_max=400', 'timeout_idle=600']
    const command = [
      'varnishd',
      '-F',
      '-j',
      'none',
      '-n',
      work,
      '-a',
      `127.0.0.1:${port}`,
      '-f',
      file,
      '-s',
      `malloc,${memoryBytes}`,
      ...limits.flatMap(limit => ['-p', limit]),
    ]
    return started(start('varnish', command, { core }), port)
  },
}

const tenfold: Peer<CachePlace> = edgeAlone<CachePlace>(({ originPort, memoryBytes }) => ({
  routes: [
    {
      id: '/*',
      match: { path: '/*' },
      action: { kind: 'proxy', upstream: 'origin', upgrade: false },
      cache: {
        key: { query: 'all', headers: [], cookies: [], device: false, languages: [] },
        tags: [],
        bypass: { headers: [], cookies: [], query: [] },
        immutable: false,
        heuristics: false,
        stripCookies: false,
        refreshAhead: 0,
        collapseMs: 5_000,
      },
    },
  ],
  upstreams: [upstreamAt(originPort)],
  cache: {
    name: 'tenfold',
    backgroundMax: 64,
    store: { memoryBytes, entriesMax: 2_000_000, objectBytesMax: memoryBytes / 8, eviction: 's3-fifo' },
  },
}))

export const peers: readonly Peer<CachePlace>[] = [nginx(nginxCache), varnish, tenfold]
