// Faults other than a death: a full disk, a primary that only the agent can't reach, an agent that dies in the middle, and
// a backend that is busy when its server is killed. Real servers, and a ledger of what was acknowledged.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import pg from 'pg'
import { createServers } from '../../src/database/servers/index.ts'
import { failoverGroup, Ledger, once, startedGroup, whole } from '../tools/failover-harness.ts'

/** A disk of its own for one server, small enough to be filled. */
function smallDisk(t: TestContext, megabytes: number): string {
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-disk-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder])
  chmodSync(folder, 0o755)
  t.after(() => {
    execFileSync('umount', ['-l', folder])
    rmSync(folder, { recursive: true, force: true })
  })
  return folder
}

function fill(folder: string): void {
  const { bavail, bsize } = statfsSync(folder)
  try {
    writeFileSync(join(folder, 'filler'), Buffer.alloc(bavail * bsize))
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC')
  }
}

const rootOnly = process.getuid?.() === 0 ? false : 'only root mounts a disk'

test('the disk of the primary is full: another takes over, nothing acknowledged is lost', {
  skip: rootOnly,
}, async t => {
  const disk = smallDisk(t, 400)
  const made = await startedGroup(t, { directories: { 'main-1': join(disk, 'main-1') } })
  const ledger = new Ledger(made)
  await ledger.begin(4)
  fill(disk)
  await once(made, 'another primary', () => made.topology().epoch === 2 && made.topology().primary !== null)
  const before = ledger.acknowledged.size
  await once(made, 'writes go on', () => ledger.acknowledged.size > before + 10)
  await ledger.end()
  assert.deepEqual(await ledger.missing(), [])
  assert.match(made.group.status().failovers[0]!.why, /no space left|not running|cannot write/)
  // There is room again: it comes back by itself.
  rmSync(join(disk, 'filler'))
  await once(made, 'all stream', whole(made))
})

test('only the agent does not reach the primary: it is ended before another is opened, whoever still wrote to it', async t => {
  let cut = false
  const made = failoverGroup(t, { seams: { knock: async () => true } })
  const real = createServers(made.options)
  const servers = new Proxy(real, {
    get(target, name) {
      const value = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      if (name !== 'observe') return value.bind(target)
      return (id: string, timeoutMs: number) =>
        cut && id === 'main-1'
          ? target
              .observe(id, timeoutMs)
              .then(found => ({ ...found, answers: false, problem: 'no answer in time' }))
          : target.observe(id, timeoutMs)
    },
  })
  const group = made.next({ servers })
  await group.start(() => {})
  await once(made, 'takes writes', () => made.topology()?.primary === 'main-1')
  const ledger = new Ledger(made)
  await ledger.begin(4)
  const pid = servers.pid('main-1')!
  cut = true
  await once(made, 'another primary', () => made.topology().epoch === 2 && made.topology().primary !== null)
  assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' })
  cut = false
  await once(made, 'all stream', whole(made, group))
  await ledger.end()
  assert.deepEqual(await ledger.missing(), [])
})

test('a busy backend of a killed primary acknowledges nothing once another primary is open', async t => {
  const made = await startedGroup(t, { durability: 'primary' })
  const client = new pg.Client({ connectionString: made.url('main-1') })
  client.on('error', () => {})
  await client.connect()
  await client.query('CREATE TABLE busy (n bigint)')
  // Computes for a good while, then commits: alone it would outlive its postmaster and say COMMIT.
  const answer = client
    .query('INSERT INTO busy SELECT count(*) FROM generate_series(1, 60000000) AS n WHERE n % 7 = 3')
    .then(
      () => 'acknowledged',
      () => 'ended',
    )
  await once(made, 'the statement runs', async () => {
    const rows = await made.group.servers.query(
      'main-1',
      "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'INSERT INTO busy%'",
      5_000,
    )
    return rows.length === 1
  })
  process.kill(made.group.servers.pid('main-1')!, 'SIGKILL')
  await once(made, 'another primary', () => made.topology().epoch === 2 && made.topology().primary !== null)
  assert.equal(await answer, 'ended')
  await once(made, 'all stream', whole(made))
})

test('the agent dies between fence and promotion: the next one finds what runs, and ends what was begun', async t => {
  let dead = false
  const made = failoverGroup(t, {
    seams: {
      died: step => {
        if (!dead && step.kind !== 'promote') return
        if (!dead) made.group.release()
        dead = true
        throw new Error('dead')
      },
    },
  })
  await made.group.start(() => {})
  await once(made, 'takes writes', () => made.topology()?.primary === 'main-1')
  const ledger = new Ledger(made)
  await ledger.begin(2)
  process.kill(made.group.servers.pid('main-1')!, 'SIGKILL')
  await once(made, 'the death of the agent', () => dead)
  const pids = ['main-2', 'main-3'].map(id => made.group.servers.pid(id))
  const next = made.next({ died: () => {} })
  await next.start(() => {})
  await once(made, 'a primary', () => made.topology().epoch === 2 && made.topology().primary !== null)
  assert.deepEqual(
    ['main-2', 'main-3'].map(id => next.servers.pid(id)),
    pids,
    'servers that ran were taken over as they were',
  )
  await once(made, 'all stream', whole(made, next))
  await ledger.end()
  assert.deepEqual(await ledger.missing(), [])
})
