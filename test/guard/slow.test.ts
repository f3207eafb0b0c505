// Row 11 of the checklist on a guarded route: slow heads, slow bodies, slow readers, and ranges, a thousand connections of
// each by slowhttptest, while others are served; all of them are ended, and nothing is left over.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { connect } from 'node:http2'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../tools/edge-harness.ts'
import { answering, ok } from '../tools/raw-origin.ts'
import { RawPeer } from '../tools/raw-peer.ts'
import { ask, type GuardedEdge, policyOf, specOf, startGuardedEdge } from './harness.ts'

const connections = 1_000
const limits = {
  headTimeoutMs: 2_000,
  bodyTimeoutMs: 2_000,
  sendTimeoutMs: 2_000,
  idleTimeoutMs: 2_000,
  connectionsMax: 3_000,
}
const large = 'x'.repeat(1 << 20)
const guard = specOf([policyOf('trial')])

async function start(t: Parameters<typeof startGuardedEdge>[0], perAddress = 4_096): Promise<GuardedEdge> {
  const spec = { ...guard, connectionsPerAddress: perAddress }
  const script = answering(request => ok(request.startLine.includes(' /large') ? large : 'fine'))
  return startGuardedEdge(t, spec, { workers: 2, limits, filesMax: 8_192 }, script)
}

/** Until it ends by itself: its last line says why. */
async function slowhttptest(t: TestContext, args: readonly string[]): Promise<string> {
  const child = spawn('slowhttptest', args, { stdio: ['ignore', 'pipe', 'pipe'] })
  t.after(() => void child.kill('SIGKILL'))
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-8_192)
  })
  child.stderr.resume()
  await new Promise((resolve, reject) => child.once('exit', resolve).once('error', reject))
  return said
}

const kinds: readonly (readonly [what: string, args: readonly string[], path: string])[] = [
  ['heads that never end', ['-H', '-i', '1'], '/'],
  ['bodies in drops', ['-B', '-i', '1', '-s', '8192'], '/'],
  ['readers of a few bytes', ['-X', '-w', '1', '-y', '16', '-n', '5', '-z', '8', '-k', '3'], '/large'],
  ['hundreds of ranges', ['-R', '-a', '1', '-b', '300'], '/large'],
]

for (const [what, args, path] of kinds)
  test(`${what}, on ${connections} connections of another address: others are served, and all of them are ended`, async t => {
    const { edge } = await start(t)
    let running = true
    const url = `http://127.0.0.1:${edge.port}${path}`
    const attack = slowhttptest(t, [
      ...['-c', `${connections}`, '-r', '400', '-l', '8', '-p', '5', '-u', url],
      ...args,
    ]).finally(() => {
      running = false
    })
    let served = 0
    while (running) {
      const answer = await ask(edge.port, { path: '/probe' })
      assert.deepEqual([answer.status, answer.body.toString()], [200, 'fine'])
      served += 1
      await sleep(50)
    }
    assert.match(await attack, /slowhttptest|status|Exit/i)
    assert.ok(served > 0)
    await edge.idle()
    await until('no connection to be left', async () =>
      (await edge.status()).workers.every(worker => worker.connections === 0),
    )
  })

test('with a bound of one address, slow connections beyond it are closed at once, and another address has room', async t => {
  const { edge } = await start(t, 50)
  const slow = await Promise.all(
    Array.from({ length: 200 }, () => RawPeer.connect(edge.port, '127.0.0.1', '127.0.0.31')),
  )
  for (const peer of slow) peer.write('GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ')
  await until('150 to be closed', () => slow.filter(peer => peer.over !== '').length >= 150)
  assert.equal((await ask(edge.port)).status, 200)
  await until('the others to be told that they are slow, and closed', () =>
    slow.every(peer => peer.over !== ''),
  )
})

test('a body that comes in drops often enough to be no silence is refused when it is too slow on average', async t => {
  const { edge, origin } = await start(t)
  const peer = await RawPeer.connect(edge.port)
  t.after(() => peer.destroy())
  peer.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n')
  const answer = peer.response('POST')
  let ended = false
  void answer.finally(() => {
    ended = true
  })
  while (!ended) {
    if (peer.over === '') peer.write('drop')
    await sleep(200)
  }
  assert.equal((await answer).status, 408)
  assert.match((await answer).body.toString(), /too slowly/)
  await until('the instance to see no whole request', () => origin.open.size === 0)
})

test('the same over HTTP/2; other streams of the connection go on', async t => {
  const { edge } = await start(t)
  const session = connect(`http://127.0.0.1:${edge.port}`)
  t.after(() => session.close())
  const slow = session.request({ ':method': 'POST', ':path': '/', ':authority': 'x' })
  let status = 0
  slow.on('response', fields => {
    status = fields[':status'] as number
  })
  slow.on('error', () => {})
  slow.resume()
  await until('an answer to the slow one', async () => {
    if (slow.writable) slow.write('drop')
    await sleep(200)
    return status !== 0
  })
  assert.equal(status, 408)
  const other = session.request({ ':method': 'GET', ':path': '/', ':authority': 'x' })
  const answered = new Promise<number>((resolve, reject) => {
    other.on('response', fields => resolve(fields[':status'] as number)).on('error', reject)
  })
  other.resume()
  assert.equal(await answered, 200)
})
