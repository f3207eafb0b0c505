import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Purge } from '../edge/store/contract.ts'
import type { Peer } from './compile-caches.ts'
import type { PurgeWish } from './control/cache-views.ts'
import type { ControlHandlers } from './control/handlers.ts'
import { type ControlServer, startControlServer } from './control/server.ts'
import { cacheUnasked, Purges } from './purges.ts'

const token = 'a-token-of-an-admin'

/** The control API of another Tenfold: what it was told, and by whom it may be reached. */
async function startPeer(
  heard: { wish: PurgeWish; peers: boolean }[],
  port = 0,
  unasked = false,
): Promise<ControlServer> {
  const caches = {
    purge: async (wish: PurgeWish, peers: boolean) => {
      if (unasked) throw cacheUnasked()
      heard.push({ wish, peers })
      return { text: 'done', complete: true, edges: [] }
    },
  }
  return startControlServer({
    host: '127.0.0.1',
    port,
    version: 'test',
    tokens: { scopeOf: presented => (presented === token ? 'admin' : null) },
    handlers: { caches } as unknown as ControlHandlers,
    onFault: fault => assert.fail(String(fault)),
  })
}

interface Here {
  readonly purges: Purges
  readonly done: Purge[]
  peers: Peer[]
}

function here(t: { after(run: () => void): void }): Here {
  const made: { done: Purge[]; peers: Peer[] } = { done: [], peers: [] }
  const purges = new Purges({
    edge: () => ({
      purge: async what => {
        made.done.push(what)
        return [{ pid: 7, failure: null }]
      },
    }),
    peers: () => made.peers,
    enabled: () => true,
    tell: () => {},
  })
  t.after(() => purges.close())
  return Object.assign(made, { purges })
}

const edgesOf = async (purges: Purges, wish: PurgeWish): Promise<string[]> =>
  (await purges.purge(wish, true)).edges.map(({ edge, done }) => `${edge} ${done}`)

/** A bound on liveness. */
async function until(holds: () => boolean): Promise<void> {
  const deadlineMs = Date.now() + 30_000
  while (!holds()) {
    assert.ok(Date.now() < deadlineMs, 'still not')
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

test('a peer is told twice, passes nothing on, and one without a cache has nothing to forget', async t => {
  const heard: { wish: PurgeWish; peers: boolean }[] = []
  const [peer, plain] = [await startPeer(heard), await startPeer([], 0, true)]
  t.after(() => Promise.all([peer.close(), plain.close()]))
  const site = here(t)
  site.peers = [
    { url: peer.url, token },
    { url: plain.url, token },
  ]
  const view = await site.purges.purge({ tags: ['a'] }, true)
  assert.equal(view.complete, true)
  assert.equal(view.text, 'purged 1 tag in 3 edges')
  assert.deepEqual(heard, [
    { wish: { tags: ['a'] }, peers: false },
    { wish: { tags: ['a'] }, peers: false },
  ])
  assert.equal(site.done.length, 2)
  await site.purges.purge({ tags: ['a'] }, false)
  assert.equal(heard.length, 2)
})

test('a peer that is away is named, and told in order what it missed before anything new', async t => {
  const heard: { wish: PurgeWish; peers: boolean }[] = []
  const first = await startPeer(heard)
  const port = Number(new URL(first.url).port)
  await first.close()
  const site = here(t)
  site.peers = [{ url: first.url, token }]
  assert.deepEqual(await edgesOf(site.purges, { tags: ['a'] }), ['edge process 7 true', `${first.url} false`])
  await site.purges.purge({ tags: ['b'] }, true)
  assert.equal(site.purges.peers[0]?.waiting, 2)
  assert.match(site.purges.peers[0]?.why ?? '', /does not answer/)

  const again = await startPeer(heard, port)
  t.after(() => again.close())
  await until(() => site.purges.peers[0]?.waiting === 0)
  assert.deepEqual(
    heard.map(({ wish }) => wish.tags?.[0]),
    ['a', 'b'],
  )
  // Who has it for a parent may have fetched from it what it had not forgotten: here too, once more.
  await until(() => site.done.filter(({ tags }) => tags?.[0] === 'b').length === 2)
  assert.deepEqual(await edgesOf(site.purges, { tags: ['c'] }), ['edge process 7 true', `${first.url} true`])
})

test('a peer that missed more than a thousand forgets everything, and one that nobody names any more is let go', async t => {
  const heard: { wish: PurgeWish; peers: boolean }[] = []
  const first = await startPeer(heard)
  const port = Number(new URL(first.url).port)
  await first.close()
  const site = here(t)
  site.peers = [{ url: first.url, token }]
  for (let time = 0; time < 1001; time++) await site.purges.purge({ tags: [`t${time}`] }, true)
  assert.ok((site.purges.peers[0]?.waiting ?? 0) <= 1)
  const again = await startPeer(heard, port)
  t.after(() => again.close())
  await until(() => heard.length > 0)
  assert.deepEqual(heard[0]?.wish, { all: true })
  site.peers = []
  assert.deepEqual(await edgesOf(site.purges, { all: true }), ['edge process 7 true'])
  assert.deepEqual(site.purges.peers, [])
})

test('a wrong token is a sentence of the peer, not a purge', async t => {
  const heard: { wish: PurgeWish; peers: boolean }[] = []
  const peer = await startPeer(heard)
  t.after(() => peer.close())
  const site = here(t)
  site.peers = [{ url: peer.url, token: 'another-token-than-that' }]
  const { complete, text } = await site.purges.purge({ all: true }, true)
  assert.equal(complete, false)
  assert.match(text, /not purged everywhere: http.*token/)
  assert.equal(heard.length, 0)
})
