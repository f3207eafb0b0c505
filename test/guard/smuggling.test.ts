// Row 8 of the guard's checklist, by raw sockets on a guarded route: whoever hides a second request in the first one finds
// that it is refused, or judged as a request of its own; the instance never gets one that the guard has not seen.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CheckedWaf } from '../../src/file/checked-guard.ts'
import { until } from '../tools/edge-harness.ts'
import { isAllowed, probes, runProbe, toleratedProbes } from '../tools/h2-probes.ts'
import { RawPeer } from '../tools/raw-peer.ts'
import { policyOf, specOf, startGuardedEdge } from './harness.ts'

const waf: CheckedWaf = {
  rules: 'builtin',
  mode: 'block',
  paranoia: 1,
  inboundThreshold: 5,
  outboundThreshold: 4,
  exclude: [],
  bodyBytesMax: 131_072,
  unreadTypes: [],
  responses: false,
  responseBytesMax: 524_288,
}
const policy = policyOf('trial', {
  waf,
  limits: [
    {
      name: 'at-once',
      kind: 'concurrency',
      algorithm: 'gcra',
      amount: 4,
      perMs: 0,
      burst: 1,
      by: [{ by: 'ip' }],
      missingShare: 0.2,
      adaptiveShare: 1,
      local: false,
      banAfter: 0,
      detectOnly: false,
    },
  ],
})
/** What is to get past: the rules would refuse it, wherever it stands. */
const hidden =
  'GET /hidden?q=%27%20UNION%20SELECT%20password%20FROM%20users--%20 HTTP/1.1\r\nHost: shop.example\r\n\r\n'
const post = (fields: string, body: string): string =>
  `POST /orders HTTP/1.1\r\nHost: shop.example\r\nContent-Type: text/plain\r\n${fields}\r\n${body}`

interface Case {
  readonly what: string
  readonly text: string
  /** What the first request is answered: `malformed` ends the connection (400, or 501 for a coding that nobody knows). */
  readonly first: number | 'malformed'
}

const cases: readonly Case[] = [
  {
    what: 'CL.TE',
    text: post(
      `Content-Length: ${5 + hidden.length}\r\nTransfer-Encoding: chunked\r\n`,
      `0\r\n\r\n${hidden}`,
    ),
    first: 'malformed',
  },
  {
    what: 'TE.CL',
    text: post(
      'Transfer-Encoding: chunked\r\nContent-Length: 4\r\n',
      `${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`,
    ),
    first: 'malformed',
  },
  ...[
    'chunked, identity',
    'xchunked',
    'chunked, chunked',
    'gzip, chunked',
    '"chunked"',
    'chunked;q=1',
    'identity',
    '\x0bchunked',
  ].map(coding => ({
    what: `TE.TE: ${JSON.stringify(coding)}`,
    text: post(`Transfer-Encoding: ${coding}\r\n`, `0\r\n\r\n${hidden}`),
    first: 'malformed' as const,
  })),
  {
    what: 'two Transfer-Encoding fields',
    text: post('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n', `0\r\n\r\n${hidden}`),
    first: 'malformed',
  },
  {
    what: 'two lengths',
    text: post('Content-Length: 0\r\nContent-Length: 4\r\n', `abcd${hidden}`),
    first: 'malformed',
  },
  ...['+4', '4 4', '0x4', '4,5', '-1', '4;', '99999999999999999999'].map(length => ({
    what: `a length of ${length}`,
    text: post(`Content-Length: ${length}\r\n`, `abcd${hidden}`),
    first: 'malformed' as const,
  })),
  {
    what: 'a space before the colon',
    text: post(`Content-Length : ${hidden.length}\r\n`, hidden),
    first: 'malformed',
  },
  {
    what: 'a folded line',
    text: post(`X-A: b\r\n Content-Length: ${hidden.length}\r\n`, hidden),
    first: 'malformed',
  },
  {
    what: 'a bare LF',
    text: post(`X-A: b\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n`, `abcd${hidden}`),
    first: 'malformed',
  },
  {
    what: 'a bare CR',
    text: post(`X-A: b\rTransfer-Encoding: chunked\r\nContent-Length: 4\r\n`, `abcd${hidden}`),
    first: 'malformed',
  },
  {
    what: 'NUL in a name',
    text: post(`Content-Length\0: ${hidden.length}\r\n`, hidden),
    first: 'malformed',
  },
  ...[`5;a="\n${hidden}"`, '0x5', '+5', ' 5', '-5', '5 ', 'ffffffffffffffff1', ''].map(size => ({
    what: `a chunk of size ${JSON.stringify(size.slice(0, 20))}`,
    text: post('Transfer-Encoding: chunked\r\n', `${size}\r\nabcde\r\n0\r\n\r\n${hidden}`),
    first: 'malformed' as const,
  })),
  {
    what: 'a chunk that is longer than it says',
    text: post('Transfer-Encoding: chunked\r\n', `3\r\nabcde\r\n0\r\n\r\n${hidden}`),
    first: 'malformed',
  },
  {
    what: 'a request behind a whole one',
    text: post('Content-Length: 4\r\n', `abcd${hidden}`),
    first: 200,
  },
  {
    what: 'a request in the body of a GET',
    text: `GET / HTTP/1.1\r\nHost: shop.example\r\nContent-Type: text/plain\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`,
    first: 403,
  },
  {
    what: 'an upgrade to h2c',
    text: `GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n${hidden}`,
    first: 200,
  },
  {
    what: 'a field of the edge named in Connection',
    text: `GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: X-Forwarded-For, X-Request-Id\r\n\r\n${hidden}`,
    first: 200,
  },
]

test('row 8: no request is smuggled past the guard over HTTP/1.1', async t => {
  const guarded = await startGuardedEdge(t, specOf([policy]))
  for (const { what, text, first } of cases) {
    const peer = await RawPeer.connect(guarded.edge.port)
    peer.write(text)
    const { status } = await peer.response('GET')
    if (first === 'malformed') assert.ok(status === 400 || status === 501, `${what}: ${status}`)
    else assert.equal(status, first, what)
    // What stands behind a good request is one of its own, and judged like any.
    if (first === 200) assert.equal((await peer.response('GET')).status, 403, `behind: ${what}`)
    peer.destroy()
  }
  assert.equal((await guarded.ask({ path: '/after' })).status, 200)
  const seen = guarded.origin.requests.map(({ startLine }) => startLine)
  assert.ok(seen.includes('GET /after HTTP/1.1'))
  for (const { head, startLine, body } of guarded.origin.requests) {
    assert.doesNotMatch(startLine, /hidden/)
    assert.doesNotMatch(body.toString('latin1'), /hidden/)
    assert.doesNotMatch(head, /^(?:upgrade|http2-settings):/im)
    assert.match(head, /^x-forwarded-for: 127\.0\.0\.1\r$/im)
  }
  const underWay = async (): Promise<number> =>
    (await guarded.question<{ parts: { limit: { underWay: number } } }>({ kind: 'status' })).parts.limit
      .underWay
  await until('every refused request to be over', async () => (await underWay()) === 0)
})

test('row 8: what HTTP/2 can say and HTTP/1.1 can not never reaches an instance behind the guard', async t => {
  const guarded = await startGuardedEdge(t, specOf([policy]))
  for (const probe of probes) {
    const outcome = await runProbe(guarded.edge.port, probe)
    const known = toleratedProbes[probe.name]
    if (known === undefined) assert.ok(isAllowed(probe, outcome), `${probe.name}: ${outcome}`)
    else assert.equal(outcome, known, probe.name)
  }
  assert.equal((await guarded.ask({ path: '/after' })).status, 200)
  for (const { head, startLine } of guarded.origin.requests) {
    assert.match(startLine, /^(?:GET|POST) \/(?:after)? HTTP\/1\.1$/)
    assert.doesNotMatch(head, /^x[ :]|^x-[ab]:|\0|^host: other/im)
  }
})
