// What is written into postgresql.conf, and who gets in by pg_hba.conf.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { accessText, configurationText, type ServerSettings, slotOf, whyNotSettable } from './settings.ts'

const GB = 1024 ** 3

function settings(change: Partial<ServerSettings> = {}): ServerSettings {
  const machine = { memoryBytes: 16 * GB, cores: 4 }
  const plain = { port: 1, accessFile: '/hba', machine, servers: 1, extra: {}, synchronous: '' }
  return { ...plain, follows: null, former: null, ...change }
}

function values(change: Partial<ServerSettings> = {}): Record<string, string> {
  const lines = configurationText(settings(change)).split('\n').slice(1, -1)
  return Object.fromEntries(
    lines.map(line => {
      const [, name, value] = /^(\S+) = '(.*)'$/.exec(line) as unknown as [string, string, string]
      return [name, value]
    }),
  )
}

const following = {
  id: 'main-2',
  host: '127.0.0.1',
  port: 7,
  user: 'tenfold_replication',
  passwordFile: "/state/it's here/pass",
  slot: 'tenfold_replica_main_2',
  delayMs: 0,
  keepsSlots: true,
}

test('memory is shared by the servers of a machine, within bounds on both ends', () => {
  assert.equal(values({ machine: { memoryBytes: 256 * GB, cores: 8 } }).shared_buffers, '1024MB')
  assert.equal(values({ servers: 4 }).shared_buffers, '256MB')
  // One more replica of a few is no reason to restart the primary.
  assert.equal(values({ servers: 1 }).shared_buffers, '256MB')
  assert.equal(values({ servers: 5 }).shared_buffers, values({ servers: 8 }).shared_buffers)
  assert.equal(values({ servers: 500 }).shared_buffers, '32MB')
  assert.equal(values({ machine: { memoryBytes: GB / 4, cores: 1 } }).shared_buffers, '32MB')
  assert.equal(values({ machine: { memoryBytes: 1024 * GB, cores: 128 } }).shared_buffers, '1024MB')
  assert.equal(values({ machine: { memoryBytes: 1024 * GB, cores: 128 } }).work_mem, '32MB')
})

test('settings of the file win over ours, except where Tenfold decides; libraries are added', () => {
  const extra = { WORK_MEM: '1GB', port: '9', shared_preload_libraries: 'auto_explain, pg_stat_statements' }
  const found = values({ extra })
  assert.equal(found.work_mem, '1GB')
  assert.equal(found.port, '1')
  assert.equal(found.shared_preload_libraries, 'pg_stat_statements,auto_explain')
  assert.equal(whyNotSettable('work_mem'), null)
  assert.equal(whyNotSettable('pg_stat_statements.max'), null)
  assert.match(whyNotSettable('PORT') ?? '', /decided by Tenfold/)
  assert.match(whyNotSettable('a b') ?? '', /not a name/)
})

test('a value stays one value, whatever stands in it', () => {
  const text = configurationText(settings({ extra: { application_name: "a'b\\c\nfsync = off" } }))
  assert.ok(text.includes("application_name = 'a''b\\\\c fsync = off'\n"))
})

test('a replica is told whom it follows, by a file for the password; a primary nobody', () => {
  const found = values({ follows: following })
  assert.match(found.primary_conninfo ?? '', /application_name=''main-2''/)
  // Quoted for libpq, and that for the file.
  assert.ok((found.primary_conninfo ?? '').includes("passfile=''/state/it\\\\''s here/pass''"))
  assert.equal(found.primary_slot_name, 'tenfold_replica_main_2')
  assert.equal(found.sync_replication_slots, 'on')
  assert.equal(
    values({ follows: { ...following, keepsSlots: false, delayMs: 5 } }).recovery_min_apply_delay,
    '5ms',
  )
  assert.equal(values().primary_conninfo, '')
})

test('a replica keeps at least what its primary may still have', () => {
  const former = configurationText(settings({ extra: { max_connections: '500' } }))
  assert.equal(values({ former, follows: following }).max_connections, '500')
  assert.equal(values({ former }).max_connections, '120')
  assert.equal(
    values({ former, follows: following, extra: { max_connections: '900' } }).max_connections,
    '900',
  )
})

test('everybody proves a password, and only our own roles replicate', () => {
  const rows = accessText('copier', 'boss')
    .split('\n')
    .filter(row => row.startsWith('host'))
  assert.deepEqual(rows, [
    'host replication copier 127.0.0.1/32 scram-sha-256',
    'host replication boss 127.0.0.1/32 scram-sha-256',
    'host replication all 127.0.0.1/32 reject',
    'host all all 127.0.0.1/32 scram-sha-256',
  ])
})

test('a slot has a name that PostgreSQL takes', () => {
  assert.equal(slotOf('Main-2'), 'tenfold_replica_main_2')
  assert.match(slotOf('x'.repeat(200)), /^[a-z0-9_]{1,63}$/)
})
