// The bus over real sockets, with clients that do as they please.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectLines, type LineSocket } from '../../io/line-socket.ts'
import { netHere } from '../../io/net-here.ts'
import { FeedBus } from './bus.ts'
import type { Invalidation } from './contract.ts'

interface Heard {
  readonly lines: Record<string, unknown>[]
  readonly socket: LineSocket
  readonly state: { ended: boolean }
}

async function openBus(t: TestContext): Promise<FeedBus> {
  const bus = await FeedBus.open({ net: netHere, host: '127.0.0.1', port: 0, token: 'secret' })
  t.after(() => bus.close())
  return bus
}

async function client(t: TestContext, bus: FeedBus, acks: boolean): Promise<Heard> {
  const lines: Record<string, unknown>[] = []
  const state = { ended: false }
  const socket = await connectLines({ host: '127.0.0.1', port: bus.port }, 10_000, {
    onValue: value => {
      lines.push(value as Record<string, unknown>)
      if (acks) socket.send({ ack: (value as { position: unknown }).position })
    },
    onEnd: () => {
      state.ended = true
    },
  })
  t.after(() => socket.close())
  return { lines, socket, state }
}

async function until(holds: () => boolean): Promise<void> {
  const end = Date.now() + 30_000
  while (!holds()) {
    assert.ok(Date.now() < end, 'within 30 s')
    await sleep(5)
  }
}

function forget(...tags: string[]): Invalidation {
  return { database: 'main', lsn: 1, timeline: 1, everything: false, tags, urls: [], keys: ['k'], tables: [] }
}

test('a client hears what changes from its hello on, and is waited for', async t => {
  const bus = await openBus(t)
  const one = await client(t, bus, true)
  one.socket.send({ token: 'secret', after: null })
  await until(() => one.lines.length === 1)
  assert.deepEqual(Object.keys(one.lines[0] ?? {}), ['position'])
  await bus.tell(forget('film:ü'))
  assert.equal(one.lines.length, 2)
  assert.deepEqual(one.lines[1]?.tags, ['film:ü'])
  assert.deepEqual(one.lines[1]?.keys, ['k'])
  assert.equal(one.lines[1]?.everything, false)
})

test('a telling ends when a client that did not acknowledge leaves', async t => {
  const bus = await openBus(t)
  const one = await client(t, bus, false)
  one.socket.send({ token: 'secret', after: null })
  await until(() => bus.listening === 1)
  let done = false
  const told = bus.tell(forget('a')).then(() => {
    done = true
  })
  await until(() => one.lines.length === 2)
  assert.equal(done, false)
  one.socket.close()
  await told
})

test('who comes back hears what was missed, or that it can not be told', async t => {
  const bus = await openBus(t)
  const one = await client(t, bus, true)
  one.socket.send({ token: 'secret', after: null })
  await until(() => one.lines.length === 1)
  const after = one.lines[0]?.position
  one.socket.close()
  await until(() => bus.listening === 0)
  await bus.tell(forget('a'))
  await bus.tell(forget('b'))
  const again = await client(t, bus, true)
  again.socket.send({ token: 'secret', after })
  await until(() => again.lines.length === 3)
  assert.deepEqual(
    again.lines.map(line => line.tags),
    [['a'], ['b'], undefined],
  )
  assert.equal(again.lines[2]?.gap, undefined)
  for (const wrong of ['elsewhere.1', `${after}7`, 5, { a: 1 }]) {
    const lost = await client(t, bus, true)
    lost.socket.send({ token: 'secret', after: wrong })
    await until(() => lost.lines.length === 1)
    assert.equal(lost.lines[0]?.gap, true)
  }
  // More than is kept.
  for (let at = 0; at < 4_100; at++) await bus.tell(forget(String(at)))
  const late = await client(t, bus, true)
  late.socket.send({ token: 'secret', after })
  await until(() => late.lines.length === 1)
  assert.equal(late.lines[0]?.gap, true)
})

test('without the token nobody listens, and nonsense ends the connection', async t => {
  const bus = await openBus(t)
  for (const hello of [{ token: 'wrong' }, { after: null }, 'x'.repeat(5_000), null]) {
    const one = await client(t, bus, true)
    one.socket.send(hello)
    await until(() => one.state.ended)
    assert.deepEqual(one.lines, [])
  }
  assert.equal(bus.listening, 0)
})

test('a client that does not read is cut, and nobody waits for it', async t => {
  const bus = await openBus(t)
  const one = await client(t, bus, false)
  one.socket.send({ token: 'secret', after: null })
  await until(() => bus.listening === 1)
  const big = 'x'.repeat(1024 * 1024)
  // It reads, but says nothing: cut by the time-out; what does not fit is cut at once.
  const told = Array.from({ length: 64 }, (_, at) => bus.tell(forget(`${at}${big}`)))
  await Promise.all(told)
  assert.equal(bus.listening, 0)
})
