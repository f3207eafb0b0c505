// What may make an origin answer otherwise and is not in the plain key, through a real edge: languages that an origin has
// not, ranges beyond the end, fields that mislead, hosts that a trusted proxy tells, cookies beside a guess.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { answers, ask, cachedRoute, withCache } from '../tools/cached-edge.ts'
import { type EdgeUnderTest, serve, startEdge } from '../tools/edge-harness.ts'
import { ok } from '../tools/raw-origin.ts'

const setup = {
  workers: 1,
  routes: [cachedRoute(), cachedRoute('/guessed/*', { heuristics: true })].reverse(),
  more: withCache(),
}
const edge: EdgeUnderTest = await startEdge({ after }, setup)
const behindProxy: EdgeUnderTest = await startEdge({ after }, { ...setup, trustedProxies: ['127.0.0.0/8'] })

const fresh = 'Cache-Control: max-age=60\r\n'

test('who likes a language that the origin has not gets what the origin gives him, not what it gave another', async t => {
  const inLanguage = (language: string): string =>
    ok(language, `${fresh}Vary: Accept-Language\r\nContent-Language: ${language}\r\n`)
  await serve(
    edge,
    t,
    answers(({ headers }) => inLanguage(/fr/.test(headers['accept-language'] ?? '') ? 'fr' : 'en')),
  )
  assert.equal((await ask(edge.port, '/page', { 'accept-language': 'de' })).text, 'en')
  assert.equal((await ask(edge.port, '/page', { 'accept-language': 'de, fr;q=0.5' })).text, 'fr')
})

test('a 416 for one range is not what others get', async t => {
  await serve(
    edge,
    t,
    answers(({ headers }) =>
      headers.range === undefined
        ? ok('whole', fresh)
        : `HTTP/1.1 416 No\r\n${fresh}Content-Length: 0\r\n\r\n`,
    ),
  )
  assert.equal((await ask(edge.port, '/film', { range: 'bytes=99-' })).status, 416)
  assert.equal((await ask(edge.port, '/film')).text, 'whole')
})

test('the answer to a POST is not stored where a field that misleads went with it', async t => {
  await serve(
    edge,
    t,
    answers(({ headers }) =>
      ok(headers['x-original-url'] === undefined ? 'right' : 'wrong', `${fresh}Content-Location: /form\r\n`),
    ),
  )
  const misled = { 'x-original-url': '/other', 'content-length': '0' }
  assert.equal((await ask(edge.port, '/form', misled, 'POST')).text, 'wrong')
  assert.equal((await ask(edge.port, '/form')).text, 'right')
})

test('a part that is fresh by a guess is nothing for requests with cookies', async t => {
  await serve(
    edge,
    t,
    answers(({ headers }) => {
      const who = headers.cookie?.slice(0, 1) ?? '-'
      const guess = 'Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Range: bytes 0-0/2\r\n'
      return `HTTP/1.1 206 Partial Content\r\n${guess}Content-Length: 1\r\n\r\n${who}`
    }),
    setup,
  )
  for (const who of ['a', 'b', 'a'])
    assert.equal((await ask(edge.port, '/guessed/x', { cookie: `${who}=1`, range: 'bytes=0-0' })).text, who)
})

test('a host that a trusted proxy tells is part of the key', async t => {
  const origin = await serve(
    behindProxy,
    t,
    answers(({ headers }) => ok(headers['x-forwarded-host'] ?? '-', fresh)),
  )
  for (const host of ['a.example', 'b.example', 'a.example'])
    assert.equal((await ask(behindProxy.port, '/host', { 'x-forwarded-host': host })).text, host)
  assert.equal(origin.requests.length, 2)
})
