// What every driver of the seam in `net.ts` must do, as cases without a test framework, so that they run in Node and in
// Bun. Both ends of each connection are streams of the driver under test.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import type { Listener, Net, Stream, StreamHandler } from '../net.ts'
import { readingCases } from './net.contract-reading.ts'
import { writingCases } from './net.contract-writing.ts'
import { listenOnce, Peer, turns, withPair } from './net-peer.ts'

export interface ContractCase {
  readonly name: string
  run(net: Net): Promise<void>
}

const lifeCases: ContractCase[] = [
  {
    name: 'accepts and connects, and bytes go both ways',
    run: net =>
      withPair(net, {}, async ({ client, server }) => {
        server.onData = (bytes, length) => {
          server.call(stream => stream.write(bytes.toString('latin1', 0, length).toUpperCase()))
        }
        assert.equal(
          client.call(stream => stream.write('hello')),
          true,
        )
        await client.until(() => client.text.length === 5, '5 bytes')
        assert.equal(client.text, 'HELLO')
        assert.deepEqual(server.events, ['data'], 'an accepted stream is not told that it opened')
        assert.equal(client.events[0], 'opened')
      }),
  },
  {
    name: 'what one thread reads for one stream does not change what another was given to write',
    run: net => sharedBufferCase(net),
  },
  {
    name: 'addresses and ports are those of the two ends, over IPv4 and IPv6',
    run: async net => {
      for (const host of ['127.0.0.1', '::1']) {
        await withPair(net, { host }, async ({ client, server, listener }) => {
          assert.equal(client.stream.remoteAddress, host)
          assert.equal(server.stream.remoteAddress, host)
          assert.equal(client.stream.remotePort, listener.port)
          assert.equal(server.stream.localPort, listener.port)
          assert.equal(server.stream.localAddress, server.stream.remoteAddress)
          assert.equal(server.stream.remotePort, client.stream.localPort)
        })
      }
    },
  },
  {
    name: 'a listener on :: sees an IPv4 client by its mapped address',
    run: net =>
      withPair(net, { host: '::', connectTo: '127.0.0.1' }, async ({ server }) => {
        assert.equal(server.stream.remoteAddress, '::ffff:127.0.0.1')
      }),
  },
  {
    name: 'half-closed by the client, the server can still answer, and then both are closed',
    run: net =>
      withPair(net, {}, async ({ client, server }) => {
        client.call(stream => stream.write('question'))
        client.call(stream => stream.end())
        await server.has('ended')
        assert.equal(server.text, 'question')
        server.call(stream => stream.write('answer'))
        await client.until(() => client.text === 'answer', 'the answer')
        assert.ok(!client.events.includes('ended'))
        server.call(stream => stream.end())
        await Promise.all([client.gone(), server.gone()])
        assert.deepEqual(client.events.slice(-2), ['ended', 'closed'])
        assert.equal(server.events.at(-1), 'closed')
      }),
  },
  {
    name: 'half-closed by the server, the client can still send',
    run: net =>
      withPair(net, { accepted: server => server.stream.end() }, async ({ client, server }) => {
        await client.has('ended')
        client.call(stream => stream.write('late'))
        await server.until(() => server.text === 'late', 'late bytes')
        client.call(stream => stream.end())
        await Promise.all([client.gone(), server.gone()])
        assert.equal(server.closeEvent, 'closed')
        assert.ok(server.events.includes('ended'))
      }),
  },
  {
    name: 'destroy ends both directions at once, and the peer sees an end',
    run: net =>
      withPair(net, {}, async ({ client, server }) => {
        client.call(stream => stream.write('last words'))
        client.call(stream => stream.destroy())
        client.call(stream => stream.destroy())
        await client.gone()
        await server.has('ended')
        assert.equal(server.text, 'last words')
        assert.equal(client.closeEvent, 'closed')
        assert.ok(!client.events.includes('ended'))
      }),
  },
  {
    name: 'reset is seen by the peer as ECONNRESET, once and last',
    run: net =>
      withPair(net, {}, async ({ client, server }) => {
        client.call(stream => stream.write('partial'))
        await server.until(() => server.text === 'partial', 'the first bytes')
        client.call(stream => stream.reset())
        await Promise.all([client.gone(), server.gone()])
        assert.equal(client.closeEvent, 'closed')
        assert.deepEqual(server.events, ['data', 'closed ECONNRESET'])
      }),
  },
  {
    name: 'reset overtakes bytes that wait and an end behind them',
    run: net =>
      withPair(net, { accepted: server => server.stream.pause() }, async ({ client, server }) => {
        const size = 32 << 20
        assert.equal(
          client.call(stream => stream.writeBytes(Buffer.alloc(size), 0, size)),
          false,
        )
        client.call(stream => stream.end())
        await turns(5)
        client.call(stream => stream.reset())
        await client.gone()
        server.call(stream => stream.resume())
        await server.gone()
        assert.equal(server.closeEvent, 'closed ECONNRESET')
        assert.ok(!server.events.includes('ended'))
        assert.ok(server.bytes < size)
      }),
  },
  {
    name: 'reset right after end leaves nothing open',
    run: net =>
      withPair(net, {}, async ({ client, server }) => {
        client.call(stream => stream.end())
        client.call(stream => stream.reset())
        await Promise.all([client.gone(), server.until(() => server.events.length > 0, 'an end of any kind')])
        assert.equal(client.closeEvent, 'closed')
      }),
  },
  {
    name: 'a refused connection is closed with ECONNREFUSED and never opened',
    run: async net => {
      const listener = await listenOnce(net, () => new Peer())
      listener.close()
      await turns(3)
      const client = new Peer()
      client.stream = net.connect('127.0.0.1', listener.port, client)
      client.call(stream => stream.write('for nobody'))
      await client.gone()
      await turns(3)
      assert.deepEqual(client.events, ['closed ECONNREFUSED'])
      assert.deepEqual(client.faults, [])
    },
  },
  {
    name: 'a connection destroyed before it opened is closed, once, in silence',
    run: async net => {
      const listener = await listenOnce(net, () => new Peer())
      for (const give of ['destroy', 'reset'] as const) {
        const client = new Peer()
        client.stream = net.connect('127.0.0.1', listener.port, client)
        client.call(stream => stream.write('never sent'))
        client.call(stream => stream[give]())
        await client.gone()
        await turns(5)
        assert.deepEqual([client.events, client.faults], [['closed'], []])
      }
      listener.close()
    },
  },
  {
    name: 'every method is harmless after the end',
    run: net =>
      withPair(net, {}, async ({ client, server }) => {
        client.call(stream => stream.destroy())
        everyMethod(client)
        await Promise.all([client.gone(), server.has('ended')])
        everyMethod(client)
        await turns(5)
        assert.equal(client.events.at(-1), 'closed')
      }),
  },
  {
    name: 'a peer that went away is told by EPIPE or ECONNRESET, not by an exception',
    run: net =>
      withPair(net, {}, async ({ client, server }) => {
        server.call(stream => stream.pause())
        client.call(stream => stream.destroy())
        await client.gone()
        for (let tries = 0; tries < 2000 && server.closeEvent === undefined; tries++) {
          server.call(stream => stream.write('to whom it may concern'))
          await turns(1)
        }
        assert.match(server.closeEvent ?? 'never closed', /^closed (EPIPE|ECONNRESET)$/)
      }),
  },
  {
    name: 'a stream may be destroyed inside its data callback, and hears nothing more but closed',
    run: net =>
      withPair(net, {}, async ({ client, server }) => {
        server.onData = () => server.call(stream => stream.destroy())
        const size = 4 << 20
        client.call(stream => stream.writeBytes(Buffer.alloc(size), 0, size))
        await server.gone()
        await client.gone()
        assert.deepEqual(server.events, ['data', 'closed'])
      }),
  },
  {
    name: 'a stream may be destroyed in any other callback too',
    run: async net => {
      const opened = (client: Peer): void => {
        client.onOpened = () => client.call(stream => stream.destroy())
      }
      await withPair(net, { connecting: opened }, async ({ client }) => {
        await client.gone()
        assert.deepEqual(client.events, ['opened', 'closed'])
      })
      await withPair(net, {}, async ({ client, server }) => {
        server.keepText = false
        client.onDrained = () => client.call(stream => stream.destroy())
        const size = 16 << 20
        client.call(stream => stream.writeBytes(Buffer.alloc(size), 0, size))
        await server.has('ended')
        assert.equal(server.bytes, size, 'drained means that the system has it all')
        await client.gone()
        assert.deepEqual(client.events, ['opened', 'drained', 'closed'])
      })
    },
  },
  {
    name: 'a write that fails inside a data callback ends the stream, not the program',
    run: net =>
      withPair(net, {}, async ({ client, server }) => {
        server.call(stream => stream.pause())
        client.call(stream => stream.write('a few bytes'))
        await turns(5)
        client.call(stream => stream.destroy())
        await client.gone()
        server.onData = () => {
          for (let count = 0; count < 50; count++) server.call(stream => stream.write('answer'))
        }
        server.call(stream => stream.resume())
        for (let tries = 0; tries < 2000 && server.closeEvent === undefined; tries++) {
          server.call(stream => stream.write('.'))
          await turns(1)
        }
        assert.match(server.closeEvent ?? 'never closed', /^closed (EPIPE|ECONNRESET)$/)
      }),
  },
  {
    name: 'a handler that is replaced in a callback hears nothing more, the new one all the rest',
    run: net =>
      withPair(net, {}, async ({ client, server }) => {
        const second = new Peer()
        second.stream = server.stream
        server.onData = () => {
          server.stream.handler = second
        }
        client.call(stream => stream.write('one'))
        await server.has('data')
        client.call(stream => stream.write('two'))
        await second.has('data')
        client.call(stream => stream.end())
        await second.has('ended')
        second.call(stream => stream.destroy())
        await second.gone()
        assert.deepEqual([server.text, second.text], ['one', 'two'])
        assert.deepEqual(second.events, ['data', 'ended', 'closed'])
        assert.deepEqual([...server.events, ...second.faults], ['data'])
        server.closed(server.stream, '')
      }),
  },
  {
    name: 'a port that is taken is refused with EADDRINUSE; an address that is not ours with EADDRNOTAVAIL',
    run: async net => {
      const first = await listenOnce(net, () => new Peer())
      const wanted = { port: first.port, backlog: 16, handlerOf: () => new Peer() }
      for (const reusePort of [false, true])
        await assert.rejects(net.listen({ ...wanted, host: '127.0.0.1', reusePort }), { code: 'EADDRINUSE' })
      // TEST-NET-1 (RFC 5737): no machine's own.
      await assert.rejects(net.listen({ ...wanted, host: '192.0.2.1', reusePort: false }), {
        code: 'EADDRNOTAVAIL',
      })
      first.close()
    },
  },
  {
    name: 'two listeners on one port with reusePort both accept',
    run: reusePortCase,
  },
  {
    name: 'a closed listener refuses, and what it accepted lives on',
    run: net =>
      withPair(net, {}, async ({ client, server, listener }) => {
        listener.close()
        listener.close()
        await turns(3)
        const late = new Peer()
        late.stream = net.connect('127.0.0.1', listener.port, late)
        await late.gone()
        assert.deepEqual(late.events, ['closed ECONNREFUSED'])
        server.call(stream => stream.write('still here'))
        await client.until(() => client.text === 'still here', 'bytes of an older connection')
      }),
  },
  {
    name: '2,000 connections opened and closed leave nothing open',
    run: manyConnections,
  },
]

export const netContract: readonly ContractCase[] = [...lifeCases, ...readingCases, ...writingCases]

function everyMethod(peer: Peer): void {
  peer.call(stream => {
    assert.equal(stream.write('x'), true)
    assert.equal(stream.writeBytes(Buffer.from('x'), 0, 1), true)
    stream.pause()
    stream.unshift(Buffer.from('x'))
    stream.readInto(Buffer.alloc(16))
    stream.resume()
    stream.readInto(null)
    stream.end()
    stream.reset()
    stream.destroy()
    assert.equal(typeof stream.remoteAddress + typeof stream.remotePort, 'stringnumber')
  })
}

/**
 * A relay writes what it reads, from the buffer that it was read into, to a reader that does not read yet; meanwhile
 * another connection of the same thread brings other bytes into that buffer.
 */
async function sharedBufferCase(net: Net): Promise<void> {
  const size = 16 << 20
  const payload = patterned(size)
  await withPair(net, {}, async target => {
    target.server.call(stream => stream.pause())
    target.server.keepText = false
    const hash = createHash('sha256')
    target.server.onData = (bytes, length) => hash.update(bytes.subarray(0, length))
    await withPair(net, {}, async source => {
      source.server.keepText = false
      source.server.onData = (bytes, length) => {
        target.client.stream.writeBytes(bytes, 0, length)
      }
      source.client.call(stream => stream.writeBytes(payload, 0, size))
      await source.server.until(() => source.server.bytes === size, 'all at the relay')
      await withPair(net, {}, async noise => {
        noise.server.keepText = false
        noise.client.call(stream => stream.writeBytes(Buffer.alloc(1 << 20, 0xff), 0, 1 << 20))
        await noise.server.until(() => noise.server.bytes === 1 << 20, 'the noise')
      })
      target.server.call(stream => stream.resume())
      await target.server.until(() => target.server.bytes === size, 'all at the target')
    })
    assert.equal(hash.digest('hex'), createHash('sha256').update(payload).digest('hex'))
  })
}

/** No two 64 KB pieces alike. */
export function patterned(size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size)
  for (let at = 0; at + 4 <= size; at += 4) bytes.writeUInt32LE((at * 2_654_435_761) % 0x1_0000_0000, at)
  return bytes
}

async function reusePortCase(net: Net): Promise<void> {
  assert.equal(net.reusePortSupported, process.platform === 'linux' || process.platform === 'freebsd')
  if (!net.reusePortSupported) return
  const accepted = [0, 0]
  const open: Stream[] = []
  const handlerOf =
    (index: number) =>
    (stream: Stream): StreamHandler => {
      accepted[index] = (accepted[index] ?? 0) + 1
      open.push(stream)
      return new Peer()
    }
  const options = { host: '127.0.0.1', reusePort: true, backlog: 128 }
  const first = await net.listen({ ...options, port: 0, handlerOf: handlerOf(0) })
  const second = await net.listen({ ...options, port: first.port, handlerOf: handlerOf(1) })
  // The kernel chooses by a hash of the addresses: that 200 all fall to one side has the chance 2^-199.
  const clients = Array.from({ length: 200 }, () => {
    const peer = new Peer()
    peer.stream = net.connect('127.0.0.1', first.port, peer)
    return peer
  })
  await Promise.all(clients.map(peer => peer.has('opened')))
  while ((accepted[0] ?? 0) + (accepted[1] ?? 0) < 200) await turns(1)
  for (const peer of clients) peer.stream.destroy()
  for (const stream of open) stream.destroy()
  await Promise.all(clients.map(peer => peer.gone()))
  first.close()
  second.close()
  assert.ok(
    accepted.every(count => count > 0),
    `${accepted}`,
  )
}

async function manyConnections(net: Net): Promise<void> {
  const before = await openFiles()
  let closedAtServer = 0
  const handler: StreamHandler = {
    opened() {},
    data(stream, bytes, length) {
      stream.write(bytes.toString('latin1', 0, length))
    },
    ended(stream) {
      stream.end()
    },
    drained() {},
    closed() {
      closedAtServer++
    },
  }
  const listener: Listener = await listenOnce(net, () => handler)
  for (let round = 0; round < 20; round++) await Promise.all(Array.from({ length: 100 }, once))
  listener.close()

  async function once(): Promise<void> {
    const client = new Peer()
    client.stream = net.connect('127.0.0.1', listener.port, client)
    client.stream.write('hello')
    await client.until(() => client.text === 'hello', 'the echo')
    client.call(stream => stream.end())
    await client.gone()
    assert.deepEqual([client.closeEvent, client.faults], ['closed', []])
  }

  for (let wait = 0; wait < 2000 && (closedAtServer < 2000 || (await openFiles()) > before); wait++)
    await turns(5)
  assert.equal(closedAtServer, 2000)
  assert.ok((await openFiles()) <= before, `${await openFiles()} open files, ${before} before`)
}

/** 0 where the system does not tell: then the count of `closed` alone speaks. */
async function openFiles(): Promise<number> {
  const { readdir } = await import('node:fs/promises')
  try {
    return (await readdir('/proc/self/fd')).length
  } catch {
    return 0
  }
}
