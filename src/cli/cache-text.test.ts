import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CacheView } from '../system/index.ts'
import { cacheText, lookText } from './commands/cache.ts'
import { entryText, sharedText } from './redis-cache.ts'
import { percentText } from './status-text.ts'

const plain = { paint: (_: string, text: string) => text }

const view: CacheView = {
  name: 'tenfold-fra',
  eviction: 's3-fifo',
  store: {
    entries: 3,
    bytes: 4096,
    bytesMax: 8192,
    evicted: 2,
    refused: 1,
    purges: 4,
    diskEntries: 0,
    diskBytes: 0,
    diskFailures: 0,
  },
  routes: [
    {
      id: '/films/*',
      hits: 997,
      stale: 1,
      revalidated: 1,
      collapsed: 0,
      misses: 1,
      bypassed: 9,
      hitBytes: 2048,
      hitRatio: 0.998,
    },
    {
      id: '/new',
      hits: 0,
      stale: 0,
      revalidated: 0,
      collapsed: 0,
      misses: 0,
      bypassed: 0,
      hitBytes: 0,
      hitRatio: null,
    },
  ],
  peers: [
    { url: 'http://10.0.0.7:9900', waiting: 0, why: '' },
    { url: 'http://10.0.0.8:9900', waiting: 2, why: 'no answer in 5000 ms' },
  ],
}

test('the cache of the edge at a glance', () => {
  assert.equal(
    cacheText(view, plain),
    [
      'tenfold-fra  s3-fifo',
      'memory  3 answers, 4 KB of 8 KB; 2 evicted, 1 not taken, 4 purges',
      'peer    http://10.0.0.7:9900  told',
      'peer    http://10.0.0.8:9900  2 purges wait: no answer in 5000 ms',
      '',
      'ROUTE     HIT RATIO  HITS  STALE  VALIDATED  JOINED  MISSES  PASSED BY  SERVED',
      '/films/*     99.8 %   997      1          1       0       1          9    2 KB',
      '/new              -     0      0          0       0       0          0     0 B',
    ].join('\n'),
  )
  const store = { ...view.store, diskEntries: 5, diskBytes: 1024, diskFailures: 1 }
  assert.match(cacheText({ ...view, store }, plain), /disk {4}5 answers, 1 KB, 1 failures/)
})

test('a hit ratio is never rounded up to all', () => {
  assert.equal(percentText(0.99999), '99.9 %')
  assert.equal(percentText(1), '100.0 %')
})

test('what is stored for a URL, or why nothing is', () => {
  const url = 'https://shop.example/films'
  const none = { url, route: '/films', key: 'shop.example /films', why: 'never asked for', entry: null }
  assert.match(lookText(none, plain), /stored {2}no: never asked for/)
  assert.match(lookText({ ...none, route: null, key: '' }, plain), /no route/)
  const entry = {
    status: 200,
    state: 'stale' as const,
    ageMs: 61_000,
    freshForMs: -1_000,
    bodyBytes: 2048,
    fields: 'content-type: text/html\r\n',
  }
  const text = lookText({ ...none, why: 'stored', entry }, plain)
  assert.match(text, /200, stale, 1 min 1 s old, stale for 1 s, 2 KB|200, stale, .*stale for 1/)
  assert.match(text, /content-type: text\/html$/)
})

test('an entry of a shared cache, and its servers', () => {
  const entry = {
    value: '{"a":1}',
    bytes: 7,
    format: 'json',
    tags: ['new'],
    version: 3,
    freshMs: 2_000,
    graceMs: 0,
  }
  const hit = { cache: 'main', of: 'films', key: '7', state: 'hit' as const, entry }
  assert.match(
    entryText(hit, plain),
    /^7 {2}hit {2}fresh for 2.*7 B of json, version 3\ntags {2}new\n\{"a":1\}$/,
  )
  assert.equal(entryText({ ...hit, state: 'miss', entry: null }, plain), '7  miss')
  assert.match(
    entryText({ ...hit, entry: { ...entry, value: null, bytes: 0 } }, plain),
    /known not to exist$/,
  )
  const server = {
    server: '127.0.0.1:6379',
    ready: false,
    cause: 'refused',
    entries: 0,
    counted: false,
    memoryBytes: 0,
    memoryBytesMax: 0,
    policy: '',
    evicted: 0,
    hits: 0,
    misses: 0,
  }
  const text = sharedText({ cache: 'main', of: 'films', servers: [server], warnings: ['it evicts'] }, plain)
  assert.match(text, /127\.0\.0\.1:6379 {2}away: refused/)
  assert.match(text, /warning {2}it evicts/)
})
