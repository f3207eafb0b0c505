// Groups of checks that the public suite's npm edition lacks and its later editions have: targeted cache control
// (RFC 9213), interim answers, and single checks of statuses, credentials and must-understand. Through a real edge that
// obeys the origin, guesses allowed, as the suite itself runs.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { answers, ask, cachedRoute, withCache } from '../tools/cached-edge.ts'
import { type EdgeUnderTest, serve, startEdge } from '../tools/edge-harness.ts'

const edge: EdgeUnderTest = await startEdge(
  { after },
  { workers: 2, routes: [cachedRoute('/*', { heuristics: true })], more: withCache() },
)

let serial = 0
const dateAt = (seconds: number): string => new Date(Date.now() + seconds * 1_000).toUTCString()

interface Check {
  readonly name: string
  /** Lines of the first answer. */
  readonly fields: readonly string[]
  readonly status?: string
  readonly asked?: Readonly<Record<string, string>>
  /** Whether a second request is answered from the store, validated, or by the origin. */
  readonly again: 'cached' | 'validated' | 'not cached'
}

const targeted: readonly Check[] = [
  { name: 'max-age', fields: ['CDN-Cache-Control: max-age=3600'], again: 'cached' },
  { name: 'max-age=2147483648', fields: ['CDN-Cache-Control: max-age=2147483648'], again: 'cached' },
  { name: 'max-age=99999999999', fields: ['CDN-Cache-Control: max-age=99999999999'], again: 'cached' },
  {
    name: 'max-age below Age',
    fields: ['CDN-Cache-Control: max-age=3600', 'Age: 7200'],
    again: 'not cached',
  },
  { name: 'max-age=0', fields: ['CDN-Cache-Control: max-age=0'], again: 'not cached' },
  { name: 'an extension', fields: ['CDN-Cache-Control: foobar, max-age=3600'], again: 'cached' },
  {
    name: 'a past Expires',
    fields: ['CDN-Cache-Control: max-age=3600', `Expires: ${dateAt(-7_200)}`],
    again: 'cached',
  },
  {
    name: 'an invalid Expires',
    fields: ['CDN-Cache-Control: max-age=3600', 'Expires: 0'],
    again: 'cached',
  },
  {
    name: 'max-age=0 and a future Expires',
    fields: ['CDN-Cache-Control: max-age=0', `Expires: ${dateAt(7_200)}`],
    again: 'not cached',
  },
  {
    name: 'a short max-age of Cache-Control',
    fields: ['Cache-Control: max-age=1', 'CDN-Cache-Control: max-age=3600', 'Age: 10'],
    again: 'cached',
  },
  {
    name: 'a long max-age of Cache-Control',
    fields: ['Cache-Control: max-age=3600', 'CDN-Cache-Control: max-age=1', 'Age: 10'],
    again: 'not cached',
  },
  { name: 'private', fields: ['CDN-Cache-Control: private, max-age=3600'], again: 'not cached' },
  { name: 'no-cache', fields: ['CDN-Cache-Control: no-cache', 'ETag: "a"'], again: 'validated' },
  { name: 'no-store', fields: ['CDN-Cache-Control: no-store'], again: 'not cached' },
  {
    name: 'no-store against a fresh Cache-Control',
    fields: ['Cache-Control: max-age=3600', 'CDN-Cache-Control: no-store', `Expires: ${dateAt(7_200)}`],
    again: 'not cached',
  },
  {
    name: 'max-age against no-store of Cache-Control',
    fields: ['Cache-Control: no-store', 'CDN-Cache-Control: max-age=3600'],
    again: 'cached',
  },
  {
    name: 'max-age against private of Cache-Control',
    fields: ['Cache-Control: private', 'CDN-Cache-Control: max-age=3600'],
    again: 'cached',
  },
  {
    name: 'a malformed field, ignored',
    fields: ['Cache-Control: no-store', 'CDN-Cache-Control: max-age=3600, &&&&&'],
    again: 'not cached',
  },
  {
    name: 'an unknown directive of any type',
    fields: ['Cache-Control: no-store', 'CDN-Cache-Control: max-age=3600, unknown=("a" :YQ==:);x'],
    again: 'cached',
  },
  {
    name: 'max-age of a wrong type',
    fields: ['Cache-Control: no-store', 'CDN-Cache-Control: max-age="3600"'],
    again: 'not cached',
  },
  {
    name: 'two lines',
    fields: ['CDN-Cache-Control: foo', 'CDN-Cache-Control: max-age=3600'],
    again: 'cached',
  },
]

const others: readonly Check[] = [
  {
    name: 'must-understand with a status that is known, in spite of no-store',
    fields: ['Cache-Control: must-understand, no-store, max-age=3600'],
    again: 'cached',
  },
  {
    name: 'must-understand with a status that is not known',
    fields: ['Cache-Control: must-understand, max-age=3600'],
    status: '599 Whatever',
    again: 'not cached',
  },
  {
    name: 'Authorization with must-revalidate',
    fields: ['Cache-Control: max-age=3600, must-revalidate'],
    asked: { authorization: 'Basic YTpi' },
    again: 'cached',
  },
  {
    name: 'Authorization with s-maxage',
    fields: ['Cache-Control: s-maxage=3600'],
    asked: { authorization: 'Basic YTpi' },
    again: 'cached',
  },
  {
    name: 'Authorization with max-age alone',
    fields: ['Cache-Control: max-age=3600'],
    asked: { authorization: 'Basic YTpi' },
    again: 'not cached',
  },
  ...['204 No Content', '404 Not Found', '405 Method Not Allowed', '410 Gone', '501 Not Implemented'].map(
    (status): Check => ({
      name: `a guess for ${status}`,
      fields: [`Last-Modified: ${dateAt(-86_400)}`],
      status,
      again: 'cached',
    }),
  ),
  ...['201 Created', '403 Forbidden', '502 Bad Gateway', '599 Whatever'].map(
    (status): Check => ({
      name: `no guess for ${status}`,
      fields: [`Last-Modified: ${dateAt(-86_400)}`],
      status,
      again: 'not cached',
    }),
  ),
]

function answerText({ status = '200 OK', fields }: Check, body: string): string {
  const lines = [`HTTP/1.1 ${status}`, `Date: ${dateAt(0)}`, ...fields]
  if (!status.startsWith('204')) lines.push(`Content-Length: ${body.length}`)
  return `${lines.join('\r\n')}\r\n\r\n${status.startsWith('204') ? '' : body}`
}

async function runCheck(t: Parameters<typeof serve>[1], check: Check): Promise<void> {
  let validations = 0
  const origin = await serve(
    edge,
    t,
    answers(({ headers }, _peer, index) => {
      if (headers['if-none-match'] === undefined) return answerText(check, `body ${index}`)
      validations++
      return `HTTP/1.1 304 Not Modified\r\n${check.fields.join('\r\n')}\r\n\r\n`
    }),
  )
  const path = `/group-${++serial}`
  const first = await ask(edge.port, path, check.asked)
  const second = await ask(edge.port, path, check.asked)
  assert.equal(origin.requests.length, check.again === 'cached' ? 1 : 2)
  assert.equal(validations, check.again === 'validated' ? 1 : 0)
  if (check.again === 'cached') assert.ok('age' in second.headers, 'a stored answer has an Age')
  const isSame = check.again !== 'not cached' || first.text === ''
  assert.equal(second.text === first.text, isSame)
}

for (const check of targeted) {
  test(`CDN-Cache-Control, ${check.name}: ${check.again}`, t => runCheck(t, check))
}
for (const check of others) {
  test(`${check.name}: ${check.again}`, t => runCheck(t, check))
}

test('targeted fields go on to clients, for caches between (RFC 9213 2)', async t => {
  const check: Check = { name: '', fields: ['CDN-Cache-Control: max-age=3600'], again: 'cached' }
  await serve(
    edge,
    t,
    answers(() => answerText(check, 'a')),
  )
  const path = `/group-${++serial}`
  for (let i = 0; i < 2; i++)
    assert.equal((await ask(edge.port, path)).headers['cdn-cache-control'], 'max-age=3600')
})

test('an interim answer passes and is not the one that is stored (RFC 9110 15.2, RFC 8297)', async t => {
  const check: Check = { name: '', fields: ['Cache-Control: max-age=3600'], again: 'cached' }
  const early = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nCache-Control: max-age=1\r\n\r\n'
  const origin = await serve(
    edge,
    t,
    answers(() => early + early + answerText(check, 'whole')),
  )
  const path = `/group-${++serial}`
  const first = await ask(edge.port, path)
  const second = await ask(edge.port, path)
  assert.deepEqual([first.status, first.text, second.status, second.text], [200, 'whole', 200, 'whole'])
  assert.equal(second.headers.link, undefined)
  assert.equal(second.headers['cache-control'], 'max-age=3600')
  assert.equal(origin.requests.length, 1)
})
