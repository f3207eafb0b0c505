// The edge is replaced while people use the site: another process listens beside it before it takes no more connections.
// No request fails, no connection is refused, and long-lived ones stay until the drain is over.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { WebSocket } from 'ws'
import { failed, mismatches, mixed, startLoad } from '../tools/load.ts'
import { dead, site, until } from '../tools/system-harness.ts'

test('the edge is replaced again and again under load, and nobody feels it', async t => {
  const shop = site(t)
  shop.describe({
    services: { web: shop.service({ instances: { min: 2, max: 2 } }) },
    edge: { drainTimeout: '10s' },
  })
  const { url, status } = await shop.begin()
  const pids = [status.edge.pid as number]
  const load = startLoad(t, url, { clients: 16, ask: mixed })
  for (let round = 0; round < 3; round++) {
    await load.more(200)
    const rolled = await shop.run('restart', 'edge')
    assert.equal(rolled.code, 0, rolled.error)
    const { edge } = await shop.status()
    assert.equal(edge.state, 'running')
    assert.equal(edge.restarts, 0)
    assert.ok(!pids.includes(edge.pid as number), 'another process serves')
    pids.push(edge.pid as number)
  }
  await load.more(200)
  const asked = await load.stop()
  assert.deepEqual(failed(asked), [])
  assert.deepEqual(mismatches(asked, shop.executions()), [])
  await until('the former ones have ended', async () => (await shop.status()).edge.leaving.length === 0)
  assert.ok(pids.slice(0, -1).every(dead))
})

/** The processes on the edge's ports, as the supervisor has written them down. */
function recordedEdges(directory: string): number[] {
  const { pid, beside } = JSON.parse(readFileSync(join(directory, '.tenfold/edge/process.json'), 'utf8'))
  return [pid, ...(beside ?? []).map((one: { pid: number }) => one.pid)]
}

test('a supervisor that is killed while the edge is replaced leaves two; the next one takes one back and ends the other', async t => {
  const shop = site(t)
  shop.describe({ services: { web: shop.service({ instances: { min: 1, max: 1 } }) } })
  const first = await shop.begin()
  const load = startLoad(t, first.url, { clients: 8, ask: mixed })
  const rolled = shop.run('restart', 'edge')
  await until('another edge begins', () => recordedEdges(shop.directory).length === 2)
  const pids = recordedEdges(shop.directory)
  first.child.kill('SIGKILL')
  await Promise.all([first.exited, rolled])
  await load.more(100)

  const { status } = await shop.begin()
  assert.ok(pids.includes(status.edge.pid as number), 'one of the two is taken back')
  await load.more(100)
  await until('the other one has ended', () => pids.filter(pid => !dead(pid)).length === 1)
  assert.equal(
    (await shop.status()).edge.pid,
    pids.find(pid => !dead(pid)),
  )
  await load.more(100)
  assert.deepEqual(failed(await load.stop()), [])
})

test('`stop` without a supervisor ends the edge that drains as well as the one that serves', async t => {
  const shop = site(t)
  const routes = [{ path: '/*', to: 'web', upgrade: true }]
  shop.describe({ services: { web: shop.service() }, edge: { drainTimeout: '10m', routes } })
  const first = await shop.begin()
  const { socket } = await hold(`${first.url.replace('http', 'ws')}/ws`)
  const closed = new Promise(resolve => socket.once('close', resolve))
  assert.equal((await shop.run('restart', 'edge')).code, 0)
  const { leaving, pid } = (await shop.status()).edge
  assert.equal(leaving.length, 1)
  first.child.kill('SIGKILL')
  await first.exited
  assert.equal(socket.readyState, WebSocket.OPEN, 'it drains on without a supervisor')
  assert.equal((await shop.run('stop', '--now')).code, 0)
  await closed
  assert.ok([...leaving, pid as number].every(dead))
})

const socketCount = 10_000
const wave = 200

interface Held {
  readonly socket: WebSocket
  code: number | null
  error: string
  echoed: string
}

function hold(url: string): Promise<Held> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { perMessageDeflate: false })
    const held: Held = { socket, code: null, error: '', echoed: '' }
    socket.once('open', () => resolve(held))
    socket.on('message', data => (held.echoed = String(data)))
    socket.on('close', code => (held.code = code))
    socket.on('error', error => {
      held.error = error.message
      reject(error)
    })
  })
}

test('10,000 WebSockets stay while the edge is replaced, until the drain ends them with 1001; new ones open all the time', {
  timeout: 300_000,
}, async t => {
  const shop = site(t)
  shop.describe({
    services: { web: shop.service({ instances: { min: 2, max: 2 }, limits: { connections: 0 } }) },
    edge: { drainTimeout: '45s', routes: [{ path: '/*', to: 'web', upgrade: true }] },
  })
  const { url } = await shop.begin()
  const address = `${url.replace('http', 'ws')}/ws`
  const held: Held[] = []
  t.after(() => {
    for (const { socket } of held) socket.terminate()
  })
  const formers: number[] = []
  const replace = async (): Promise<void> => {
    formers.push((await shop.status()).edge.pid as number)
    const rolled = await shop.run('restart', 'edge')
    assert.equal(rolled.code, 0, rolled.error)
    assert.deepEqual((await shop.status()).edge.leaving, formers, 'the former ones drain')
  }
  const more = async (count: number): Promise<void> => {
    for (const end = held.length + count; held.length < end; )
      held.push(...(await Promise.all(Array.from({ length: wave }, () => hold(address)))))
  }
  await more(socketCount / 2)

  let opening = true
  let opened = 0
  const refused: string[] = []
  const openers = Array.from({ length: 8 }, async () => {
    while (opening) {
      try {
        const { socket } = await hold(address)
        opened++
        socket.close()
      } catch (error) {
        refused.push((error as Error).message)
      }
    }
  })
  // Each takes two files of the edge: all of them at one process are more than some machines allow it.
  await replace()
  await more(socketCount / 2)
  await replace()
  assert.equal(held.filter(one => one.code !== null).length, 0, 'none has ended')
  // One in a hundred speaks on, through the processes that drain.
  const speaking = held.filter((_, at) => at % 100 === 0)
  for (const [at, { socket }] of speaking.entries()) socket.send(`still ${at}`)
  await until('they are answered', () =>
    speaking.every((one, at) => one.code !== null || one.echoed.endsWith(`: still ${at}`)),
  )
  assert.ok(speaking.every(one => one.code === null))
  const openedBefore = opened
  await until('new ones open', () => opened > openedBefore + 50)
  await until('the drain has ended them all', () => held.every(one => one.code !== null))
  opening = false
  await Promise.all(openers)
  assert.deepEqual(refused, [], 'no new handshake is refused')
  const codes = Map.groupBy(held, one => one.code)
  assert.deepEqual(
    [...codes].map(([code, list]) => [code, list.length]),
    [[1001, socketCount]],
  )
  assert.ok(held.every(one => one.error === ''))
  await until('the former ones have ended', async () => (await shop.status()).edge.leaving.length === 0)
})
