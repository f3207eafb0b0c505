// How exchanges and connections end when they do not end as one hopes: early answers, half-closed and slow clients,
// answers cut short, clients and instances that go away. Over real sockets against a scripted origin.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { proxyRoute, serve, startEdge, until } from '../tools/edge-harness.ts'
import { answering, ok, readRequest } from '../tools/raw-origin.ts'

const edge = await startEdge({ after })

/** More than the system's socket buffers take, so that whoever does not read is felt. */
const large = 24 << 20

test('a refused upload is read on for a while, so that the client sees the answer and no reset', async t => {
  const origin = await serve(edge, t, undefined, { limits: { bodyBytesMax: 1_000 } })
  const client = await edge.connect()
  const upload = client.send(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${large}\r\n\r\n`)
  await upload
  await client.send(Buffer.alloc(large))
  const response = await client.response('POST')
  assert.equal(response.status, 413)
  assert.equal(response.fields.get('connection'), 'close')
  await client.rest()
  assert.equal(client.over, 'end')
  assert.equal(origin.requests.length, 0)
  assert.equal(origin.connections.length, 0)
})

test('a chunked upload that grows too large gets 413, and the instance never sees a whole request', async t => {
  let whole = false
  const origin = await serve(
    edge,
    t,
    async peer => {
      await peer.head()
      whole = (await peer.rest()).includes('\r\n0\r\n')
    },
    { limits: { bodyBytesMax: 100_000 } },
  )
  const client = await edge.connect()
  client.write('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n')
  const chunk = `4e20\r\n${'a'.repeat(20_000)}\r\n`
  for (let i = 0; i < 10; i++) await client.send(chunk)
  await client.send('0\r\n\r\n')
  assert.equal((await client.response('POST')).status, 413)
  await client.rest()
  assert.equal(client.over, 'end')
  await until('the connection to the instance to be gone', () => origin.open.size === 0)
  assert.equal(whole, false)
})

test("an instance's early 413 reaches a client that is still sending; neither connection is used again", async t => {
  const origin = await serve(edge, t, async peer => {
    await peer.head()
    await peer.bytes(1_000)
    await peer.send('HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig')
    await peer.rest()
  })
  const client = await edge.connect()
  client.write(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${large}\r\n\r\n`)
  await client.send(Buffer.alloc(large))
  const response = await client.response('POST')
  assert.equal(response.status, 413)
  assert.equal(response.body.toString(), 'big')
  await client.rest()
  assert.equal(client.over, 'end')
  assert.equal(origin.connections.length, 1)
})

test('a client that half-closes after its request gets its answer', async t => {
  await serve(
    edge,
    t,
    answering(async (_request, peer) => {
      await new Promise(resolve => setTimeout(resolve, 50))
      peer.write(ok('late'))
      return undefined
    }),
  )
  const client = await edge.connect()
  client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  client.halfClose()
  assert.equal((await client.response()).body.toString(), 'late')
  await client.rest()
  assert.equal(client.over, 'end')
})

test('a client that half-closes after several pipelined requests gets all answers', async t => {
  const origin = await serve(edge, t)
  const client = await edge.connect()
  for (let i = 0; i < 5; i++) client.write(`GET /${i} HTTP/1.1\r\nHost: x\r\n\r\n`)
  client.halfClose()
  for (let i = 0; i < 5; i++) assert.equal((await client.response()).status, 200)
  await client.rest()
  assert.equal(client.over, 'end')
  assert.equal(origin.requests.length, 5)
})

test('a client that ends amid its body causes no whole request at the instance', async t => {
  const seen: string[] = []
  await serve(edge, t, async peer => {
    await peer.head()
    seen.push((await peer.rest()).toString())
  })
  const client = await edge.connect()
  await client.send('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n')
  await until('the instance to have the chunk', () => edge.member(0).then(member => member.inFlight === 1))
  client.halfClose()
  await client.rest()
  await until('the instance to see the end', () => seen.length === 1)
  assert.ok(!seen[0]?.includes('\r\n0\r\n'), 'no last chunk')
})

test('slow readers of a last answer get all of it, however long they take after the end was decided', async t => {
  const body = Buffer.alloc(7 << 20, 'abcdefghijklmnop')
  const step = 64 << 10
  await serve(
    edge,
    t,
    answering(request => {
      const length = Number(request.startLine.split(' ')[1]?.slice(1))
      return Buffer.concat([
        Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`),
        body.subarray(0, length),
      ])
    }),
  )
  // Of some, the end is decided while their last bytes wait: those whose length is a little above what the system takes.
  const readers = await Promise.all(
    Array.from({ length: body.length / step }, async (_, at) => {
      const client = await edge.connect()
      const length = (at + 1) * step
      client.socket.pause()
      client.write(`GET /${length} HTTP/1.${at % 2}\r\nHost: x\r\nConnection: close\r\n\r\n`)
      if (at % 3 === 0) client.halfClose()
      return { client, length }
    }),
  )
  // Longer than the edge lingers.
  await new Promise(resolve => setTimeout(resolve, 3_000))
  for (const { client, length } of readers) {
    client.socket.resume()
    const response = await client.response()
    assert.equal(response.complete, true, `${response.body.length} of ${length}`)
    assert.ok(response.body.equals(body.subarray(0, length)))
    await client.rest()
    assert.equal(client.over, 'end')
  }
})

test('a client that pipelines without reading is not read from for ever', async t => {
  const body = Buffer.alloc(20_000, 'b')
  const origin = await serve(
    edge,
    t,
    answering(() => ok(body.toString())),
  )
  const client = await edge.connect()
  client.socket.pause()
  const count = 5_000
  client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(count))
  let before = -1
  await until('the edge to stop', async () => {
    const now = origin.requests.length
    await new Promise(resolve => setTimeout(resolve, 300))
    const same = now === before
    before = now
    return same && now > 0
  })
  assert.ok(before < count / 2, `it stops long before ${count} answers: after ${before}`)
  client.socket.resume()
  for (let i = 0; i < count; i++) {
    const response = await client.response()
    if (!response.body.equals(body)) assert.fail(`answer ${i} is not what was sent`)
  }
  assert.equal(origin.requests.length, count)
})

test('an answer cut short is never seen as complete: length, chunks, until close', async t => {
  const heads = {
    length: 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc',
    chunked: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n',
    close: 'HTTP/1.1 200 OK\r\n\r\nabc',
  }
  await serve(edge, t, async (peer, _number, self) => {
    const request = await readRequest(peer, self)
    const kind = request?.startLine.split(' ')[1]?.slice(1) as keyof typeof heads
    await peer.send(heads[kind])
    if (request?.startLine.includes('fin')) peer.halfClose()
    else peer.reset()
  })
  for (const kind of Object.keys(heads)) {
    for (const version of ['1.0', '1.1']) {
      const client = await edge.connect()
      client.write(`GET /${kind} HTTP/${version}\r\nHost: x\r\n\r\n`)
      await client.when('the connection to be over', () => client.over !== '')
      assert.equal(client.over, 'ECONNRESET', `${kind} for HTTP/${version}`)
    }
  }
})

test('a FIN in the middle of a counted or chunked answer is a cut answer too', async t => {
  for (const head of ['Content-Length: 1000\r\n\r\nabc', 'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n']) {
    await serve(edge, t, async (peer, _number, self) => {
      await readRequest(peer, self)
      await peer.send(`HTTP/1.1 200 OK\r\n${head}`)
    })
    const client = await edge.connect()
    client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await client.when('the connection to be over', () => client.over !== '')
    assert.equal(client.over, 'ECONNRESET')
  }
})

test('a client that resets while it waits frees the instance: its connection is closed', async t => {
  const origin = await serve(edge, t, async (peer, _number, self) => {
    await readRequest(peer, self)
    await peer.rest()
  })
  const client = await edge.connect()
  client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await until('the instance to have the request', () => origin.requests.length === 1)
  client.reset()
  await until("the instance's connection to be closed", () => origin.open.size === 0)
  await edge.idle()
})

test('a client that resets amid a large answer frees the instance', async t => {
  const origin = await serve(edge, t, async (peer, _number, self) => {
    await readRequest(peer, self)
    peer.write(`HTTP/1.1 200 OK\r\nContent-Length: ${large}\r\n\r\n`)
    await peer.send(Buffer.alloc(large))
    await peer.rest()
  })
  const client = await edge.connect()
  client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await client.bytes(100_000)
  client.reset()
  await until("the instance's connection to be closed", () => origin.open.size === 0)
  await edge.idle()
})

test('an instance that takes no more of an upload is given up after its time: 504', async t => {
  const origin = await serve(
    edge,
    t,
    async peer => {
      await peer.head()
      peer.socket.pause()
      await peer.rest()
    },
    { upstream: { idleTimeoutMs: 500 } },
  )
  const client = await edge.connect()
  client.write(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${large}\r\n\r\n`)
  client.write(Buffer.alloc(large))
  assert.equal((await client.response('POST')).status, 504)
  for (const peer of origin.open) peer.socket.resume()
})

test('a client that takes no more of an answer is cut after its time', async t => {
  const origin = await serve(
    edge,
    t,
    answering(() =>
      Buffer.concat([
        Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${large}\r\n\r\n`),
        Buffer.alloc(large),
      ]),
    ),
    { limits: { sendTimeoutMs: 500 } },
  )
  const client = await edge.connect()
  client.socket.pause()
  client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await until('the instance to have the request', () => origin.requests.length === 1)
  await edge.idle()
  client.socket.resume()
  await client.when('the connection to be over', () => client.over !== '')
  assert.equal(client.over, 'ECONNRESET')
})

test("a route's time-out gives 504 before an answer and a reset within one", async t => {
  await serve(
    edge,
    t,
    async (peer, _number, self) => {
      const request = await readRequest(peer, self)
      if (request?.startLine.includes('/begun'))
        await peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n')
      await peer.rest()
    },
    { routes: [proxyRoute('/*', { timeoutMs: 400 })] },
  )
  const waiting = await edge.connect()
  waiting.write('GET /silent HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.equal((await waiting.response()).status, 504)
  const begun = await edge.connect()
  begun.write('GET /begun HTTP/1.1\r\nHost: x\r\n\r\n')
  await begun.when('the connection to be over', () => begun.over !== '')
  assert.equal(begun.over, 'ECONNRESET')
})

test('the time for a head does not go on while a body waits for a place at an instance', async t => {
  let free = (): void => {}
  const held = new Promise<void>(resolve => {
    free = resolve
  })
  const origin = await serve(
    edge,
    t,
    answering(async request => {
      if (request.startLine.includes('/holds')) await held
      return ok(request.body.toString())
    }),
    {
      limits: { headTimeoutMs: 400 },
      upstream: { limits: { connectionsMax: 0, inFlightMax: 1, pendingMax: 10, pendingTimeoutMs: 20_000 } },
    },
  )
  const first = await edge.connect()
  first.write('GET /holds HTTP/1.1\r\nHost: x\r\n\r\n')
  await until('the place to be taken', () => origin.requests.length === 1)
  const second = await edge.connect()
  await second.send('POST / HTTP/1.1\r\nHost: x\r\n')
  await until(
    'the beginning of the head to be read',
    async () => (await edge.status()).workers[0]?.connections === 2,
  )
  await second.send('Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n')
  await new Promise(resolve => setTimeout(resolve, 1_000))
  free()
  assert.equal((await first.response()).status, 200)
  assert.equal((await second.response('POST')).body.toString(), 'abc')
})
