// Debian's nginx and haproxy as origins, each in a folder of its own on a free port, ended by its pid. What they serve is
// written by the test.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from './edge-harness.ts'
import { closedPort } from './raw-origin.ts'

export interface Peer {
  readonly port: number
  /** What it serves as files. */
  readonly root: string
}

interface Ending {
  after(end: () => Promise<void>): void
}

/** `server`: further lines of the server block. */
export async function startNginx(
  context: Ending,
  server = '',
  files: Readonly<Record<string, Buffer>> = {},
): Promise<Peer> {
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-nginx-'))
  const root = join(folder, 'root')
  mkdirSync(root, { mode: 0o755 })
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(root, name), bytes)
  const port = await closedPort()
  const user = process.getuid?.() === 0 ? 'user root;' : ''
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map(name => `${name}_temp_path ${folder}/${name};`)
    .join('\n  ')
  writeFileSync(
    join(folder, 'nginx.conf'),
    `${user} daemon off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log;
events { worker_connections 2000; }
http {
  access_log off; client_max_body_size 0; keepalive_requests 100000;
  ${temporary}
  server { listen 127.0.0.1:${port}; root ${root}; ${server} }
}
`,
  )
  await start(context, 'nginx', ['-p', folder, '-c', join(folder, 'nginx.conf')], folder, port)
  return { port, root }
}

export interface HaproxySetup {
  readonly mode?: 'http' | 'tcp'
  /** Further words of its `bind` line (`accept-proxy`), of its `server` line (`send-proxy-v2`), and further lines. */
  readonly bind?: string
  readonly server?: string
  readonly lines?: string
}

/** A haproxy that passes everything on to another port. */
export async function startHaproxy(context: Ending, to: number, setup: HaproxySetup = {}): Promise<Peer> {
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-haproxy-'))
  const port = await closedPort()
  writeFileSync(
    join(folder, 'haproxy.cfg'),
    `global
  maxconn 2000
defaults
  mode ${setup.mode ?? 'http'}
  timeout connect 10s
  timeout client 60s
  timeout server 60s
listen all
  bind 127.0.0.1:${port} ${setup.bind ?? ''}
  server one 127.0.0.1:${to} ${setup.server ?? ''}
  ${setup.lines ?? ''}
`,
  )
  await start(context, 'haproxy', ['-db', '-f', join(folder, 'haproxy.cfg')], folder, port)
  return { port, root: folder }
}

async function start(
  context: Ending,
  program: string,
  args: readonly string[],
  folder: string,
  port: number,
): Promise<void> {
  const path = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PATH: path },
  })
  let said = ''
  child.stdout.on('data', (text: Buffer) => {
    said += text.toString()
  })
  child.stderr.on('data', (text: Buffer) => {
    said += text.toString()
  })
  let failure = ''
  child.once('error', error => {
    failure = `${program} could not be started (${error.message}); install the Debian package ${program}`
  })
  const ended = new Promise<void>(resolve => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  context.after(async () => {
    child.kill('SIGTERM')
    await ended
    rmSync(folder, { recursive: true, force: true })
  })
  await until(`${program} to listen`, async () => {
    if (failure !== '' || isOver(child)) throw new Error(failure || `${program} ended: ${said}`)
    return listens(port)
  })
}

const isOver = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null

function listens(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
