// The reading half of the contract: pause and resume, bytes given back, buffers of a stream's own.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { sharedReadBytes } from '../net.ts'
import type { ContractCase } from './net.contract.ts'
import { turns, withPair } from './net-peer.ts'

const megabyte = 1 << 20

export const readingCases: ContractCase[] = [
  {
    name: 'while paused nothing is delivered, afterwards everything',
    run: net =>
      withPair(net, {}, async ({ client, server }) => {
        server.call(stream => stream.pause())
        server.call(stream => stream.pause())
        client.call(stream => stream.write('waiting'))
        client.call(stream => stream.end())
        await turns(20)
        assert.deepEqual([server.events, server.stream.paused], [[], true])
        server.call(stream => stream.resume())
        await server.has('ended')
        assert.deepEqual(
          [server.text, server.events, server.stream.paused],
          ['waiting', ['data', 'ended'], false],
        )
      }),
  },
  {
    name: 'pausing inside data, again and again, loses and reorders nothing',
    run: net =>
      withPair(net, {}, async ({ client, server }) => {
        const size = 8 * megabyte
        const payload = Buffer.from(Array.from({ length: 256 }, (_, index) => index)).toString('latin1')
        const hash = createHash('sha256')
        server.keepText = false
        server.onData = (bytes, length) => {
          hash.update(bytes.subarray(0, length))
          server.call(stream => stream.pause())
          setTimeout(() => server.call(stream => stream.resume()), 0)
        }
        client.call(stream => stream.write(payload.repeat(size / 256)))
        client.call(stream => stream.end())
        await server.has('ended')
        const wanted = createHash('sha256')
          .update(payload.repeat(size / 256), 'latin1')
          .digest('hex')
        assert.deepEqual([server.bytes, hash.digest('hex')], [size, wanted])
      }),
  },
  {
    name: 'pausing and resuming in one go changes nothing, whichever comes last counts',
    run: net =>
      withPair(net, {}, async ({ client, server }) => {
        server.call(stream => {
          stream.pause()
          stream.resume()
          stream.pause()
        })
        client.call(stream => stream.write('held'))
        await turns(20)
        assert.deepEqual(server.events, [])
        server.call(stream => {
          stream.resume()
          stream.pause()
          stream.resume()
        })
        await server.until(() => server.text === 'held', 'held bytes')
      }),
  },
  {
    name: 'a connection paused before it opened opens, and delivers only once resumed',
    run: net =>
      withPair(
        net,
        {
          connecting: client => client.call(stream => stream.pause()),
          accepted: server => {
            server.stream.write('greeting')
            server.stream.end()
          },
        },
        async ({ client }) => {
          await turns(20)
          assert.deepEqual(client.events, ['opened'])
          client.call(stream => stream.resume())
          await client.has('ended')
          assert.deepEqual([client.text, client.events], ['greeting', ['opened', 'data', 'ended']])
        },
      ),
  },
  {
    name: 'a connection accepted paused delivers only once resumed',
    run: net =>
      withPair(
        net,
        {
          accepted: server => server.stream.pause(),
          connecting: client => {
            client.stream.write('early')
            client.stream.end()
          },
        },
        async ({ server }) => {
          await turns(20)
          assert.deepEqual(server.events, [])
          server.call(stream => stream.resume())
          await server.has('ended')
          assert.equal(server.text, 'early')
        },
      ),
  },
  {
    name: 'a stream can be paused in the callback that tells it opened',
    run: net =>
      withPair(
        net,
        {
          connecting: client => {
            client.onOpened = () => client.call(stream => stream.pause())
          },
          accepted: server => server.stream.write('greeting'),
        },
        async ({ client }) => {
          await turns(20)
          assert.deepEqual(client.events, ['opened'])
          client.call(stream => stream.resume())
          await client.until(() => client.text === 'greeting', 'the greeting')
        },
      ),
  },
  {
    name: 'bytes given back come again, before any others, and not inside the call that gave them',
    run: net =>
      withPair(net, {}, async ({ client, server }) => {
        let peeked = false
        server.onData = (bytes, length) => {
          if (peeked) return
          peeked = true
          server.text = ''
          server.call(stream => stream.unshift(bytes.subarray(2, length)))
          server.call(stream => stream.unshift(Buffer.from('<>')))
          // More than a buffer's worth arrives meanwhile; none of it may overtake.
          client.call(stream => stream.write('!'.repeat(2 * sharedReadBytes)))
        }
        client.call(stream => stream.write('PPhello'))
        const whole = `<>hello${'!'.repeat(2 * sharedReadBytes)}`
        await server.until(() => server.text.length >= whole.length, 'all bytes')
        assert.ok(server.text === whole)
      }),
  },
  {
    name: 'bytes given back wait for resume, and an end waits behind them',
    run: net =>
      withPair(net, {}, async ({ client, server }) => {
        let peeked = false
        server.onData = (bytes, length) => {
          if (peeked) return
          peeked = true
          server.text = ''
          server.call(stream => {
            stream.pause()
            stream.unshift(bytes.subarray(0, length))
          })
        }
        client.call(stream => stream.write('peek at me'))
        client.call(stream => stream.end())
        await server.until(() => peeked, 'the first look')
        await turns(20)
        assert.deepEqual([server.text, server.events], ['', ['data']])
        server.call(stream => stream.resume())
        await server.has('ended')
        assert.equal(server.text, 'peek at me')
      }),
  },
  {
    name: 'bytes given back are copied, so that the buffer they came in can be used again',
    run: net =>
      withPair(net, {}, async ({ client, server }) => {
        let peeked = false
        server.onData = (bytes, length) => {
          if (peeked) return
          peeked = true
          server.text = ''
          server.call(stream => stream.unshift(bytes.subarray(0, length)))
          bytes.fill(0x23, 0, length)
        }
        client.call(stream => stream.write('unchanged'))
        await server.until(() => server.text.length === 9, 'the bytes again')
        assert.equal(server.text, 'unchanged')
      }),
  },
  {
    name: 'a stream reads into its own buffer while it has one, and into the shared one again afterwards',
    run: ownBufferCase,
  },
  {
    name: 'a buffer that was given back is not written to any more',
    run: net =>
      withPair(net, {}, async ({ client, server }) => {
        const own = Buffer.alloc(4096)
        server.call(stream => stream.readInto(own))
        client.call(stream => stream.write('first'))
        await server.until(() => server.bytes === 5, 'the first bytes')
        server.call(stream => stream.readInto(null))
        own.fill(0)
        client.call(stream => stream.write('second'))
        await server.until(() => server.text === 'firstsecond', 'the second bytes')
        assert.ok(own.every(byte => byte === 0))
      }),
  },
  {
    name: 'changing buffers thousands of times on one connection goes on working',
    run: net =>
      withPair(net, {}, async ({ client, server }) => {
        const own = [Buffer.alloc(7), Buffer.alloc(64), null]
        let wanted = ''
        for (let round = 0; round < 3000; round++) {
          server.call(stream => stream.readInto(own[round % 3] ?? null))
          if (round % 20 !== 0) continue
          const piece = `${round},`.repeat(9)
          wanted += piece
          client.call(stream => stream.write(piece))
          await server.until(() => server.bytes === wanted.length, `bytes of round ${round}`)
        }
        assert.equal(server.text, wanted)
      }),
  },
  {
    name: 'a relay that writes from the buffer it reads into copies nothing and loses nothing',
    run: relayCase,
  },
]

async function ownBufferCase(net: Parameters<ContractCase['run']>[0]): Promise<void> {
  await withPair(net, {}, async ({ client, server }) => {
    const own = Buffer.alloc(1000)
    let sawOwn = 0
    server.onData = (bytes, length) => {
      if (server.bytes === length) server.call(stream => stream.readInto(own))
      else if (server.bytes < 100_000) {
        assert.equal(bytes, own)
        assert.ok(length <= own.length)
        sawOwn++
      } else {
        server.call(stream => stream.readInto(null))
      }
    }
    const wanted = '0123456789'.repeat(10_000)
    client.call(stream => stream.write('*'))
    await server.until(() => server.bytes === 1, 'the first byte')
    client.call(stream => stream.write(wanted))
    await server.until(() => server.bytes === 100_001, 'all bytes')
    assert.ok(sawOwn >= 99)
    assert.equal(server.text, `*${wanted}`)
    server.onData = bytes => assert.notEqual(bytes, own)
    client.call(stream => stream.write('+'))
    await server.until(() => server.bytes === 100_002, 'the last byte')
  })
}

/** Source -> relay -> a reader that is slow: the relay stops reading while its buffer is still needed by a write. */
async function relayCase(net: Parameters<ContractCase['run']>[0]): Promise<void> {
  const size = 24 * megabyte
  const payload = Buffer.alloc(size)
  for (let at = 0; at < size; at += 4) payload.writeUInt32LE(at, at)
  await withPair(net, {}, async source => {
    await withPair(net, {}, async target => {
      const relay = source.server
      const out = target.client
      const own = Buffer.alloc(sharedReadBytes)
      let waits = 0
      for (const peer of [relay, target.server]) peer.keepText = false
      relay.call(stream => stream.readInto(own))
      relay.onData = (bytes, length) => {
        assert.equal(bytes, own)
        if (out.call(stream => stream.writeBytes(bytes, 0, length))) return
        waits++
        relay.call(stream => stream.pause())
      }
      out.onDrained = () => relay.call(stream => stream.resume())
      const hash = createHash('sha256')
      target.server.onData = (bytes, length) => {
        hash.update(bytes.subarray(0, length))
        target.server.call(stream => stream.pause())
        setImmediate(() => target.server.call(stream => stream.resume()))
      }
      source.client.call(stream => stream.writeBytes(payload, 0, size))
      await target.server.until(() => target.server.bytes === size, 'everything')
      assert.equal(hash.digest('hex'), createHash('sha256').update(payload).digest('hex'))
      assert.ok(waits > 0, 'the reader was never slow enough to matter')
    })
  })
}
