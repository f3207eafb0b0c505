import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Change, type CheckedSystem, checkSystem, diffSystems, renderProblems } from './index.ts'

function checked(databases: object, services: object = { api: { command: 'node api.mjs' } }): CheckedSystem {
  const result = checkSystem({
    name: 'shop',
    edge: { routes: [{ path: '/*', to: 'api' }] },
    services,
    databases,
  })
  assert.ok(result.ok, result.ok ? '' : renderProblems('test', result.problems))
  return result.system
}

const told = (changes: readonly Change[]): string[] =>
  changes.map(
    ({ path, from = '-', to = '-', effect }) =>
      `${path}: ${from} -> ${to}: ${'service' in effect ? `${effect.kind} ${effect.service}` : effect.kind}`,
  )

test('pool, reads, durability and the number of replicas change live', () => {
  const before = checked({ main: { replicas: 2 } })
  const after = checked({
    main: { replicas: 3, durability: 'one-replica', reads: 'fresh', pool: { size: 5 } },
  })
  const changes = diffSystems(before, after)
  assert.deepEqual(
    changes.map(change => change.effect.kind),
    changes.map(() => 'live'),
  )
  const paths = changes.map(change => change.path)
  for (const part of ['durability', 'reads.kind', 'pool.sizeMax', 'servers.members'])
    assert.ok(paths.includes(`databases.main.${part}`), `${part} in ${paths.join(', ')}`)
})

test('where the router listens, the name inside PostgreSQL, and where data lies are refused with reasons', () => {
  const before = checked({ main: { replicas: 1 } })
  for (const [key, keys] of [
    ['listen', { listen: 6432 }],
    ['database', { database: 'other' }],
    ['servers', { directory: '/mnt/a' }],
    ['servers', { servers: ['postgres://a@127.0.0.1'] }],
  ] as const) {
    const changes = diffSystems(
      before,
      checked({ main: { ...('servers' in keys ? {} : { replicas: 1 }), ...keys } }),
    )
    const refused = changes.filter(change => change.effect.kind === 'refused')
    assert.ok(refused.length > 0, key)
    for (const { path, effect } of refused) {
      assert.ok(path.startsWith(`databases.main.${key}`), path)
      assert.match(effect.kind === 'refused' ? effect.reason : '', /stop the system|another name/)
    }
  }
})

test('a database that comes or goes rolls the services that get its URL, and only those', () => {
  const services = { api: { command: 'node api.mjs' }, web: { command: 'node web.mjs' } }
  const without = checked({}, services)
  const one = checked({ main: { access: { api: 'owner' } } }, services)
  assert.deepEqual(told(diffSystems(without, one)), [
    'services.api.env.DATABASE_URL: - -> ***: rolls api',
    'services.api.env.DATABASE_URL_MAIN: - -> ***: rolls api',
    'databases.main: - -> "a primary and 0 replicas": live',
  ])
  assert.deepEqual(told(diffSystems(one, without)), [
    'services.api.env.DATABASE_URL: *** -> -: rolls api',
    'services.api.env.DATABASE_URL_MAIN: *** -> -: rolls api',
    'databases.main: "a primary and 0 replicas" -> -: live',
  ])
})

test("a service that sets DATABASE_URL itself keeps it, and 'main' is the plain one among several", () => {
  const own = { api: { command: 'node api.mjs', env: { DATABASE_URL: 'postgres://elsewhere' } } }
  assert.deepEqual(
    told(diffSystems(checked({ main: {} }, own), checked({ main: {}, old: {} }, own))).filter(text =>
      text.startsWith('services'),
    ),
    ['services.api.env.DATABASE_URL_OLD: - -> ***: rolls api'],
  )
  const [plain] = told(diffSystems(checked({ a: {} }), checked({ a: {}, b: {} })))
  assert.equal(plain, 'services.api.env.DATABASE_URL: *** -> -: rolls api')
})

test('passwords in URLs are in no difference, and a changed one is still told', () => {
  const of = (password: string): CheckedSystem =>
    checked({ main: { servers: [`postgres://tenfold:${password}@127.0.0.1:5433/app`] } })
  const text = JSON.stringify(diffSystems(of('hunter2'), of('correct horse'.replace(' ', ''))))
  assert.ok(!/hunter2|correcthorse/.test(text), text)
  assert.match(text, /databases\.main\.servers/)
})
