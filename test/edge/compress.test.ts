// Compression on the fly as clients and caches see it: what is compressed, what never is, what the head then says, that
// nothing is held back, and that nothing is left when somebody goes away.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import {
  brotliDecompressSync,
  createBrotliDecompress,
  createGunzip,
  createZstdDecompress,
  gunzipSync,
  zstdDecompressSync,
} from 'node:zlib'
import type { CompressSpec, RouteSpec } from '../../src/edge/snapshot.ts'
import { proxyRoute, serve, startEdge, until } from '../tools/edge-harness.ts'
import { answering, readRequest } from '../tools/raw-origin.ts'
import { RawPeer, type RawResponse } from '../tools/raw-peer.ts'

const compress: CompressSpec = {
  encodings: ['zstd', 'br', 'gzip'],
  bytesMin: 100,
  types: ['text/*', 'application/json'],
  level: 'balanced',
}
const routes: readonly RouteSpec[] = [proxyRoute('/plain/*'), proxyRoute('/*', { compress })]
const edge = await startEdge({ after }, { routes })
const unpack = { gzip: gunzipSync, br: brotliDecompressSync, zstd: zstdDecompressSync } as const
const text = 'a line of text that repeats itself\n'.repeat(200)
const hash = (bytes: string | Buffer): string => createHash('sha256').update(bytes).digest('hex')

function answer(body: string, fields = 'Content-Type: text/plain\r\n', status = '200 OK'): string {
  return `HTTP/1.1 ${status}\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`
}

async function ask(target = '/', fields = 'Accept-Encoding: gzip\r\n', method = 'GET'): Promise<RawResponse> {
  const peer = await RawPeer.connect(edge.port)
  peer.write(`${method} ${target} HTTP/1.1\r\nHost: x\r\n${fields}\r\n`)
  const response = await peer.response(method)
  peer.destroy()
  return response
}

test('an answer is compressed by what the client takes, with the head that belongs to it', async t => {
  const fields =
    'Content-Type: text/html; charset=utf-8\r\nETag: "v1"\r\nVary: Origin\r\nAccept-Ranges: bytes\r\nContent-Digest: sha-256=:x:\r\n'
  await serve(
    edge,
    t,
    answering(() => answer(text, fields)),
  )
  for (const [accept, coding] of [
    ['gzip', 'gzip'],
    ['br', 'br'],
    ['zstd', 'zstd'],
    ['gzip, br, zstd', 'zstd'],
    ['gzip;q=1, br;q=0.5', 'gzip'],
  ] as const) {
    const got = await ask('/', `Accept-Encoding: ${accept}\r\n`)
    assert.equal(got.status, 200)
    assert.equal(got.fields.get('content-encoding'), coding)
    assert.equal(unpack[coding](got.body).toString(), text)
    assert.ok(got.body.length < text.length / 5)
    assert.equal(got.fields.get('content-length'), undefined)
    assert.equal(got.fields.get('etag'), 'W/"v1"')
    assert.equal(got.fields.get('vary'), 'Origin, Accept-Encoding')
    assert.equal(got.fields.get('content-type'), 'text/html; charset=utf-8')
    assert.equal(got.fields.get('content-digest'), undefined)
    const head = await ask('/', `Accept-Encoding: ${accept}\r\n`, 'HEAD')
    for (const name of [
      'content-encoding',
      'content-length',
      'etag',
      'vary',
      'content-type',
      'content-digest',
    ])
      assert.equal(head.fields.get(name), got.fields.get(name), name)
  }
  const plain = await ask('/', '')
  assert.equal(plain.body.toString(), text)
  assert.equal(plain.fields.get('etag'), '"v1"')
  assert.equal(plain.fields.get('vary'), 'Origin, Accept-Encoding')
  assert.equal(plain.fields.get('content-length'), `${text.length}`)
  const refused = await ask('/', 'Accept-Encoding: identity;q=0\r\n')
  assert.equal(refused.body.toString(), text)
  const elsewhere = await ask('/plain/x')
  assert.equal(elsewhere.fields.get('content-encoding'), undefined)
  assert.equal(elsewhere.fields.get('vary'), 'Origin')
})

test('what must not be compressed is not, and says Vary only where it could have been', async t => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    [
      answer(text, 'Content-Type: text/plain\r\nCache-Control: public, no-transform\r\n'),
      'no-transform',
      false,
    ],
    [answer(text, 'Content-Type: text/plain\r\nContent-Encoding: gzip\r\n'), 'encoded', false],
    [answer(text, 'Content-Type: image/png\r\n'), 'a picture', false],
    [answer(text, ''), 'no type', false],
    [answer('short'), 'short', false],
    [answer(text, 'Content-Type: text/event-stream\r\n'), 'events', false],
    [
      answer(text, 'Content-Type: text/plain\r\nContent-Range: bytes 0-6999/9000\r\n', '206 Partial Content'),
      'a part',
      true,
    ],
  ]
  for (const [response, what, vary] of cases) {
    await serve(
      edge,
      t,
      answering(() => response),
    )
    const got = await ask()
    assert.equal(got.body.toString('latin1'), response.split('\r\n\r\n')[1], what)
    assert.equal(got.fields.get('vary'), vary ? 'Accept-Encoding' : undefined, what)
  }
  await serve(
    edge,
    t,
    answering(() => 'HTTP/1.1 204 No Content\r\nContent-Type: text/plain\r\n\r\n'),
  )
  assert.equal((await ask()).status, 204)
  await serve(
    edge,
    t,
    answering(() => answer(text, 'Content-Type: text/plain\r\nVary: *\r\n')),
  )
  assert.equal((await ask()).fields.get('vary'), '*')
  await serve(
    edge,
    t,
    answering(() => answer(text, 'Content-Type: text/plain\r\nETag: W/"w"\r\n', '404 Not Found')),
  )
  const missing = await ask()
  assert.equal(missing.status, 404)
  assert.equal(missing.fields.get('etag'), 'W/"w"')
  assert.equal(gunzipSync(missing.body).toString(), text)
})

test('a 304 speaks of the weak tag that the client has', async t => {
  await serve(
    edge,
    t,
    answering(() => 'HTTP/1.1 304 Not Modified\r\nETag: "v1"\r\n\r\n'),
  )
  const got = await ask('/', 'Accept-Encoding: gzip\r\nIf-None-Match: W/"v1"\r\n')
  assert.equal(got.status, 304)
  assert.equal(got.fields.get('etag'), 'W/"v1"')
  assert.equal(got.fields.get('vary'), 'Accept-Encoding')
  const strong = await ask('/', 'Accept-Encoding: gzip\r\nIf-None-Match: "v1"\r\n')
  assert.equal(strong.fields.get('etag'), '"v1"')
})

test('bodies of any framing and size arrive whole, with their trailers, one after the other', async t => {
  const sizes = [100, 4_095, 4_097, 65_536, 300_000, 5_000_000]
  const bodyOf = (size: number): string => 'film and ticket; '.repeat(Math.ceil(size / 17)).slice(0, size)
  await serve(
    edge,
    t,
    answering(({ startLine }) => {
      const [, kind, size] = /\/(\w+)\/(\d+)/.exec(startLine) ?? []
      const body = bodyOf(Number(size))
      const type = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n'
      if (kind === 'length') return `${type}Content-Length: ${size}\r\n\r\n${body}`
      const chunks = body.match(/[\s\S]{1,7777}/g) ?? []
      const framed = chunks.map(chunk => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('')
      return `${type}Transfer-Encoding: chunked\r\n\r\n${framed}0\r\nX-End: ${size}\r\n\r\n`
    }),
  )
  const peer = await edge.connect()
  for (const coding of ['gzip', 'br', 'zstd'] as const)
    for (const kind of ['length', 'chunked'])
      for (const size of sizes) {
        peer.write(`GET /${kind}/${size} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: ${coding}\r\n\r\n`)
        const got = await peer.response()
        assert.equal(got.fields.get('content-encoding'), coding)
        assert.equal(hash(unpack[coding](got.body)), hash(bodyOf(size)), `${coding} ${kind} ${size}`)
        assert.deepEqual(got.trailers, kind === 'chunked' ? [`X-End: ${size}`] : [])
      }
  await edge.idle()
})

test('when the instance pauses, what it sent is there: streamed pages are not held back', async t => {
  const streams = { gzip: createGunzip, br: createBrotliDecompress, zstd: createZstdDecompress } as const
  for (const coding of ['gzip', 'br', 'zstd'] as const) {
    const steps: (() => void)[] = []
    await serve(edge, t, async (peer, _number, origin) => {
      await readRequest(peer, origin)
      await peer.send('HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n')
      for (let i = 0; i < 8; i++) {
        await new Promise<void>(resolve => steps.push(resolve))
        const piece = `<p>${i}</p>`
        await peer.send(`${piece.length.toString(16)}\r\n${piece}\r\n`)
      }
      await peer.send('0\r\n\r\n')
    })
    const peer = await edge.connect()
    peer.write(`GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: ${coding}\r\n\r\n`)
    assert.match((await peer.head()) ?? '', new RegExp(`Content-Encoding: ${coding}`))
    let seen = ''
    const unpacked = streams[coding]()
    unpacked.on('data', (bytes: Buffer) => {
      seen += bytes.toString()
    })
    const reading = (async () => {
      for (;;) {
        const size = Number.parseInt((await peer.upTo('\r\n')) ?? '0', 16)
        if (!(size > 0)) return
        unpacked.write(await peer.bytes(size))
        await peer.bytes(2)
      }
    })()
    for (let i = 0; i < 8; i++) {
      await until('the origin to wait', () => steps.length > 0)
      steps.shift()?.()
      // The next piece is sent only when this one has been read here.
      await until(`piece ${i} by ${coding}`, () => seen.includes(`<p>${i}</p>`))
    }
    await reading
    unpacked.destroy()
    peer.destroy()
  }
  await edge.idle()
})

test('a client that does not read holds the instance; one that goes away frees it', async t => {
  let sent = 0
  const chunk = Buffer.alloc(65_536)
  for (let i = 0; i < chunk.length; i++) chunk[i] = (Math.imul(i, 2654435761) >>> 13) & 255
  const server = createServer((_request, response) => {
    response.setHeader('Content-Type', 'text/plain')
    const push = (): void => {
      while (!response.destroyed && sent < 400 << 20) {
        sent += chunk.length
        if (!response.write(chunk)) {
          response.once('drain', push)
          return
        }
      }
      response.end()
    }
    push()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  await edge.apply({ members: [(server.address() as { port: number }).port], routes })
  const peer = await edge.connect()
  peer.socket.pause()
  peer.write('GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n')
  let before = -1
  await until('the instance to be held', async () => {
    const still = sent > 0 && sent === before
    before = sent
    await new Promise(resolve => setTimeout(resolve, 200))
    return still && sent === before
  })
  assert.ok(sent < 100 << 20, `${sent} bytes were taken from the instance`)
  peer.destroy()
  await edge.idle()
})

test('an instance that dies amid its answer leaves a cut answer, never one that looks complete', async t => {
  await serve(edge, t, async (peer, _number, origin) => {
    await readRequest(peer, origin)
    await peer.send(`HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100000\r\n\r\n${text}`)
    peer.reset()
  })
  const got = await ask()
  assert.equal(got.complete, false)
  await edge.idle()
})

test('HTTP/1.0 clients get it until the connection closes; upgrades pass as they are', async t => {
  await serve(
    edge,
    t,
    answering(() => answer(text)),
  )
  const old = await edge.connect()
  old.write('GET / HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n')
  const got = await old.response()
  assert.equal(got.fields.get('transfer-encoding'), undefined)
  assert.equal(gunzipSync(got.body).toString(), text)
  await serve(edge, t, async (peer, _number, origin) => {
    await readRequest(peer, origin)
    await peer.send(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\nContent-Type: text/plain\r\n\r\n',
    )
    await peer.send((await peer.bytes(4)).toString('latin1'))
  })
  const upgraded = await edge.connect()
  upgraded.write(
    'GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\nAccept-Encoding: gzip\r\n\r\n',
  )
  assert.match((await upgraded.head()) ?? '', /^HTTP\/1\.1 101/)
  upgraded.write('ping')
  assert.equal((await upgraded.bytes(4)).toString(), 'ping')
  upgraded.destroy()
})

test('curl unpacks each coding that it knows', async t => {
  await serve(
    edge,
    t,
    answering(() => answer(text)),
  )
  const { stdout } = await promisify(execFile)('curl', ['-sS', '--compressed', '-D', '-', `${edge.url}/`])
  assert.match(stdout, /Content-Encoding: (?:zstd|br|gzip)/i)
  assert.ok(stdout.endsWith(text))
})
