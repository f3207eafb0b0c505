// The strict reader of Prometheus text against what it must refuse, and what the supervisor itself tells.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemMetrics } from '../../src/system/system-metrics.ts'
import { readExposition, sampleOf } from './exposition.ts'

const family = (name: string, type: string, ...samples: string[]): string =>
  `# HELP ${name} Words.\n# TYPE ${name} ${type}\n${samples.map(line => `${line}\n`).join('')}`

test('text of the format is read: escapes, numbers, histograms', () => {
  const text =
    family('a_total', 'counter', 'a_total{x="q\\"\\\\\\n"} 1e+21', 'a_total{x=""} 0') +
    family('b', 'gauge', 'b NaN') +
    family(
      'c_seconds',
      'histogram',
      'c_seconds_bucket{le="0.5"} 1',
      'c_seconds_bucket{le="+Inf"} 2',
      'c_seconds_sum 3.5',
      'c_seconds_count 2',
    )
  const read = readExposition(text)
  assert.equal(sampleOf(read, 'a_total', { x: 'q"\\\n' }), 1e21)
  assert.equal(sampleOf(read, 'c_seconds_bucket', { le: '+Inf' }), 2)
})

test('what Prometheus or its conventions refuse is refused', () => {
  const buckets = (...lines: string[]): string => family('h_seconds', 'histogram', ...lines)
  const bad = [
    'a 1\n',
    family('a_total', 'counter', 'a_total 1', 'a_total 1'),
    family('a_total', 'counter', 'a_total -1'),
    family('a', 'counter', 'a 1'),
    family('a_total', 'gauge', 'a_total 1'),
    family('a_ms', 'gauge', 'a_ms 1'),
    family('a', 'gauge', 'b 1'),
    family('a', 'gauge', 'a{x="1} 1'),
    family('a', 'gauge', 'a{x="1",} 1'),
    family('a', 'gauge', 'a{x="1",x="2"} 1'),
    family('a', 'gauge', 'a{x="1"} 1', 'a{y="1"} 1'),
    family('a', 'gauge', 'a 0x10'),
    family('a', 'gauge', 'a 1') + family('a', 'gauge', 'a{x="2"} 1'),
    family('a', 'gauge', 'a 1').slice(0, -1),
    buckets('h_seconds_bucket{le="1"} 1', 'h_seconds_sum 1', 'h_seconds_count 1'),
    buckets('h_seconds_bucket{le="+Inf"} 2', 'h_seconds_sum 1', 'h_seconds_count 1'),
    buckets(
      'h_seconds_bucket{le="1"} 2',
      'h_seconds_bucket{le="+Inf"} 1',
      'h_seconds_sum 1',
      'h_seconds_count 1',
    ),
  ]
  for (const text of bad) assert.throws(() => readExposition(text), Error, text)
})

test("the supervisor's own metrics are read too", () => {
  const member = { id: 'web-1', pid: 1, restarts: 2, cpuPercent: 50, rssBytes: 4_096 }
  const server = { id: 'main-2', role: 'replica', state: 'ready', lagBytes: 512, lagMs: 1_500 }
  const text = systemMetrics({
    version: '1.2.3',
    startedAtMs: 1_000,
    fleet: () => [{ name: 'web', ready: 1, wanted: 2, members: [member] }] as never,
    edge: () => ({ state: 'running', reason: '', pid: 1, adopted: false, restarts: 3 }) as never,
    reloads: () => ({ done: 1 }),
    purgesWaiting: () => [{ url: 'http://127.0.0.1:9901', waiting: 2 }],
    databases: {
      statuses: () => [{ name: 'main', state: 'ready', epoch: 4, paused: null, servers: [server] }] as never,
      backup: () => null,
      router: () => ({ state: 'running', reason: '', pid: 2, adopted: false, restarts: 1 }),
    },
  })()
  const read = readExposition(text)
  assert.equal(sampleOf(read, 'fleet_cpu_ratio', { service: 'web', member: 'web-1' }), 0.5)
  assert.equal(sampleOf(read, 'system_edge_restarts_total'), 3)
  const labels = { database: 'main', server: 'main-2' }
  assert.equal(sampleOf(read, 'database_server_lag_seconds', labels), 1.5)
  assert.equal(sampleOf(read, 'database_server_lag_bytes', labels), 512)
  assert.equal(sampleOf(read, 'database_writable', { database: 'main' }), 1)
  assert.equal(sampleOf(read, 'system_router_restarts_total'), 1)
})
