// Who somebody is, at a real edge: tokens against a real server of keys, API keys, what reaches the instance, and what of
// a client's own words never does.

import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
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

interface Keys {
  readonly url: string
  fetches(): number
  /** From now on these keys are served, by these names; null: nothing but 503. */
  serve(keys: Readonly<Record<string, KeyObject>> | null): void
}

/** RFC 8725 2.1: signed with what everybody knows. */
function secretly(secret: string | Buffer, body: string): string {
  const text = `${part({ alg: 'HS256', kid: 'one' })}.${body}`
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
}

async function startKeys(context: TestContext): Promise<Keys> {
  let fetches = 0
  let served: Readonly<Record<string, KeyObject>> | null = { one: publicKey }
  const server = createServer((_request, response) => {
    fetches++
    if (served === null) response.statusCode = 503
    const all = Object.entries(served ?? {})
    const keys = all.map(([kid, key]) => ({
      ...key.export({ format: 'jwk' }),
      kid,
      alg: 'ES256',
      use: 'sig',
    }))
    response.end(JSON.stringify({ keys }))
  })
  await new Promise<void>(done => void server.listen(0, '127.0.0.1', done))
  context.after(() => void server.close())
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`,
    fetches: () => fetches,
    serve: keys => {
      served = keys
    },
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
  const { ask, explained, origin } = await startGuardedEdge(
    context,
    guard,
    { trustedProxies: ['127.0.0.1/32'] },
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
    ['the public key taken for a secret', secretly(publicKey.export({ format: 'pem', type: 'spki' }), body)],
    [
      'the public key taken for a secret, as JWK',
      secretly(JSON.stringify(publicKey.export({ format: 'jwk' })), body),
    ],
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
  const passedBefore = origin.requests.length
  for (const [at, [what, text]] of wrong.entries()) {
    // From an address of its own: nobody is banned, each is refused for what it is.
    const answer = await ask({ client: `203.0.113.${at + 1}`, fields: bearer(text) })
    assert.equal(answer.status, 401, what)
    assert.match(answer.head, /WWW-Authenticate: Bearer .*invalid_token/i, what)
  }
  for (const fields of [
    bearer(right) + bearer(right),
    bearer('nonsense') + bearer(right),
    `Authorization: bearer  ${right} ${right}\r\n`,
  ])
    assert.equal((await ask({ client: '203.0.113.99', fields })).status, 401, fields)
  assert.equal(origin.requests.length, passedBefore, 'the instance heard of none of them')
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

test('row 24: keys are fetched once for a stampede, changed keys are found, and old ones outlast an outage', async context => {
  const keys = await startKeys(context)
  const guard = specOf([policyOf('trial', { require: requireOf() })], {
    identity: { account: [], session: [], key: [], jwt: { staff: jwtOf(keys.url) } },
  })
  const { ask } = await startGuardedEdge(context, guard, { workers: 1, trustedProxies: ['127.0.0.1/32'] })
  const status = async (text: string, client = '203.0.113.1'): Promise<number> =>
    (await ask({ client, fields: bearer(text) })).status
  const all = await Promise.all(Array.from({ length: 40 }, (_, i) => status(token({}, { sub: `user-${i}` }))))
  assert.deepEqual([...new Set(all)], [200])
  assert.equal(keys.fetches(), 1)
  // Names of keys that nobody has: however many, the issuer is asked once, then left alone for a while.
  for (let i = 0; i < 25; i++) assert.equal(await status(token({ kid: `k${i}` }), `198.51.100.${i + 1}`), 401)
  assert.ok(keys.fetches() <= 2, `${keys.fetches()} fetches`)
  // The issuer is away: what is known is believed on, what is not known is nobody's.
  keys.serve(null)
  assert.equal(await status(token({}, { sub: 'during the outage' })), 200)
  assert.ok([401, 503].includes(await status(token({ kid: 'new' }, {}, other.privateKey), '198.51.100.99')))
  // It comes back with another key beside the old one: found once the pause between two questions is over.
  keys.serve({ one: publicKey, new: other.publicKey })
  const end = Date.now() + 60_000
  let rotated = 0
  for (let i = 0; rotated !== 200; i++) {
    assert.ok(Date.now() < end, `the new key was not found: ${rotated}`)
    rotated = await status(
      token({ kid: 'new' }, { sub: `r${i}` }, other.privateKey),
      `198.51.101.${(i % 250) + 1}`,
    )
    if (rotated !== 200) await new Promise(done => setTimeout(done, 500))
  }
  assert.equal(await status(token()), 200)
})

test('a limit by a claim counts who was verified, wherever he comes from; nobody else is counted for him', async context => {
  const keys = await startKeys(context)
  const limit = {
    name: 'mine',
    kind: 'rate' as const,
    algorithm: 'gcra' as const,
    amount: 2,
    perMs: 30 * 86_400_000,
    burst: 2,
    by: [{ by: 'jwt' as const, name: 'sub' }],
    missingShare: 0.5,
    adaptiveShare: 1,
    local: false,
    banAfter: 0,
    detectOnly: false,
  }
  const guard = specOf([policyOf('trial', { require: requireOf(), limits: [limit] })], {
    identity: { account: [], session: [], key: [], jwt: { staff: jwtOf(keys.url) } },
  })
  const { ask } = await startGuardedEdge(context, guard, { workers: 2, trustedProxies: ['127.0.0.1/32'] })
  const status = async (text: string, client: string): Promise<number> =>
    (await ask({ client, fields: bearer(text) })).status
  // Another token, another address: the same person.
  assert.equal(await status(token({}, { jti: '1' }), '203.0.113.1'), 200)
  assert.equal(await status(token({}, { jti: '2' }), '203.0.113.2'), 200)
  assert.equal(await status(token({}, { jti: '3' }), '203.0.113.3'), 429)
  assert.equal(await status(token({}, { sub: 'ben' }), '203.0.113.3'), 200)
  // A forged token in ben's name spends nothing of his.
  for (let i = 0; i < 5; i++)
    assert.equal(await status(token({}, { sub: 'ben' }, other.privateKey), '203.0.113.4'), 401)
  assert.equal(await status(token({}, { sub: 'ben', jti: '2' }), '203.0.113.5'), 200)
  assert.equal(await status(token({}, { sub: 'ben', jti: '3' }), '203.0.113.5'), 429)
})

test('claims are demanded, nobody may pass where it says so, and who only looks records what it would have done', async context => {
  const keys = await startKeys(context)
  const identity = { account: [], session: [], key: [], jwt: { staff: jwtOf(keys.url) } }
  const admins = requireOf({ claims: { role: ['admin', 'owner'] } })
  const guarded = await startGuardedEdge(
    context,
    specOf([policyOf('trial', { require: admins })], { identity }),
  )
  const status = async (fields = ''): Promise<number> => (await guarded.ask({ fields })).status
  assert.equal(await status(bearer(token({}, { role: 'admin' }))), 200)
  assert.equal(await status(bearer(token({}, { role: ['clerk', 'owner'] }))), 200)
  assert.equal(await status(bearer(token({}, { role: 'clerk' }))), 403)
  assert.equal(await status(bearer(token())), 403)
  const optional = requireOf({ optional: true, forward: false })
  await guarded.reload(specOf([policyOf('trial', { require: optional })], { identity }))
  assert.equal(await status(), 200)
  assert.doesNotMatch(guarded.origin.requests.at(-1)?.head ?? '', /tenfold-identity/i)
  assert.equal(await status(bearer('nonsense')), 401)
  assert.equal(await status(bearer(token())), 200)
  const { head = '' } = guarded.origin.requests.at(-1) ?? {}
  assert.match(head, /^tenfold-identity: /im)
  assert.doesNotMatch(head, /^authorization:/im, 'the credential stays at the edge')
  const looking = policyOf('trial', { require: requireOf(), detectOnly: ['identity'] })
  await guarded.reload(specOf([looking], { identity }))
  const answer = await guarded.ask({ fields: bearer('nonsense') })
  assert.equal(answer.status, 200)
  const id = /X-Request-Id: (\S+)/i.exec(answer.head)?.[1] as string
  const { findings } = await guarded.explained(id)
  assert.ok(findings.some(({ step, detected }) => step === 'identity' && detected))
})
