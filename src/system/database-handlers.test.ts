import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Backups } from '../database/backup/index.ts'
import type { DatabaseRole, Topology } from '../database/contract.ts'
import { checkSystem } from '../file/index.ts'
import { systemClock } from '../kit/clock.ts'
import { type CompiledDatabase, compileDatabases } from './compile-databases.ts'
import { databaseHandlers } from './database-handlers.ts'
import { restore } from './database-tools.ts'
import type { Databases } from './databases.ts'
import { createRedactor } from './redact.ts'

function compiled(keys: object): CompiledDatabase {
  const result = checkSystem({
    name: 'shop',
    services: { api: { command: 'x' } },
    databases: { main: keys },
  })
  assert.ok(result.ok)
  const context = { baseDirectory: '/shop', secrets: {}, passwordSecret: '', ports: { main: 20_001 } }
  const [main] = compileDatabases(result.system, context)
  assert.ok(main)
  return main
}

const topology = (primary: string | null): Topology => ({
  database: 'main',
  epoch: 1,
  timeline: 1,
  primary,
  trouble: primary === null ? 'main-1 was killed' : '',
  holding: false,
  servers: [
    { id: 'main-1', host: '127.0.0.1', port: 5433, role: 'primary', state: 'ready', delayMs: 0, reason: '' },
  ],
})
const roles: DatabaseRole[] = [{ name: 'tenfold', password: 'root', access: 'owner', service: null }]

/** Handlers over a database as it stands; only what logging in needs is there. */
function handlersOf(primary: string | null, keys: object = {}): ReturnType<typeof databaseHandlers> {
  const main = compiled(keys)
  const databases = {
    group: () => ({ topology: topology(primary), roles, spec: main.spec }),
    compiled: () => main,
  } as unknown as Databases
  return databaseHandlers({
    databases: () => databases,
    changes: {
      exclusive: () => assert.fail('nothing is changed here'),
      fromFile: () => assert.fail('no file is read here'),
    },
    redactor: createRedactor(),
  })
}

test('logging in goes through the router unless a server is named', async () => {
  const handlers = handlersOf('main-1')
  const operator = await handlers.connection('main', null, null)
  assert.deepEqual(
    [operator.user, operator.host, operator.port, operator.through, operator.sslmode],
    ['tenfold', '127.0.0.1', 20_001, 'the router', 'disable'],
  )
  const service = await handlers.connection('main', 'api', null)
  assert.equal(service.user, 'svc_api')
  assert.notEqual(service.password, operator.password)
  const direct = await handlers.connection('main', null, 'primary')
  assert.deepEqual(
    [direct.user, direct.port, direct.password, direct.through],
    ['tenfold', 5433, 'root', 'main-1'],
  )
})

test('a router that speaks TLS is asked for it; one that listens everywhere is reached on loopback', async () => {
  const listening = { listen: '0.0.0.0:6432', tls: { certFile: 'c', keyFile: 'k' } }
  const login = await handlersOf('main-1', listening).connection('main', null, null)
  assert.deepEqual([login.host, login.port, login.sslmode], ['127.0.0.1', 6432, 'require'])
})

test('without a primary, whoever needs it is told why there is none', async () => {
  const handlers = handlersOf(null)
  await assert.rejects(handlers.connection('main', null, 'primary'), {
    code: 'SYSTEM_DATABASE_WITHOUT_PRIMARY',
    message: /main-1 was killed/,
  })
  await assert.rejects(handlers.settings('main'), { code: 'SYSTEM_DATABASE_WITHOUT_PRIMARY' })
})

test('who has no access is told who has', async () => {
  await assert.rejects(handlersOf('main-1').connection('main', 'web', null), {
    code: 'SYSTEM_DATABASE_USER_UNKNOWN',
    message: /these have: api/,
  })
  await assert.rejects(handlersOf('main-1').connection('main', null, 'main-7'), {
    code: 'DATABASE_SERVER_UNKNOWN',
  })
})

test('a restore to no moment, into a running database or into no name is refused before anything is done', async t => {
  const stateDirectory = mkdtempSync(join(tmpdir(), 'tf-restore-'))
  t.after(() => rmSync(stateDirectory, { recursive: true }))
  const log = { info: () => {}, warn: () => {}, error: () => {} }
  const options = { spec: compiled({}).spec, stateDirectory, user: null, clock: systemClock, log }
  const untouched = {} as Backups
  for (const [wish, says] of [
    [{ to: 'yesterday', into: null }, /is no moment/],
    [{ to: '2026-13-44T00:00:00Z', into: null }, /is no moment/],
    [{ to: 'latest', into: 'Main' }, /is no name/],
    [{ to: 'latest', into: 'main' }, /'main' runs/],
  ] as const)
    await assert.rejects(
      restore(untouched, options, { ...wish, running: ['main'] }, () => {}),
      { code: 'SYSTEM_RESTORE_REFUSED', message: says },
    )
})
