// With durability `primary` a failover may lose what no replica had got. It is counted, and what was lost can be read.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { Ledger, once, startedGroup, whole } from '../tools/failover-harness.ts'

test('what an asynchronous failover loses is in a file, row by row, and can be brought back', async t => {
  const made = await startedGroup(t, { durability: 'primary' })
  const ledger = new Ledger(made)
  await ledger.begin(4)
  const { servers } = made.group
  await once(made, 'the slot is there', async () => {
    const rows = await servers.query(
      'main-1',
      "SELECT 1 FROM pg_replication_slots WHERE slot_name = 'tenfold_lost'",
      5_000,
    )
    return rows.length === 1
  })
  // Replicas stop to receive: whatever is acknowledged from here on is on the primary alone.
  const paused = ['main-2', 'main-3']
  for (const id of paused) process.kill(servers.pid(id)!, 'SIGSTOP')
  await servers.query('main-1', 'SELECT pg_terminate_backend(pid) FROM pg_stat_replication', 5_000)
  const before = ledger.acknowledged.size
  await once(made, 'writes that nobody else gets', () => ledger.acknowledged.size > before + 50)
  process.kill(servers.pid('main-1')!, 'SIGKILL')
  for (const id of paused) process.kill(servers.pid(id)!, 'SIGCONT')
  await once(made, 'another primary', () => made.topology().epoch === 2 && made.topology().primary !== null)
  await ledger.end()
  const missing = await ledger.missing()
  assert.ok(missing.length >= 50, `${missing.length} are missing`)
  await once(made, 'the loss is counted', () => made.group.status().failovers[0]?.lost != null)
  const { lost } = made.group.status().failovers[0]!
  const sql = readFileSync(lost!.file, 'utf8')
  for (const id of missing) assert.ok(sql.includes(id), `${id} is not in ${lost!.file}`)
  // Not more than was sent: acknowledged and missing, or sent and never answered.
  assert.ok(lost!.changes >= missing.length && lost!.changes <= missing.length + ledger.unknown.size)
  assert.match(lost!.covers, /not DDL, sequences/)
  // An operator replays it.
  await servers.query(made.topology().primary!, sql, 30_000)
  assert.deepEqual(await ledger.missing(), [])
  await once(made, 'the old primary is copied anew', whole(made))
})
