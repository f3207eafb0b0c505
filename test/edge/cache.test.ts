// The edge's HTTP cache as clients, instances and operators see it, through a real edge: what is stored, served, validated
// and forgotten, beside the other features of a route.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { cachedRoute, withCache } from '../tools/cached-edge.ts'
import { type EdgeUnderTest, serve, startEdge } from '../tools/edge-harness.ts'
import { answering, ok } from '../tools/raw-origin.ts'

const edge: EdgeUnderTest = await startEdge(
  { after },
  { workers: 2, routes: [cachedRoute()], more: withCache() },
)

let serial = 0
/** A path that no test has asked for. */
const newPath = (): string => `/thing-${++serial}`

async function get(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Response> {
  return await fetch(edge.url + path, { headers, method, redirect: 'manual' })
}

const said = (response: Response): string => response.headers.get('cache-status') ?? ''

test('a second request is answered from the store, with Age and Cache-Status', async t => {
  const origin = await serve(
    edge,
    t,
    answering(() => ok('hello', 'Cache-Control: max-age=60\r\nX-Own: 1\r\n')),
  )
  const path = newPath()
  const first = await get(path)
  assert.equal(await first.text(), 'hello')
  assert.match(said(first), /^tenfold; fwd=uri-miss; fwd-status=200; stored$/)
  const second = await get(path)
  assert.equal(await second.text(), 'hello')
  assert.match(said(second), /^tenfold; hit; ttl=(?:60|59)$/)
  assert.match(second.headers.get('age') ?? '', /^[01]$/)
  assert.equal(second.headers.get('x-own'), '1')
  assert.equal(second.headers.get('content-length'), '5')
  assert.equal(origin.requests.length, 1)
})
