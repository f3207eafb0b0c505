// The origin behind the caches: nginx on the load's core. `/o/N` is 1 KB that stays fresh for an hour and carries the tag
// of N's last three digits, `/big` 100 KB, `/r/N` a file of 1 KB with an ETag that is fresh for a second.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { nginxHttp, nginxKeepAlive } from '../lib/nginx.ts'
import type { Origin } from '../lib/origin.ts'
import { end, freePort, listening, start } from '../lib/processes.ts'
import { loadCore } from '../lib/rounds.ts'

export const objectBytes = 1_024

function configuration(folder: string, port: number): string {
  const body = 'x'.repeat(objectBytes)
  return nginxHttp(
    folder,
    `${nginxKeepAlive}
  sendfile on;
  tcp_nopush on;
  open_file_cache max=100;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    root ${folder}/origin-files;
    location ~ ^/o/\\d*?(\\d?\\d?\\d)$ {
      default_type text/plain;
      add_header Cache-Control "max-age=3600";
      add_header Surrogate-Key "all group-$1";
      return 200 '${body}';
    }
    location = /big { add_header Cache-Control "max-age=3600"; }
    location /r/ { add_header Cache-Control "max-age=1"; try_files /revalidated =404; }
  }`,
    'cache-origin',
  )
}

export async function startCacheOrigin(folder: string): Promise<Origin> {
  const port = await freePort()
  const files = join(folder, 'origin-files')
  mkdirSync(files, { recursive: true })
  writeFileSync(join(files, 'big'), 'x'.repeat(100 << 10))
  writeFileSync(join(files, 'revalidated'), 'x'.repeat(objectBytes))
  const file = join(folder, 'cache-origin.conf')
  writeFileSync(file, configuration(folder, port))
  const running = start('origin (nginx)', ['nginx', '-p', folder, '-c', file], { core: loadCore })
  await listening(running, port)
  return { port, stop: () => end(running) }
}
