import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MemberView, StatusView } from '../system/index.ts'
import { eventText, statusText } from './status-text.ts'

const at = '2026-01-02T03:04:05.678Z'
const plain = { paint: (_: string, text: string) => text, columns: 0 }

const member: MemberView = {
  id: 'web-1',
  address: '127.0.0.1:4000',
  state: 'ready',
  reason: 'answered 200',
  pid: 9,
  startedAt: null,
  restarts: 1,
  adopted: true,
  cpuPercent: 12.4,
  residentBytes: 64 * 1024 ** 2,
  traffic: {
    state: 'ejected',
    reason: 'ejected: 5 failures in a row, back in 8 s',
    weight: 1,
    inFlight: 2,
    connections: 3,
    requests: 40,
    failures: 5,
    retries: 0,
    latencyMs: 1.5,
    chosenBy: 'round robin',
  },
}

const status: StatusView = {
  name: 'shop',
  state: 'running',
  ready: false,
  waitingFor: ['api has no ready member: starting'],
  tenfold: '0.1.0',
  pid: 7,
  startedAt: at,
  uptimeMs: 61_000,
  file: '/shop/tenfold.config.ts',
  environment: 'production',
  stateDirectory: '/shop/.tenfold',
  controlUrl: 'http://127.0.0.1:9900',
  watching: true,
  runsAs: 'nobody',
  lastReload: { at, outcome: 'refused', text: 'name cannot change live' },
  warnings: ['Services run as root.'],
  edge: {
    state: 'running',
    reason: 'started',
    pid: 8,
    adopted: false,
    restarts: 2,
    leaving: [],
    snapshotVersion: 3,
    listeners: [{ id: 'http', host: '0.0.0.0', port: 8080, url: 'http://127.0.0.1:8080' }],
    workers: [{ id: 0, state: 'running', restarts: 0, connections: 4, exchanges: 1 }],
    cache: null,
    routes: [],
    canaries: [],
    certificates: [],
  },
  router: null,
  databases: [],
  services: [
    {
      name: 'web',
      kind: 'command',
      balance: 'round-robin',
      mode: 'panic: 0 of 1 healthy',
      instances: { min: 1, max: 2, wanted: 2, ready: 1 },
      scaling: null,
      pending: 3,
      places: {
        limit: 31,
        used: 28,
        reason: 'raised to 31: latency 12 ms',
        baselineMs: 10,
        recentMs: 12,
        waitMs: 4.2,
        shed: { sheddable: 120, normal: 3, critical: 0 },
      },
      trouble: 'degraded: 1 of 2 ready',
      members: [member],
    },
    {
      name: 'api',
      kind: 'addresses',
      balance: 'random',
      mode: 'normal',
      instances: null,
      scaling: null,
      pending: 0,
      places: null,
      trouble: '',
      members: [],
    },
  ],
  acme: [],
  standDown: null,
  maintenance: null,
  decisions: [{ at, kind: 'decision', subject: 'web/web-1', text: 'ejected: 5 failures in a row' }],
}

test('a status says what listens, what serves and why what does not serve does not', () => {
  const lines = statusText(status, plain).split('\n')
  assert.deepEqual(lines.slice(0, 11), [
    'shop  running, not ready  up 1 min 1 s  process 7  tenfold 0.1.0',
    'file     /shop/tenfold.config.ts (production), watched',
    'control  http://127.0.0.1:9900    services run as nobody',
    'waiting  api has no ready member: starting',
    'warning  Services run as root.',
    lines[5],
    '',
    'edge  running  process 8, 1 worker, 4 connections, 1 requests in flight, 2 restarts',
    '  http  http://127.0.0.1:8080',
    '',
    'web  1 of 2 ready (min 1, max 2)  round-robin  panic: 0 of 1 healthy  3 pending',
  ])
  assert.match(lines[5] ?? '', /^reload {3}refused at \d\d:\d\d:\d\d: name cannot change live$/)
  assert.equal(
    lines[11],
    '  limit 31 (raised to 31: latency 12 ms)  28 used  wait 4 ms  shed 120 sheddable, 3 normal',
  )
  assert.equal(lines[12], '  degraded: 1 of 2 ready')
  assert.match(lines[13] ?? '', /^ {2}MEMBER {2}STATE +TRAFFIC +ADDRESS +PID/)
  assert.match(
    lines[14] ?? '',
    /^ {2}web-1 +ready\* +ejected +127\.0\.0\.1:4000 +9 +- +1 +12% +64 MB +40 +5 +2 +1\.5 ms +ejected: 5 failures in a row, back in 8 s$/,
  )
  assert.match(lines.slice(15).join('\n'), /api {2}0 addresses {2}random\n {2}no members/)
  assert.match(lines.at(-1) ?? '', /web\/web-1 {2}ejected: 5 failures in a row$/)
})

test('on a narrow terminal only the reason is cut', () => {
  const lines = statusText(status, { ...plain, columns: 130 }).split('\n')
  const row = lines[14] ?? ''
  assert.ok(row.length <= 130)
  assert.match(row, /ejected: .*…$/)
})

test('an event is one line: when, what, why', () => {
  assert.match(
    eventText({ at, kind: 'warning', subject: 'edge', text: 'died' }, plain),
    /^\d\d:\d\d:\d\d {2}edge {2}died$/,
  )
})

test('listeners of every kind, automatic certificates, canaries, a stand-down and what drains are shown', () => {
  const listener = (id: string, url: string): StatusView['edge']['listeners'][number] => ({
    id,
    host: '0.0.0.0',
    port: 1,
    url,
  })
  const side = { requests: 500, errors: 60, p95Ms: 9 }
  const days = (count: number): string => new Date(Date.now() + (count + 0.5) * 86_400_000).toISOString()
  const acme = { state: 'valid', text: 'renewed at a third of its life', nextTryAt: at } as const
  const text = statusText(
    {
      ...status,
      standDown: { at, reason: 'a new disk' },
      maintenance: { at, allow: ['10.0.0.0/8'], retryAfterSeconds: null },
      acme: [
        { ...acme, host: 'shop.example', validUntil: days(60) },
        { ...acme, host: 'late.example', validUntil: days(1) },
        { ...acme, host: 'old.example', validUntil: days(-2) },
        { ...acme, host: 'new.example', state: 'failed', text: 'nobody answers', validUntil: null },
      ],
      edge: {
        ...status.edge,
        leaving: [77],
        certificates: [
          {
            hosts: ['shop.example', '*.shop.example'],
            file: '/shop/tls/cert.pem',
            source: 'file',
            issuer: 'CN=Shop CA',
            validUntil: days(60),
            daysLeft: 60,
            problem: '',
          },
          {
            hosts: ['localhost'],
            file: '/shop/.tenfold/tls/self-signed.pem',
            source: 'self-signed',
            issuer: 'CN=localhost',
            validUntil: days(-1),
            daysLeft: -1,
            problem: 'the key does not fit',
          },
        ],
        listeners: [listener('http', 'http://127.0.0.1:80'), listener('tcp-7000', 'tcp://127.0.0.1:7000')],
        canaries: [
          {
            route: '/*',
            upstream: 'next',
            share: 0.05,
            state: 'taken-out',
            reason: 'errors 12 % against 0.4 %',
            outSince: at,
            canary: side,
            others: side,
          },
        ],
      },
    },
    plain,
  )
  for (const line of [
    / {2}http {6}http:\/\/127\.0\.0\.1:80$/m,
    / {2}tcp-7000 {2}tcp:\/\/127\.0\.0\.1:7000$/m,
    /^certificates$/m,
    / {2}shop\.example, \*\.shop\.example {2}60 days left {2}\/shop\/tls\/cert\.pem$/m,
    / {2}localhost {2}expired {2}self-signed {2}\/shop\/\.tenfold\/tls\/self-signed\.pem {2}the key does not fit$/m,
    /^stands down {2}since \d\d:\d\d:\d\d: a new disk \(`tenfold standup` ends it\)$/m,
    /^maintenance {2}since \d\d:\d\d:\d\d: every client but 10\.0\.0\.0\/8 gets a page$/m,
    /process 77 takes nothing new and drains/,
    / {2}shop\.example {2}valid {2}60 days left, next 2\d{3}-\d\d-\d\d \d\d:\d\d UTC: renewed/,
    / {2}late\.example {2}valid {2}1 day left,/,
    / {2}old\.example {2}valid {2}expired,/,
    / {2}new\.example {2}failed {2}none yet, next .* UTC: nobody answers/,
    / {2}\/\* {2}5% to next {2}taken-out since \d\d:\d\d:\d\d {2}errors 12 % against 0\.4 %/,
  ])
    assert.match(text, line)
})
