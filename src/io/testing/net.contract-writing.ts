// The writing half of the contract: what is taken, in which order it arrives, and when a stream says that it drained.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import type { ContractCase } from './net.contract.ts'
import { type Pair, turns, withPair } from './net-peer.ts'

const megabyte = 1 << 20

export const writingCases: ContractCase[] = [
  {
    name: 'text is one byte a character, all 256 of them, short and long',
    run: net =>
      withPair(net, {}, async ({ client, server }) => {
        const all = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join('')
        client.call(stream => stream.write(all))
        await server.until(() => server.bytes >= 256, '256 bytes')
        assert.equal(server.text, all)
        client.call(stream => stream.write(all.repeat(1000)))
        await server.until(() => server.bytes >= 256 * 1001, 'all bytes')
        assert.ok(server.text === all.repeat(1001))
      }),
  },
  {
    name: '64 MB reach a slow reader intact, with false and drained in between',
    run: slowReaderCase,
  },
  {
    name: 'mixed writes before opened, while a write waits, and afterwards arrive in order',
    run: mixedOrderCase,
  },
  {
    name: 'drained follows a write that answered false, once, and never a write that answered true',
    run: net =>
      withPair(net, {}, async ({ client, server }) => {
        client.call(stream => stream.write('small'))
        await server.until(() => server.text === 'small', 'the small write')
        await turns(5)
        assert.equal(client.drains, 0)
        server.keepText = false
        server.call(stream => stream.pause())
        const block = Buffer.alloc(16 * megabyte)
        assert.equal(
          client.call(stream => stream.writeBytes(block, 0, block.length)),
          false,
        )
        assert.equal(
          client.call(stream => stream.write('more')),
          false,
        )
        await turns(20)
        assert.equal(client.drains, 0)
        server.call(stream => stream.resume())
        await client.has('drained')
        await server.until(() => server.bytes === 5 + block.length + 4, 'everything')
        await turns(5)
        assert.equal(client.drains, 1)
      }),
  },
  {
    name: 'a drained callback may write again, and is called again for it',
    run: net =>
      withPair(net, {}, async ({ client, server }) => {
        server.keepText = false
        const block = Buffer.alloc(12 * megabyte)
        let left = 3
        client.onDrained = () => {
          if (left-- > 0) client.call(stream => stream.writeBytes(block, 0, block.length))
        }
        client.call(stream => stream.writeBytes(block, 0, block.length))
        await server.until(() => server.bytes === 4 * block.length, 'four blocks')
        await client.until(() => client.drains >= 1, 'drained')
      }),
  },
  {
    name: 'end with writes waiting sends them all before the FIN, and writes after it are ignored',
    run: net =>
      withPair(net, {}, async ({ client, server }) => {
        server.keepText = false
        server.call(stream => stream.pause())
        const block = Buffer.alloc(16 * megabyte, 7)
        client.call(stream => stream.writeBytes(block, 0, block.length))
        client.call(stream => stream.write('tail'))
        client.call(stream => stream.end())
        client.call(stream => stream.end())
        assert.equal(
          client.call(stream => stream.write('ignored')),
          true,
        )
        server.call(stream => stream.resume())
        await server.has('ended')
        assert.equal(server.bytes, block.length + 4)
        server.call(stream => stream.end())
        await client.gone()
        assert.equal(client.closeEvent, 'closed')
        assert.ok(client.events.includes('drained'))
      }),
  },
  {
    name: 'end before opened sends what was written, then the FIN',
    run: net =>
      withPair(
        net,
        {
          connecting: client =>
            client.call(stream => {
              stream.write('all there is')
              stream.end()
            }),
        },
        async ({ client, server }) => {
          await server.has('ended')
          assert.equal(server.text, 'all there is')
          server.call(stream => stream.write('thanks'))
          await client.until(() => client.text === 'thanks', 'the answer')
        },
      ),
  },
  {
    name: 'destroy while writes wait closes without an error of its own making',
    run: net =>
      withPair(net, {}, async ({ client, server }) => {
        server.call(stream => stream.pause())
        const block = Buffer.alloc(16 * megabyte)
        client.call(stream => stream.writeBytes(block, 0, block.length))
        client.call(stream => stream.destroy())
        await client.gone()
        assert.deepEqual([client.closeEvent, client.drains], ['closed', 0])
      }),
  },
  {
    name: 'empty writes are taken, and an accepted stream may write before its handler is known',
    run: net =>
      withPair(net, { accepted: server => server.stream.write('welcome') }, async ({ client, server }) => {
        assert.equal(
          server.call(stream => stream.write('')),
          true,
        )
        assert.equal(
          server.call(stream => stream.writeBytes(Buffer.from('abc'), 1, 1)),
          true,
        )
        server.call(stream => stream.writeBytes(Buffer.from('[part]'), 1, 5))
        await client.until(() => client.text === 'welcomepart', 'the greeting and a part')
      }),
  },
  {
    name: 'text and bytes that are written in one call arrive in order, also where the system takes only a part',
    run: net =>
      withPair(net, {}, async ({ client, server }) => {
        const block = Buffer.alloc(megabyte, 'b')
        const both = (text: string): boolean =>
          server.call(stream => {
            if (stream.writeBoth !== undefined) return stream.writeBoth(text, block, 1, block.length)
            const taken = stream.write(text)
            return stream.writeBytes(block, 1, block.length) && taken
          })
        client.call(stream => stream.pause())
        const expected: string[] = []
        let held = false
        for (let i = 0; i < 16; i++) {
          held = !both(`head ${i};`) || held
          expected.push(`head ${i};`, block.latin1Slice(1))
        }
        assert.ok(held, 'a peer that does not read holds the writer')
        client.call(stream => stream.resume())
        const text = expected.join('')
        await client.until(() => client.text.length >= text.length, 'all of it')
        assert.ok(client.text === text, 'in order')
        await server.until(() => server.drains > 0, 'the drain')
      }),
  },
  {
    name: 'bytes under way survive the garbage collector',
    run: garbageCase,
  },
]

type Net = Parameters<ContractCase['run']>[0]

async function slowReaderCase(net: Net): Promise<void> {
  await withPair(net, {}, async ({ client, server }) => {
    const size = 64 * megabyte
    const block = Buffer.alloc(megabyte)
    for (let at = 0; at < block.length; at += 4) block.writeUInt32LE(at, at)
    const sent = createHash('sha256')
    const seen = createHash('sha256')
    server.keepText = false
    server.onData = (bytes, length) => {
      seen.update(bytes.subarray(0, length))
      server.call(stream => stream.pause())
      setImmediate(() => server.call(stream => stream.resume()))
    }
    let falses = 0
    let left = size / block.length
    const fill = (): void => {
      while (left > 0) {
        left--
        sent.update(block)
        if (client.call(stream => stream.writeBytes(block, 0, block.length))) continue
        falses++
        return
      }
      client.call(stream => stream.end())
    }
    client.onDrained = fill
    fill()
    await server.has('ended')
    assert.deepEqual([server.bytes, seen.digest('hex')], [size, sent.digest('hex')])
    assert.ok(falses > 0)
  })
}

async function mixedOrderCase(net: Net): Promise<void> {
  const sent: string[] = []
  let next = 0
  const mixed = ({ client }: Pick<Pair, 'client'>, large: number): void => {
    for (let index = 0; index < 40; index++) {
      const text = `${next++};`.padEnd(index % 10 === 3 ? large : 1 + (index % 5), '.')
      sent.push(text)
      const bytes = Buffer.from(text, 'latin1')
      if (index % 2 === 0) client.stream.write(text)
      else client.stream.writeBytes(bytes, 0, bytes.length)
    }
  }
  const connecting = (client: Pair['client']): void => {
    client.onOpened = () => mixed({ client }, 300)
    mixed({ client }, 300)
  }
  await withPair(net, { connecting }, async pair => {
    const { client, server } = pair
    mixed(pair, 300)
    server.call(stream => stream.pause())
    for (let round = 0; round < 12; round++) {
      mixed(pair, megabyte)
      await turns(1)
    }
    server.call(stream => stream.resume())
    for (let round = 0; round < 20; round++) {
      mixed(pair, 100_000)
      await turns(1)
    }
    await client.has('drained')
    mixed(pair, 300)
    const wanted = sent.join('')
    await server.until(() => server.bytes >= wanted.length, 'everything')
    assert.ok(server.text === wanted, 'order or content differs')
  })
}

/** The only references to the bytes are the driver's; other allocations would reuse their memory. */
async function garbageCase(net: Net): Promise<void> {
  await withPair(net, {}, async ({ client, server }) => {
    const collect = (globalThis as { gc?: () => void }).gc
    const count = 40
    server.call(stream => stream.pause())
    server.keepText = false
    const seen = createHash('sha256')
    const wanted = createHash('sha256')
    server.onData = (bytes, length) => seen.update(bytes.subarray(0, length))
    for (let index = 0; index < count; index++) {
      const block = Buffer.alloc(512 * 1024, index)
      wanted.update(block)
      client.call(stream => stream.writeBytes(block, 0, block.length))
    }
    for (let round = 0; round < 10; round++) {
      collect?.()
      Array.from({ length: 20 }, () => Buffer.alloc(512 * 1024, 0xee))
      await turns(1)
    }
    server.call(stream => stream.resume())
    await server.until(() => server.bytes === count * 512 * 1024, 'all blocks')
    assert.equal(seen.digest('hex'), wanted.digest('hex'))
  })
}
