// The router as a process: its control socket, its ports, TLS towards clients and servers, how it ends. Real processes.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import { connect as tlsConnect } from 'node:tls'
import pg from 'pg'
import type { RoutedDatabase } from '../../src/database/router/snapshot.ts'
import { socketPath } from '../../src/io/socket-path.ts'
import { connectRouter, type RouterClient } from '../../src/system/router-client.ts'
import { createAuthority, writePair } from '../tools/certificates.ts'
import { type PostgresServer, startPostgres } from '../tools/postgres-server.ts'
import { databaseOf, patienceMs, startRouter, waitFor } from '../tools/router-harness.ts'

const ending = { after: after as TestContext['after'] }
const server: PostgresServer = await startPostgres(ending)
const program = `import { runRouter } from '${join(import.meta.dirname, '../../src/database/index.ts')}'
await runRouter({ stateDirectory: process.argv[1], nonce: 'of the test' })`

interface RouterProcess {
  readonly child: ChildProcess
  readonly state: string
  readonly errors: () => string
  readonly exit: Promise<number | null>
  control(): Promise<RouterClient>
}

function startProcess(
  t: TestContext,
  more: Partial<RoutedDatabase> = {},
  state = newState(t),
): RouterProcess {
  const database = { ...databaseOf({ servers: [server] }), ...more }
  mkdirSync(join(state, 'router'), { recursive: true })
  writeFileSync(
    join(state, 'router', 'snapshot.json'),
    JSON.stringify({ format: 1, version: 1, databases: [database] }),
  )
  const child = spawn(process.execPath, ['--input-type=module', '-e', program, state], {
    stdio: ['ignore', 'inherit', 'pipe'],
  })
  let errors = ''
  child.stderr?.on('data', chunk => (errors += chunk))
  const exit = once(child, 'close').then(([code]) => code as number | null)
  t.after(async () => {
    child.kill('SIGKILL')
    await exit
  })
  const control = async (): Promise<RouterClient> => {
    let client: RouterClient | null = null
    const end = Date.now() + patienceMs
    while (client === null) {
      try {
        client = await connectRouter(socketPath(state, 'router'), { onEvent: () => {}, onEnd: () => {} })
      } catch (error) {
        if (Date.now() > end || child.exitCode !== null) throw new Error(`${String(error)} ${errors}`)
        await new Promise(resolve => setTimeout(resolve, 50))
      }
    }
    const connected = client
    t.after(() => connected.close())
    return connected
  }
  return { child, state, errors: () => errors, exit, control }
}

function newState(t: TestContext): string {
  const state = mkdtempSync(join(tmpdir(), 'tenfold-router-'))
  t.after(() => rmSync(state, { recursive: true, force: true }))
  return state
}

test('a router process serves, tells how it is, drains at TERM and exits with 0', async t => {
  const router = startProcess(t)
  const control = await router.control()
  const status = await control.call('status', {})
  assert.equal(status.nonce, 'of the test')
  assert.equal(status.pid, router.child.pid)
  const [database] = status.databases
  const url = `postgres://app:secret@127.0.0.1:${database?.port}/app`
  const [idle, busy] = [new pg.Client(url), new pg.Client(url)]
  for (const client of [idle, busy]) client.on('error', () => {})
  const told = new Promise<{ code?: string; detail?: string }>(resolve => idle.once('error', resolve))
  await Promise.all([idle.connect(), busy.connect()])
  await busy.query('BEGIN')
  assert.deepEqual(await control.call('drained', { database: 'main', timeoutMs: 50 }), {
    drained: false,
    open: 1,
  })
  const { text } = await control.call('metrics', {})
  assert.match(text, /database_clients\{database="main"\} 2/)
  assert.match(text, /database_pins\{database="main",reason="transaction"\} 1/)
  assert.match(text, /database_statements_total\{database="main",kind="transaction",server="primary"\} 1/)
  router.child.kill('SIGTERM')
  const { code, detail } = await told
  assert.deepEqual({ code, detail }, { code: '57P01', detail: 'DATABASE_ROUTER_STOPPING' })
  await busy.query('COMMIT').catch(() => {})
  await busy.end().catch(() => {})
  assert.equal(await router.exit, 0)
  assert.equal(router.errors(), '')
})

test('a snapshot that is not newer, or not known, is refused over the control socket', async t => {
  const router = startProcess(t)
  const control = await router.control()
  const databases = [{ ...databaseOf({ servers: [server] }), epoch: 3 }]
  assert.deepEqual(await control.call('apply', { snapshot: { format: 1, version: 2, databases } }), {
    version: 2,
  })
  const refused = (snapshot: object): Promise<unknown> =>
    control.call('apply', { snapshot: snapshot as never })
  await assert.rejects(refused({ format: 1, version: 2, databases }), { message: /DATABASE_SNAPSHOT_OLD/ })
  await assert.rejects(refused({ format: 1, version: 3, databases: [{ ...databases[0], epoch: 2 }] }), {
    message: /DATABASE_EPOCH_OLD/,
  })
  await assert.rejects(refused({ format: 7, version: 3, databases }), {
    message: /DATABASE_SNAPSHOT_INVALID/,
  })
  await assert.rejects(control.call('dance' as never, {} as never), { message: /DATABASE_CONTROL_REQUEST/ })
  await control.call('stop', { drainMs: 0 })
  assert.equal(await router.exit, 0)
})

test('a port that somebody has, or a state directory with a router, ends the start with one line', async t => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.after(() => taken.close())
  const { port } = taken.address() as { port: number }
  const blocked = startProcess(t, { listener: { host: '127.0.0.1', port } })
  assert.equal(await blocked.exit, 1)
  assert.match(blocked.errors(), /^DATABASE_ROUTER_PORT: Database 'main': 127\.0\.0\.1:\d+ is taken by /)

  const first = startProcess(t)
  await first.control()
  const second = startProcess(t, {}, first.state)
  assert.equal(await second.exit, 1)
  assert.match(second.errors(), /^DATABASE_CONTROL_BUSY: /)
})

test('an idle transaction is ended with DATABASE_TRANSACTION_IDLE', async t => {
  const router = await startRouter(t, { servers: [server], pool: { transactionIdleTimeoutMs: 50 } })
  const client = await router.client()
  const told = new Promise<{ detail?: string }>(resolve => client.once('error', resolve))
  await client.query('BEGIN')
  assert.equal((await told).detail, 'DATABASE_TRANSACTION_IDLE')
})

test('clients speak TLS by SSLRequest and directly, or not at all', async t => {
  const authority = await createAuthority()
  const tls = writePair(newState(t), 'router', await authority.sign({ hosts: ['localhost'] }))
  const router = await startRouter(t, {
    servers: [server],
    more: { listener: { host: '127.0.0.1', port: 0, tls } },
  })
  const secured = await router.client({ ssl: { ca: authority.ca, servername: 'localhost' } })
  assert.equal((await secured.query('SELECT 8 AS n')).rows[0].n, 8)
  const rows = await secured.query('SELECT repeat($1, 1000000) AS long', ['x'])
  assert.equal(rows.rows[0].long.length, 1_000_000)
  const plain = await router.client()
  assert.equal((await plain.query('SELECT 9 AS n')).rows[0].n, 9)
  const direct = tlsConnect({
    port: router.port,
    ca: authority.ca,
    servername: 'localhost',
    ALPNProtocols: ['postgresql'],
  })
  await once(direct, 'secureConnect')
  assert.equal(direct.alpnProtocol, 'postgresql')
  direct.destroy()
})

test('whoever follows clients that end right after large answers is served', async t => {
  const authority = await createAuthority()
  const tls = writePair(newState(t), 'router', await authority.sign({ hosts: ['localhost'] }))
  const listener = { host: '127.0.0.1', port: 0, tls }
  const router = await startRouter(t, { servers: [server], pool: { sizeMax: 2 }, more: { listener } })
  // A client may have all of its answer, and end, before the router hears that all of it was taken.
  const chain = async (): Promise<void> => {
    for (let round = 0; round < 12; round++) {
      const client = await router.client({ ssl: { ca: authority.ca, servername: 'localhost' } })
      const { rows } = await client.query('SELECT repeat($1, 1000000) AS long', ['x'])
      assert.equal(rows[0].long.length, 1_000_000)
      await client.end()
    }
  }
  await Promise.all(Array.from({ length: 6 }, chain))
})

test('a router without a certificate answers N to SSLRequest, and nothing may follow one', async t => {
  const router = await startRouter(t, { servers: [server] })
  await assert.rejects(router.client({ ssl: true }), /does not support SSL/)
  const { PostgresPeer } = await import('../tools/postgres-peer.ts')
  const { sslRequest, startupMessage } = await import('../../src/wire/postgres/index.ts')
  const peer = await PostgresPeer.connect({ host: router.host, port: router.port })
  peer.write(sslRequest, startupMessage(0x30000, { user: 'app', database: 'app' }))
  const [error] = await peer.rest()
  assert.match(error?.payload.toString() ?? '', /08P01/)
})

test('servers that ask for TLS are spoken to under TLS, and a certificate of nobody we trust is refused', async t => {
  const secured = await startPostgres(t)
  const authority = await createAuthority()
  const pair = writePair(secured.directory, 'server', await authority.sign({ hosts: ['ip:127.0.0.1'] }))
  const { uid, gid } = statSync(secured.directory)
  for (const file of Object.values(pair)) chownSync(file, uid, gid)
  const admin = new pg.Client(secured.url)
  await admin.connect()
  await admin.query(`ALTER SYSTEM SET ssl_cert_file = '${pair.certFile}'`)
  await admin.query(`ALTER SYSTEM SET ssl_key_file = '${pair.keyFile}'`)
  await admin.query('ALTER SYSTEM SET ssl = on')
  await admin.query('SELECT pg_reload_conf()')
  await admin.end()
  const caFile = join(newState(t), 'ca.pem')
  writeFileSync(caFile, authority.ca)
  const router = await startRouter(t, { servers: [secured], more: { serverTls: { mode: 'verify', caFile } } })
  const client = await router.client()
  const { rows } = await client.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()')
  assert.deepEqual(rows, [{ ssl: true }])
  const slow = client.query('SELECT pg_sleep(0.1), 3 AS n')
  assert.equal((await slow).rows[0].n, 3)

  const other = join(newState(t), 'other.pem')
  writeFileSync(other, (await createAuthority()).ca)
  const refusing = await startRouter(t, {
    servers: [secured],
    more: { serverTls: { mode: 'verify', caFile: other }, hold: { timeoutMs: 300, statementsMax: 10 } },
    pool: { waitTimeoutMs: 300 },
  })
  await assert.rejects(refusing.client(), /can't be connected to/)
  await waitFor(
    () => refusing.told.some(line => /can't be connected to/.test(line)),
    () => 'nobody was told',
  )
  assert.ok(readFileSync(caFile, 'latin1').length > 0)
})
