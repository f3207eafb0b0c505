// Copies of servers when something goes wrong in the middle, full disks, and life as this or that user.

import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createServers } from '../../src/database/servers/index.ts'
import { processesAt } from '../../src/io/process-places.ts'
import { giveTo, serverGroup, startServers, streams, until } from '../tools/servers-harness.ts'

const lifeFile = join(import.meta.dirname, '../tools/servers-life.ts')
const quiet = (): void => {}
const root = process.geteuid?.() === 0

/** Hooks run in the order in which they are registered: `removed` comes after the servers' own. */
function scratch(mode: number): string {
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-place-'))
  chmodSync(folder, mode)
  return folder
}

function removed(t: TestContext, folder: string): void {
  t.after(() => rmSync(folder, { recursive: true, force: true }))
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise(resolve => child.once('exit', () => resolve()))
}

test('a copy that is cut by our death is found damaged, holds nothing up, and is made anew', async t => {
  const place = scratch(0o755)
  const group = await serverGroup(t, { replicas: 1, directory: place })
  removed(t, place)
  const { servers } = group
  await servers.create('main-1')
  await servers.query(
    'main-1',
    "CREATE TABLE public.t AS SELECT id, repeat('x', 1000) AS text FROM generate_series(1, 200000) AS id",
    120_000,
  )
  const child = spawn(
    process.execPath,
    [lifeFile, 'clone', JSON.stringify({ replicas: 1, directory: place })],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  const exit = ended(child)
  const partial = join(group.data('main-2'), '..', 'data.new')
  await until('the copy is under way', () => existsSync(join(partial, 'base')) || child.exitCode !== null)
  child.kill('SIGKILL')
  await exit
  assert.ok(existsSync(partial), 'it was cut in the middle')
  assert.ok(!existsSync(group.data('main-2')))
  await until('nobody sends it any more', async () => {
    const rows = await servers.query(
      'main-1',
      'SELECT (SELECT count(*) FROM pg_stat_replication) + (SELECT count(*) FROM pg_replication_slots WHERE active)',
      10_000,
    )
    return rows[0]?.[0] === '0'
  })
  assert.deepEqual(processesAt(group.data('main-2'), 'postgres'), [])
  const next = group.again()
  const found = await next.open()
  assert.deepEqual(
    found.map(server => server.disk),
    ['primary', 'damaged'],
  )
  await assert.rejects(next.start('main-2'), { code: 'DATABASE_SERVER_FAILED', message: /is damaged/ })
  let last: [number, number] = [0, 0]
  await next.clone('main-2', 'main-1', (_, done, total) => {
    if (done !== undefined) last = [done, total ?? 0]
  })
  await streams(next, 'main-2')
  assert.ok(last[0] > 200_000_000 && last[1] > 200_000_000, `progress was told: ${last.join(' of ')}`)
  assert.deepEqual(await next.query('main-2', 'SELECT count(*), sum(length(text)) FROM public.t', 60_000), [
    ['200000', '200000000'],
  ])
})

test('a copy whose source dies in the middle fails with a sentence and leaves a directory that says so', async t => {
  const group = await serverGroup(t, { replicas: 1 })
  const { servers } = group
  await servers.create('main-1')
  await servers.query(
    'main-1',
    "CREATE TABLE public.t AS SELECT id, repeat('x', 1000) AS text FROM generate_series(1, 200000) AS id",
    120_000,
  )
  const partial = join(group.data('main-2'), '..', 'data.new')
  const copied = servers.clone('main-2', 'main-1', quiet)
  const outcome = assert.rejects(copied, {
    code: 'DATABASE_SERVER_FAILED',
    message: /main-2 could not be copied from main-1/,
  })
  await until('the copy is under way', () => existsSync(join(partial, 'base')))
  await servers.fence('main-1')
  await outcome
  await assert.rejects(servers.start('main-2'), { message: /is damaged/ })
  assert.equal(await servers.follow('main-2', 'main-1').catch(() => 'no source'), 'diverged')
})

test('a full disk is told as one, and what was acknowledged is there when it has room again', async t => {
  if (!root) {
    // Nobody else may mount a small disk. What is left to hold: the directory that the file names is where data is.
    const place = scratch(0o755)
    const directories = { 'main-1': join(place, 'disk') }
    const group = await startServers(t, { replicas: 0, directories })
    removed(t, place)
    assert.ok(existsSync(join(place, 'disk', 'data', 'PG_VERSION')))
    assert.equal((await group.servers.observe('main-1', 10_000)).writes, true)
    return
  }
  const place = scratch(0o755)
  const disk = join(place, 'disk')
  mkdirSync(disk)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=160m,mode=755', 'tmpfs', disk])
  const group = await serverGroup(t, { replicas: 1, directories: { 'main-1': disk } })
  t.after(() => execFileSync('umount', [disk]))
  removed(t, place)
  const { servers } = group
  await servers.create('main-1')
  await servers.query('main-1', 'CREATE TABLE public.t (id int, text text)', 10_000)
  await servers.query('main-1', "INSERT INTO public.t VALUES (1, 'kept')", 10_000)
  const filler = join(disk, 'filler')
  writeFileSync(filler, '')
  execFileSync('sh', ['-c', `dd if=/dev/zero of=${filler} bs=64k 2>/dev/null || true`])
  await until('it is told', async () => {
    const look = await servers.observe('main-1', 5000)
    assert.equal(look.writes && look.problem !== '', false)
    return !look.writes && /no space left on device/.test(look.problem)
  })
  rmSync(filler)
  await until('it writes again', async () => {
    if (servers.pid('main-1') === null) await servers.start('main-1').catch(quiet)
    return (await servers.observe('main-1', 5000)).writes
  })
  assert.deepEqual(await servers.query('main-1', 'SELECT text FROM public.t', 10_000), [['kept']])
  assert.ok(!existsSync(join(group.options.stateDirectory, 'db', 'main', 'main-1', 'data')))
  await servers.clone('main-2', 'main-1', quiet)
  await streams(servers, 'main-2')
})

test('whoever starts it, servers live the same life: as an ordinary user they are his', async t => {
  const place = scratch(0o755)
  removed(t, place)
  const command = [process.execPath, lifeFile, 'life', JSON.stringify({ replicas: 1, directory: place })]
  const ids = root ? giveTo(place, 'nobody') : null
  const [program, ...args] =
    ids === null
      ? command
      : ['setpriv', `--reuid=${ids.uid}`, `--regid=${ids.gid}`, '--clear-groups', ...command]
  const out = execFileSync(program as string, args, {
    encoding: 'utf8',
    cwd: '/',
    timeout: 120_000,
    env: { PATH: process.env.PATH, HOME: '/' },
  })
  assert.deepEqual(JSON.parse(out.trim().split('\n').at(-1) as string), {
    followed: 'streams',
    writes: true,
    timeline: 2,
    uid: ids?.uid ?? process.geteuid?.(),
  })
})

test('under a folder that only root may enter, data is elsewhere behind a link, and nobody else gets further than before', async t => {
  const closed = scratch(0o700)
  const group = await startServers(t, { replicas: 1, directory: closed })
  removed(t, closed)
  const home = join(group.options.stateDirectory, 'db', 'main')
  assert.equal((await group.servers.observe('main-1', 10_000)).writes, true)
  if (!root) return assert.ok(!lstatSync(home).isSymbolicLink())
  assert.match(readlinkSync(home), /^\/var\/lib\/tenfold\/[0-9a-f]{16}\/main$/)
  assert.equal(lstatSync(closed).mode & 0o777, 0o700)
  assert.equal(lstatSync(group.options.stateDirectory).mode & 0o777, 0o700)
  // The next supervisor finds it behind the same link.
  group.servers.release()
  const found = await group.again().open()
  assert.deepEqual(
    found.map(({ running, disk }) => [running, disk]),
    [
      [true, 'primary'],
      [true, 'replica'],
    ],
  )
})

test('a directory of the file that its user can not enter is refused before anything is made', async t => {
  const closed = scratch(0o700)
  removed(t, closed)
  const directories = { 'main-1': join(closed, 'disk') }
  if (!root) {
    writeFileSync(join(closed, 'file'), '')
    const inside = { 'main-1': join(closed, 'file', 'disk') }
    await assert.rejects(serverGroup(t, { replicas: 0, directories: inside }), {
      code: 'DATABASE_DIRECTORY_UNUSABLE',
    })
    return
  }
  await assert.rejects(serverGroup(t, { replicas: 0, directories }), {
    code: 'DATABASE_DIRECTORY_UNUSABLE',
    message: /the data of main-1 can't be in .*, because PostgreSQL's user may not enter /,
  })
})

test('a removed server leaves no process and no file, and a server that the file dropped is stopped', async t => {
  const group = await startServers(t, { replicas: 2 })
  const { servers } = group
  const folder = dirname(group.data('main-3'))
  await servers.remove('main-3')
  assert.deepEqual(processesAt(group.data('main-3'), 'postgres'), [])
  assert.ok(!existsSync(folder))
  assert.throws(() => servers.address('main-3'), { code: 'DATABASE_SERVER_UNKNOWN' })
  servers.release()
  const { servers: theirs } = group.spec
  assert.ok(theirs.kind === 'embedded')
  const next = group.again({ ...group.spec, servers: { ...theirs, members: theirs.members.slice(0, 1) } })
  const found = await next.open()
  assert.deepEqual(
    found.map(server => server.id),
    ['main-1'],
  )
  assert.deepEqual(processesAt(group.data('main-2'), 'postgres'), [])
  assert.ok(readdirSync(dirname(group.data('main-2'))).includes('data'), 'its data is left')
})

test('whom data belong to goes on with them, although another user would be chosen today', async t => {
  const group = await startServers(t, { replicas: 0 })
  const { servers, options } = group
  const owner = statSync(group.data('main-1')).uid
  await servers.stop('main-1', 'fast')
  servers.release()
  const another = root ? { name: 'nobody', uid: 65_534, gid: 65_534 } : null
  const next = createServers({ ...options, user: another })
  t.after(() => next.release())
  await next.open()
  await next.start('main-1')
  assert.equal(statSync(group.data('main-1')).uid, owner)
  assert.equal((await next.observe('main-1', 10_000)).writes, true)
})
