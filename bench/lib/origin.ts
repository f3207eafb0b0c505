// The origin that every HTTP proxy stands in front of: one nginx worker on the load generator's core. Small and 100 KB
// answers from memory and file cache; uploads are read whole before they are answered.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { nginxHttp, nginxKeepAlive } from './nginx.ts'
import type { Place } from './peers.ts'
import { end, freePort, listening, program, start } from './processes.ts'
import { inFolder, loadCore, peerCore } from './rounds.ts'

export interface Origin {
  readonly port: number
  stop(): Promise<void>
}

/** What a small API answer looks like: 200 bytes of JSON. */
const smallBody = `{"films":"${'x'.repeat(188)}"}`

function configuration(folder: string, port: number, sinkPort: number): string {
  return nginxHttp(
    folder,
    `${nginxKeepAlive}
  sendfile on;
  tcp_nopush on;
  open_file_cache max=100;
  client_body_buffer_size 256k;
  client_max_body_size 100m;
  upstream sink { server 127.0.0.1:${sinkPort}; keepalive 256; }
  server {
    listen 127.0.0.1:${port} backlog=4096 reuseport;
    root ${folder}/files;
    location = /small { default_type application/json; return 200 '${smallBody}'; }
    location = /upload { proxy_pass http://sink; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
  server { listen 127.0.0.1:${sinkPort}; location / { return 204; } }`,
    'origin',
  )
}

export async function startOrigin(folder: string): Promise<Origin> {
  const port = await freePort()
  const file = join(folder, 'origin.conf')
  mkdirSync(join(folder, 'files'), { recursive: true })
  writeFileSync(join(folder, 'files', '100k'), 'x'.repeat(100 * 1024))
  writeFileSync(file, configuration(folder, port, await freePort()))
  const running = start('origin (nginx)', ['nginx', '-p', folder, '-c', file], { core: loadCore })
  await listening(running, port)
  return { port, stop: () => end(running) }
}

/** A program of ours, told its port, as the origin. */
export async function startProgramOrigin(file: string): Promise<Origin> {
  const port = await freePort()
  const running = start('origin', program(file, port), { core: loadCore })
  await listening(running, port)
  return { port, stop: () => end(running) }
}

/** An origin, and the folder that it and all others work in; both gone afterwards. */
export function withOrigin<T>(
  work: (place: Place) => Promise<T>,
  startOne: (folder: string) => Promise<Origin> = startOrigin,
): Promise<T> {
  return inFolder(async folder => {
    const origin = await startOne(folder)
    try {
      return await work({ folder, core: peerCore, originPort: origin.port })
    } finally {
      await origin.stop()
    }
  })
}
