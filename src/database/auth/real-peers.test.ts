// Logging in to a real server, and real clients logging in to us.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import pg from 'pg'
import postgres from 'postgres'
import { type PostgresServer, startPostgres } from '../../../test/tools/postgres-server.ts'
import {
  backend,
  errorResponse,
  frameBytes,
  frontend,
  frontendFrameBytes,
  readReport,
  readStartup,
  startupBytes,
  startupMessage,
} from '../../wire/postgres/index.ts'
import { backendKeyData, commandComplete, readyIdle } from '../../wire/postgres/write-backend.ts'
import { ClientLogins, type ServerLoginOptions, serverLogin, verifierOf, verifierText } from './index.ts'
import { keysOf } from './scram.ts'

/** 'in', or why not. */
function logIn(server: PostgresServer, options: ServerLoginOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const login = serverLogin(options)
    const socket = connect(server.port, server.host)
    let bytes = Buffer.alloc(0)
    const done = (text: string): void => {
      resolve(text)
      socket.destroy()
    }
    socket.on('connect', () => socket.write(startupMessage(0x30002, { user: options.user, database: 'app' })))
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('closed without an answer')))
    socket.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk])
      for (let size = frameBytes(bytes, 0, bytes.length, 1e6); size > 0 && size <= bytes.length; ) {
        if (bytes[0] === backend.errorResponse) done(readReport(bytes, 5, size)?.code ?? '?')
        if (bytes[0] === backend.readyForQuery) done('in')
        if (bytes[0] === backend.authentication) {
          const step = login.take(bytes.subarray(5, size))
          if (step.kind === 'refused') done(`${step.code} ${step.message}`)
          else if (step.bytes !== null) socket.write(step.bytes)
        }
        bytes = bytes.subarray(size)
        size = frameBytes(bytes, 0, bytes.length, 1e6)
      }
    })
  })
}

async function sql(server: PostgresServer, ...statements: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: server.url })
  await client.connect()
  for (const statement of statements) await client.query(statement)
  await client.end()
}

test('we log in to a real server', async t => {
  const server = await startPostgres(t)
  const plain = { md5Allowed: false, secure: false }

  await t.test('by SCRAM, whatever the password is made of', async () => {
    const passwords = [
      'secret',
      'pässwörd',
      "quote'd",
      '\u2168\u00ad',
      'a\u00a0b',
      '\u0007bell',
      '\u0627\u0031',
      '🦩',
    ]
    for (const [index, password] of passwords.entries()) {
      const user = `user${index}`
      await sql(server, `CREATE ROLE ${user} LOGIN PASSWORD '${password.replaceAll("'", "''")}'`)
      assert.equal(await logIn(server, { ...plain, user, password }), 'in', JSON.stringify(password))
      assert.equal(await logIn(server, { ...plain, user, password: `${password}x` }), '28P01')
    }
  })

  await t.test('by a verifier that we made, and by keys without the password', async () => {
    const salt = Buffer.from('0123456789abcdef')
    const verifier = verifierText(verifierOf('sesame', salt, 4_096))
    await sql(server, `CREATE ROLE verified LOGIN PASSWORD '${verifier}'`)
    assert.equal(await logIn(server, { ...plain, user: 'verified', password: 'sesame' }), 'in')
    const password = keysOf('sesame', salt, 4_096)
    assert.equal(await logIn(server, { ...plain, user: 'verified', password }), 'in')
  })

  await t.test('by MD5 and by the password itself only where that is allowed', async () => {
    await sql(server, "SET password_encryption = 'md5'", "CREATE ROLE old LOGIN PASSWORD 'secret'")
    const hba = join(server.directory, 'pg_hba.conf')
    const rules = readFileSync(hba, 'utf8')
    const user = 'old'
    const both = { user, password: 'secret', md5Allowed: true, secure: true }
    writeFileSync(hba, `host all old 127.0.0.1/32 md5\nhost all tenfold 127.0.0.1/32 trust\n${rules}`)
    await sql(server, 'SELECT pg_reload_conf()')
    assert.equal(await settled(() => logIn(server, both), 'in'), 'in')
    assert.match(await logIn(server, { ...plain, user, password: 'secret' }), /^28000 .*MD5/)
    assert.equal(await logIn(server, { ...plain, user: 'tenfold', password: '' }), 'in', 'trusted at once')
    writeFileSync(hba, `host all old 127.0.0.1/32 password\n${rules}`)
    await sql(server, 'SELECT pg_reload_conf()')
    const asked = (): Promise<string> => logIn(server, { ...plain, user, password: 'secret' })
    assert.match(await settled(asked, /only under TLS/), /^28000 .*only under TLS/)
    assert.equal(await logIn(server, both), 'in')
  })
})

/** A reload takes a moment to reach new connections. */
async function settled(ask: () => Promise<string>, expected: string | RegExp): Promise<string> {
  let answer = ''
  for (let attempt = 0; attempt < 200; attempt++) {
    answer = await ask()
    if (typeof expected === 'string' ? answer === expected : expected.test(answer)) return answer
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  return answer
}

/** Says yes or no, and nothing more than a client needs to believe that it is connected. */
async function doorman(t: TestContext, users: Readonly<Record<string, string>>): Promise<number> {
  const logins = new ClientLogins()
  const server = createServer(socket => guard(socket, logins, users))
  server.listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  t.after(() => server.close())
  return (server.address() as AddressInfo).port
}

function guard(socket: Socket, logins: ClientLogins, users: Readonly<Record<string, string>>): void {
  let bytes = Buffer.alloc(0)
  let login: ReturnType<ClientLogins['login']> | null = null
  socket.on('error', () => socket.destroy())
  const first = (size: number): void => {
    const startup = readStartup(bytes, 0, size)
    if (startup.kind !== 'startup') return void socket.write('N')
    const user = startup.parameters.get('user') ?? ''
    login = logins.login(user, users[user] ?? null)
    socket.write(login.begin())
  }
  const message = (size: number): void => {
    if (bytes[0] === frontend.terminate) return void socket.end()
    if (bytes[0] === frontend.query)
      return void socket.write(Buffer.concat([commandComplete('SELECT 0'), readyIdle]))
    const step = login?.take(bytes.subarray(5, size))
    if (step?.kind === 'send') socket.write(step.bytes)
    else if (step?.kind === 'refused') socket.end(errorResponse({ severity: 'FATAL', ...step }))
    else socket.write(Buffer.concat([step?.bytes as Buffer, backendKeyData(1, Buffer.alloc(4)), readyIdle]))
  }
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk])
    for (;;) {
      const early = login === null
      const size = early
        ? startupBytes(bytes, 0, bytes.length)
        : frontendFrameBytes(bytes, 0, bytes.length, 1e6)
      if (size <= 0 || size > bytes.length) return
      if (early) first(size)
      else message(size)
      bytes = bytes.subarray(size)
    }
  })
}

const users = { ann: 'secret', jörg: 'pässwörd', roman: 'MM\u2168' }

test('pg, postgres.js and libpq log in to us, and are refused as PostgreSQL refuses', async t => {
  const port = await doorman(t, users)
  for (const [user, password] of Object.entries(users)) {
    for (const [given, expected] of [
      [password, 'in'],
      ['wrong', '28P01'],
    ] as const) {
      assert.equal(await byPg(port, user, given), expected, `pg ${user}`)
      // postgres.js does not prepare passwords: what SASLprep changes can't log in by it, to PostgreSQL neither.
      if (user !== 'roman') assert.equal(await byPostgres(port, user, given), expected, `postgres ${user}`)
    }
    assert.equal(await byPsql(port, user, password), 'in', `psql ${user}`)
    assert.match(await byPsql(port, user, 'wrong'), /password authentication failed for user/)
  }
  assert.equal(await byPg(port, 'nobody', 'secret'), '28P01')
})

async function byPg(port: number, user: string, password: string): Promise<string> {
  const client = new pg.Client({ host: '127.0.0.1', port, user, password, database: 'app' })
  try {
    await client.connect()
    await client.end()
    return 'in'
  } catch (error) {
    return (error as { code: string }).code
  }
}

async function byPostgres(port: number, user: string, password: string): Promise<string> {
  const client = postgres({
    host: '127.0.0.1',
    port,
    user,
    password,
    database: 'app',
    max: 1,
    fetch_types: false,
  })
  try {
    await client.unsafe('SELECT').simple()
    return 'in'
  } catch (error) {
    return (error as { code: string }).code
  } finally {
    await client.end({ timeout: 1 })
  }
}

function byPsql(port: number, user: string, password: string): Promise<string> {
  const env = {
    PATH: process.env.PATH ?? '',
    LC_ALL: 'C.UTF-8',
    PGPASSWORD: password,
    PGCONNECT_TIMEOUT: '20',
  }
  const args = ['-h', '127.0.0.1', '-p', String(port), '-U', user, '-d', 'app', '-X', '-c', 'SELECT']
  return new Promise(resolve => {
    execFile('psql', args, { env }, (error, _, stderr) => resolve(error === null ? 'in' : stderr))
  })
}
