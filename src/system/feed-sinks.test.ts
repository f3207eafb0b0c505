// How edges are found and told, by peers that speak the control protocol as an edge does and fail as one may. With a real
// edge: test/system/.

import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Invalidation } from '../database/feed/index.ts'
import type { Purge } from '../edge/store/contract.ts'
import { listenLines } from '../io/line-server.ts'
import { socketPath } from '../io/socket-path.ts'
import { EdgeSinks, purgeOf } from './feed-sinks.ts'

interface Edge {
  readonly purges: Purge[]
  close(): void
}

function stateOf(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'tenfold-feed-'))
  mkdirSync(join(directory, 'router'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

async function edge(
  t: TestContext,
  state: string,
  name: string,
  nonce: string,
  startedAt: number,
): Promise<Edge> {
  const purges: Purge[] = []
  const server = await listenLines(socketPath(state, name), {
    onValue: (peer, value) => {
      const { id, method, params } = value as { id: number; method: string; params: { what: Purge } }
      if (method === 'purge') purges.push(params.what)
      peer.send({ id, result: method === 'status' ? { nonce, startedAt } : {} })
    },
  })
  const close = (): void => server.close()
  t.after(close)
  return { purges, close }
}

function open(t: TestContext, state: string): EdgeSinks {
  const sinks = new EdgeSinks(state)
  t.after(() => sinks.close())
  return sinks
}

async function until(holds: () => boolean): Promise<void> {
  const end = Date.now() + 30_000
  while (!holds()) {
    assert.ok(Date.now() < end, 'within 30 s')
    await sleep(10)
  }
}

const film: Invalidation = {
  database: 'main',
  lsn: 1,
  timeline: 1,
  everything: false,
  tags: ['film:1'],
  urls: ['/films/1'],
  keys: ['k'],
  tables: ['public.films'],
}
const tell = (sinks: EdgeSinks, what: Invalidation): Promise<void> =>
  (sinks.sinks[0] as { sink: (one: Invalidation) => Promise<void> }).sink(what)

test('an invalidation is a purge of its tags and URLs, and nothing where an edge has neither', () => {
  assert.deepEqual(purgeOf(film), { tags: ['film:1'], targets: ['/films/1'] })
  assert.deepEqual(purgeOf({ ...film, everything: true }), { all: true })
  assert.equal(purgeOf({ ...film, tags: [], urls: [] }), null)
})

test('an edge that nobody knows forgets everything once, then what changes; all of them are told', async t => {
  const state = stateOf(t)
  const first = await edge(t, state, 'edge', 'a', 1_000)
  const sinks = open(t, state)
  await tell(sinks, film)
  assert.deepEqual(first.purges, [{ all: true }, { tags: ['film:1'], targets: ['/films/1'] }])
  // One that takes over, begun after this: told what was forgotten since, no more.
  const second = await edge(t, state, 'edge-0123abcd', 'b', Date.now() + 1_500)
  await until(() => sinks.edges === 2)
  await tell(sinks, { ...film, tags: ['film:2'], urls: [] })
  assert.deepEqual(second.purges.at(-1), { tags: ['film:2'], targets: [] })
  assert.ok(!second.purges.some(purge => purge.all === true))
  assert.equal(first.purges.length, 3)
})

test('the next router knows the edges that have heard everything', async t => {
  const state = stateOf(t)
  const one = await edge(t, state, 'edge', 'a', 1_000)
  const before = open(t, state)
  await tell(before, film)
  before.close()
  one.purges.length = 0
  const after = open(t, state)
  await tell(after, film)
  assert.deepEqual(one.purges, [{ tags: ['film:1'], targets: ['/films/1'] }])
})

test('an edge that ends is none; without any the feed is told so, and the next one hears what was missed', async t => {
  const state = stateOf(t)
  const one = await edge(t, state, 'edge', 'a', 1_000)
  const sinks = open(t, state)
  await tell(sinks, film)
  one.close()
  await until(() => sinks.edges === 0)
  await assert.rejects(tell(sinks, { ...film, tags: ['film:3'] }), /no edge answers/)
  const next = await edge(t, state, 'edge', 'c', 1_000)
  await until(() => next.purges.length > 0)
  assert.deepEqual(next.purges[0], { all: true }, 'it began before anything that is remembered')
})
