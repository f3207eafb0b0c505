// That bytes arrive as they were sent while buffers are short, slow and shared: many slow readers and writers at once,
// large bodies both ways, pipelining behind blocked writes. Every byte of every body depends on its request.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { serve, startEdge, until } from '../tools/edge-harness.ts'
import { answering, ok, readRequest, type Script } from '../tools/raw-origin.ts'
import type { RawPeer } from '../tools/raw-peer.ts'

const edge = await startEdge({ after })

/** Bytes that only this key can have. */
function bodyOf(key: string, length: number): Buffer {
  const word = createHash('sha256').update(key).digest('hex')
  return Buffer.alloc(length, `${word}/`)
}
const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

/** `/KEY/LENGTH[/chunked|/close]` is answered by the bytes that belong to it. */
const byPath: Script = answering((request, peer) => {
  const [, key = '', length = '0', kind] = (request.startLine.split(' ')[1] as string).split('/')
  const body = bodyOf(key, Number(length))
  if (kind === 'chunked') {
    peer.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    for (let at = 0; at < body.length; at += 30_000) {
      const piece = body.subarray(at, at + 30_000)
      peer.write(`${piece.length.toString(16)}\r\n`)
      peer.write(piece)
      peer.write('\r\n')
    }
    return '0\r\n\r\n'
  }
  if (kind === 'close') {
    peer.write('HTTP/1.1 200 OK\r\n\r\n')
    peer.write(body)
    peer.halfClose()
    return undefined
  }
  return Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`), body])
})

/** The next answer of `peer` is the one for `key`. */
async function expectBody(peer: RawPeer, key: string, length: number): Promise<void> {
  const response = await peer.response()
  assert.equal(response.status, 200)
  assert.equal(response.complete, true, `${key} is whole`)
  if (!response.body.equals(bodyOf(key, length))) assert.fail(`${key}: ${response.body.length} wrong bytes`)
}

const residentBytes = (pid: number): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024

test('answers of every size and framing arrive as they were sent, on one connection', async t => {
  await serve(edge, t, byPath)
  const client = await edge.connect()
  const sizes = [0, 1, 4_095, 4_096, 4_097, 16_383, 16_385, 65_535, 65_536, 65_537, 200_000]
  for (const kind of ['length', 'chunked', 'close']) {
    for (const size of sizes) {
      client.write(`GET /${kind}-${size}/${size}/${kind} HTTP/1.1\r\nHost: x\r\n\r\n`)
      await expectBody(client, `${kind}-${size}`, size)
    }
  }
})

test('a pipelining client that stops reading gets every middle-sized answer right, while others use the buffers', async t => {
  await serve(edge, t, byPath)
  const slow = await Promise.all(Array.from({ length: 20 }, () => edge.connect()))
  const perClient = 200
  const length = 60_000
  for (const [at, client] of slow.entries()) {
    client.socket.pause()
    for (let i = 0; i < perClient; i++) client.write(`GET /s${at}-${i}/${length} HTTP/1.1\r\nHost: x\r\n\r\n`)
  }
  const busy = await edge.connect()
  for (let i = 0; i < 300; i++) {
    busy.write(`GET /busy-${i}/${length}${i % 2 ? '/chunked' : ''} HTTP/1.1\r\nHost: x\r\n\r\n`)
    await expectBody(busy, `busy-${i}`, length)
  }
  await Promise.all(
    slow.map(async (client, at) => {
      client.socket.resume()
      for (let i = 0; i < perClient; i++) await expectBody(client, `s${at}-${i}`, length)
    }),
  )
})

test('slow readers get their own bytes also when large buffers have run out', async t => {
  const length = 6 << 20
  const body = bodyOf('many', length)
  const whole = Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`), body])
  const chunk = (from: number): Buffer => body.subarray(from, from + 65_536)
  await serve(edge, t, async peer => {
    for (;;) {
      const head = await peer.head()
      if (head === null) return
      if (head.startsWith('POST')) await peer.rest()
      else if (head.startsWith('GET /middle')) peer.write(ok(body.subarray(0, 60_000).toString('latin1')))
      else if (head.startsWith('GET /length')) await peer.send(whole)
      else {
        peer.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
        for (let at = 0; at < length; at += 65_536)
          await peer.send(Buffer.concat([Buffer.from('10000\r\n'), chunk(at), Buffer.from('\r\n')]))
        peer.write('0\r\n\r\n')
      }
    }
  })
  // Each unfinished upload holds a buffer.
  const uploads = await Promise.all(Array.from({ length: 270 }, () => edge.connect()))
  for (const upload of uploads)
    upload.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999\r\n\r\nabc')
  await until('large buffers to have run out', async () => buffersInUse(await edge.metrics()) >= 270)
  const slow = await Promise.all(Array.from({ length: 40 }, () => edge.connect()))
  for (const [at, client] of slow.entries()) {
    client.socket.pause()
    client.write(`GET /${at % 2 ? 'chunked' : 'length'} HTTP/1.1\r\nHost: x\r\n\r\n`)
  }
  await until('the slow ones to be held back', async () => buffersInUse(await edge.metrics()) >= 310)
  // In between, answers that come in one read with their head and are larger than a small buffer.
  const other = await edge.connect()
  for (let i = 0; i < 50; i++) {
    other.write('GET /middle HTTP/1.1\r\nHost: x\r\n\r\n')
    assert.ok((await other.response()).body.equals(body.subarray(0, 60_000)), `answer ${i}`)
  }
  const resident = residentBytes(edge.pid)
  assert.ok(resident < 700 << 20, `memory is bounded while nobody reads: ${resident >> 20} MB`)
  for (const client of slow) {
    client.socket.resume()
    const response = await client.response()
    assert.equal(response.complete, true)
    assert.equal(hash(response.body), hash(body))
  }
  for (const upload of uploads) upload.reset()
})

function buffersInUse(metrics: string): number {
  let sum = 0
  for (const [, value] of metrics.matchAll(/^edge_buffers\{[^}]*\} (\S+)$/gm)) sum += Number(value)
  return sum
}

test('uploads of slow and fast writers arrive as they were sent, at instances that read when they like', async t => {
  const hashes = new Map<string, string>()
  await serve(edge, t, async (peer, _number, self) => {
    for (;;) {
      const head = await peer.head()
      if (head === null) return
      const key = (head.split(' ')[1] as string).slice(1)
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1])
      peer.socket.pause()
      await new Promise(resolve => setTimeout(resolve, key.length % 3 === 0 ? 300 : 10))
      peer.socket.resume()
      hashes.set(key, hash(await peer.bytes(length)))
      self.requests.push({
        head,
        startLine: '',
        fields: new Map(),
        body: Buffer.alloc(0),
        trailers: [],
        chunks: [],
      })
      peer.write(ok(key))
    }
  })
  const length = 5 << 20
  await Promise.all(
    Array.from({ length: 24 }, async (_, at) => {
      const client = await edge.connect()
      for (const key of [`up${at}`, `up${at}-again`]) {
        const body = bodyOf(key, length)
        // The next request follows at once, behind a body that is still being passed on.
        client.write(`PUT /${key} HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`)
        client.write(body)
      }
      for (const key of [`up${at}`, `up${at}-again`]) {
        assert.equal((await client.response('PUT')).body.toString(), key)
        assert.equal(hashes.get(key), hash(bodyOf(key, length)))
      }
    }),
  )
})

test('what a client pipelines behind an upload does not change the upload, however late the instance reads it', async t => {
  const length = 3 << 20
  const seen: string[] = []
  await serve(edge, t, async peer => {
    for (;;) {
      const head = await peer.head()
      if (head === null) return
      if (head.startsWith('GET')) {
        peer.write(ok('next'))
        continue
      }
      peer.socket.pause()
      await new Promise(resolve => setTimeout(resolve, 400))
      peer.socket.resume()
      seen.push(hash(await peer.bytes(length)))
      peer.write(ok('taken'))
    }
  })
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      const client = await edge.connect()
      const body = bodyOf('same', length)
      await client.send(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`)
      await client.send(body)
      for (let i = 0; i < 4; i++)
        await client.send(`GET /${i} HTTP/1.1\r\nHost: x\r\nX-Fill: ${'f'.repeat(8_000)}\r\n\r\n`)
      assert.equal((await client.response('POST')).body.toString(), 'taken')
      for (let i = 0; i < 4; i++) assert.equal((await client.response()).body.toString(), 'next')
    }),
  )
  assert.deepEqual(new Set(seen), new Set([hash(bodyOf('same', length))]))
})

test('64 MB go up and come down at the same time, unchanged, in bounded memory', async t => {
  const length = 64 << 20
  await serve(edge, t, async peer => {
    await peer.head()
    peer.write(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`)
    for (let left = length; left > 0; ) {
      const piece = await peer.bytes(Math.min(left, 1 << 20))
      left -= piece.length
      await peer.send(piece)
    }
    await peer.rest()
  })
  const client = await edge.connect()
  const body = bodyOf('echo', length)
  client.write(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`)
  const sent = client.send(body)
  const response = await client.response('POST')
  await sent
  assert.equal(hash(response.body), hash(body))
  assert.ok(residentBytes(edge.pid) < 700 << 20)
})

test('an instance that produces much faster than its client reads is held back', async t => {
  let sentBytes = 0
  await serve(edge, t, async (peer, _number, self) => {
    await readRequest(peer, self)
    peer.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    const chunk = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(65_536, 'c'), Buffer.from('\r\n')])
    while (peer.over === '' && sentBytes < 512 << 20) {
      await peer.send(chunk)
      sentBytes += 65_536
    }
  })
  const client = await edge.connect()
  client.socket.pause()
  client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  let before = -1
  await until('the instance to be held back', async () => {
    const now = sentBytes
    await new Promise(resolve => setTimeout(resolve, 400))
    const same = now === before
    before = now
    return same && now > 0
  })
  assert.ok(sentBytes < 100 << 20, `after ${sentBytes >> 20} MB`)
  client.destroy()
})
