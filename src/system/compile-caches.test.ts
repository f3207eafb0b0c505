import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CheckedSystem, checkSystem, renderProblems } from '../file/index.ts'
import { type CacheContext, cacheEnvironment, feedListeners, secretsOfCaches } from './compile-caches.ts'
import { compileDatabases } from './compile-databases.ts'
import { compileFleet, parentOf } from './compile-fleet.ts'

function system(over: object): CheckedSystem {
  const result = checkSystem({
    name: 'shop',
    edge: { routes: [{ path: '/*', to: 'api', cache: true }] },
    services: { api: { command: 'node api.mjs' }, jobs: { command: 'node jobs.mjs' } },
    ...over,
  })
  assert.ok(result.ok, result.ok ? '' : renderProblems('test', result.problems))
  return result.system
}

const context: CacheContext = {
  secrets: { REDIS: 'redis://app:geheim@h:6379' },
  passwordSecret: Buffer.alloc(32, 7).toString('base64'),
  sessionSecret: Buffer.alloc(32, 8).toString('base64'),
  ports: { '(feed)': 20_100 },
}

test('services get the URLs of the caches that they may use, what they are, and a secret for sessions', () => {
  const caches = {
    main: { redis: { secret: 'REDIS' } },
    'big-one': { redis: ['redis://a:1', 'redis://b:2'], kind: 'ring', access: ['jobs'] },
  }
  const api = cacheEnvironment(system({ caches }), 'api', context)
  assert.deepEqual(Object.keys(api).sort(), [
    'CACHE_KIND',
    'CACHE_KIND_MAIN',
    'CACHE_URL',
    'CACHE_URL_MAIN',
    'SESSION_SECRET',
  ])
  assert.equal(api.CACHE_URL, 'redis://app:geheim@h:6379')
  const jobs = cacheEnvironment(system({ caches }), 'jobs', context)
  assert.equal(jobs.CACHE_URL_BIG_ONE, 'redis://a:1,redis://b:2')
  assert.equal(jobs.CACHE_KIND_BIG_ONE, 'ring')
  assert.equal(jobs.SESSION_SECRET, api.SESSION_SECRET)
  assert.deepEqual(cacheEnvironment(system({}), 'api', context), {})
})

test('what a service sets itself is left alone', () => {
  const own = { api: { command: 'node api.mjs', env: { SESSION_SECRET: 'mine' } } }
  const found = cacheEnvironment(
    system({ services: own, caches: { main: { redis: 'redis://h' } } }),
    'api',
    context,
  )
  assert.equal(found.SESSION_SECRET, undefined)
  assert.equal(found.CACHE_URL, 'redis://h')
})

test('rules of a database become its feed; services that use it learn where they hear of changes', () => {
  const rule = { on: 'films', tags: ['film:{id}'] }
  const databases = {
    main: { invalidate: [rule], cacheQueries: [{ tables: ['films', 'rooms'] }], access: { api: 'read' } },
  }
  const checked = system({ databases, caches: { main: { redis: 'redis://h' } } })
  const [main] = compileDatabases(checked, { ...context, baseDirectory: '/shop' })
  assert.deepEqual(main?.routing.feed, {
    database: 'main',
    rules: [{ ...rule, urls: [], keys: [] }],
    tables: ['films', 'rooms'],
  })
  assert.equal(main?.routing.cacheQueries?.rules[0]?.ttlMs, 60_000)
  const token = main?.listeners?.bus?.token ?? ''
  assert.deepEqual(main?.listeners, {
    bus: { port: 20_100, token },
    edges: true,
    shared: [{ name: 'main', kind: 'server', urls: ['redis://h'] }],
  })
  assert.equal(cacheEnvironment(checked, 'api', context).CACHE_FEED, `tcp://127.0.0.1:20100?token=${token}`)
  assert.equal(cacheEnvironment(checked, 'jobs', context).CACHE_FEED, undefined)
  assert.equal(feedListeners(system({ databases: { main: {} } }), context), null)
})

test('everything secret is known to the redactor', () => {
  const peers = [{ url: 'https://10.0.0.7:9900', token: { secret: 'PEER' } }]
  const checked = system({
    edge: { cache: { peers }, routes: [{ path: '/*', to: 'api', cache: true }] },
    caches: { main: { redis: { secret: 'REDIS' } } },
  })
  const secrets = secretsOfCaches(checked, {
    ...context,
    secrets: { ...context.secrets, PEER: 'peer-token' },
  })
  const env = cacheEnvironment(checked, 'api', context)
  for (const one of ['geheim', 'redis://app:geheim@h:6379', 'peer-token', env.SESSION_SECRET ?? '?'])
    assert.ok(secrets.includes(one), one)
})

test('a parent is found by name as services are, and only where a route keeps something', () => {
  const cache = { parent: 'https://shield.example:8443' }
  const routes = (on: boolean): object => ({
    edge: { cache, routes: [{ path: '/*', to: 'api', cache: on }] },
  })
  const fleet = { baseDirectory: '/shop', environments: {}, identitySecret: '' }
  const last = compileFleet(system(routes(true)), fleet).at(-1)
  assert.deepEqual(last, {
    kind: 'addresses',
    name: '(parent)',
    addresses: [{ kind: 'dns', host: 'shield.example', port: 8443, weight: 1, tier: 0 }],
  })
  assert.equal(parentOf(system(routes(false))), undefined)
})
