import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DatabaseView, RouterView } from '../system/index.ts'
import { backupsText, databasesText, settingsText, slowText } from './database-text.ts'

const plain = { paint: (_: string, text: string) => text }
const at = '2026-01-02T03:04:05.678Z'

const router: RouterView = {
  state: 'running',
  reason: 'started',
  pid: 10,
  adopted: false,
  restarts: 1,
  snapshotVersion: 4,
}

const database: DatabaseView = {
  name: 'main',
  database: 'app',
  servedBy: 'tenfold',
  state: 'read-only',
  reason: 'no replica is left that a write could wait for',
  durability: 'one-replica',
  reads: 'fresh',
  host: '127.0.0.1',
  port: 6432,
  epoch: 3,
  timeline: 2,
  paused: 'a new disk',
  traffic: {
    clients: 7,
    waiting: 2,
    held: 1,
    pins: { transaction: 1, listen: 0 },
    reads: { replica: 90, 'primary:not-fresh': 4 },
    statements: [],
    feed: {
      state: 'streaming',
      problem: '',
      lagMs: 12_000,
      sinks: [
        { name: 'edges', state: 'heard', problem: '' },
        { name: 'cache main', state: 'owed', problem: 'Redis at h:1 is away.' },
      ],
    },
  },
  servers: [
    {
      id: 'main-2',
      role: 'primary',
      state: 'ready',
      reason: 'takes writes',
      address: '127.0.0.1:20001',
      pid: 11,
      delayMs: 0,
      lsn: '0/3000148',
      lagBytes: null,
      lagMs: null,
      from: null,
      connections: { total: 2, active: 1, idle: 1 },
    },
    {
      id: 'main-3',
      role: 'replica',
      state: 'down',
      reason: 'does not answer',
      address: '127.0.0.1:20002',
      pid: null,
      delayMs: 3_600_000,
      lsn: '0/3000000',
      lagBytes: 2_048,
      lagMs: 1_500,
      from: 'main-2',
      connections: null,
    },
  ],
  failovers: [
    {
      at,
      kind: 'failover',
      from: 'main-1',
      to: 'main-2',
      why: 'main-1 was killed',
      tookMs: 40,
      lost: { changes: 3, file: '/state/lost.sql', covers: 'rows' },
    },
  ],
  backup: { directory: '/backups/main', lastAt: at, text: '1 base backup' },
}

test('a database shows each server with its lag, what waits, what pins, and what was lost', () => {
  const text = databasesText(router, [database], plain)
  assert.match(text, /database router {2}running {2}process 10, 1 restarts/)
  assert.match(text, /main {2}read-only {2}127\.0\.0\.1:6432\/app .* durability one-replica, reads fresh/)
  assert.match(text, /no replica is left that a write could wait for/)
  assert.match(text, /paused {2}a new disk \(`tenfold db resume main`/)
  assert.match(text, /main-2 +primary +ready +127\.0\.0\.1:20001 +11 +0\/3000148 +- +- +1 of 2/)
  assert.match(text, /main-3 +replica +down .* 2 KB +1\.5 s +- +1 h late on purpose; does not answer/)
  assert.match(
    text,
    /changes {2}followed, 12 s late; edges heard; cache main is owed everything: Redis at h:1 is away\./,
  )
  assert.match(
    text,
    /7 clients; 2 wait for a connection; 1 held for a primary; pinned: transaction 1; reads: replica 90/,
  )
  assert.match(text, /backup {2}\/backups\/main: 1 base backup/)
  assert.match(
    text,
    /failover from main-1 to main-2 in 40 ms: main-1 was killed; 3 changes lost: \/state\/lost\.sql/,
  )
})

test('a router that does not answer, and a system without databases, are said', () => {
  assert.match(databasesText(router, [{ ...database, traffic: null }], plain), /the router does not answer/)
  assert.equal(databasesText(null, [], plain), 'the running system has no database')
})

test('settings, slow statements and backups are tables', () => {
  const settings = [{ name: 'work_mem', value: '16MB', source: 'file', pending: true }]
  assert.match(settingsText({ server: 'main-1', settings }, plain), /work_mem +16MB +after a restart +file/)
  const slow = { server: 'main-1', text: 'SELECT\n  1', calls: 2, totalMs: 3, meanMs: 1.5, maxMs: 2, rows: 2 }
  assert.match(slowText({ statements: [slow] }), /3 ms +2 +1\.5 ms +2 ms +2 +main-1 +SELECT 1/)
  assert.match(slowText({ statements: [] }), /no statement was counted/)
  const backups = [{ id: 'base-1', at, bytes: 2_048, problem: '' }]
  assert.match(
    backupsText({ backups, text: 'kept' }, plain),
    /base-1 +2026-01-02 03:04:05 +2 KB +whole\nkept/,
  )
})

test("a database whose replicas are away is not said to be 'ready' in the next line: the servers say why", () => {
  const text = databasesText(
    router,
    [{ ...database, state: 'degraded', reason: 'ready', paused: null }],
    plain,
  )
  assert.match(text, /^main {2}degraded/m)
  assert.doesNotMatch(text, /^ {2}ready$/m)
})
