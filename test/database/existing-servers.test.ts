// Servers that somebody else runs: looked at, followed, never changed. Real ones, run here by hand for the test.

import assert from 'node:assert/strict'
import { chownSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { DatabaseSpec, ServerTls } from '../../src/database/contract.ts'
import { createServers, type DatabaseServers } from '../../src/database/servers/index.ts'
import { systemClock } from '../../src/kit/clock.ts'
import { createAuthority, writePair } from '../tools/certificates.ts'
import { type Group, serverGroup, startServers, until } from '../tools/servers-harness.ts'

function existing(
  t: TestContext,
  group: Group,
  tls: ServerTls = { mode: 'off' },
  host = '127.0.0.1',
): DatabaseServers {
  const urls = group.ids.map(id => group.url(id).replace('127.0.0.1', host))
  const spec: DatabaseSpec = {
    ...group.spec,
    name: 'theirs',
    access: { web: 'owner' },
    servers: { kind: 'existing', urls, tls },
  }
  const quiet = { info: () => {}, warn: () => {}, error: () => {} }
  const { stateDirectory } = group.options
  const servers = createServers({ spec, stateDirectory, user: null, clock: systemClock, log: quiet })
  t.after(() => servers.release())
  return servers
}

test('roles of existing servers are found, and a promotion that others made is seen', async t => {
  const group = await startServers(t, { replicas: 1 })
  const servers = existing(t, group)
  assert.equal(servers.canFence, false)
  const found = await servers.open()
  assert.deepEqual(
    found.map(({ id, port, running }) => ({ id, port, running })),
    [
      { id: 'theirs-1', port: group.servers.address('main-1').port, running: true },
      { id: 'theirs-2', port: group.servers.address('main-2').port, running: true },
    ],
  )
  const [first, second] = await Promise.all(['theirs-1', 'theirs-2'].map(id => servers.observe(id, 10_000)))
  assert.equal(first?.inRecovery, false)
  assert.equal(first?.writes, true)
  assert.equal(first?.processAlive, null)
  assert.equal(second?.inRecovery, true)
  assert.equal(second?.systemId, first?.systemId)
  const port = group.servers.address('main-1').port
  assert.equal(second?.streamsFrom, `127.0.0.1:${port}`)

  let told = ''
  servers.watch(id => {
    told = id
  })
  await group.servers.fence('main-1')
  await until('the end of its connection is told', () => told === 'theirs-1')
  const gone = await servers.observe('theirs-1', 10_000)
  assert.equal(gone.answers, false)
  assert.equal(gone.problem, 'connection refused')
  await group.servers.promote('main-2')
  const promoted = await servers.observe('theirs-2', 10_000)
  assert.equal(promoted.inRecovery, false)
  assert.equal(promoted.position.timeline, 2)
  assert.equal(promoted.writes, true)
})

test('what only the owner of servers may do is refused with what to do instead', async t => {
  const group = await startServers(t, { replicas: 0 })
  const servers = existing(t, group)
  await servers.open()
  const id = 'theirs-1'
  const refused: [string, () => Promise<unknown>][] = [
    ['create', () => servers.create(id)],
    ['fence', () => servers.fence(id)],
    ['clone', () => servers.clone(id, id, () => {})],
    ['promote', () => servers.promote(id)],
    ['follow', () => servers.follow(id, id)],
    ['setSynchronous', () => servers.setSynchronous(id, '')],
    ['keepSlots', () => servers.keepSlots(id, [])],
    ['remove', () => servers.remove(id)],
    ['isolate', () => servers.isolate(id)],
  ]
  for (const [name, call] of refused)
    await assert.rejects(call(), { code: 'DATABASE_NOT_OURS', message: /run elsewhere/ }, name)
  assert.deepEqual(await servers.query(id, 'SELECT 1', 10_000), [['1']])
  assert.equal((await servers.observe(id, 10_000)).answers, true, 'nothing was done')
  await assert.rejects(servers.query('theirs-7', 'SELECT 1', 1000), { code: 'DATABASE_SERVER_UNKNOWN' })
})

test('services log in at the router with passwords of ours; the servers know the user of the address', async t => {
  const group = await startServers(t, { replicas: 0 })
  const servers = existing(t, group)
  await servers.open()
  const [theirs, web] = servers.roles
  assert.equal(theirs?.name, 'tenfold')
  assert.equal(theirs?.password, group.servers.roles[0]?.password)
  assert.equal(web?.name, 'svc_web')
  const again = existing(t, group)
  await again.open()
  assert.equal(again.roles[1]?.password, web?.password, 'kept')
})

test('TLS to servers: asked for, checked against an authority and the name, or not at all', async t => {
  const authority = await createAuthority()
  const group = await serverGroup(t, { replicas: 0 })
  const folder = join(group.options.stateDirectory, '..')
  const files = writePair(folder, 'server', await authority.sign({ hosts: ['ip:127.0.0.1'] }))
  const { user } = group.options
  if (user !== null) for (const file of Object.values(files)) chownSync(file, user.uid, user.gid)
  const { servers } = group.spec
  assert.ok(servers.kind === 'embedded')
  const settings = {
    ...servers.settings,
    ssl: 'on',
    ssl_cert_file: files.certFile,
    ssl_key_file: files.keyFile,
  }
  await group.servers.change({ ...group.spec, servers: { ...servers, settings } })
  await group.servers.create('main-1')
  const caFile = join(folder, 'ca.pem')
  const otherFile = join(folder, 'other.pem')
  writeFileSync(caFile, authority.ca)
  writeFileSync(otherFile, (await createAuthority('Another')).ca)

  const look = async (tls: ServerTls, host?: string) => {
    const theirs = existing(t, group, tls, host)
    await theirs.open()
    return theirs.observe('theirs-1', 10_000)
  }
  const encrypted = async (tls: ServerTls): Promise<string | null | undefined> => {
    const theirs = existing(t, group, tls)
    await theirs.open()
    const rows = await theirs.query(
      'theirs-1',
      'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
      10_000,
    )
    return rows[0]?.[0]
  }
  assert.equal(await encrypted({ mode: 'off' }), 'f')
  assert.equal(await encrypted({ mode: 'require' }), 't')
  assert.equal(await encrypted({ mode: 'verify', caFile }), 't')
  const stranger = await look({ mode: 'verify', caFile: otherFile })
  assert.equal(stranger.answers, false)
  assert.match(stranger.problem, /certificate/)
  const otherName = await look({ mode: 'verify', caFile }, 'localhost')
  assert.equal(otherName.answers, false)
  assert.match(otherName.problem, /does not match certificate's altnames/)
  const unreadable = existing(t, group, { mode: 'verify', caFile: join(folder, 'no.pem') })
  await assert.rejects(unreadable.open(), { code: 'DATABASE_DIRECTORY_UNUSABLE', message: /no\.pem/ })
})
