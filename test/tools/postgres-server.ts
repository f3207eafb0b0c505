// Real PostgreSQL servers for tests of what stands in front of one: the packaged binaries, a data directory that lives as
// long as the test, as an unprivileged user where the test is root. Everything about life and death of servers in the
// product itself is src/database/servers; this here is only a thing to talk to.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Binaries, prepareBinaries } from '../../src/database/servers/binaries.ts'
import { freePort } from '../../src/io/free-port.ts'
import type { Owner } from '../../src/io/owned-files.ts'
import { systemClock } from '../../src/kit/clock.ts'
import { seededRandom } from '../../src/kit/random.ts'

export interface PostgresServer {
  readonly host: '127.0.0.1'
  readonly port: number
  readonly database: 'app'
  /** Superuser `tenfold`; `app` is an ordinary user that owns the database. Both log in by SCRAM. */
  readonly password: 'secret'
  readonly url: string
  readonly pid: number
  readonly directory: string
  stop(): Promise<void>
}

export interface PostgresOptions {
  /** Lines of postgresql.conf. */
  readonly settings?: Readonly<Record<string, string>>
}

export async function startPostgres(
  t: Pick<TestContext, 'after'>,
  options: PostgresOptions = {},
): Promise<PostgresServer> {
  const user = unprivileged()
  const programs = await postgresPrograms(user)
  const directory = mkdtempSync(join(tmpdir(), 'tenfold-postgres-'))
  chmodSync(directory, 0o700)
  const passwordFile = `${directory}.password`
  writeFileSync(passwordFile, 'secret\n', { mode: 0o600 })
  if (user !== null) for (const path of [directory, passwordFile]) chownSync(path, user.uid, user.gid)
  const ids = user ?? {}
  const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }
  const initArguments = [
    '-D',
    directory,
    '-U',
    'tenfold',
    '-A',
    'scram-sha-256',
    `--pwfile=${passwordFile}`,
    '--locale=C',
    '-E',
    'UTF8',
    '--no-sync',
    '--no-instructions',
  ]
  execFileSync(programs.initdb, initArguments, {
    ...ids,
    cwd: '/',
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  rmSync(passwordFile)
  const port = await freePort('127.0.0.1', seededRandom(process.pid ^ Date.now()), new Set())
  const settings = {
    listen_addresses: "'127.0.0.1'",
    port: String(port),
    unix_socket_directories: "''",
    fsync: 'off',
    max_connections: '60',
    shared_buffers: "'32MB'",
    shared_preload_libraries: "'pg_stat_statements'",
    max_prepared_transactions: '10',
    ...options.settings,
  }
  const text = Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`)
  writeFileSync(join(directory, 'postgresql.conf'), text.join(''))
  const server = spawn(programs.postgres, ['-D', directory], {
    ...ids,
    cwd: '/',
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  server.stderr.on('data', chunk => {
    said = (said + chunk).slice(-20_000)
  })
  const stop = (): Promise<void> => ended(server)
  t.after(async () => {
    await stop()
    rmSync(directory, { recursive: true, force: true })
  })
  await ready(port, server, () => said)
  const url = `postgres://tenfold:secret@127.0.0.1:${port}`
  await prepare(url)
  return {
    host: '127.0.0.1',
    port,
    database: 'app',
    password: 'secret',
    url: `${url}/app`,
    pid: server.pid as number,
    directory,
    stop,
  }
}

async function prepare(url: string): Promise<void> {
  const { Client } = (await import('pg')).default
  const client = new Client({ connectionString: `${url}/postgres` })
  await client.connect()
  await client.query("CREATE ROLE app LOGIN PASSWORD 'secret'")
  await client.query('CREATE DATABASE app OWNER app')
  await client.end()
}

/** As the product finds them: where the user of the servers can't reach the installed ones, a copy is kept. */
export function postgresPrograms(user: Owner | null): Promise<Binaries> {
  const shelf = join(tmpdir(), 'tenfold-postgres-programs')
  mkdirSync(shelf, { recursive: true, mode: 0o755 })
  // Another test's process may have been faster with its copy; it is there then.
  return prepareBinaries(user, shelf).catch(() => prepareBinaries(user, shelf))
}

function unprivileged(): { uid: number; gid: number } | null {
  if (process.getuid?.() !== 0) return null
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find(one => /^(postgres|nobody):/.test(one))
  const [, , uid, gid] = (line ?? '').split(':')
  return { uid: Number(uid), gid: Number(gid) }
}

async function ready(port: number, server: ChildProcess, said: () => string): Promise<void> {
  const end = systemClock.monotonic() + 60_000_000
  while (!(await answers(port)) || !said().includes('ready to accept connections')) {
    if (server.exitCode !== null || systemClock.monotonic() > end)
      throw new Error(`PostgreSQL does not start: ${said()}`)
    await sleep(20)
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise(done => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => done(true)).once('error', () => done(false))
    socket.once('connect', () => socket.destroy())
  })
}

function ended(server: ChildProcess): Promise<void> {
  return new Promise(done => {
    if (server.exitCode !== null || server.signalCode !== null) return done()
    server.once('exit', () => done())
    // Fast: sessions are ended.
    server.kill('SIGINT')
  })
}
