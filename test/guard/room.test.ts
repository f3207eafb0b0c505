// Waiting rooms on a real edge: pages, apps, grants on every route, restarts, workers that share one line.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { CheckedRoom } from '../../src/file/checked-guard.ts'
import type { GuardSpec } from '../../src/guard/part.ts'
import type { RoomStatus } from '../../src/guard/room/main.ts'
import { lotteryHashes } from '../../src/guard/room/secrets.ts'
import type { RoomView } from '../../src/guard/room/worker-room.ts'
import { socketPath } from '../../src/io/socket-path.ts'
import { verifyLottery } from '../../src/policy/lottery/lottery.ts'
import { connectEdge } from '../../src/system/edge-client.ts'
import { proxyRoute, until } from '../tools/edge-harness.ts'
import { answering, ok } from '../tools/raw-origin.ts'
import type { RawPeer, RawResponse } from '../tools/raw-peer.ts'
import { ask as askPort, endAll, type GuardedEdge, policyOf, specOf, startGuardedEdge } from './harness.ts'

const saleRoom: CheckedRoom = {
  name: 'sale',
  activeMax: 1,
  perMinute: 600_000,
  order: 'first-come',
  person: [],
  sessionMs: 600_000,
  graceMs: 300_000,
  grantMs: 300_000,
  revokeAfter: [],
  title: 'The <great> sale',
  placesMax: 100_000,
}

const guardRoute = { id: '(guard)', match: { path: '/.tenfold/guard/*' }, action: { kind: 'guard' } } as const
const routes = [guardRoute, proxyRoute('/*', { guard: 'trial' })]

function specWith(room: Partial<CheckedRoom> = {}, more: Partial<GuardSpec> = {}): GuardSpec {
  return specOf([policyOf('trial', { room: 'sale' })], { rooms: { sale: { ...saleRoom, ...room } }, ...more })
}

const html = 'Accept: text/html\r\n'

function cookieOf(response: RawResponse): string {
  const line = response.fields.get('set-cookie')
  return line === undefined ? '' : `Cookie: ${line.split(';')[0]}\r\n`
}

const roomOf = (response: RawResponse): RoomView =>
  (JSON.parse(response.body.toString()) as { room: RoomView }).room

const base = '/.tenfold/guard/room/sale'

async function status(edge: GuardedEdge, fields: string): Promise<RoomView> {
  return roomOf(await edge.ask({ path: `${base}/status`, fields }))
}

/** The token of somebody who has come in by a page. */
async function enter(edge: GuardedEdge, fields = ''): Promise<{ response: RawResponse; cookie: string }> {
  const response = await edge.ask({ path: '/tickets', fields: html + fields })
  return { response, cookie: cookieOf(response) }
}

test('a page is let in at once while there is room; the next visitor waits on a page that keeps the place', async context => {
  const edge = await startGuardedEdge(context, specWith(), { routes, workers: 2 })
  const first = await enter(edge)
  assert.equal(first.response.body.toString(), 'from the origin')
  const second = await enter(edge)
  const { response } = second
  assert.deepEqual(
    [response.status, response.fields.get('tenfold-room'), response.fields.get('cache-control')],
    [200, 'waiting', 'no-store'],
  )
  const page = response.body.toString()
  assert.match(page, /<h1>The &lt;great&gt; sale<\/h1>/)
  assert.match(page, /<noscript><meta http-equiv="refresh" content="\d+"><\/noscript>/)
  assert.match(page, /<dd id="place">1<\/dd>/)
  assert.match(response.fields.get('set-cookie') ?? '', /HttpOnly; SameSite=Lax/)
  assert.equal(edge.origin.requests.length, 1)
  // Asked again with the ticket, by whichever worker: the same place.
  for (let i = 0; i < 6; i++) {
    const again = await edge.ask({ path: '/tickets', fields: html + second.cookie })
    assert.match(again.body.toString(), /<dd id="place">1<\/dd>/)
  }
  const third = await enter(edge)
  assert.match(third.response.body.toString(), /<dd id="place">2<\/dd>/)
  // The first leaves; the second goes in with the ticket, and then has a session.
  const left = await edge.ask({ method: 'POST', path: `${base}/leave`, fields: first.cookie })
  assert.equal(roomOf(left).state, 'gone')
  const inside = await edge.ask({ path: '/tickets', fields: html + second.cookie })
  assert.equal(inside.body.toString(), 'from the origin')
  const other = await edge.ask({ path: '/other', fields: html + cookieOf(inside) })
  assert.equal(other.body.toString(), 'from the origin')
  assert.equal((await edge.ask({ path: '/tickets', fields: html + third.cookie })).status, 200)
  assert.equal(edge.origin.requests.length, 3)
})

test('an app takes a place, asks how it goes, and enters once with its grant', async context => {
  const edge = await startGuardedEdge(context, specWith(), { routes, workers: 2 })
  const first = await edge.ask({ method: 'POST', path: '/api/orders', body: '{}' })
  assert.equal(first.status, 429)
  const granted = roomOf(first)
  assert.deepEqual([granted.state, first.fields.get('cache-control')], ['granted', 'no-store'])
  const waiting = await edge.ask({ method: 'POST', path: '/api/orders', body: '{}' })
  assert.equal(waiting.status, 429)
  assert.ok(Number(waiting.fields.get('retry-after')) >= 1)
  const place = roomOf(waiting)
  assert.deepEqual([place.state, place.place], ['waiting', 1])
  assert.ok((place.estimateSeconds ?? 0) > 0)
  assert.equal((await status(edge, `Tenfold-Room: ${place.token}\r\n`)).state, 'waiting')
  const redeem = {
    method: 'POST',
    path: '/api/orders',
    body: '{}',
    fields: `Tenfold-Room: ${granted.token}\r\n`,
  }
  const rounds = await Promise.all(Array.from({ length: 100 }, () => edge.ask(redeem)))
  const passed = rounds.filter(one => one.status === 200)
  assert.equal(passed.length, 1, 'a grant works once')
  assert.equal(edge.origin.requests.length, 1)
  assert.ok(rounds.every(one => one.status === 200 || one.status === 403))
  const session = passed[0]?.fields.get('tenfold-room') ?? ''
  const next = await edge.ask({ ...redeem, fields: `Tenfold-Room: ${session}\r\n` })
  assert.equal(next.status, 200)
})

test('every method, path and protocol of a guarded route demands the grant', async context => {
  const edge = await startGuardedEdge(context, specWith(), { routes, workers: 2 })
  await enter(edge)
  const cases = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'].flatMap(method =>
    ['/tickets', '/api/orders', '/api/v1/orders', '//tickets', '/TICKETS', '/x/../tickets', '/t%69ckets'].map(
      path => ({ method, path }),
    ),
  )
  for (const request of cases) {
    const response = await edge.ask(request)
    assert.equal(response.status, 429, `${request.method} ${request.path}`)
  }
  const upgrade = await edge.ask({
    path: '/live',
    fields:
      'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n',
  })
  assert.equal(upgrade.status, 429)
  const session = connect(edge.edge.url)
  context.after(() => session.destroy())
  for (const method of ['GET', 'POST']) {
    const stream = session.request({ ':method': method, ':path': '/api/orders' })
    stream.end()
    const [head] = (await once(stream, 'response')) as [Record<string, unknown>]
    stream.resume()
    await once(stream, 'close')
    assert.equal(head[':status'], 429, method)
  }
  session.close()
  assert.equal(edge.origin.requests.length, 1)
})

test('an upgrade passes with the session, and not without', async context => {
  const edge = await startGuardedEdge(context, specWith(), { routes })
  const { cookie } = await enter(edge)
  const fields = `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n`
  assert.equal((await edge.ask({ path: '/live', fields: fields + cookie })).status, 200)
  assert.equal((await edge.ask({ path: '/live', fields })).status, 429)
})

test('forged, changed and foreign tokens are worth a place at the end', async context => {
  const edge = await startGuardedEdge(context, specWith(), { routes })
  const inside = await enter(edge)
  const waiting = await enter(edge)
  await enter(edge)
  const token = /=([^;\r]+)/.exec(waiting.cookie)?.[1] ?? ''
  const [version, claims = '', until, mac] = token.split('.')
  const changed = JSON.parse(Buffer.from(claims, 'base64url').toString()) as Record<string, number>
  const better = Buffer.from(JSON.stringify({ ...changed, k: 3, i: 1, n: 1 })).toString('base64url')
  const forged = [
    `${version}.${better}.${until}.${mac}`,
    token.slice(0, -1),
    `${token}x`,
    'v1.e30.zzzzzzzz.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
    'x'.repeat(5_000),
  ]
  for (const [index, one] of forged.entries()) {
    const response = await edge.ask({
      path: '/tickets',
      fields: `${html}Cookie: tenfold-room-sale=${one}\r\n`,
    })
    assert.match(response.body.toString(), new RegExp(`id="place">${index + 3}<`), one.slice(0, 40))
  }
  // A session from another client moves with it a few times, then it is gone for all.
  const session = /=([^;\r]+)/.exec(inside.cookie)?.[1] ?? ''
  let passed = 0
  for (let i = 0; i < 12; i++) {
    const fields = `User-Agent: browser ${i}\r\nTenfold-Room: ${session}\r\n`
    if ((await edge.ask({ path: '/tickets', fields })).body.toString() === 'from the origin') passed++
  }
  assert.ok(passed <= 4, `${passed} clients had one session`)
})

test('after a purchase one must line up again', async context => {
  const spec = specWith({ activeMax: 2, revokeAfter: [{ method: 'POST', path: '/api/orders/:id' }] })
  const script = answering(request => {
    const failed = request.startLine.includes('/fails')
    return failed ? 'HTTP/1.1 402 No\r\nContent-Length: 0\r\n\r\n' : ok('done')
  })
  const edge = await startGuardedEdge(context, spec, { routes, workers: 2 }, script)
  const { cookie } = await enter(edge)
  await enter(edge)
  await enter(edge)
  const buy = (path: string) => edge.ask({ method: 'POST', path, fields: cookie, body: '{}' })
  assert.equal((await buy('/api/orders/fails')).status, 402)
  assert.equal((await buy('/api/other')).status, 200)
  assert.equal((await buy('/api/orders/7')).status, 200)
  await until('the admission is used up', async () => (await buy('/api/other')).status === 429)
})

test('an account has one place over tabs, devices and addresses, and lends it to nobody', async context => {
  const identity = { account: [{ by: 'header', name: 'x-user' } as const], session: [], key: [] }
  const edge = await startGuardedEdge(context, specWith({ person: [{ by: 'account' }] }, { identity }), {
    routes,
    trustedProxies: ['127.0.0.0/8'],
    workers: 2,
  })
  const as = (user: string, more = '') =>
    edge.ask({
      path: '/tickets',
      fields: `${html}X-User: ${user}\r\n${more}`,
      client: `198.51.100.${user.length}`,
    })
  const ada = await as('ada')
  assert.equal(ada.body.toString(), 'from the origin')
  const places = await Promise.all(
    Array.from({ length: 10 }, (_, i) =>
      edge.ask({
        path: '/tickets',
        fields: `${html}X-User: bob\r\nUser-Agent: ${i}\r\n`,
        client: `203.0.113.${i}`,
      }),
    ),
  )
  assert.ok(places.every(one => one.body.toString().includes('id="place">1<')))
  const carol = await as('carol', cookieOf(ada))
  assert.match(carol.body.toString(), /id="place">2</)
  assert.equal((await as('ada', cookieOf(ada))).body.toString(), 'from the origin')
})

test('detect-only lets everybody pass and says what it would have done', async context => {
  const spec = specOf([policyOf('trial', { room: 'sale', detectOnly: ['room'] })], {
    rooms: { sale: saleRoom },
  })
  const edge = await startGuardedEdge(context, spec, { routes })
  await enter(edge)
  const { response } = await enter(edge)
  assert.equal(response.body.toString(), 'from the origin')
  const [, second] = edge.origin.requests
  const record = await edge.explained(second?.fields.get('x-request-id') ?? '')
  assert.equal(record.findings[0]?.step, 'room')
})

test('events tell a place at once when it changes', async context => {
  const edge = await startGuardedEdge(context, specWith(), { routes, workers: 2 })
  const inside = await enter(edge)
  const waiting = await enter(edge)
  const peer = await edge.edge.connect()
  let seen = ''
  peer.socket.on('data', (bytes: Buffer) => {
    seen += bytes.toString('latin1')
  })
  peer.write(`GET ${base}/events HTTP/1.1\r\nHost: shop.example\r\n${waiting.cookie}\r\n`)
  await until('the place', () => seen.includes('"state":"waiting"'))
  assert.match(seen, /Content-Type: text\/event-stream/i)
  await edge.ask({ method: 'POST', path: `${base}/leave`, fields: inside.cookie })
  await until('the turn', () => seen.includes('"state":"granted"'))
  const response = await peer.response('GET')
  assert.ok(response.complete, 'the stream ends when there is nothing more to say')
})

test('one ticket has eight event streams of a worker, and leaves the others to other people', async context => {
  const edge = await startGuardedEdge(context, specWith(), { routes, workers: 1 })
  await enter(edge)
  const [one, other] = [await enter(edge), await enter(edge)]
  const peers: RawPeer[] = []
  const begin = async (cookie: string): Promise<string> => {
    const peer = await edge.edge.connect()
    peers.push(peer)
    let seen = ''
    peer.socket.on('data', (bytes: Buffer) => {
      seen += bytes.toString('latin1')
    })
    peer.write(`GET ${base}/events HTTP/1.1\r\nHost: shop.example\r\n${cookie}\r\n`)
    await until('an answer', () => seen.includes('\r\n\r\n'))
    return seen.slice(9, 12)
  }
  for (let stream = 0; stream < 8; stream++) assert.equal(await begin(one.cookie), '200')
  assert.equal(await begin(one.cookie), '503')
  assert.equal(await begin(other.cookie), '200')
  endAll(peers)
})

test('commands of operators are heard: sold out, status, revocation', async context => {
  const edge = await startGuardedEdge(context, specWith(), { routes, workers: 2 })
  const inside = await enter(edge)
  const waiting = await enter(edge)
  const [before] = await edge.question<RoomStatus[]>({ kind: 'rooms' })
  assert.deepEqual([before?.name, before?.waiting, before?.active, before?.mode], ['sale', 1, 1, 'open'])
  await edge.question({ kind: 'room-mode', room: 'sale', mode: 'sold-out' })
  const told = await edge.ask({ path: '/tickets', fields: html + waiting.cookie })
  assert.match(told.body.toString(), /sold out/)
  assert.equal(
    (await edge.ask({ path: '/tickets', fields: inside.cookie })).body.toString(),
    'from the origin',
  )
  // Places are numbered from the moment the room was born: what it has said carries the number.
  const [, said = ''] = /v1\.([\w-]+)\./.exec(inside.cookie) ?? []
  const { i: id } = JSON.parse(Buffer.from(said, 'base64url').toString()) as { i: number }
  assert.deepEqual(await edge.question({ kind: 'room-revoke', room: 'sale', id }), { revoked: true })
  assert.equal((await edge.ask({ path: '/tickets', fields: inside.cookie })).status, 429)
  const refused = edge.edge.call('guard', { question: { kind: 'room-mode', room: 'nowhere', mode: 'open' } })
  await assert.rejects(refused, /ROOM_UNKNOWN|no waiting room "nowhere"/)
})

test("an operator's own page is filled in, escaped, and asks again by itself", async context => {
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-page-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  const page = join(folder, 'wait.html')
  writeFileSync(page, '<p>{title}: {position}, {estimate}, {other}</p>')
  const edge = await startGuardedEdge(context, specWith({ page }), { routes })
  await enter(edge)
  const { response } = await enter(edge)
  assert.match(response.body.toString(), /^<p>The &lt;great&gt; sale: 1, about \d+ minutes, \{other\}<\/p>$/)
  assert.ok(Number(response.fields.get('refresh')) >= 1)
  const missing = edge.reload(specWith({ page: join(folder, 'none.html') }))
  await assert.rejects(missing, /ROOM_PAGE|can't be read/)
})

test('a lottery is promised before it opens, drawn, and proved afterwards', async context => {
  const identity = { account: [{ by: 'header', name: 'x-user' } as const], session: [], key: [] }
  const room = {
    order: 'lottery',
    opensAt: Date.now() + 3_600_000,
    person: [{ by: 'account' } as const],
  } as const
  const edge = await startGuardedEdge(context, specWith(room, { identity }), { routes, workers: 2 })
  const lottery = async (): Promise<{ commitment: string; seed: string | null }> =>
    JSON.parse((await edge.ask({ path: `${base}/lottery` })).body.toString()) as never
  const before = await lottery()
  assert.match(before.commitment, /^[0-9a-f]{64}$/)
  assert.equal(before.seed, null)
  const nobody = await edge.ask({ path: '/tickets', fields: html })
  assert.equal(nobody.status, 403)
  const codes = new Set<string>()
  for (let i = 0; i < 30; i++) {
    // Everybody twice: a second tab.
    for (let tab = 0; tab < 2; tab++) {
      const response = await edge.ask({
        method: 'POST',
        path: '/api/orders',
        fields: `X-User: user-${i}\r\n`,
      })
      const { state, lottery: own } = roomOf(response)
      assert.deepEqual([state, own?.commitment], ['early', before.commitment])
      codes.add(own?.code ?? '')
    }
  }
  assert.equal(codes.size, 30)
  // The opening is moved: places stay, and so does what was promised.
  await edge.reload(specWith({ ...room, opensAt: Date.now() }, { identity }))
  await until('the draw', async () => (await lottery()).seed !== null)
  assert.equal((await lottery()).commitment, before.commitment)
  const { seed } = await lottery()
  let places: string[] = []
  await until('the places', async () => {
    places = (await edge.ask({ path: `${base}/lottery/places` })).body.toString().split('\n').slice(0, -1)
    return places.length > 0
  })
  assert.deepEqual(new Set(places), codes)
  const proof = { commitment: before.commitment, seed: seed ?? '', codes: places }
  assert.deepEqual(verifyLottery(proof, lotteryHashes), { fair: true })
  const last = await edge.ask({ method: 'POST', path: '/api/orders', fields: 'X-User: late\r\n' })
  assert.ok((roomOf(last).place ?? 0) >= 29, 'who comes late lines up behind')
})

test('kill -9 of the edge, again and again, loses nobody a place or an admission', async context => {
  const edge = await startGuardedEdge(context, specWith({ activeMax: 3 }), { routes })
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-room-kill-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  mkdirSync(join(folder, 'edge'))
  writeFileSync(join(folder, 'edge', 'snapshot.json'), JSON.stringify(edge.edge.snapshot))
  const ledger: { fields: string; place: number | null }[] = []
  for (let round = 0; round < 3; round++) {
    const one = await startOwn(context, folder)
    for (const [index, { fields, place }] of ledger.entries()) {
      const response = await askPort(one.port, { path: '/tickets', fields })
      if (place === null) assert.equal(response.body.toString(), 'from the origin', `${index} was let in`)
      else assert.equal(roomOf(response).place, place, `${index} has its place`)
    }
    for (let i = 0; i < 20; i++) {
      const response = await askPort(one.port, { path: '/tickets' })
      const inside = response.body.toString() === 'from the origin'
      ledger.push({ fields: cookieOf(response), place: inside ? null : (roomOf(response).place ?? -1) })
    }
    await one.kill()
  }
  assert.equal(ledger.filter(({ place }) => place === null).length, 3)
})

/** An edge on a state directory that outlives it. */
async function startOwn(
  context: TestContext,
  folder: string,
): Promise<{ readonly port: number; kill(): Promise<void> }> {
  const program = join(import.meta.dirname, '..', 'tools', 'edge-process.ts')
  const child = spawn(process.execPath, [program, folder, '2'], { stdio: 'ignore' })
  const gone = once(child, 'exit')
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await gone
  }
  context.after(kill)
  let port = 0
  await until('the edge answers', async () => {
    const client = await connectEdge(socketPath(folder), { onEvent: () => {}, onEnd: () => {} }).catch(
      () => null,
    )
    if (client === null) return false
    const { workers, listeners } = await client.call('status', {})
    client.close()
    port = listeners[0]?.port ?? 0
    return workers.every(one => one.state === 'running') && port > 0
  })
  return { port, kill }
}

test('clients that ask for the places of a lottery and do not read them take no memory', async context => {
  const edge = await startGuardedEdge(context, specOf([policyOf('trial')]), {
    routes,
    workers: 2,
    trustedProxies: ['127.0.0.1/32'],
  })
  const folder = join(edge.edge.stateDirectory, 'guard', 'rooms')
  const opensAt = 1_700_000_000_000
  const codes = Array.from({ length: 100_000 }, (_, at) => 2 ** 50 + at)
  mkdirSync(folder, { recursive: true })
  const drawn = [
    { t: 'edition', opensAtMs: opensAt },
    { t: 'drawn', opensAtMs: opensAt, codes },
  ]
  writeFileSync(join(folder, 'sale.jsonl'), drawn.map(change => `${JSON.stringify(change)}\n`).join(''))
  await edge.reload(specWith({ order: 'lottery', person: [{ by: 'header', name: 'x-account' }], opensAt }))
  const path = `${base}/lottery/places`
  await until('the draw', async () => (await edge.ask({ path })).body.length === codes.length * 14)
  const memory = (): number =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${edge.edge.pid}/status`, 'latin1'))?.[1]) * 1_024
  const before = memory()
  const sessions = Array.from({ length: 5 }, () =>
    connect(edge.edge.url, { settings: { initialWindowSize: 0 } }),
  )
  // An address each: one alone may ask only so often.
  let clients = 0
  const from = (): string => `203.0.${clients >> 8}.${clients++ & 255}`
  const heads = sessions.flatMap(session =>
    Array.from({ length: 80 }, () =>
      once(session.request({ ':path': path, 'x-forwarded-for': from() }), 'response'),
    ),
  )
  for (const [head] of await Promise.all(heads)) assert.equal(head[':status'], 200)
  const more = memory() - before
  for (const session of sessions) session.destroy()
  // Whole answers would be 560 MB.
  assert.ok(more < 280_000_000, `${more} bytes more`)
})

test('own answers of a room have a budget: of an address without a place, and of each place', async context => {
  const edge = await startGuardedEdge(context, specWith(), { routes, workers: 1 })
  const { cookie } = await enter(edge)
  const second = await enter(edge)
  const many = async (path: string, fields = ''): Promise<Map<number, number>> => {
    const all = await Promise.all(Array.from({ length: 200 }, () => edge.ask({ path: base + path, fields })))
    const busy = all.find(one => one.status === 429)
    assert.ok(Number(busy?.fields.get('retry-after')) > 0)
    assert.match(busy?.body.toString() ?? '', /"code":"ROOM_BUSY"/)
    return new Map([...Map.groupBy(all, one => one.status)].map(([status, list]) => [status, list.length]))
  }
  for (const path of ['/status', '/lottery', '/lottery/places', '/leave']) {
    const counts = await many(path)
    assert.ok((counts.get(429) ?? 0) > 0, path)
  }
  // Strangers of the same address take nothing from who has a place, nor does one place from another.
  assert.equal((await edge.ask({ path: `${base}/status`, fields: second.cookie })).status, 200)
  const own = await many('/status', second.cookie)
  assert.ok((own.get(200) ?? 0) >= 20)
  assert.equal((await edge.ask({ path: `${base}/status`, fields: cookie })).status, 200)
})

test('who has to sign in first is led there, and who sent a form goes back to the page that it was on', async context => {
  const identity = { account: [{ by: 'header', name: 'x-user' } as const], session: [], key: [] }
  const spec = specWith(
    {
      ...{ person: [{ by: 'account' }], order: 'lottery', opensAt: Date.now() + 600_000 },
      signIn: '/sign-in?a&b',
    },
    { identity },
  )
  const edge = await startGuardedEdge(context, spec, { routes })
  const nobody = await enter(edge)
  assert.equal(nobody.response.status, 403)
  assert.match(nobody.response.body.toString(), /<a href="\/sign-in\?a&amp;b">Sign in<\/a>/)
  const form = (referer: string): Promise<RawResponse> =>
    edge.ask({
      method: 'POST',
      path: '/orders',
      body: 'a=b',
      fields: `${html}X-User: ada\r\nReferer: ${referer}\r\n`,
    })
  const back = (await form('http://shop.example/tickets?x=1')).body.toString()
  assert.match(back, /http-equiv="refresh" content="\d+;url=\/tickets\?x=1"/)
  assert.match(back, /to="\/tickets\?x=1"/)
  for (const evil of [
    'http://evil.example/tickets',
    'http://shop.example//evil.example/',
    'http://shop.example/</script>"',
  ])
    assert.match(
      (await form(evil)).body.toString(),
      /to="(?:\/|\/\\u003c\/script>\\"|\/\\u003c\/script>%22)"/,
    )
  await edge.question({ kind: 'room-mode', room: 'sale', mode: 'sold-out' })
  assert.match(
    (await form('http://shop.example/tickets')).body.toString(),
    /<a href="\/tickets">Back to where you were<\/a>/,
  )
})
