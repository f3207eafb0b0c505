// What may make an origin answer otherwise and is not in the plain key, through a real edge: languages that an origin has
// not, ranges beyond the end, fields that mislead, hosts that a trusted proxy tells, cookies beside a guess.

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { answers, ask, cachedRoute, cacheSpec, withCache } from '../tools/cached-edge.ts'
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

const hooked = (): {
  module: string
  hash: string
  deadlineMs: number
  onFailure: 'refuse'
  onRequest: string
} => {
  const module = join(edge.stateDirectory, 'deception-hooks.ts')
  writeFileSync(
    module,
    "export const who = ({ headers }) => ({ headers: { set: { 'X-User': headers.get('cookie'), Authorization: headers.get('cookie') } } })",
  )
  return { module, hash: 'one', deadlineMs: 20_000, onFailure: 'refuse', onRequest: 'who' }
}

test('what a hook makes of a user is what Vary, keys and storing go by', async t => {
  const key = { ...cacheSpec().key, headers: ['x-user'] }
  const hooks = hooked()
  const shared = 'Cache-Control: s-maxage=60\r\n'
  const origin = await serve(
    edge,
    t,
    answers(({ target, headers }) =>
      ok(
        headers['x-user'] as string,
        target === '/varied' ? `${shared}Vary: X-User\r\n` : target === '/keyed' ? shared : fresh,
      ),
    ),
    { ...setup, routes: [cachedRoute('/keyed', { key }, { hooks }), cachedRoute('/*', {}, { hooks })] },
  )
  for (const path of ['/varied', '/keyed', '/authorized'])
    for (const cookie of ['user=alice', 'user=bob', 'user=alice'])
      assert.equal((await ask(edge.port, path, { cookie })).text, cookie, path)
  assert.equal(origin.requests.length, 2 + 2 + 3)
})

test('a field that Connection takes out does not stand for its value in a key', async t => {
  const key = { ...cacheSpec().key, headers: ['x-tenant'] }
  await serve(
    edge,
    t,
    answers(({ headers }) =>
      ok(`${headers['accept-language']} ${headers['x-tenant']}`, `${fresh}Vary: Accept-Language\r\n`),
    ),
    { ...setup, routes: [cachedRoute('/*', { key })] },
  )
  const asked = { 'accept-language': 'fr', 'x-tenant': 'one' }
  for (const name of ['accept-language', 'x-tenant'])
    await ask(edge.port, '/hop', { ...asked, connection: `close, ${name}` })
  assert.equal((await ask(edge.port, '/hop', asked)).text, 'fr one')
})

test('who the edge says that a client is keeps answers that vary by it apart', async t => {
  await serve(
    edge,
    t,
    answers(({ headers }) => ok(headers['x-forwarded-for'] as string, `${fresh}Vary: X-Forwarded-For\r\n`)),
    setup,
  )
  for (const address of ['127.0.0.1', '127.0.0.2', '127.0.0.1']) assert.equal(await askFrom(address), address)
})

function askFrom(localAddress: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: edge.port, path: '/address', localAddress, agent: false }
    const call = request(options, answer => {
      let text = ''
      answer.setEncoding('latin1').on('data', (piece: string) => {
        text += piece
      })
      answer.on('end', () => resolve(text))
    })
    call.on('error', reject)
    call.end()
  })
}

test('a 304 that says by what the answer varies ends its being for everybody', async t => {
  await serve(
    edge,
    t,
    answers(({ headers }) =>
      headers['if-none-match'] === undefined
        ? ok(headers.cookie as string, 'Cache-Control: max-age=0\r\nETag: "a"\r\n')
        : `HTTP/1.1 304 Same\r\n${fresh}Vary: Cookie\r\nETag: "a"\r\n\r\n`,
    ),
    setup,
  )
  for (const cookie of ['user=alice', 'user=alice', 'user=bob'])
    assert.equal((await ask(edge.port, '/validated', { cookie })).text, cookie)
})
