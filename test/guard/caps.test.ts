// Open connections of one address: exact over the workers, by prefix, by what the PROXY protocol says, repaired when a
// worker dies.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../tools/edge-harness.ts'
import { RawPeer } from '../tools/raw-peer.ts'
import { endAll, policyOf, specOf, startGuardedEdge } from './harness.ts'

const capped = specOf([policyOf('trial')], { connectionsPerAddress: 20 })
const request = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'

/** Of so many connections, those that are answered; the others are closed unanswered. */
async function answeredOf(count: number, open: () => Promise<RawPeer>): Promise<RawPeer[]> {
  const peers = await Promise.all(Array.from({ length: count }, open))
  const answered: RawPeer[] = []
  await Promise.all(
    peers.map(async peer => {
      peer.write(request)
      const answer = await peer.response().catch(() => null)
      if (answer !== null) answered.push(peer)
    }),
  )
  return answered
}

test('of one address exactly as many connections are open as it may have, over two workers, and a closed one makes room', async t => {
  const { edge } = await startGuardedEdge(t, capped, { workers: 2 })
  const from = (address: string) => () => RawPeer.connect(edge.port, '127.0.0.1', address)
  const kept = await answeredOf(60, from('127.0.0.21'))
  t.after(() => endAll(kept))
  assert.equal(kept.length, 20)
  const others = await answeredOf(20, from('127.0.0.22'))
  t.after(() => endAll(others))
  assert.equal(others.length, 20, 'another address has places of its own')
  for (const peer of kept.splice(0, 5)) peer.destroy()
  const again: RawPeer[] = []
  await until('five more', async () => {
    again.push(...(await answeredOf(5 - again.length, from('127.0.0.21'))))
    return again.length === 5
  })
  t.after(() => endAll(again))
  assert.equal((await answeredOf(10, from('127.0.0.21'))).length, 0, 'and no more than that')
})

test('what a dead worker held is free again, and only that', async t => {
  const { edge } = await startGuardedEdge(t, capped, { workers: 2 })
  const open = () => RawPeer.connect(edge.port, '127.0.0.1', '127.0.0.23')
  const kept = await answeredOf(20, open)
  t.after(() => endAll(kept))
  const held = (await edge.status()).workers.map(worker => worker.connections)
  await edge.killWorker(0)
  await until('the worker to be back', async () =>
    (await edge.status()).workers.every(worker => worker.state === 'running'),
  )
  const again: RawPeer[] = []
  t.after(() => endAll(again))
  const free = 20 - (held[1] as number)
  await until(`${free} more`, async () => {
    again.push(...(await answeredOf(free - again.length, open)))
    return again.length === free
  })
  assert.equal((await answeredOf(10, open)).length, 0)
})

test('behind the PROXY protocol the address that it says counts, with its prefix; a trusted proxy and the allow list are exempt', async t => {
  const guard = { ...capped, connectionsPerAddress: 3, allow: ['2001:db8:5::/48'] }
  const { edge } = await startGuardedEdge(t, guard, {
    listeners: [{ id: 'behind', kind: 'http', host: '127.0.0.1', port: 0, proxyProtocol: ['127.0.0.31/32'] }],
    trustedProxies: ['127.0.0.32/32'],
  })
  const behind = await edge.portOf('behind')
  const through = (address: (at: number) => string) => {
    let at = 0
    return async (): Promise<RawPeer> => {
      const peer = await RawPeer.connect(behind, '127.0.0.1', '127.0.0.31')
      peer.write(`PROXY TCP6 ${address(at++)} 2001:db8::1 4000 443\r\n`)
      return peer
    }
  }
  const cases: readonly (readonly [number, () => Promise<RawPeer>])[] = [
    [3, through(at => `2001:db8:1:1::${at + 1}`)],
    [3, through(at => `2001:db8:1:2::${at + 1}`)],
    [8, through(at => `2001:db8:1:${at + 10}::1`)],
    [8, through(() => '2001:db8:5::1')],
    [8, () => RawPeer.connect(edge.port, '127.0.0.1', '127.0.0.32')],
    [3, () => RawPeer.connect(edge.port, '127.0.0.1', '127.0.0.33')],
  ]
  const all: RawPeer[] = []
  t.after(() => endAll(all))
  for (const [answered, open] of cases) {
    const peers = await answeredOf(8, open)
    all.push(...peers)
    assert.equal(peers.length, answered)
  }
})
