// What must not wait: server-sent events, long polling, chunks as they come, uploads as they come. Each step is taken
// only when the one before has arrived at the other side, so that anything held back hangs the test.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { serve, startEdge, until } from '../tools/edge-harness.ts'
import { readRequest, type Script } from '../tools/raw-origin.ts'

const edge = await startEdge({ after })

/** Calls `release` to let the next step happen. */
function gate(): { wait(): Promise<void>; release(): void } {
  const waiting: (() => void)[] = []
  let free = 0
  return {
    wait: () =>
      new Promise(resolve => {
        if (free > 0) {
          free--
          resolve()
        } else waiting.push(resolve)
      }),
    release: () => {
      const next = waiting.shift()
      if (next) next()
      else free++
    },
  }
}

test('each event of a stream arrives before the next one is sent; so does the head before the first', async t => {
  for (const kind of ['chunked', 'close'] as const) {
    const steps = gate()
    const script: Script = async (peer, _number, self) => {
      await readRequest(peer, self)
      const fields = kind === 'chunked' ? 'Transfer-Encoding: chunked\r\n' : ''
      await peer.send(`HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n${fields}\r\n`)
      for (let i = 0; i < 50; i++) {
        await steps.wait()
        const event = `data: ${i} ${'e'.repeat((i * 331) % 9000)}\n\n`
        await peer.send(kind === 'chunked' ? `${event.length.toString(16)}\r\n${event}\r\n` : event)
      }
      if (kind === 'chunked') await peer.send('0\r\n\r\n')
    }
    await serve(edge, t, script)
    const client = await edge.connect()
    client.write('GET /events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n')
    assert.match((await client.head()) ?? '', /text\/event-stream/)
    for (let i = 0; i < 50; i++) {
      steps.release()
      assert.match((await client.upTo('\n\n')) ?? '', new RegExp(`data: ${i} `))
    }
    assert.equal((await client.upTo('0\r\n\r\n'))?.endsWith('0\r\n\r\n'), true)
  }
})

test('an upload goes on piece by piece, and an answer may come piece by piece meanwhile', async t => {
  await serve(edge, t, async peer => {
    await peer.head()
    await peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    for (;;) {
      const size = Number.parseInt((await peer.upTo('\r\n')) ?? '0', 16)
      const data = await peer.bytes(size + 2)
      await peer.send(`${size.toString(16)}\r\n${data.toString('latin1')}`)
      if (size === 0) return
    }
  })
  const client = await edge.connect()
  client.write('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n')
  assert.match((await client.head()) ?? '', /^HTTP\/1\.1 200/)
  for (let i = 1; i <= 30; i++) {
    const piece = String(i).repeat((i * 97) % 6000 || 1)
    await client.send(`${piece.length.toString(16)}\r\n${piece}\r\n`)
    let got = ''
    while (got.length < piece.length) {
      const size = Number.parseInt((await client.upTo('\r\n')) ?? '', 16)
      got += (await client.bytes(size)).toString('latin1')
      await client.bytes(2)
    }
    assert.equal(got, piece)
  }
  client.write('0\r\n\r\n')
  assert.equal(await client.upTo('0\r\n\r\n'), '0\r\n\r\n')
})

test('a long poll is answered when it is, and many of them wait at once', async t => {
  const steps = gate()
  const origin = await serve(edge, t, async (peer, _number, self) => {
    await readRequest(peer, self)
    await steps.wait()
    peer.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnews')
  })
  const clients = await Promise.all(Array.from({ length: 200 }, () => edge.connect()))
  for (const client of clients) client.write('GET /poll HTTP/1.1\r\nHost: x\r\n\r\n')
  await until('all to wait', () => origin.requests.length === 200)
  assert.equal((await edge.member(0)).inFlight, 200)
  for (const _ of clients) steps.release()
  for (const client of clients) assert.equal((await client.response()).body.toString(), 'news')
})

test('a stream that is silent for too long is cut, one that speaks is not', async t => {
  await serve(
    edge,
    t,
    async (peer, _number, self) => {
      const request = await readRequest(peer, self)
      peer.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n')
      const speaks = request?.startLine.includes('/speaks')
      for (let i = 0; i < 40 && peer.over === '' && speaks; i++) {
        await peer.send('3\r\n:\n\n\r\n')
        await new Promise(resolve => setTimeout(resolve, 50))
      }
      if (speaks) peer.write('0\r\n\r\n')
      await peer.rest()
    },
    { upstream: { idleTimeoutMs: 700 } },
  )
  const [silent, speaking] = [await edge.connect(), await edge.connect()]
  silent.write('GET /silent HTTP/1.1\r\nHost: x\r\n\r\n')
  speaking.write('GET /speaks HTTP/1.1\r\nHost: x\r\n\r\n')
  await silent.when('the silent one to be cut', () => silent.over !== '')
  assert.equal(silent.over, 'ECONNRESET')
  assert.equal((await speaking.response()).complete, true)
})

test('a client that leaves an event stream frees the instance, whether it resets or only ends', async t => {
  const origin = await serve(edge, t, async (peer, _number, self) => {
    await readRequest(peer, self)
    peer.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n')
    await peer.rest()
  })
  for (const how of ['reset', 'halfClose', 'destroy'] as const) {
    const client = await edge.connect()
    client.write('GET /events HTTP/1.1\r\nHost: x\r\n\r\n')
    await client.head()
    client[how]()
    await until(`the instance to be free after ${how}`, () => origin.open.size === 0)
  }
})

test('a drain ends an event stream as complete and another answer as cut', async t => {
  const own = await startEdge({ after: end => t.after(end) })
  await serve(own, t, async (peer, _number, self) => {
    const request = await readRequest(peer, self)
    const type = request?.startLine.includes('/events') ? 'text/event-stream' : 'text/plain'
    peer.write(`HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`)
    await peer.rest()
  })
  const [events, other, waiting] = [await own.connect(), await own.connect(), await own.connect()]
  events.write('GET /events HTTP/1.1\r\nHost: x\r\n\r\n')
  other.write('GET /other HTTP/1.1\r\nHost: x\r\n\r\n')
  await events.upTo('abc')
  await other.upTo('abc')
  await own.call('stop', { drainMs: 300 })
  await waiting.rest()
  assert.equal(waiting.over, 'end', 'an idle connection ends at once')
  assert.equal((await events.rest()).toString(), '\r\n0\r\n\r\n')
  await other.when('the other to be cut', () => other.over !== '')
  assert.equal(other.over, 'ECONNRESET')
})
