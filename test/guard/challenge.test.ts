// Challenges on a real edge: clearances, proofs of work that are good once, the way of who waits, what clients of each kind get.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Challenge, solveChallenge } from 'altcha-lib'
import { deriveKey } from 'altcha-lib/algorithms/pbkdf2'
import {
  answer,
  base,
  challenged,
  cleared,
  json,
  page,
  payloadOf,
  type Refused,
  routes,
  solved,
  told,
} from './challenges.ts'
import { type AskedRequest, type GuardedEdge, policyOf, specOf, startGuardedEdge } from './harness.ts'

const always = [policyOf('trial', { challenge: 'always' })]
const plain = { routes }
const behindProxy = { routes, trustedProxies: ['127.0.0.0/8'] }

test('row 15: of a hundred parallel redeems of one proof exactly one succeeds, over all workers', async t => {
  const edge = await startGuardedEdge(t, specOf(always), { workers: 2, ...behindProxy })
  const { s, challenge } = await challenged(edge, { client: '198.51.100.200' })
  const payload = await solved(challenge)
  // Connections of their own, so that the kernel spreads them over the workers; one address block, so one client.
  const clients = Array.from({ length: 100 }, (_, i) => `198.51.100.${i + 1}`)
  const all = await Promise.all(clients.map(client => told<Refused>(edge, answer(s, payload, { client }))))
  assert.equal(all.filter(({ status }) => status === 200).length, 1)
  const others = all.filter(({ status }) => status !== 200)
  const spent = others.filter(({ status, value }) => status === 403 && value.error.reason === 'spent')
  assert.ok(spent.length > 0)
  // Who is wrong again and again is not even asked any more.
  assert.ok(others.every(one => one.status === 429 || spent.includes(one)))
})

test('a passed challenge opens the route for this client, and the instance is told what we say, not what it says', async t => {
  const edge = await startGuardedEdge(t, specOf(always), plain)
  const cookie = await cleared(edge)
  assert.match(cookie, /^tenfold_clear=v1\./)
  const passed = await edge.ask({ fields: `Cookie: ${cookie}\r\nTenfold-Human: forged\r\n` })
  assert.equal(passed.status, 200)
  const head = edge.origin.requests.at(-1)?.head ?? ''
  assert.equal(head.match(/^tenfold-human:/gim)?.length, 1)
  assert.doesNotMatch(head, /forged/)
  assert.equal(edge.origin.requests.length, 1)
})

test('row 19: a clearance is worth nothing at another address, with another browser, changed, or in a second copy of it', async t => {
  const edge = await startGuardedEdge(t, specOf(always), behindProxy)
  const mine = { client: '198.51.100.7', fields: 'User-Agent: mine\r\n' }
  const cookie = await cleared(edge, mine)
  const as = (client: string, agent: string, value = cookie): Promise<number> =>
    edge.ask({ client, fields: `User-Agent: ${agent}\r\nCookie: ${value}\r\n` }).then(({ status }) => status)
  assert.equal(await as('198.51.100.7', 'mine'), 200)
  assert.equal(await as('198.51.100.250', 'mine'), 200)
  assert.equal(await as('203.0.113.7', 'mine'), 403)
  assert.equal(await as('198.51.100.7', 'other'), 403)
  const [version, body, until, mac] = cookie.slice('tenfold_clear='.length).split('.') as [
    string,
    string,
    string,
    string,
  ]
  for (const changed of [
    `${version}.${body}.${until}.${mac.slice(0, -2)}AA`,
    `${version}.${body}.zzzzzzzz.${mac}`,
    `${version}.${Buffer.from('{}').toString('base64url')}.${until}.${mac}`,
    '',
    'x'.repeat(5_000),
  ])
    assert.equal(await as('198.51.100.7', 'mine', `tenfold_clear=${changed}`), 403)
  // Somebody else planted another of our name in front of it.
  assert.equal(await as('198.51.100.7', 'mine', `tenfold_clear=planted; ${cookie}`), 200)
})

test('a clearance got by one account is worth nothing for another, and one got before a login stays good', async t => {
  const guard = specOf(always, {
    identity: { account: [{ by: 'header', name: 'x-account' }], session: [], key: [] },
  })
  const edge = await startGuardedEdge(t, guard, plain)
  const as = (cookie: string, account: string): Promise<number> =>
    edge.ask({ fields: `Cookie: ${cookie}\r\n${account}` }).then(({ status }) => status)
  const ada = await cleared(edge, { fields: 'X-Account: ada\r\n' })
  assert.deepEqual(
    [await as(ada, 'X-Account: ada\r\n'), await as(ada, 'X-Account: bob\r\n'), await as(ada, '')],
    [200, 403, 200],
  )
  const nobody = await cleared(edge)
  assert.equal(await as(nobody, 'X-Account: ada\r\n'), 200)
})

/** Proofs that are not what was asked for, and the one that is. */
async function forgedProofs(
  edge: GuardedEdge,
  from: () => AskedRequest,
): Promise<{ readonly s: string; readonly right: string; readonly payloads: readonly string[] }> {
  const { s, challenge } = await challenged(edge, from())
  const other = (await challenged(edge, from())).challenge
  const solution = await solveChallenge({ challenge, deriveKey })
  assert.ok(solution !== null)
  const { parameters, signature } = challenge
  const withParameters = (change: object): unknown => ({
    ...challenge,
    parameters: { ...parameters, ...change },
  })
  const withData = (change: object): unknown => withParameters({ data: { ...parameters.data, ...change } })
  const challenges: unknown[] = [
    ...Object.entries(parameters).flatMap(([name, value]) => [
      withParameters({ [name]: undefined }),
      withParameters({ [name]: null }),
      withParameters({ [name]: [value] }),
      withParameters({ [name]: typeof value === 'number' ? value + 1 : `${value}0` }),
      withParameters({ [name]: typeof value === 'number' ? String(value) : 7 }),
    ]),
    ...Object.entries(parameters.data ?? {}).flatMap(([name, value]) => [
      withData({ [name]: typeof value === 'number' ? 0.5 : `${value}x` }),
      withData({ [name]: {} }),
      withData({ [name]: undefined }),
    ]),
    withParameters({ expiresAt: 0xffff_ffff }),
    withParameters({ cost: 1 }),
    withParameters({ keyPrefix: '' }),
    withParameters({ algorithm: 'SHA-256' }),
    withParameters({ nonce: parameters.nonce.toUpperCase() }),
    withParameters({ extra: 1 }),
    { parameters, signature: '' },
    { parameters, signature: signature?.toUpperCase() },
    { parameters },
    { parameters: other.parameters, signature },
    { parameters, signature: other.signature },
    { parameters: { ...other.parameters, nonce: parameters.nonce }, signature: other.signature },
    null,
    [],
    'text',
  ]
  const solutions: unknown[] = [
    { ...solution, derivedKey: '00'.repeat(32) },
    { ...solution, derivedKey: `${parameters.keyPrefix}${'00'.repeat(16)}` },
    { ...solution, derivedKey: solution.derivedKey.toUpperCase() },
    { ...solution, derivedKey: '' },
    { ...solution, counter: -1 },
    { ...solution, counter: 2 ** 32 },
    { ...solution, counter: Number.MAX_SAFE_INTEGER },
    { ...solution, counter: 1e308 },
    { ...solution, counter: '1' },
    { ...solution, more: 1 },
    { ...solution, time: 'x' },
    await solveChallenge({ challenge: other, deriveKey }),
    {},
    null,
  ]
  const payloads = [
    ...challenges.map(one => payloadOf(one as Challenge, solution)),
    ...solutions.map(one => payloadOf(challenge, one)),
    'not base64 !',
    Buffer.from('[]').toString('base64'),
    Buffer.from('{"challenge":{"__proto__":{}}}').toString('base64'),
    'A'.repeat(5_000),
    '',
  ]
  return { s, right: payloadOf(challenge, solution), payloads }
}

test('row 16: a proof with any field altered, spliced, of a wrong type or with a huge counter is refused', async t => {
  const edge = await startGuardedEdge(t, specOf(always), behindProxy)
  const few = 8
  for (let group = 0, count = few; group * few < count; group++) {
    let clients = 0
    // One block, so one client, who may be wrong only so often; an address each, because each may ask only so often.
    const from = (): AskedRequest => ({ client: `198.${51 + group}.100.${(clients++ % 250) + 1}` })
    const { s, right, payloads } = await forgedProofs(edge, from)
    count = payloads.length
    for (const payload of payloads.slice(group * few, (group + 1) * few)) {
      const { status, value, cookie } = await told<Refused>(edge, answer(s, payload, from()))
      assert.equal(status, 403, Buffer.from(payload, 'base64').toString())
      assert.equal(value.error.code, 'CHALLENGE_FAILED')
      assert.equal(cookie, '')
    }
    // None of these used the challenge up.
    assert.equal((await told(edge, answer(s, right, from()))).status, 200)
  }
})

test('row 15: a proof is good for the client, host and kind that it was asked for, and no other', async t => {
  const edge = await startGuardedEdge(t, specOf(always), behindProxy)
  const mine = { client: '198.51.100.7' }
  const { s, challenge } = await challenged(edge, mine)
  const payload = await solved(challenge)
  const elsewhere = { client: '203.0.113.7' }
  const theirs = await challenged(edge, elsewhere)
  const stolen = await told<Refused>(edge, answer(theirs.s, payload, elsewhere))
  assert.deepEqual([stolen.status, stolen.value.error.reason], [403, 'other-client'])
  const form = await told<Challenge>(edge, { ...mine, path: `${base}new?action=login` })
  const wrong = await told<Refused>(edge, answer(s, await solved(form.value), mine))
  assert.deepEqual([wrong.status, wrong.value.error.reason], [403, 'other-action'])
  for (const action of ['tenfold-page', '', 'a b', 'x'.repeat(33)])
    assert.equal(
      (await told(edge, { ...mine, path: `${base}new?action=${encodeURIComponent(action)}` })).status,
      400,
    )
  assert.equal((await told(edge, answer(theirs.s, payload, mine))).status, 403)
  assert.equal((await told(edge, answer(s, payload, mine))).status, 200)
})

test('a proof that was asked for at an edge that has restarted is refused, so it can never be used twice', async t => {
  const first = await startGuardedEdge(t, specOf(always), plain)
  const second = await startGuardedEdge(t, specOf(always), plain)
  const { challenge } = await challenged(first)
  const { s } = await challenged(second)
  const refused = await told<Refused>(second, answer(s, await solved(challenge)))
  assert.deepEqual([refused.status, refused.value.error.reason], [403, 'other-edge'])
  // A clearance is good at both: they share the secret.
  const cookie = await cleared(first)
  assert.equal((await second.ask({ fields: `Cookie: ${cookie}\r\n` })).status, 200)
})

test('people get a page that nobody may store, programs get JSON, and neither is led to another host', async t => {
  const edge = await startGuardedEdge(t, specOf(always), plain)
  const seen = await edge.ask({ fields: page, path: '/shows?day=2' })
  assert.equal(seen.status, 403)
  assert.match(seen.fields.get('content-type') ?? '', /^text\/html/)
  assert.match(seen.fields.get('cache-control') ?? '', /no-store/)
  assert.equal(seen.fields.get('tenfold-challenge'), 'pow')
  assert.match(seen.fields.get('content-security-policy') ?? '', /default-src 'none'/)
  assert.doesNotMatch(seen.body.toString(), /https?:\/\//)
  for (const fields of [
    json,
    'Accept: */*\r\n',
    'Accept: text/html\r\nSec-Fetch-Dest: empty\r\n',
    'Accept: text/html\r\nSec-Fetch-Dest: image\r\n',
    'Accept: text/html\r\nX-Requested-With: XMLHttpRequest\r\n',
  ]) {
    const refused = await edge.ask({ fields })
    assert.deepEqual([refused.status, refused.fields.get('content-type')], [403, 'application/json'], fields)
    assert.match(refused.fields.get('cache-control') ?? '', /no-store/)
  }
  let followed = 0
  for (const path of ['//evil.example/x', '/\\\\evil.example', '/%5Cevil.example', '/a/..//evil.example']) {
    const { challenge, s } = await challenged(edge, { path }).catch(() => ({ challenge: null, s: '' }))
    if (challenge === null) continue
    followed++
    const fields = `${page}Content-Type: application/x-www-form-urlencoded\r\n`
    const body = new URLSearchParams({ s, altcha: await solved(challenge) }).toString()
    const passed = await edge.ask({ method: 'POST', path: `${base}pass`, fields, body })
    assert.equal(passed.status, 303)
    const cookie = passed.fields.get('set-cookie')?.split(';', 1)[0]
    const done = await edge.ask({
      path: passed.fields.get('location') as string,
      fields: `${page}Cookie: ${cookie}\r\n`,
    })
    assert.match(done.fields.get('location') ?? '', /^\/(?![/\\])/, path)
  }
  assert.ok(followed > 0)
})

test('who keeps no cookies is told so instead of being asked for ever', async t => {
  const edge = await startGuardedEdge(t, specOf(always), plain)
  const { challenge, s } = await challenged(edge, { path: '/shows' })
  const fields = `${page}Content-Type: application/x-www-form-urlencoded\r\n`
  const body = new URLSearchParams({ s, altcha: await solved(challenge) }).toString()
  const passed = await edge.ask({ method: 'POST', path: `${base}pass`, fields, body })
  const path = passed.fields.get('location') as string
  const without = await edge.ask({ path, fields: page })
  assert.deepEqual([without.status, without.fields.get('tenfold-challenge')], [403, 'cookies'])
  assert.match(without.body.toString(), /allow cookies/)
  assert.match(without.body.toString(), /href="\/shows"/)
  const cookie = passed.fields.get('set-cookie')?.split(';', 1)[0]
  const kept = await edge.ask({ path, fields: `${page}Cookie: ${cookie}\r\n` })
  assert.deepEqual([kept.status, kept.fields.get('location')], [303, '/shows'])
})

test('a form that was sent to a challenged route is asked for again, from the page that it came from', async t => {
  const edge = await startGuardedEdge(t, specOf(always), plain)
  const sent = { method: 'POST', path: '/orders', body: 'seat=4' }
  const referer = 'Referer: http://shop.example/buy?seat=4\r\n'
  const seen = await edge.ask({ ...sent, fields: page + referer })
  assert.equal(seen.status, 403)
  assert.match(seen.body.toString(), /send it once more/)
  const { challenge, s } = await challenged(edge, { ...sent, fields: referer })
  const fields = `${page}Content-Type: application/x-www-form-urlencoded\r\n`
  const body = new URLSearchParams({ s, altcha: await solved(challenge) }).toString()
  const passed = await edge.ask({ method: 'POST', path: `${base}pass`, fields, body })
  const cookie = passed.fields.get('set-cookie')?.split(';', 1)[0]
  const done = await edge.ask({
    path: passed.fields.get('location') as string,
    fields: `${page}Cookie: ${cookie}\r\n`,
  })
  assert.equal(done.status, 200)
  assert.match(done.body.toString(), /href="\/buy\?seat=4"/)
  assert.equal(edge.origin.requests.length, 0)
})

test('row 27: without scripts one gets in by waiting, once for each ticket, not before its time, and not very often', async t => {
  const edge = await startGuardedEdge(t, specOf(always), plain)
  const seen = await edge.ask({ fields: page, path: '/shows' })
  const refresh = /<noscript><meta http-equiv="refresh" content="(\d+); url=([^"]+)">/.exec(
    seen.body.toString(),
  )
  assert.ok(refresh !== null)
  const path = refresh[2] as string
  const early = await edge.ask({ path, fields: page })
  assert.deepEqual([early.status, early.fields.get('tenfold-challenge')], [403, 'wait'])
  assert.match(early.body.toString(), /<meta http-equiv="refresh"/)
  let passed = early
  const deadline = Date.now() + 60_000
  while (passed.status !== 303 && Date.now() < deadline) {
    await new Promise(resolve => setTimeout(resolve, 500))
    passed = await edge.ask({ path, fields: page })
  }
  assert.equal(passed.status, 303)
  const cookie = passed.fields.get('set-cookie')?.split(';', 1)[0]
  assert.equal((await edge.ask({ fields: `Cookie: ${cookie}\r\n` })).status, 200)
  const again = await edge.ask({ path, fields: page })
  assert.equal(again.status, 403)
  assert.equal(again.fields.get('set-cookie'), undefined)
})

test('where the part only detects, the request passes and what would have happened is recorded', async t => {
  const policy = policyOf('trial', { challenge: 'always', detectOnly: ['challenge'] })
  const edge = await startGuardedEdge(t, specOf([policy]), plain)
  const passed = await edge.ask({ fields: page })
  assert.equal(passed.status, 200)
  const { findings } = await edge.explained(
    /x-request-id: (\S+)/i.exec(edge.origin.requests[0]?.head ?? '')?.[1] as string,
  )
  assert.deepEqual([findings[0]?.rule, findings[0]?.detected], ['challenge:none', true])
})

test('who is on the allow list, and where nobody is suspected, is not asked', async t => {
  const edge = await startGuardedEdge(t, specOf(always, { allow: ['127.0.0.1/32'] }), plain)
  assert.equal((await edge.ask({ fields: page })).status, 200)
  await edge.reload(specOf([policyOf('trial', { challenge: 'suspicious' })]))
  assert.equal((await edge.ask({ fields: page })).status, 200)
})

test('a client that gives wrong answers again and again is told to wait, and others of its address are not', async t => {
  const edge = await startGuardedEdge(t, specOf(always), { workers: 1, ...behindProxy })
  const mine = { client: '198.51.100.20', fields: 'User-Agent: bad\r\n' }
  const { s } = await challenged(edge, mine)
  const wrong = Buffer.from('{}').toString('base64')
  const statuses: number[] = []
  for (let i = 0; i < 40; i++) {
    const { status, fields } = await edge.ask(answer(s, wrong, mine))
    statuses.push(status)
    if (status === 429) assert.ok(Number(fields.get('retry-after')) > 0)
  }
  assert.ok(statuses.includes(429) && statuses.includes(403))
  assert.ok(statuses.every(status => status === 429 || status === 403))
  const other = { client: '198.51.100.20', fields: 'User-Agent: good\r\n' }
  assert.match(await cleared(edge, other), /tenfold_clear=/)
  const many = await Promise.all(
    Array.from({ length: 700 }, () => edge.ask({ ...other, path: `${base}done?s=x` })),
  )
  assert.ok(
    many.some(({ status }) => status === 429),
    'pages have a bound too',
  )
})
