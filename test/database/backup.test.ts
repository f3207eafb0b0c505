// Backups against real servers: what is restored is what was there, to the row; what is damaged is refused; what is killed
// in the middle leaves nothing that could be taken for a backup.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import pg from 'pg'
import type { RestoreTarget } from '../../src/database/backup/index.ts'
import type { DatabaseServers } from '../../src/database/servers/index.ts'
import { Failure } from '../../src/kit/failure.ts'
import {
  type BackupBench,
  benchOf,
  clientOf,
  openFolder,
  specOf,
  startBackups,
  startServers,
  topologyOf,
  until,
} from '../tools/backups.ts'
import { type PostgresServer, startPostgres } from '../tools/postgres-server.ts'

const never = new AbortController().signal
const quiet = (): void => {}

const coded = (code: string, sentence: RegExp) => (error: unknown) => {
  assert.ok(error instanceof Failure, String(error))
  assert.equal(error.code, code, error.message)
  assert.match(error.message, sentence)
  return true
}

interface Running {
  readonly servers: DatabaseServers
  readonly bench: BackupBench
  readonly client: pg.Client
}

async function startMain(t: TestContext, count: number): Promise<Running> {
  const folder = openFolder()
  const servers = await startServers(t, folder, 'main', count)
  const client = await clientOf(t, servers, 'main-1')
  await client.query('CREATE TABLE ledger (id int PRIMARY KEY, text text NOT NULL)')
  const bench = benchOf(t, topologyOf([servers.address('main-1')], 'main-1'), servers.roles, folder)
  await bench.backups.start()
  await until('the first base backup', () => idleWithBase(bench)).catch(error => {
    throw new Error(`${error}: ${JSON.stringify([bench.decided, bench.backups.status()])}`)
  })
  return { servers, bench, client }
}

function idleWithBase({ backups }: Pick<BackupBench, 'backups'>): true | null {
  const { lastBase, working } = backups.status()
  return lastBase !== null && working === null ? true : null
}

async function superuserOf(t: TestContext, server: PostgresServer): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: server.url })
  // The server may be stopped first.
  client.on('error', () => {})
  await client.connect()
  t.after(() => client.end())
  return client
}

/** Rows `from` to `to`, each its own commit. */
async function write(client: pg.Client, from: number, to: number): Promise<void> {
  for (let id = from; id < to; id++)
    await client.query("INSERT INTO ledger VALUES ($1::int, 'entry ' || $1::int)", [id])
}

/** A moment of the server's that no commit shares. */
async function momentOf(client: pg.Client): Promise<number> {
  await sleep(20)
  const { rows } = await client.query<{ ms: string }>(
    'SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS ms',
  )
  await sleep(20)
  return Number(rows[0]?.ms)
}

async function flushedLsn(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ lsn: string }>("SELECT pg_current_wal_flush_lsn() - '0/0' AS lsn")
  return Number(rows[0]?.lsn)
}

/** All that was written until now is in the archive. */
async function archived({ bench, client }: Pick<Running, 'bench' | 'client'>): Promise<void> {
  const lsn = await flushedLsn(client)
  await until('the archive has it', () => (bench.backups.status().log.archivedLsn >= lsn ? true : null))
}

/** Restores into a database of its own, starts that as the product would, and gives its ledger. */
async function ledgerAt(
  t: TestContext,
  bench: BackupBench,
  target: RestoreTarget,
  name: string,
): Promise<number[]> {
  const into = { ...bench.options, spec: specOf(name, null) }
  const roles = await bench.newRoles(t, into)
  await bench.backups.restore({ target, into, server: `${name}-1`, roles }, quiet, never)
  const servers = await startServers(t, bench.folder, name, 1)
  const client = await clientOf(t, servers, `${name}-1`)
  const { rows } = await client.query<{ id: number }>('SELECT id FROM ledger ORDER BY id')
  await client.query('INSERT INTO ledger VALUES (-1, $1)', ['it takes writes'])
  return rows.map(row => row.id)
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, id) => id)

test('a moment between two writes is restored to exactly the rows of then, from a backup taken while people wrote', async t => {
  const { bench, client } = await startMain(t, 1)
  const writing = write(client, 0, 400)
  const base = await bench.backups.backupNow(quiet, never)
  await writing
  const then = await momentOf(client)
  await write(client, 400, 500)
  await client.query('SELECT pg_switch_wal()')
  await write(client, 500, 520)
  await archived({ bench, client })
  assert.ok(base.packedBytes > 0 && base.stopLsn > base.startLsn)
  assert.deepEqual(await ledgerAt(t, bench, { kind: 'time', atMs: then }, 'then'), upTo(400))
  assert.deepEqual(await ledgerAt(t, bench, { kind: 'latest' }, 'late'), upTo(520))
})

test('a moment before the first base backup, or after the last archived change, is refused with a sentence', async t => {
  const { bench, client } = await startMain(t, 1)
  await write(client, 0, 5)
  await archived({ bench, client })
  const [first] = await bench.backups.listBackups()
  const asked = (atMs: number) => () => ledgerAt(t, bench, { kind: 'time', atMs }, 'never')
  const tooEarly = coded(
    'DATABASE_RESTORE_TARGET',
    /can't be restored from a base backup\. The first of 1 .* ended at/,
  )
  await assert.rejects(asked((first?.startedAtMs ?? 0) - 1000), tooEarly)
  const tooLate = coded('DATABASE_RESTORE_TARGET', /archived log ends at .* no transaction after 2\d{3}-/)
  await assert.rejects(asked(Date.now() + 3_600_000), tooLate)
})

test('a process killed in the middle of a base backup leaves nothing that could be taken for one', async t => {
  const server = await startPostgres(t)
  const bench = await startBackups(t, server)
  const sql = await superuserOf(t, server)
  // Not to be packed to nothing, so that there is a middle.
  await sql.query(
    "CREATE TABLE bulk AS SELECT sha512((i || 'x')::bytea) || sha512((i || 'y')::bytea) AS noise FROM generate_series(1, 400000) AS i",
  )
  const script = join(import.meta.dirname, '../tools/backup-process.ts')
  const { stateDirectory } = bench.options
  const places = [stateDirectory, join(bench.folder, 'backups'), String(server.port), 'copies']
  const child = spawn('node', [script, ...places], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.on('data', text => {
    said += text
  })
  const ended = new Promise(resolve => child.once('exit', resolve))
  const store = join(bench.folder, 'backups', 'main')
  const half = (): true | null => {
    const names = existsSync(store) ? readdirSync(store, { recursive: true }).map(String) : []
    return names.some(name => name.endsWith('base.tar.zst.partial')) ? true : null
  }
  await until(`a base backup is half written; it said: ${said}`, half)
  child.kill('SIGKILL')
  await ended
  assert.equal(said.includes('is taken'), false)
  assert.deepEqual(await bench.backups.listBackups(), [])
  await bench.backups.start()
  await until('a whole one is taken instead', () => idleWithBase(bench))
  const left = readdirSync(store, { recursive: true }).map(String)
  assert.deepEqual(
    left.filter(name => name.endsWith('.partial')),
    [],
  )
  assert.equal(left.filter(name => /^base-[^/]+$/.test(name)).length, 1)
  assert.equal((await bench.backups.drill(quiet, never)).problems.length, 0)
})

test('a failover in the middle of archiving leaves no gap', async t => {
  const { servers, bench, client } = await startMain(t, 2)
  await servers.setSynchronous('main-1', 'ANY 1 ("main-2")')
  await write(client, 0, 100)
  await client.query('SELECT pg_switch_wal()')
  const acknowledged = { count: 100 }
  const writing = (async () => {
    for (let id = 100; id < 100_000; id++) {
      await write(client, id, id + 1)
      acknowledged.count = id + 1
    }
  })().catch(() => {})
  await until('some more are acknowledged', () => (acknowledged.count > 150 ? true : null))
  bench.topology = topologyOf([], null)
  await servers.fence('main-1')
  await writing
  await servers.promote('main-2')
  bench.topology = topologyOf([servers.address('main-2')], 'main-2')
  const after = await clientOf(t, servers, 'main-2')
  const { rows } = await after.query<{ id: number }>('SELECT id FROM ledger ORDER BY id')
  const survived = rows.map(row => row.id)
  assert.deepEqual(survived.slice(0, acknowledged.count), upTo(acknowledged.count))
  await write(after, survived.length, survived.length + 50)
  await after.query('SELECT pg_switch_wal()')
  await write(after, survived.length + 50, survived.length + 60)
  await archived({ bench, client: after })
  const { log } = bench.backups.status()
  assert.equal(log.gap, null)
  assert.equal(log.timeline, 2)
  const restored = await ledgerAt(t, bench, { kind: 'latest' }, 'whole')
  assert.deepEqual(restored, upTo(survived.length + 60))
})

async function slotsOf(servers: DatabaseServers, id: string): Promise<string[]> {
  const rows = await servers.query(
    id,
    "SELECT wal_status FROM pg_replication_slots WHERE slot_name = 'tenfold_archive'",
    10_000,
  )
  return rows.map(([status]) => status ?? '')
}

test('every server that could be promoted keeps the log that is not archived, until nobody wants backups', async t => {
  const { servers, bench, client } = await startMain(t, 2)
  bench.topology = topologyOf([servers.address('main-1'), servers.address('main-2')], 'main-1')
  await write(client, 0, 10)
  await until('the replica has the slot', async () =>
    (await slotsOf(servers, 'main-2'))[0] === 'reserved' ? true : null,
  )
  assert.deepEqual(await slotsOf(servers, 'main-1'), ['reserved'])
  await bench.backups.retire()
  for (const id of ['main-1', 'main-2']) assert.deepEqual(await slotsOf(servers, id), [], id)
})

test('what was written while nothing archived is fetched when the archive goes on', async t => {
  const { bench, client } = await startMain(t, 1)
  await write(client, 0, 20)
  await archived({ bench, client })
  await bench.backups.stop()
  await write(client, 20, 40)
  await client.query('SELECT pg_switch_wal()')
  await write(client, 40, 60)
  const next = bench.again()
  await next.start()
  const lsn = await flushedLsn(client)
  await until('it caught up', () => (next.status().log.archivedLsn >= lsn ? true : null))
  assert.equal(next.status().log.gap, null)
  assert.equal(next.status().bases, 1, 'no base backup was due')
  const record = await next.drill(quiet, never)
  assert.ok(record.recoveredLsn >= lsn)
})

function storedFiles(bench: BackupBench, pattern: RegExp): string[] {
  const store = join(bench.folder, 'backups', 'main')
  const names = readdirSync(store, { recursive: true })
    .map(String)
    .filter(name => pattern.test(name))
  assert.ok(names.length > 0, `nothing like ${pattern} is stored`)
  return names.sort().map(name => join(store, name))
}

function flipByte(path: string, at: (bytes: Buffer) => number): void {
  const bytes = readFileSync(path)
  const place = at(bytes)
  bytes[place] = (bytes[place] as number) ^ 0xff
  writeFileSync(path, bytes)
}

const middle = (bytes: Buffer): number => bytes.length >> 1

/** Changes bytes inside the packed archive, and makes its checksum right again: damage that was there when it was taken. */
function damageInside(folder: string, change: (tar: Buffer) => void): void {
  const [archive, manifest] = [join(folder, 'base.tar.zst'), join(folder, 'manifest.json')]
  const tar = zstdDecompressSync(readFileSync(archive))
  change(tar)
  const packed = zstdCompressSync(tar)
  writeFileSync(archive, packed)
  const sha256 = createHash('sha256').update(packed).digest('hex')
  writeFileSync(manifest, JSON.stringify({ ...JSON.parse(readFileSync(manifest, 'utf8')), sha256 }))
}

function newestBase(bench: BackupBench): string {
  return dirname(storedFiles(bench, /base\.tar\.zst$/).at(-1) as string)
}

test('a damaged archive is refused with a sentence, and leaves nothing in the place that was restored to', async t => {
  const { bench, client } = await startMain(t, 1)
  await write(client, 0, 30)
  await client.query('SELECT pg_switch_wal()')
  const then = await momentOf(client)
  await write(client, 30, 60)
  await client.query('SELECT pg_switch_wal()')
  await write(client, 60, 61)
  await client.query('SELECT pg_switch_wal()')
  await write(client, 61, 62)
  await archived({ bench, client })
  const last = storedFiles(bench, /wal\/[0-9A-F]{24}\.zst$/).at(-1) as string
  const whole = readFileSync(last)
  flipByte(last, middle)
  const latest = () => ledgerAt(t, bench, { kind: 'latest' }, 'broken')
  await assert.rejects(
    latest,
    coded('DATABASE_BACKUP_DAMAGED', /leads to .* no further: segment [0-9A-F]{24} is damaged/),
  )
  assert.equal(existsSync(join(bench.folder, 'state/db/broken/broken-1/data')), false)
  assert.equal(existsSync(join(bench.folder, 'state/db/broken/broken-1/data.new')), false)
  assert.deepEqual(
    await ledgerAt(t, bench, { kind: 'time', atMs: then }, 'before'),
    upTo(30),
    'before the damage all is well',
  )
  writeFileSync(last, whole)
  flipByte(storedFiles(bench, /base\.tar\.zst$/)[0] as string, middle)
  await assert.rejects(
    latest,
    coded('DATABASE_BACKUP_DAMAGED', /base\.tar\.zst in .* is not what was written there/),
  )
})

test('a missing segment of the log is named', async t => {
  const { bench, client } = await startMain(t, 1)
  for (let id = 0; id < 3; id++) {
    await write(client, id, id + 1)
    await client.query('SELECT pg_switch_wal()')
  }
  await write(client, 3, 4)
  await archived({ bench, client })
  const segments = storedFiles(bench, /wal\/[0-9A-F]{24}\.zst$/)
  const gone = segments.at(-2) as string
  rmSync(gone)
  const name = gone.slice(-28, -4)
  await assert.rejects(
    ledgerAt(t, bench, { kind: 'latest' }, 'holed'),
    coded('DATABASE_BACKUP_DAMAGED', new RegExp(`segment ${name} is missing`)),
  )
})

test('a drill finds a page that was damaged before it was backed up', async t => {
  const { bench, client } = await startMain(t, 1)
  await client.query("INSERT INTO ledger VALUES (1, 'a text that can be found')")
  await client.query('CHECKPOINT')
  await bench.backups.backupNow(quiet, never)
  assert.equal(storedFiles(bench, /base\.tar\.zst$/).length, 2)
  assert.equal((await bench.backups.drill(quiet, never)).problems.length, 0)
  damageInside(newestBase(bench), tar => {
    const at = tar.indexOf('a text that can be found')
    assert.ok(at > 0)
    tar[at] = 0x41
  })
  await assert.rejects(
    bench.backups.drill(quiet, never),
    coded('DATABASE_DRILL_FAILED', /table ledger: .*invalid page|table public\.ledger/),
  )
  assert.ok(bench.decided.some(one => one.level === 'error' && one.text.includes("can't be relied on")))
  const { lastDrill } = bench.backups.status()
  assert.ok(lastDrill !== null && lastDrill.problems.length > 0, 'the record says so, too')
})

test('a drill finds a backup that is not what was written', async t => {
  const { bench } = await startMain(t, 1)
  flipByte(storedFiles(bench, /base\.tar\.zst$/)[0] as string, middle)
  await assert.rejects(
    bench.backups.drill(quiet, never),
    coded('DATABASE_DRILL_FAILED', /not what was written there/),
  )
})

test('a base backup whose manifest is damaged is told, left alone, and replaced', async t => {
  const { bench } = await startMain(t, 1)
  await bench.backups.stop()
  const manifest = join(newestBase(bench), 'manifest.json')
  writeFileSync(manifest, readFileSync(manifest, 'utf8').slice(0, 100))
  const next = bench.again()
  await next.start()
  assert.ok(bench.decided.some(one => one.level === 'error' && one.text.includes('its manifest is damaged')))
  await until('another one', () => idleWithBase({ ...bench, backups: next }))
  assert.ok(existsSync(manifest))
  assert.equal((await next.listBackups()).length, 1)
})

test('data that PostgreSQL can not recover is told with its own words', async t => {
  const { bench } = await startMain(t, 1)
  damageInside(newestBase(bench), tar => {
    const header = tar.indexOf('global/pg_control\0')
    tar[header + 512 + 40] = (tar[header + 512 + 40] as number) ^ 0xff
  })
  await assert.rejects(
    ledgerAt(t, bench, { kind: 'latest' }, 'gone'),
    coded('DATABASE_RESTORE_FAILED', /could not recover.*control file/),
  )
})

test('retention keeps what its base backups need, and no more', async t => {
  const { bench, client } = await startMain(t, 1)
  for (let round = 0; round < 3; round++) {
    await write(client, round * 10, round * 10 + 10)
    await client.query('SELECT pg_switch_wal()')
    await archived({ bench, client })
    await bench.backups.backupNow(quiet, never)
  }
  const [newest, oldest, ...others] = await bench.backups.listBackups()
  assert.ok(newest !== undefined && oldest !== undefined)
  assert.deepEqual(others, [], 'two are kept')
  const first = storedFiles(bench, /wal\/[0-9A-F]{24}\.zst$/)[0] as string
  assert.ok(Number.parseInt(first.slice(-12, -4), 16) >= Math.floor(oldest.startLsn / oldest.segmentBytes))
  await write(client, 30, 35)
  await archived({ bench, client })
  const target = { kind: 'lsn' as const, lsn: oldest.stopLsn }
  assert.deepEqual(await ledgerAt(t, bench, target, 'older'), upTo(20))
  assert.deepEqual(await ledgerAt(t, bench, { kind: 'latest' }, 'newer'), upTo(35))
})

test('log that no server has any more is a gap: said loudly, and closed by a new base backup', async t => {
  const server = await startPostgres(t, { settings: { min_wal_size: "'32MB'", max_wal_size: "'48MB'" } })
  const bench = await startBackups(t, server)
  const sql = await superuserOf(t, server)
  await bench.backups.start()
  const first = await until('the first base backup', () => bench.backups.status().lastBase)
  await until('the log is archived', () => (bench.backups.status().log.state === 'streaming' ? true : null))
  await bench.backups.stop()
  await until('the slot is free', async () => {
    const { rows } = await sql.query(
      "SELECT FROM pg_replication_slots WHERE active AND slot_type = 'physical'",
    )
    return rows.length === 0 ? true : null
  })
  await sql.query("SELECT pg_drop_replication_slot('tenfold_archive')")
  for (let round = 0; round < 6; round++) {
    await sql.query('CREATE TABLE IF NOT EXISTS filler (id int); INSERT INTO filler VALUES (1)')
    await sql.query('SELECT pg_switch_wal()')
    await sql.query('CHECKPOINT')
  }
  const next = bench.again()
  await next.start()
  await until('a new base backup', () => (next.status().lastBase?.name === first.name ? null : true))
  assert.ok(
    bench.decided.some(
      one => one.level === 'error' && one.text.includes('was removed before it was archived'),
    ),
  )
  await until('the gap is closed', () =>
    next.status().log.gap === null && next.status().working === null ? true : null,
  )
  assert.equal((await next.drill(quiet, never)).problems.length, 0)
})

test('another system’s backups are not added to', async t => {
  const { bench } = await startMain(t, 1)
  await bench.backups.stop()
  const other = await startPostgres(t)
  const sql = await superuserOf(t, other)
  await sql.query("CREATE ROLE tenfold_replication REPLICATION LOGIN PASSWORD 'copies'")
  const foreign = benchOf(
    t,
    topologyOf([{ id: 'main-1', port: other.port }], 'main-1'),
    [{ name: 'tenfold_replication', password: 'copies', access: 'read', service: null }],
    bench.folder,
  )
  await foreign.backups.start()
  await assert.rejects(
    until('it is refused', async () => {
      const { problem } = foreign.backups.status().log
      if (problem !== '') throw new Error(problem)
      return null
    }),
    /holds backups of the system \d+; main is \d+ now/,
  )
  await assert.rejects(
    foreign.backups.backupNow(quiet, never),
    coded('DATABASE_BACKUP_FOREIGN', /holds backups of the system/),
  )
})

test('one piece of work at a time; what is given up leaves nothing; without a primary there is no backup', async t => {
  const { bench } = await startMain(t, 1)
  const cancel = new AbortController()
  const taking = bench.backups.backupNow(quiet, cancel.signal)
  const second = bench.backups.backupNow(quiet, never)
  await assert.rejects(second, coded('DATABASE_BACKUP_BUSY', /a base backup of main is under way/))
  cancel.abort(new Error('given up'))
  await assert.rejects(taking, /given up/)
  assert.equal((await bench.backups.listBackups()).length, 1)
  assert.equal(storedFiles(bench, /base\.tar\.zst/).length, 1)
  bench.topology = topologyOf([], null)
  await assert.rejects(
    bench.backups.backupNow(quiet, never),
    coded('DATABASE_BACKUP_FAILED', /has no primary now/),
  )
})
