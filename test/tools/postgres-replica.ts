// Streaming replicas of a server of postgres-server.ts, for tests of who reads from them: the directory is copied under
// pg_backup_start, so a replica is there in a second. Can be stopped, killed, started again, paused, promoted.

import { type ChildProcess, spawn } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { freePort } from '../../src/io/free-port.ts'
import type { Owner } from '../../src/io/owned-files.ts'
import { processes } from '../../src/io/process-table.ts'
import { systemClock } from '../../src/kit/clock.ts'
import { seededRandom } from '../../src/kit/random.ts'
import { type PostgresServer, postgresPrograms } from './postgres-server.ts'

/** What the primary needs in `startPostgres(t, { settings })`. */
export const primarySettings: Readonly<Record<string, string>> = {
  wal_keep_size: "'256MB'",
  max_wal_senders: '10',
  hot_standby: 'on',
}

export interface PostgresReplica {
  readonly name: string
  readonly host: '127.0.0.1'
  readonly port: number
  readonly pid: number
  /** A superuser's query on it. */
  query(sql: string): Promise<readonly (readonly unknown[])[]>
  /** Its replay stands still, or goes on. */
  pause(): Promise<void>
  resume(): Promise<void>
  /** Ends it with all its backends; `start` begins it again on the same port. */
  kill(): Promise<void>
  start(): Promise<void>
  /** Makes a primary of it, on the next timeline. */
  promote(): Promise<void>
  /** Copies from another server from now on. */
  follow(port: number): Promise<void>
}

export async function startReplica(
  t: Pick<TestContext, 'after'>,
  primary: PostgresServer,
  name: string,
  settings: Readonly<Record<string, string>> = {},
): Promise<PostgresReplica> {
  const directory = mkdtempSync(join(tmpdir(), `tenfold-${name}-`))
  await copyOf(primary, directory)
  const port = await freePort('127.0.0.1', seededRandom(process.pid ^ Date.now()), new Set())
  const own = {
    port: String(port),
    primary_conninfo: conninfo(primary.port, name),
    wal_retrieve_retry_interval: "'100ms'",
    ...settings,
  }
  const lines = Object.entries(own).map(([key, value]) => `${key} = ${value}\n`)
  const configuration = join(directory, 'postgresql.conf')
  writeFileSync(configuration, readFileSync(configuration, 'utf8') + lines.join(''))
  writeFileSync(join(directory, 'standby.signal'), '')
  giveTo(primary.directory, directory)
  const replica = new Replica(name, port, directory)
  t.after(async () => {
    await replica.end('SIGINT')
    rmSync(directory, { recursive: true, force: true })
  })
  await replica.start()
  return replica
}

class Replica implements PostgresReplica {
  readonly name: string
  readonly host = '127.0.0.1'
  readonly port: number
  readonly #directory: string
  #process: ChildProcess | null = null
  #client: pg.Client | null = null

  constructor(name: string, port: number, directory: string) {
    this.name = name
    this.port = port
    this.#directory = directory
  }

  get pid(): number {
    return this.#process?.pid as number
  }

  async start(): Promise<void> {
    const owner = ownerOf(this.#directory)
    const { postgres } = await postgresPrograms(owner.uid === undefined ? null : (owner as Owner))
    const server = spawn(postgres, ['-D', this.#directory], {
      ...owner,
      cwd: '/',
      env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let said = ''
    server.stderr.on('data', chunk => {
      said = (said + chunk).slice(-20_000)
    })
    this.#process = server
    const end = systemClock.monotonic() + 60_000_000
    while (!(await this.#answers())) {
      if (server.exitCode !== null || systemClock.monotonic() > end)
        throw new Error(`replica ${this.name} does not start: ${said}`)
      await sleep(20)
    }
  }

  async query(sql: string): Promise<readonly (readonly unknown[])[]> {
    const client = this.#client ?? (await this.#connect())
    const { rows } = await client.query<unknown[]>({ text: sql, rowMode: 'array' })
    return rows
  }

  async pause(): Promise<void> {
    await this.query('SELECT pg_wal_replay_pause()')
    // A request: it stands still when the record under way is done.
    while ((await this.query('SELECT pg_get_wal_replay_pause_state()'))[0]?.[0] !== 'paused') await sleep(1)
  }

  async resume(): Promise<void> {
    await this.query('SELECT pg_wal_replay_resume()')
  }

  /** Not by SIGQUIT: PostgreSQL then sends what it has of an answer, which nobody can take back. */
  async kill(): Promise<void> {
    const backends = processes.rows().filter(row => row.parent === this.pid && !row.zombie)
    const ended = this.end('SIGKILL')
    for (const { pid } of backends) signalled(pid)
    await ended
    while (backends.some(({ pid }) => processes.row(pid)?.zombie === false)) await sleep(5)
  }

  async promote(): Promise<void> {
    await this.query('SELECT pg_promote(true)')
  }

  async follow(port: number): Promise<void> {
    await this.query(`ALTER SYSTEM SET primary_conninfo = ${conninfo(port, this.name)}`)
    await this.query('SELECT pg_reload_conf()')
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const server = this.#process
    await this.#client?.end().catch(() => undefined)
    this.#client = null
    if (server === null || server.exitCode !== null || server.signalCode !== null) return
    const gone = new Promise(done => server.once('exit', done))
    server.kill(signal)
    await gone
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({
      host: this.host,
      port: this.port,
      user: 'tenfold',
      password: 'secret',
      database: 'app',
    })
    client.on('error', () => {
      if (this.#client === client) this.#client = null
    })
    await client.connect()
    this.#client = client
    return client
  }

  async #answers(): Promise<boolean> {
    try {
      await this.query('SELECT 1')
      return true
    } catch {
      this.#client = null
      return false
    }
  }
}

function conninfo(port: number, name: string): string {
  return `'host=127.0.0.1 port=${port} user=tenfold password=secret application_name=${name}'`
}

const notCopied =
  /^(postmaster\.(pid|opts)|pg_wal|pg_replslot|pg_stat_tmp|pg_notify|pg_subtrans|pg_dynshmem|pg_snapshots|pg_serial)$/

async function copyOf(primary: PostgresServer, directory: string): Promise<void> {
  const client = new pg.Client({ connectionString: primary.url })
  await client.connect()
  await client.query("SELECT pg_backup_start('replica', true)")
  for (const entry of readdirSync(primary.directory)) {
    if (notCopied.test(entry)) mkdirOf(join(directory, entry), entry)
    else cpSync(join(primary.directory, entry), join(directory, entry), { recursive: true, force: true })
  }
  const { rows } = await client.query('SELECT labelfile FROM pg_backup_stop(false)')
  writeFileSync(join(directory, 'backup_label'), rows[0].labelfile)
  await client.end()
}

function mkdirOf(path: string, entry: string): void {
  if (!entry.startsWith('postmaster')) mkdirSync(path, { mode: 0o700 })
}

function giveTo(model: string, directory: string): void {
  const owner = ownerOf(model)
  if (owner.uid === undefined) return
  for (const entry of readdirSync(directory, { recursive: true, encoding: 'utf8' }))
    chownSync(join(directory, entry), owner.uid, owner.gid as number)
  chownSync(directory, owner.uid, owner.gid as number)
  chmodSync(directory, 0o700)
}

/** Whoever owns the directory runs the server; nothing to say when that is us. */
function ownerOf(directory: string): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {}
  const { uid, gid } = statSync(directory)
  return { uid, gid }
}

function signalled(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended with its postmaster.
  }
}
