import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Change, type CheckedSystem, checkSystem, diffSystems, renderProblems } from './index.ts'

function checked(over: object): CheckedSystem {
  const result = checkSystem({
    name: 'shop',
    edge: { routes: [{ path: '/*', to: 'api', cache: true }] },
    services: { api: { command: 'node api.mjs' }, jobs: { command: 'node jobs.mjs' } },
    ...over,
  })
  assert.ok(result.ok, result.ok ? '' : renderProblems('test', result.problems))
  return result.system
}

const caching = (cache: object | undefined, route: unknown = true): CheckedSystem =>
  checked({
    edge: { routes: [{ path: '/*', to: 'api', cache: route }], ...(cache === undefined ? {} : { cache }) },
  })

const told = (changes: readonly Change[]): string[] =>
  changes.map(
    ({ path, from = '-', to = '-', effect }) =>
      `${path}: ${from} -> ${to}: ${'service' in effect ? `${effect.kind} ${effect.service}` : effect.kind}`,
  )

test('rules of a route change live', () => {
  const changes = diffSystems(caching(undefined), caching(undefined, { ttl: '1m', tags: ['all'] }))
  assert.deepEqual(told(changes), [
    'edge.routes[/*].cache.tags: [] -> ["all"]: live',
    'edge.routes[/*].cache.ttlMs: - -> 60000: live',
  ])
})

test('another store, and the first one, need another edge process; its parent and peers change live', () => {
  const first = diffSystems(caching(undefined, false), caching(undefined))
  assert.deepEqual(
    told(first).filter(line => line.startsWith('edge.cache')),
    ['edge.cache: - -> "256MB of memory": rolls edge'],
  )
  const peers = [{ url: 'https://10.0.0.7:9900', token: { secret: 'PEER' } }]
  const changes = diffSystems(
    caching({ memory: '64MB' }),
    caching({ memory: '128MB', disk: { size: '1GB' }, parent: 'https://shield.example', peers }),
  )
  assert.deepEqual(
    changes.map(({ path, effect }) => `${path} ${effect.kind}`),
    [
      'edge.cache.memoryBytes rolls',
      'edge.cache.peers live',
      'edge.cache.disk rolls',
      'edge.cache.parent live',
    ],
  )
})

test('a service starts anew when its CACHE_URL comes, goes or leads elsewhere; no password is shown', () => {
  const before = checked({ caches: { main: { redis: 'redis://a:secret1@h:1', access: ['api'] } } })
  const other = checked({ caches: { main: { redis: 'redis://a:secret2@h:1', access: ['api'] } } })
  const changes = diffSystems(before, other)
  assert.deepEqual(told(changes), [
    'services.api.env.CACHE_URL: *** -> ***: rolls api',
    'services.api.env.CACHE_KIND: *** -> ***: rolls api',
    'services.api.env.CACHE_URL_MAIN: *** -> ***: rolls api',
    'services.api.env.CACHE_KIND_MAIN: *** -> ***: rolls api',
    'caches.main: *** -> *** (another value): live',
  ])
  const gone = told(diffSystems(before, checked({})))
  assert.ok(gone.includes('services.api.env.SESSION_SECRET: *** -> -: rolls api'), gone.join('\n'))
  assert.doesNotMatch(JSON.stringify(diffSystems(before, checked({}))), /secret1/)
})

test('rules of what caches forget change live, and services hear of them once there are some', () => {
  const rules = (tags: string[]): object => ({
    databases: { main: { invalidate: tags.map(tag => ({ on: 'films', tags: [tag] })) } },
  })
  const more = diffSystems(checked(rules(['a'])), checked(rules(['a', 'b'])))
  assert.deepEqual(
    more.map(({ path, effect }) => `${path} ${effect.kind}`),
    ['databases.main.invalidate live'],
  )
  const first = told(diffSystems(checked(rules([])), checked(rules(['a']))))
  assert.ok(first.includes('services.jobs.env.CACHE_FEED: - -> ***: rolls jobs'), first.join('\n'))
})

test('tokens of peers are never shown', () => {
  const peers = (token: string): object => ({ peers: [{ url: 'https://10.0.0.7:9900', token }] })
  const [one, other] = ['first-token-of-16', 'other-token-of-16'].map(token => caching(peers(token)))
  assert.doesNotMatch(JSON.stringify(diffSystems(caching(undefined), one as CheckedSystem)), /first-token/)
  assert.deepEqual(told(diffSystems(one as CheckedSystem, other as CheckedSystem)), [
    'edge.cache.peers: *** -> *** (another token): live',
  ])
})
