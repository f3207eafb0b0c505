// Who somebody is, at a real edge: tokens against a real server of keys, API keys, what reaches the instance, and what of
// a client's own words never does.

import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { CheckedJwt, CheckedRequirement } from '../../src/file/checked-guard.ts'
import { keyLine, newKey } from '../../src/guard/identity/index.ts'
import { answering, ok } from '../tools/raw-origin.ts'
import { policyOf, specOf, startGuardedEdge } from './harness.ts'

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const other = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const part = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
const soon = (): number => Math.floor(Date.now() / 1_000) + 600

function token(head: object = {}, claims: object = {}, key: KeyObject = privateKey): string {
  const body = {
    iss: 'https://login.example',
    aud: 'shop',
    sub: 'ann',
    exp: soon(),
    scope: 'orders:read',
    ...claims,
  }
  return signed(part({ alg: 'ES256', kid: 'one', ...head }), part(body), key)
}

function signed(head: string, body: string, key: KeyObject = privateKey): string {
  const text = `${head}.${body}`
  return `${text}.${sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
}

async function startKeys(context: TestContext): Promise<{ url: string; fetches: () => number }> {
  let fetches = 0
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'ES256', use: 'sig' }
  const server = createServer((_request, response) => {
    fetches++
    response.end(JSON.stringify({ keys: [jwk] }))
  })
  await new Promise<void>(done => void server.listen(0, '127.0.0.1', done))
  context.after(() => void server.close())
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`,
    fetches: () => fetches,
  }
}

const jwtOf = (url: string): CheckedJwt => ({
  issuer: 'https://login.example',
  audience: ['shop'],
  algorithms: ['ES256'],
  keys: { kind: 'url', url },
  from: { by: 'bearer' },
  clockToleranceMs: 1_000,
  staleMaxMs: 60_000,
  timeoutMs: 5_000,
})

const requireOf = (change: Partial<CheckedRequirement> = {}): CheckedRequirement => ({
  any: [{ method: 'jwt', name: 'staff' }],
  scopes: [],
  claims: {},
  optional: false,
  forward: true,
  ...change,
})

const bearer = (text: string): string => `Authorization: Bearer ${text}\r\n`

test('row 24: tokens pass as their issuer signed them, and in no other way', async context => {
  const keys = await startKeys(context)
  const guard = specOf([policyOf('trial', { require: requireOf() })], {
    identity: { account: [], session: [], key: [], jwt: { staff: jwtOf(keys.url) } },
  })
  let seen = ''
  const { ask, explained } = await startGuardedEdge(
    context,
    guard,
    {},
    answering(request => {
      seen = JSON.stringify(request)
      return ok('in')
    }),
  )
  const right = token()
  const passed = await ask({ fields: bearer(right) })
  assert.equal(passed.status, 200)
  assert.match(seen, /Tenfold-Identity: /)
  assert.equal((await ask({ fields: bearer(right) })).status, 200)

  const [head = '', body = '', signature = ''] = right.split('.')
  const claims = (text: string): string => signed(part({ alg: 'ES256', kid: 'one' }), part(text))
  const wrong: readonly (readonly [string, string])[] = [
    ['no algorithm', `${part({ alg: 'none' })}.${body}.`],
    ['no algorithm, with a signature', `${part({ alg: 'none' })}.${body}.${signature}`],
    ['an algorithm of secrets', `${part({ alg: 'HS256', kid: 'one' })}.${body}.${signature}`],
    ['another key', token({}, {}, other.privateKey)],
    ['a key in the token', token({ jwk: other.publicKey.export({ format: 'jwk' }) }, {}, other.privateKey)],
    ['an address of keys', token({ jku: 'http://127.0.0.1:1/' })],
    ['an address of certificates', token({ x5u: 'http://127.0.0.1:1/' })],
    ['something to be understood', token({ crit: ['b64'], b64: false })],
    ['an unknown key', token({ kid: '../../etc/passwd' })],
    ['a key that is no text', token({ kid: { a: 1 } })],
    ['another type', token({ typ: 'logout+jwt' })],
    ['a token in a token', token({ cty: 'JWT' })],
    ['a signature of zeros', `${head}.${body}.${Buffer.alloc(64).toString('base64url')}`],
    ['no signature', `${head}.${body}.`],
    ['junk behind it', `${right}.x`],
    ['junk before it', `x${right}`],
    ['another spelling', `${head}.${body}.${signature}=`],
    ['another issuer', token({}, { iss: 'https://evil.example' })],
    ['for others', token({}, { aud: ['other'] })],
    ['for nobody', token({}, { aud: undefined })],
    ['expired', token({}, { exp: 1 })],
    ['without end', token({}, { exp: undefined })],
    ['an end that is a text', token({}, { exp: String(soon()) })],
    ['not yet', token({}, { nbf: soon() })],
    ['from the future', token({}, { iat: soon() })],
    ['without a subject', token({}, { sub: undefined })],
    [
      'a name twice',
      claims(`{"iss":"https://login.example","aud":"shop","sub":"ann","su\\u0062":"admin","exp":${soon()}}`),
    ],
    ['a list', claims('[]')],
    ['too long', token({}, { more: 'x'.repeat(20_000) })],
  ]
  for (const [what, text] of wrong) {
    const answer = await ask({ fields: bearer(text) })
    // Many wrong ones from one address end in a ban.
    assert.ok([401, 403].includes(answer.status), `${what}: ${answer.status}`)
    if (answer.status === 401) assert.match(answer.head, /WWW-Authenticate: Bearer .*invalid_token/i, what)
  }
  const none = await ask()
  assert.equal(none.status, 401)
  const id = /X-Request-Id: (\S+)/i.exec(none.head)?.[1] as string
  assert.match((await explained(id)).findings[0]?.would ?? '', /jwt:staff/)
  assert.ok(keys.fetches() <= 4, `${keys.fetches()} fetches`)
})

test('what a client says about itself in our names reaches no instance, with a policy or without', async context => {
  let seen = ''
  const { ask } = await startGuardedEdge(
    context,
    specOf([policyOf('trial')]),
    {},
    answering(request => {
      seen = JSON.stringify(request)
      return ok('in')
    }),
  )
  for (const name of [
    'Tenfold-Identity',
    'tenfold-identity',
    'TENFOLD-IDENTITY',
    'Tenfold-Human',
    'Tenfold-Nonce',
  ]) {
    assert.equal((await ask({ fields: `${name}: forged\r\n${name}: forged\r\n` })).status, 200)
    assert.doesNotMatch(seen, /forged/, name)
  }
  for (const name of ['Tenfold_Identity', 'tenfold.identity', 'TENFOLD_HUMAN'])
    assert.equal((await ask({ fields: `${name}: forged\r\n` })).status, 400, name)
})

test('an API key passes until it is taken out of the file, and scopes are demanded', async context => {
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-keys-'))
  context.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'keys.jsonl')
  const reader = newKey({ holder: 'ann', scopes: ['orders:read'] }, Date.now())
  const writer = newKey({ holder: 'bob', scopes: ['orders:write'] }, Date.now())
  writeFileSync(file, keyLine(reader.stored) + keyLine(writer.stored))
  const require = requireOf({ any: [{ method: 'key', name: 'partners' }], scopes: ['orders:write'] })
  const partners = { file, from: [{ by: 'header', name: 'x-api-key' } as const] }
  const guard = specOf([policyOf('trial', { require })], {
    identity: { account: [], session: [], key: [], keys: { partners } },
  })
  const { ask } = await startGuardedEdge(context, guard)
  const status = async (key: string): Promise<number> =>
    (await ask({ fields: `X-Api-Key: ${key}\r\n` })).status
  assert.equal(await status(writer.key), 200)
  assert.equal(await status(reader.key), 403)
  assert.equal(await status(`${writer.key.slice(0, -1)}${writer.key.endsWith('A') ? 'B' : 'A'}`), 401)
  writeFileSync(file, keyLine(reader.stored))
  const until = Date.now() + 20_000
  while ((await status(writer.key)) !== 401) assert.ok(Date.now() < until, 'the key was still believed')
})
