import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DatabaseRole, Topology } from '../database/contract.ts'
import { type CheckedSystem, checkSystem, renderProblems } from '../file/index.ts'
import {
  compileDatabases,
  type DatabaseContext,
  databaseEnvironment,
  routedDatabase,
  secretsOfDatabases,
} from './compile-databases.ts'

const services = { api: { command: 'node api.mjs' }, 'web-shop': { command: 'node web.mjs' } }

function system(databases: object): CheckedSystem {
  const result = checkSystem({
    name: 'shop',
    edge: { routes: [{ path: '/*', to: 'api' }] },
    services,
    databases,
  })
  assert.ok(result.ok, result.ok ? '' : renderProblems('test', result.problems))
  return result.system
}

const context: DatabaseContext = {
  baseDirectory: '/shop',
  secrets: { DB: 'postgres://app:p%40ss@db.example:5433/app' },
  passwordSecret: Buffer.alloc(32, 7).toString('base64'),
  ports: { main: 20_001 },
}

const topology: Topology = {
  database: 'main',
  epoch: 3,
  timeline: 2,
  primary: 'main-2',
  trouble: '',
  holding: false,
  servers: [
    { id: 'main-2', host: '127.0.0.1', port: 5433, role: 'primary', state: 'ready', delayMs: 0, reason: '' },
  ],
}
const roles: DatabaseRole[] = [
  { name: 'tenfold', password: 'root-password', access: 'owner', service: null },
  { name: 'tenfold_monitor', password: 'monitor-password', access: 'read', service: null },
  { name: 'svc_api', password: 'api-password', access: 'owner', service: 'api' },
]

test('paths become absolute, and the members are those of the file', () => {
  const [main] = compileDatabases(
    system({ main: { replicas: 1, directory: 'data', backup: { to: 'backups' } } }),
    context,
  )
  assert.equal(main?.spec.backup?.directory, '/shop/backups')
  assert.ok(main?.spec.servers.kind === 'embedded')
  assert.deepEqual(main.spec.servers.directories, { 'main-1': '/shop/data' })
  assert.deepEqual(
    main.spec.servers.members.map(one => one.id),
    ['main-1', 'main-2'],
  )
})

test('a service gets the URL of the router with a password of its own, the same at each compile', () => {
  const shop = system({ main: {} })
  const first = databaseEnvironment(shop, 'api', context)
  assert.deepEqual(first, databaseEnvironment(shop, 'api', context))
  assert.equal(first.DATABASE_URL, first.DATABASE_URL_MAIN)
  assert.match(first.DATABASE_URL ?? '', /^postgres:\/\/svc_api:[A-Za-z0-9_-]{43}@127\.0\.0\.1:20001\/app$/)
  const other = databaseEnvironment(shop, 'web-shop', context)
  assert.match(other.DATABASE_URL ?? '', /^postgres:\/\/svc_web-shop:/)
  assert.notEqual(new URL(first.DATABASE_URL ?? '').password, new URL(other.DATABASE_URL ?? '').password)
})

test('a listener on every address is reached on loopback', () => {
  const shop = system({ main: { listen: '[::]:6432', tls: { certFile: 'c', keyFile: 'k' } } })
  assert.match(databaseEnvironment(shop, 'api', context).DATABASE_URL ?? '', /@\[::1\]:6432\/app$/)
})

test('the router logs in to our servers as whom the client is, and clients know other passwords', () => {
  const [main] = compileDatabases(system({ main: { access: { api: 'write' } } }), context)
  assert.ok(main)
  const routed = routedDatabase(main, topology, roles)
  assert.deepEqual(
    routed.users.map(({ name, access, server }) => [name, access, server.user, server.password]),
    [
      ['svc_api', 'write', 'svc_api', 'api-password'],
      ['tenfold', 'owner', 'tenfold', 'root-password'],
    ],
  )
  assert.deepEqual(routed.monitor, { user: 'tenfold_monitor', password: 'monitor-password' })
  assert.equal(routed.primary, 'main-2')
  assert.equal(routed.epoch, 3)
  assert.ok(routed.users.every(user => user.password !== user.server.password))
})

test('servers elsewhere know one user, that of their URL', () => {
  const [main] = compileDatabases(system({ main: { servers: [{ secret: 'DB' }] } }), context)
  assert.ok(main)
  const routed = routedDatabase(main, topology, [])
  assert.deepEqual(
    [...new Set(routed.users.map(user => `${user.server.user} ${user.server.password}`))],
    ['app p@ss'],
  )
  assert.deepEqual(routed.monitor, { user: 'app', password: 'p@ss' })
  assert.ok(secretsOfDatabases([main]).includes('p@ss'))
})

test('a snapshot holds nothing that a router does not know', () => {
  const [main] = compileDatabases(system({ main: { replicas: 2, reads: { maxLag: '5s' } } }), context)
  assert.ok(main)
  const routed = routedDatabase(main, topology, roles)
  assert.deepEqual(
    Object.keys(routed).sort(),
    [
      'balance',
      'database',
      'epoch',
      'hold',
      'holding',
      'lag',
      'listener',
      'monitor',
      'name',
      'own',
      'pool',
      'primary',
      'readWaitMs',
      'reads',
      'servers',
      'serverTls',
      'shared',
      'timeline',
      'trouble',
      'users',
      'weights',
    ].sort(),
  )
})
