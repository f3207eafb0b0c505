// The origin that every proxy stands in front of: one nginx worker on the load generator's core. Small and 100 KB
// answers from memory and file cache; uploads are read whole before they are answered.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, listening, type Running, start } from '../lib/processes.ts'

export interface Origin {
  readonly running: Running
  readonly port: number
}

/** What a small API answer looks like: 200 bytes of JSON. */
const smallBody = `{"films":"${'x'.repeat(188)}"}`

function configuration(folder: string, port: number, sinkPort: number): string {
  return `
worker_processes 1;
daemon off;
pid ${folder}/origin.pid;
error_log ${folder}/origin.log error;
worker_rlimit_nofile 65536;
events { worker_connections 30000; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  sendfile on;
  tcp_nopush on;
  open_file_cache max=100;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/f;
  uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  client_body_buffer_size 256k;
  client_max_body_size 100m;
  upstream sink { server 127.0.0.1:${sinkPort}; keepalive 256; }
  server {
    listen 127.0.0.1:${port} backlog=4096 reuseport;
    root ${folder}/files;
    location = /small { default_type application/json; return 200 '${smallBody}'; }
    location = /upload { proxy_pass http://sink; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
  server { listen 127.0.0.1:${sinkPort}; location / { return 204; } }
}
`
}

export async function startOrigin(folder: string, core: number): Promise<Origin> {
  const port = await freePort()
  const file = join(folder, 'origin.conf')
  mkdirSync(join(folder, 'files'), { recursive: true })
  writeFileSync(join(folder, 'files', '100k'), 'x'.repeat(100 * 1024))
  writeFileSync(file, configuration(folder, port, await freePort()))
  const running = start('origin (nginx)', ['nginx', '-p', folder, '-c', file], { core })
  await listening(running, port)
  return { running, port }
}
