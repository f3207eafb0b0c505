import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectUdp, listenUdp, type UdpListener } from './udp.ts'

const patienceMs = 20_000

/** What came, and a promise of its `count`-th. */
function gathered<T>() {
  const list: T[] = []
  const wakers: (() => void)[] = []
  return {
    list,
    add: (one: T): void => {
      list.push(one)
      for (const wake of wakers.splice(0)) wake()
    },
    async count(count: number): Promise<T[]> {
      const end = performance.now() + patienceMs
      while (list.length < count) {
        assert.ok(performance.now() < end, `${list.length} of ${count} came`)
        await new Promise<void>(resolve => {
          const timer = setTimeout(resolve, 1_000)
          wakers.push(() => {
            clearTimeout(timer)
            resolve()
          })
        })
      }
      return list
    },
  }
}

async function echo(host: string, lost: (code: string) => void = () => {}): Promise<UdpListener> {
  const listener = await listenUdp({
    host,
    port: 0,
    reusePort: true,
    received: (bytes, address, port) => void listener.send(bytes, port, address),
    lost,
  })
  return listener
}

for (const host of ['127.0.0.1', '::1']) {
  test(`datagrams of every size go there and back whole, over ${host}`, async () => {
    const listener = await echo(host)
    const back = gathered<Buffer>()
    const peer = connectUdp(host, listener.port, { received: back.add, failed: code => assert.fail(code) })
    const sizes = [0, 1, 1_400, 9_000, 65_000]
    for (const size of sizes) assert.ok(peer.send(Buffer.alloc(size, size)))
    const sent = (await back.count(sizes.length)).map(bytes => bytes.length)
    assert.deepEqual(
      sent.sort((a, b) => a - b),
      sizes,
    )
    peer.close()
    listener.close()
    assert.equal(peer.send(Buffer.from('late')), false)
    assert.equal(listener.send(Buffer.from('late'), 1, host), false)
  })
}

test('a peer hears that nobody listens, and that a datagram is too large', async () => {
  const listener = await echo('127.0.0.1')
  const codes = gathered<string>()
  const large = connectUdp('127.0.0.1', listener.port, { received: () => {}, failed: codes.add })
  large.send(Buffer.alloc(65_508))
  assert.deepEqual(await codes.count(1), ['EMSGSIZE'])
  large.close()
  listener.close()
  const refused = connectUdp('127.0.0.1', listener.port, { received: () => {}, failed: codes.add })
  refused.send(Buffer.from('anybody?'))
  assert.equal((await codes.count(2))[1], 'ECONNREFUSED')
  refused.close()
})

test('two listeners that share a port share its clients, each client always at the same one', async () => {
  const heard = [new Map<number, number>(), new Map<number, number>()]
  let port = 0
  const listeners: UdpListener[] = []
  for (const seen of heard) {
    const listener = await listenUdp({
      host: '127.0.0.1',
      port,
      reusePort: true,
      received: (bytes, address, from) => {
        seen.set(from, (seen.get(from) ?? 0) + 1)
        listener.send(bytes, from, address)
      },
      lost: () => {},
    })
    port = listener.port
    listeners.push(listener)
  }
  const back = gathered<Buffer>()
  const peers = Array.from({ length: 40 }, () =>
    connectUdp('127.0.0.1', port, { received: back.add, failed: code => assert.fail(code) }),
  )
  for (let round = 1; round <= 3; round++) {
    for (const peer of peers) peer.send(Buffer.from('x'))
    await back.count(round * peers.length)
  }
  const [first, second] = heard as [Map<number, number>, Map<number, number>]
  assert.equal(first.size + second.size, 40)
  assert.ok(first.size > 0 && second.size > 0)
  for (const count of [...first.values(), ...second.values()]) assert.equal(count, 3)
  for (const one of [...peers, ...listeners]) one.close()
})

test('a port that another hears alone is refused with the code of the system', async () => {
  const listener = await listenUdp({
    host: '127.0.0.1',
    port: 0,
    reusePort: false,
    received: () => {},
    lost: () => {},
  })
  await assert.rejects(echoOn(listener.port), { code: 'EADDRINUSE' })
  listener.close()
})

function echoOn(port: number): Promise<UdpListener> {
  return listenUdp({ host: '127.0.0.1', port, reusePort: true, received: () => {}, lost: () => {} })
}
