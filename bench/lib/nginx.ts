// nginx with one worker: what every configuration of it here has in common, and how it is started.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { versionOf } from './machine.ts'
import { type Peer, type Place, type Spot, started } from './peers.ts'
import { freePort, start } from './processes.ts'

/** @param name of its files in the folder, where more than one nginx has it. */
export function nginxConfiguration(folder: string, blocks: string, name = 'nginx'): string {
  return `
worker_processes 1;
daemon off;
pid ${folder}/${name}.pid;
error_log ${folder}/${name}.log error;
worker_rlimit_nofile 65536;
events { worker_connections 30000; }
${blocks}
`
}

/** No access log, and nothing written below the system's folders. */
export function nginxHttp(folder: string, directives: string, name = 'nginx'): string {
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    kind => `  ${kind}_temp_path ${folder}/${name}-${kind};`,
  )
  return nginxConfiguration(folder, `http {\n  access_log off;\n${paths.join('\n')}\n${directives}\n}`, name)
}

/** Connections to clients are kept as long as the load wants them. */
export const nginxKeepAlive = `
  keepalive_requests 1000000000;
  keepalive_timeout 600s;`

export interface NginxProxy {
  /** What the listener has beside its address, `ssl` for example. */
  readonly listen?: string
  /** Further lines of `http` and of `server`. */
  readonly http?: string
  readonly server?: string
}

/** In front of the origin: keep-alive on both sides, the client's address added. */
export function nginxProxy({ folder, originPort }: Place, port: number, own: NginxProxy = {}): string {
  return nginxHttp(
    folder,
    `${nginxKeepAlive}
  ${own.http ?? ''}
  upstream origin { server 127.0.0.1:${originPort}; keepalive 256; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} ${own.listen ?? ''} backlog=4096;
    ${own.server ?? ''}
    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }
  }`,
  )
}

export function nginx<P extends Spot = Place>(
  configurationOf: (place: P, port: number) => string,
  change: Partial<Pick<Peer, 'name' | 'version'>> = {},
): Peer<P> {
  const name = change.name ?? 'nginx'
  return {
    name,
    version: change.version ?? (() => versionOf('nginx', ['-v'])),
    start: async place => {
      const { folder, core } = place
      const port = await freePort()
      const file = join(folder, 'nginx.conf')
      writeFileSync(file, configurationOf(place, port))
      return started(start(name, ['nginx', '-p', folder, '-c', file], { core }), port)
    },
  }
}
