// Comparing replicas with their primary: real servers, writers beside it, and one row changed behind PostgreSQL's back.

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type pg from 'pg'
import type { DatabaseServers } from '../../src/database/servers/index.ts'
import { type VerifyReport, verifyDatabase } from '../../src/database/verify/index.ts'
import { systemClock } from '../../src/kit/clock.ts'
import { Failure } from '../../src/kit/failure.ts'
import { clientOf, openFolder, startServers, topologyOf } from '../tools/backups.ts'

function compared(servers: DatabaseServers, primary: string | null = 'main-1'): Promise<VerifyReport> {
  return verifyDatabase({
    servers,
    topology: topologyOf([servers.address('main-1'), servers.address('main-2')], primary),
    clock: systemClock,
    progress: () => {},
    signal: new AbortController().signal,
  })
}

test('replicas in use are found to be the same while people write, with a key and without', async t => {
  const servers = await startServers(t, openFolder(), 'main', 2)
  const client = await clientOf(t, servers, 'main-1')
  await client.query(`CREATE TABLE keyed (id int PRIMARY KEY, text text);
    CREATE TABLE bare (text text);
    INSERT INTO keyed SELECT i, repeat('x', i % 900) FROM generate_series(1, 20000) AS i;
    INSERT INTO bare SELECT md5(i::text) FROM generate_series(1, 20000) AS i`)
  let writing = true
  const writer = (async () => {
    const other = await clientOf(t, servers, 'main-1')
    for (let round = 0; writing; round++) {
      await other.query('UPDATE keyed SET text = $2 WHERE id % 50 = $1', [round % 50, `round ${round}`])
      await other.query('DELETE FROM bare WHERE text < $1', [`0${round % 10}`])
      await other.query('INSERT INTO bare VALUES ($1)', [`0${round}`])
    }
  })()
  const report = await compared(servers)
  writing = false
  await writer
  assert.equal(report.sound, true, JSON.stringify(report.replicas))
  const [replica] = report.replicas
  assert.equal(replica?.skipped, '')
  assert.equal(replica?.tables, 2)
  assert.ok((replica?.rows ?? 0) >= 20_000)
})

test('a cast that a service has made is not called by the superuser who compares', async t => {
  const servers = await startServers(t, openFolder(), 'main', 2)
  const client = await clientOf(t, servers, 'main-1')
  await client.query(`CREATE TYPE colour AS ENUM ('red');
    CREATE TABLE keyed (id colour PRIMARY KEY); INSERT INTO keyed VALUES ('red');
    CREATE FUNCTION trap(keyed) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'called as %', current_user; END $$;
    CREATE FUNCTION trap(colour) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'called as %', current_user; END $$;
    CREATE CAST (keyed AS text) WITH FUNCTION trap(keyed);
    CREATE CAST (colour AS text) WITH FUNCTION trap(colour)`)
  await assert.rejects(client.query('SELECT one::text FROM keyed AS one'), /called as/)
  const report = await compared(servers)
  assert.equal(report.sound, true, JSON.stringify(report.replicas))
  assert.equal(report.replicas[0]?.rows, 1)
})

/** The replica will replay nothing that touches these pages again, so what is changed on its disk stays changed. */
async function stopSettled(servers: DatabaseServers, client: pg.Client): Promise<void> {
  await client.query('CHECKPOINT')
  // It waits until all of that is replayed.
  await compared(servers)
  await servers.query('main-2', 'CHECKPOINT', 60_000)
  await servers.stop('main-2', 'fast')
}

test('a row that was changed on one replica is named, with its table and key', async t => {
  const folder = openFolder()
  // The page's checksum is wrong then, too; PostgreSQL is told to go on, as it would with checksums switched off.
  const servers = await startServers(t, folder, 'main', 2, { ignore_checksum_failure: 'on' })
  const client = await clientOf(t, servers, 'main-1')
  await client.query(`CREATE TABLE ledger (id int PRIMARY KEY, text text);
    INSERT INTO ledger SELECT i, 'entry number ' || i FROM generate_series(1, 3000) AS i`)
  const { rows } = await client.query<{ path: string }>("SELECT pg_relation_filepath('ledger') AS path")
  assert.equal((await compared(servers)).sound, true)
  await stopSettled(servers, client)
  const file = join(folder, 'state/db/main/main-2/data', rows[0]?.path ?? '')
  const bytes = readFileSync(file)
  const at = bytes.indexOf('entry number 1234')
  assert.ok(at > 0, 'the row is on disk')
  bytes[at + 16] = '7'.charCodeAt(0)
  writeFileSync(file, bytes)
  await servers.start('main-2')
  const report = await compared(servers)
  assert.equal(report.sound, false)
  assert.equal(report.replicas[0]?.differing, 1)
  const [difference] = report.replicas[0]?.differences ?? []
  assert.equal(difference?.kind, 'differs')
  assert.equal(difference?.table, 'public.ledger')
  assert.deepEqual(JSON.parse(difference?.key ?? ''), { id: 1234 })
})

test('a damaged page of a replica is a difference, and the rest is still compared', async t => {
  const folder = openFolder()
  const servers = await startServers(t, folder, 'main', 2)
  const client = await clientOf(t, servers, 'main-1')
  await client.query(`CREATE TABLE ledger (id int PRIMARY KEY, text text);
    INSERT INTO ledger SELECT i, 'entry number ' || i FROM generate_series(1, 30000) AS i;
    CREATE TABLE later (id int); INSERT INTO later VALUES (1)`)
  const { rows } = await client.query<{ path: string }>("SELECT pg_relation_filepath('ledger') AS path")
  assert.equal((await compared(servers)).sound, true)
  await stopSettled(servers, client)
  const file = join(folder, 'state/db/main/main-2/data', rows[0]?.path ?? '')
  const bytes = readFileSync(file)
  bytes.fill(0x55, 50 * 8192 + 4000, 50 * 8192 + 4100)
  writeFileSync(file, bytes)
  await servers.start('main-2')
  const [replica] = (await compared(servers)).replicas
  assert.deepEqual(
    replica?.differences.map(one => [one.kind, one.table]),
    [['unreadable', 'public.ledger']],
  )
  assert.equal(replica?.tables, 2)
})

test('without a primary, or with a replica that does not come near, there is a sentence', async t => {
  const servers = await startServers(t, openFolder(), 'main', 2)
  await assert.rejects(compared(servers, null), (error: unknown) => {
    assert.ok(error instanceof Failure)
    assert.equal(error.code, 'DATABASE_VERIFY_FAILED')
    assert.match(error.message, /main has no primary/)
    return true
  })
  const topology = topologyOf([servers.address('main-1'), servers.address('main-2')], 'main-1')
  const down = topology.servers.map(one =>
    one.id === 'main-2' ? { ...one, state: 'down' as const, reason: 'stopped by hand' } : one,
  )
  const report = await verifyDatabase({
    servers,
    topology: { ...topology, servers: down },
    clock: systemClock,
    progress: () => {},
    signal: new AbortController().signal,
  })
  assert.match(report.replicas[0]?.skipped ?? '', /it is down: stopped by hand/)
})
