import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { type Siteverify, startSiteverify } from '../../../test/guard/siteverify.ts'
import { Failure } from '../../kit/failure.ts'
import { specOf } from '../testing/spec.ts'
import { checkSpec } from './check-spec.ts'
import { Turnstile, type TurnstileSpec, turnstileErrors } from './turnstile.ts'

interface Trial {
  readonly stub: Siteverify
  readonly turnstile: Turnstile
  readonly troubles: string[]
  verify(token: string, action?: string): Promise<string>
}

const specFor = (stub: Pick<Siteverify, 'secret' | 'url' | 'scriptUrl'>): TurnstileSpec => ({
  siteKey: '0x4AAAAAAAtrialtrialtri',
  secret: stub.secret,
  hostnames: ['shop.example'],
  verifyUrl: stub.url,
  scriptUrl: stub.scriptUrl,
  timeoutMs: 20_000,
  allowTestKeys: false,
})

async function trial(t: TestContext, change: Partial<TurnstileSpec> = {}): Promise<Trial> {
  const stub = await startSiteverify(t)
  const troubles: string[] = []
  const turnstile = new Turnstile({ ...specFor(stub), ...change }, reason => troubles.push(reason))
  t.after(() => turnstile.close())
  return {
    stub,
    turnstile,
    troubles,
    verify: async (token, action = 'login') => {
      const result = await turnstile.verify(token, action, '192.0.2.1', Date.now())
      return result.verified ? 'verified' : `${result.away ? 'away ' : ''}${result.reason}`
    },
  }
}

test('row 17: a token counts for our hostname and its action, while it is fresh, once', async t => {
  const { stub, verify } = await trial(t)
  const good = stub.token({ hostname: 'shop.example', action: 'login' })
  assert.equal(await verify(good), 'verified')
  assert.equal(await verify(good), 'timeout-or-duplicate')
  assert.equal(await verify(stub.token({ hostname: 'evil.example', action: 'login' })), 'other-hostname')
  assert.equal(await verify(stub.token({ hostname: 'shop.example', action: 'buy' })), 'other-action')
  assert.equal(
    await verify(stub.token({ hostname: 'shop.example', action: 'login', ageMs: 301_000 })),
    'timeout-or-duplicate',
  )
  assert.equal(await verify('unheard of'), 'malformed')
  assert.equal(await verify('unheard-of'), 'invalid-input-response')
  const asked = stub.asked.length
  for (const token of ['', 'x'.repeat(2_049), 'a\nb']) assert.equal(await verify(token), 'malformed')
  assert.equal(stub.asked.length, asked)
  assert.deepEqual(Object.keys(stub.asked[0] ?? {}).sort(), [
    'idempotency_key',
    'remoteip',
    'response',
    'secret',
  ])
})

test('row 17: none of the seven error codes lets anybody pass; what is ours to mend is told, what may be repeated is', async t => {
  const { stub, verify, troubles } = await trial(t)
  assert.equal(Object.keys(turnstileErrors).length, 7)
  for (const [code, { ours, retry }] of Object.entries(turnstileErrors)) {
    const before = stub.asked.length
    stub.answerWith({ success: false, 'error-codes': [code] })
    const said = await verify(stub.token())
    assert.equal(said, retry ? 'away no-answer' : ours ? `away ${code}` : code)
    const questions = stub.asked.slice(before)
    assert.equal(questions.length, retry ? 2 : 1)
    assert.equal(new Set(questions.map(question => question.idempotency_key)).size, 1)
    assert.equal(troubles.includes(code), ours)
  }
})

test('row 17: no answer, no JSON, another status or another shape is not verified', async t => {
  const { stub, verify } = await trial(t)
  const answers: Parameters<Siteverify['answerWith']>[0][] = [
    (_request, response) => response.end('<html>all is well</html>'),
    (_request, response) => response.writeHead(500).end('{"success":true}'),
    (_request, response) => response.writeHead(302, { location: '/' }).end(),
    (_request, response) => response.end('"success"'),
    (_request, response) => response.end('[{"success":true}]'),
    (_request, response) => response.end('{"success":true'),
    request => request.socket.destroy(),
  ]
  for (const answer of answers) {
    stub.answerWith(answer)
    assert.equal(await verify(stub.token()), 'away no-answer')
  }
  // Nothing is said at all.
  const silent = await trial(t, { timeoutMs: 300 })
  silent.stub.answerWith(() => {})
  assert.equal(await silent.verify(silent.stub.token()), 'away no-answer')
  const whole = {
    success: true,
    hostname: 'shop.example',
    action: 'login',
    challenge_ts: new Date().toISOString(),
  }
  for (const change of [
    { success: 'true' },
    { success: 1 },
    { hostname: undefined },
    { hostname: ['shop.example'] },
    { action: undefined },
    { challenge_ts: undefined },
    { challenge_ts: 'yesterday' },
    { challenge_ts: '2020-01-01T00:00:00Z' },
    { challenge_ts: '2099-01-01T00:00:00Z' },
  ]) {
    stub.answerWith({ ...whole, ...change })
    assert.notEqual(await verify(stub.token()), 'verified', JSON.stringify(change))
  }
  stub.answerWith(whole)
  assert.equal(await verify(stub.token()), 'verified')
})

test('row 17: an answer that got lost is asked for again under the same key, and the token still counts', async t => {
  const { stub, verify } = await trial(t)
  let lost = 0
  stub.answerWith(request => {
    lost++
    stub.answerWith(null)
    // As where the redemption happened and the connection broke.
    request.socket.destroy()
  })
  assert.equal(await verify(stub.token({ hostname: 'shop.example', action: 'login' })), 'verified')
  assert.equal(lost, 1)
  assert.equal(stub.asked[0]?.idempotency_key, stub.asked[1]?.idempotency_key)
})

test('row 17: production does not begin with public test keys, nor Turnstile without keys or hostnames', () => {
  const about = {
    secret: '0x4AAAAAAAreal',
    url: 'http://127.0.0.1:1',
    scriptUrl: 'http://127.0.0.1:1/api.js',
  }
  const with_ = (change: Partial<TurnstileSpec>, production = true) => {
    const { challenge } = specOf()
    return specOf([], {
      production,
      challenge: { ...challenge, provider: 'turnstile', turnstile: { ...specFor(about), ...change } },
    })
  }
  const code = (wanted: string) => (error: unknown) => error instanceof Failure && error.code === wanted
  const secrets = [
    '1x0000000000000000000000000000000AA',
    '2x0000000000000000000000000000000AA',
    '3x0000000000000000000000000000000AA',
  ]
  const siteKeys = [
    '1x00000000000000000000AA',
    '2x00000000000000000000AB',
    '1x00000000000000000000BB',
    '2x00000000000000000000BB',
    '3x00000000000000000000FF',
  ]
  for (const secret of secrets) assert.throws(() => checkSpec(with_({ secret })), code('CHALLENGE_TEST_KEYS'))
  for (const siteKey of siteKeys)
    assert.throws(() => checkSpec(with_({ siteKey })), code('CHALLENGE_TEST_KEYS'))
  checkSpec(with_({ secret: secrets[0] as string }, false))
  checkSpec(with_({ secret: secrets[0] as string, allowTestKeys: true }))
  checkSpec(with_({}))
  assert.throws(() => checkSpec(with_({ hostnames: [] })), code('CHALLENGE_KEYS_MISSING'))
  const { challenge } = specOf()
  assert.throws(
    () => checkSpec(specOf([], { challenge: { ...challenge, provider: 'turnstile' } })),
    code('CHALLENGE_KEYS_MISSING'),
  )
})

test('the stub of siteverify answers in both forms as documented', async t => {
  const stub = await startSiteverify(t)
  const post = async (body: string, type: string): Promise<Record<string, unknown>> =>
    (await (
      await fetch(stub.url, { method: 'POST', body, headers: { 'content-type': type } })
    ).json()) as Record<string, unknown>
  const form = new URLSearchParams({ secret: stub.secret, response: stub.token() }).toString()
  assert.equal((await post(form, 'application/x-www-form-urlencoded')).success, true)
  const said = await post(JSON.stringify({ secret: createHash('sha1').digest('hex') }), 'application/json')
  assert.deepEqual(said['error-codes'], ['invalid-input-secret'])
})
