// Bad days of the edge's cache: origins that are down, slow, or cut their answers; workers that die in the middle; purges
// amid fills; entries that are evicted while they are sent; requests that try to poison what others get.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { type Answer, answers, ask, cachedRoute, withCache } from '../tools/cached-edge.ts'
import { type EdgeUnderTest, serve, startEdge, until, upstreamOf } from '../tools/edge-harness.ts'
import { closedPort, ok } from '../tools/raw-origin.ts'
import type { RawPeer } from '../tools/raw-peer.ts'

const edge: EdgeUnderTest = await startEdge(
  { after },
  {
    workers: 2,
    routes: [cachedRoute()],
    more: withCache({}, { memoryBytes: 8 << 20, objectBytesMax: 2 << 20 }),
  },
)

let serial = 0
const newPath = (): string => `/bad-day-${++serial}`
const get = (path: string, headers: Record<string, string> = {}): Promise<Answer> =>
  ask(edge.port, path, headers)
const said = ({ headers }: Answer): string => headers['cache-status'] ?? ''
const fresh = 'Cache-Control: max-age=60\r\n'

test('while the origin is down what is stale is served, and its own errors likewise; then it comes back', async t => {
  let broken = false
  const routes = [cachedRoute('/*', { staleIfErrorMs: 60_000 })]
  const origin = await serve(
    edge,
    t,
    answers(() =>
      broken
        ? 'HTTP/1.1 503 No\r\nContent-Length: 6\r\n\r\nbroken'
        : ok('good', 'Cache-Control: max-age=0\r\nETag: "a"\r\n'),
    ),
    { routes },
  )
  const path = newPath()
  assert.equal((await get(path)).text, 'good')
  broken = true
  const failing = await get(path)
  assert.equal(failing.text, 'good')
  assert.match(said(failing), /fwd=stale; fwd-status=503; ttl=-?\d+; detail=stale-if-error/)
  assert.equal((await get(`${path}/never-seen`)).status, 503)
  await edge.apply({ members: [await closedPort()], routes })
  const down = await get(path)
  assert.equal(down.status, 200)
  assert.equal(down.text, 'good')
  assert.match(said(down), /detail=stale-if-error/)
  assert.equal((await get(`${path}/never-seen`)).status, 502)
  await edge.apply({ members: [], routes })
  assert.equal((await get(path)).text, 'good')
  broken = false
  await edge.apply({ members: [origin.port], routes })
  assert.match(said(await get(path)), /fwd-status=(?:200|304)/)
})

test('a thousand clients that wait for a slow origin are one request', async t => {
  let give = (): void => {}
  const given = new Promise<void>(resolve => {
    give = resolve
  })
  const origin = await serve(
    edge,
    t,
    answers(async () => {
      await given
      return ok('slow', fresh)
    }),
  )
  const path = newPath()
  const waiting = Array.from({ length: 1_000 }, () => get(path))
  await until('all of them to wait', async () => {
    const { workers } = await edge.status()
    return workers.reduce((sum, { exchanges }) => sum + exchanges, 0) === 1_000
  })
  give()
  const all = await Promise.all(waiting)
  assert.ok(all.every(({ text, status }) => status === 200 && text === 'slow'))
  assert.equal(origin.requests.length, 1)
  assert.ok(all.filter(one => /collapsed/.test(said(one))).length >= 900)
})

test('who waited for a private answer asks for itself', async t => {
  let give = (): void => {}
  const given = new Promise<void>(resolve => {
    give = resolve
  })
  const origin = await serve(
    edge,
    t,
    answers(async ({ headers }) => {
      await given
      return ok(`for ${headers['x-user']}`, 'Cache-Control: private, max-age=60\r\n')
    }),
  )
  const path = newPath()
  const waiting = Array.from({ length: 20 }, (_, user) => get(path, { 'X-User': `${user}` }))
  await until('the first to be asked', () => origin.requests.length >= 1)
  give()
  for (const [user, one] of (await Promise.all(waiting)).entries()) assert.equal(one.text, `for ${user}`)
  assert.equal(origin.requests.length, 20)
})

test('the fill goes on when the client that began it leaves; who waits gets it', async t => {
  let peer: RawPeer | null = null
  const origin = await serve(
    edge,
    t,
    answers((_asked, connection) => {
      peer = connection
      connection.write(`HTTP/1.1 200 OK\r\nContent-Length: 8\r\n${fresh}\r\nhalf`)
      return undefined
    }),
  )
  const path = newPath()
  const first = await edge.connect()
  first.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
  await first.upTo('half')
  const other = await edge.connect()
  other.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
  await other.upTo('half')
  first.reset()
  await until('the first to be gone', async () => {
    const { workers } = await edge.status()
    return workers.reduce((sum, { connections }) => sum + connections, 0) === 1
  })
  ;(peer as RawPeer | null)?.write('half')
  assert.equal((await other.bytes(4)).toString(), 'half')
  const later = await ask(edge.port, path, { Host: 'a' })
  assert.equal(later.text, 'halfhalf')
  assert.match(said(later), /hit/)
  assert.equal(origin.requests.length, 1)
})

test('an answer that is cut short is never stored, and who read along sees that it is not whole', async t => {
  let cut: (() => void) | null = null
  const origin = await serve(
    edge,
    t,
    answers((_asked, connection, index) => {
      if (index > 0) return ok('whole', fresh)
      connection.write(`HTTP/1.1 200 OK\r\nContent-Length: 10\r\n${fresh}\r\nhalf`)
      cut = () => connection.destroy()
      return undefined
    }),
  )
  const path = newPath()
  const first = await edge.connect()
  first.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
  await first.upTo('half')
  const other = await edge.connect()
  other.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
  await other.upTo('half')
  ;(cut as (() => void) | null)?.()
  assert.equal((await first.rest()).length, 0)
  assert.equal((await other.rest()).length, 0)
  assert.equal((await ask(edge.port, path, { Host: 'a' })).text, 'whole')
  assert.equal(origin.requests.length, 2)
})

test('a purge amid a fill wins: what comes of it is not served to anybody later', async t => {
  let give = (): void => {}
  const given = new Promise<void>(resolve => {
    give = resolve
  })
  let count = 0
  const origin = await serve(
    edge,
    t,
    answers(async () => {
      const own = ++count
      if (own === 1) await given
      return ok(`${own}`, `${fresh}Cache-Tag: t\r\nVary: X-Some\r\n`)
    }),
  )
  const path = newPath()
  const first = get(path)
  await until('the origin to be asked', () => origin.requests.length === 1)
  await edge.call('purge', { what: { tags: ['t'] } })
  give()
  assert.equal((await first).text, '1')
  assert.equal((await get(path)).text, '2')
  assert.equal((await get(path)).text, '2')
})

test('a worker that dies while it fills leaves nothing half, and nobody waiting', async t => {
  let hold = true
  await serve(
    edge,
    t,
    answers((_asked, connection) => {
      if (!hold) return ok('whole', fresh)
      connection.write(`HTTP/1.1 200 OK\r\nContent-Length: 10\r\n${fresh}\r\nhalf`)
      return undefined
    }),
  )
  const path = newPath()
  const begun = await edge.connect()
  begun.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
  await begun.upTo('half')
  hold = false
  const { workers } = await edge.status()
  const filling = workers.find(({ exchanges }) => exchanges > 0)?.id as number
  await edge.killWorker(filling)
  const after = await ask(edge.port, path, { Host: 'a' })
  assert.equal(after.text, 'whole')
  await until('the worker to be replaced', async () =>
    (await edge.status()).workers.every(({ state }) => state === 'running'),
  )
  for (let i = 0; i < 6; i++) assert.equal((await ask(edge.port, path, { Host: 'a' })).text, 'whole')
})

test('entries that are evicted while slow clients read them arrive byte for byte', async t => {
  const bodyOf = (name: string): Buffer => Buffer.alloc(1_500_000, `${name} `)
  await serve(
    edge,
    t,
    answers(({ target }, connection) => {
      const body = bodyOf(target)
      connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n${fresh}\r\n`)
      connection.write(body)
      return undefined
    }),
  )
  const path = newPath()
  const names = Array.from({ length: 4 }, (_, i) => `${path}/${i}`)
  const slow: { name: string; peer: RawPeer }[] = []
  for (const name of names) {
    assert.ok((await get(name)).bytes.equals(bodyOf(name)))
    const peer = await edge.connect()
    peer.socket.pause()
    peer.write(`GET ${name} HTTP/1.1\r\nHost: 127.0.0.1:${edge.port}\r\n\r\n`)
    slow.push({ name, peer })
  }
  for (let i = 0; i < 12; i++) await get(`${path}/other-${i}`)
  for (const { name, peer } of slow) {
    peer.socket.resume()
    assert.match((await peer.head()) as string, /200 OK/)
    assert.ok((await peer.bytes(1_500_000)).equals(bodyOf(name)), name)
  }
})

test('another edge is asked first; when it is down the own instances are, and a loop is not one', async t => {
  const own = await serve(
    edge,
    t,
    answers(() => ok('own', fresh)),
  )
  const parent = await startEdge(t, { members: [own.port], routes: [cachedRoute()], more: withCache() })
  const through = (port: number): Parameters<EdgeUnderTest['apply']>[0] => ({
    members: [own.port],
    upstreams: [upstreamOf('shield', [port])],
    more: withCache(
      { parent: 'shield', name: 'tenfold-near' },
      { memoryBytes: 8 << 20, objectBytesMax: 2 << 20 },
    ),
  })
  await edge.apply(through(parent.port))
  const path = newPath()
  const first = await get(path)
  assert.equal(first.text, 'own')
  assert.match(said(first), /^tenfold; fwd=uri-miss[^,]*stored, tenfold-near; fwd=uri-miss/)
  assert.match(said(await get(path)), /tenfold-near; hit/)
  assert.match(own.requests[0]?.fields.get('cdn-loop') ?? '', /^tenfold-[0-9a-f]+$/)
  assert.equal(own.requests.length, 1)
  await edge.apply(through(await closedPort()))
  const alone = await get(`${path}/alone`)
  assert.equal(alone.text, 'own')
  assert.match(said(alone), /^tenfold-near; fwd=uri-miss/)
  assert.equal(own.requests[1]?.fields.get('cdn-loop'), undefined)
  await edge.apply({ members: [own.port] })
})

test('what one client’s fields can change is never given to another (poisoning, deception, cookies)', async t => {
  // An origin that answers by everything that a framework might believe, and shares only what it says it may.
  const believed = [
    'x-forwarded-scheme',
    'x-original-url',
    'x-rewrite-url',
    'x-http-method-override',
    'x-forwarded-host',
    'x-host',
    'x-forwarded-server',
    'forwarded',
  ]
  await serve(
    edge,
    t,
    answers(({ target, headers, method }) => {
      const user = headers.authorization ?? headers.cookie ?? ''
      const seen = believed.map(name => headers[name] ?? '').join('|')
      const own = `${method} ${target} ${headers.host} ${seen} ${user}`
      const shared = user === '' ? fresh : 'Cache-Control: private\r\n'
      return ok(own, `${shared}Vary: X-Lang\r\n`)
    }),
  )
  const path = newPath()
  const word = fc.constantFrom('a', 'b', 'evil.example', '/admin')
  const fields = fc.record(
    Object.fromEntries(
      [...believed, 'cookie', 'authorization', 'x-lang'].map(name => [name, word]),
    ) as Record<string, typeof word>,
    { requiredKeys: [] },
  )
  const targets = fc.constantFrom(
    '/x',
    '/x;.css',
    '/x%2f..%2fy.css',
    '/X',
    '/x?a=1',
    '/x?a=1;b=2',
    '/x?b=2&a=1',
    '/x.css',
  )
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000_000)
  t.diagnostic(`seed ${seed}`)
  await fc.assert(
    fc.asyncProperty(fields, targets, async (headers, target) => {
      const asked = { ...headers, Host: 'shop.example' }
      const { text, status } = await get(path + target, asked)
      if (status === 400) return
      const user = headers.authorization ?? headers.cookie ?? ''
      const parts = text.split(' ')
      // Who is signed in gets what was made for him, or what anybody may get, which has nothing of anybody's fields in it.
      assert.ok(parts.at(-1) === user || parts.at(-1) === '', text)
      assert.equal(parts[2], 'shop.example')
      assert.ok(!/evil|admin/.test(parts[3] ?? ''), text)
      assert.equal(parts[1]?.split('?')[0]?.toLowerCase(), (path + target).split('?')[0]?.toLowerCase())
    }),
    { seed, numRuns: 300 },
  )
})

test('large answers that were sent from the store give their memory back when they are evicted', async t => {
  const body = 'x'.repeat(200_000)
  await serve(
    edge,
    t,
    answers(() => ok(body, fresh)),
  )
  const refused = async (): Promise<number> => {
    const { store } = (await edge.call('cacheStatus', {}, 10_000)) as { store: { refused: number } }
    return store.refused
  }
  const before = await refused()
  for (let i = 0; i < 80; i++) {
    const path = newPath()
    await get(path)
    const again = await get(path)
    assert.match(said(again), /hit/)
    assert.equal(again.bytes.length, body.length)
  }
  assert.equal(await refused(), before)
})

test('the answer to a POST that a purge overtook is not stored', async t => {
  const path = newPath()
  await serve(
    edge,
    t,
    answers(async ({ method }) => {
      if (method === 'POST') await edge.call('purge', { what: { targets: [path] } })
      return ok(method, `${fresh}Content-Location: ${path}\r\n`)
    }),
  )
  assert.equal((await ask(edge.port, path, { 'content-length': '0' }, 'POST')).text, 'POST')
  assert.equal((await get(path)).text, 'GET')
})
