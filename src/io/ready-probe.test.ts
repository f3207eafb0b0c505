import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { seededRandom } from '../kit/random.ts'
import { freePort } from './free-port.ts'
import { type ProbeTarget, probe } from './ready-probe.ts'

const base = { host: '127.0.0.1', path: '/healthz', expectStatus: { from: 200, to: 299 }, timeoutMs: 5000 }

/** A server that answers each connection with these bytes once something came, or says nothing. */
async function answering(
  context: TestContext,
  bytes: string | null,
): Promise<Omit<ProbeTarget, 'kind'> & { seen: string[] }> {
  const seen: string[] = []
  const server = createServer(socket => {
    socket.on('error', () => {})
    socket.on('data', data => {
      seen.push(data.toString('latin1'))
      if (bytes !== null) socket.end(bytes)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  context.after(() => new Promise(resolve => server.close(resolve)))
  return { ...base, port: (server.address() as { port: number }).port, seen }
}

test('an expected status is an answer, another one is not, and both are said', async context => {
  const good = await answering(context, 'HTTP/1.1 204 No Content\r\n\r\n')
  assert.deepEqual(await probe({ ...good, kind: 'http' }), {
    ok: true,
    refused: false,
    text: 'answered 204 to GET /healthz',
  })
  const bad = await answering(context, 'HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n')
  assert.equal((await probe({ ...bad, kind: 'http' })).text, 'answered 503 to GET /healthz')
  assert.equal((await probe({ ...bad, kind: 'http', expectStatus: { from: 503, to: 503 } })).ok, true)
})

test('the Host header is what was asked for', async context => {
  const target = await answering(context, 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
  await probe({ ...target, kind: 'http', hostHeader: 'tickets.example' })
  assert.match(target.seen.join(''), /^GET \/healthz HTTP\/1\.1\r\nhost: tickets\.example\r\n/)
})

test('nobody listening, silence and nonsense are told apart', async context => {
  const port = await freePort('127.0.0.1', seededRandom(7), new Set())
  const refused = await probe({ ...base, port, kind: 'tcp' })
  assert.deepEqual(refused, { ok: false, refused: true, text: `does not listen on 127.0.0.1:${port}` })
  const silent = await answering(context, null)
  const slow = await probe({ ...silent, kind: 'http', timeoutMs: 100 })
  assert.equal(slow.text, 'did not answer GET /healthz within 100 ms')
  assert.equal((await probe({ ...silent, kind: 'tcp' })).ok, true)
  const nonsense = await answering(context, 'what?\r\n\r\n')
  const broken = await probe({ ...nonsense, kind: 'http' })
  assert.match(broken.text, /^broke the connection \(.+\)$/)
})
