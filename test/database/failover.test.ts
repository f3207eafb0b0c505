// A database and its agent over real servers, under writers who keep a ledger of what was acknowledged to them: what is
// counted is what was lost. Times are in bench/failover.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failoverGroup, Ledger, once, startedGroup, whole } from '../tools/failover-harness.ts'

test('a new database takes writes, its replicas stream, and stopping it leaves no server', async t => {
  const made = failoverGroup(t)
  await made.group.start(() => {})
  assert.equal(made.topology().primary, 'main-1')
  assert.equal(made.topology().epoch, 1)
  assert.ok(whole(made)(), JSON.stringify(made.group.status()))
  await made.group.stop(false)
  assert.deepEqual(
    made.spec.servers.kind === 'embedded' &&
      made.spec.servers.members.map(({ id }) => made.group.servers.pid(id)),
    [null, null, null],
  )
})

test('the primary is killed: a replica takes over, nothing acknowledged is lost, the old one comes back by itself', async t => {
  const made = await startedGroup(t)
  const ledger = new Ledger(made)
  await ledger.begin(4)
  process.kill(made.group.servers.pid('main-1')!, 'SIGKILL')
  await once(made, 'another primary', () => made.topology().epoch === 2 && made.topology().primary !== null)
  const before = ledger.acknowledged.size
  await once(made, 'writes go on', () => ledger.acknowledged.size > before + 10)
  await once(made, 'the old primary is a replica', whole(made))
  await ledger.end()
  assert.deepEqual(await ledger.missing(), [])
  const [record] = made.group.status().failovers
  assert.equal(record?.from, 'main-1')
  assert.equal(record?.kind, 'failover')
})

test('a switchover under load: the target takes over, no client sees an error, nothing is lost', async t => {
  const made = await startedGroup(t)
  const ledger = new Ledger(made)
  await ledger.begin(4)
  assert.match(await made.group.switchover('main-3', () => {}), /^main-3 is the primary of epoch 2$/)
  assert.equal(made.topology().primary, 'main-3')
  const before = ledger.acknowledged.size
  await once(made, 'writes go on', () => ledger.acknowledged.size > before + 10)
  await once(made, 'all stream', whole(made))
  await ledger.end()
  assert.deepEqual(await ledger.missing(), [])
  const [record] = made.group.status().failovers
  assert.deepEqual([record?.kind, record?.to, record?.lost?.changes], ['switchover', 'main-3', 0])
  // Held, not failed: a router would have sent each of them once.
  assert.ok(made.topologies.some(one => one.holding && one.primary === 'main-1'))
})

test('the primary is stopped (SIGSTOP): it is ended before another takes over, and comes back as a replica', async t => {
  const made = await startedGroup(t)
  const ledger = new Ledger(made)
  await ledger.begin(4)
  const pid = made.group.servers.pid('main-1')!
  process.kill(pid, 'SIGSTOP')
  await once(made, 'another primary', () => made.topology().epoch === 2 && made.topology().primary !== null)
  const decided = made.decisions.map(one => one.text.split(':')[0])
  assert.ok(decided.indexOf('fence') > 0 && decided.indexOf('fence') < decided.indexOf('promote'))
  assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' })
  await once(made, 'all stream', whole(made))
  await ledger.end()
  assert.deepEqual(await ledger.missing(), [])
})

test('50 failovers with one-replica under load lose no acknowledged commit', async t => {
  const made = await startedGroup(t, { seams: { settings: { failoversMax: 1_000 } } })
  const ledger = new Ledger(made)
  await ledger.begin(4)
  // A kill that comes before the last change is settled is answered by starting the same server again: not counted.
  for (let kills = 0; made.topology().epoch < 51; kills++) {
    assert.ok(kills < 100, 'most kills are followed by a failover')
    const { primary } = made.topology()
    const pid = made.group.servers.pid(primary!)!
    process.kill(pid, 'SIGKILL')
    await once(made, `an end of kill ${kills}`, () => made.group.servers.pid(primary!) !== pid)
    const before = ledger.acknowledged.size
    await once(made, 'writes go on', () => ledger.acknowledged.size > before + 5)
    // A copy that its source's death cut is begun anew, later each time.
    await once(made, 'all stream', whole(made), 240_000)
  }
  await ledger.end()
  assert.deepEqual(await ledger.missing(), [])
})
