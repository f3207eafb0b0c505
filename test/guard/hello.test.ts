// The first message of TLS connections, read where a policy scores risk: in any pieces, unreadable, or never whole.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import https from 'node:https'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import type { ListenerSpec } from '../../src/edge/snapshot.ts'
import { createAuthority, writePair } from '../tools/certificates.ts'
import { until } from '../tools/edge-harness.ts'
import { RawPeer } from '../tools/raw-peer.ts'
import { type GuardedEdge, policyOf, specOf, startGuardedEdge } from './harness.ts'

const folder = mkdtempSync(join(tmpdir(), 'tenfold-hello-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const authority = await createAuthority()
writeFileSync(join(folder, 'ca.pem'), authority.ca)
const pair = writePair(folder, 'main', await authority.sign({ hosts: ['localhost'] }))
const secure: ListenerSpec = { id: 'https', kind: 'http', host: '127.0.0.1', port: 0, tls: true }
const chrome = 'Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36'
const never = 101

async function start(t: TestContext, headTimeoutMs = 30_000): Promise<{ edge: GuardedEdge; port: number }> {
  const risk = { slowAt: 1, challengeAt: never, queueAt: never, refuseAt: never, slowMs: 1 }
  const edge = await startGuardedEdge(t, specOf([policyOf('trial', { detectOnly: ['bots'], risk })]), {
    listeners: [secure],
    limits: { headTimeoutMs },
    more: { tls: { certificates: [{ hosts: [], ...pair, source: 'file' }], minVersion: '1.2' } },
  })
  return { edge, port: await edge.edge.portOf('https') }
}

/** Passes the first bytes of each connection on one by one. */
async function startDripping(t: TestContext, port: number): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer(client => {
    const upstream = connect(port, '127.0.0.1').setNoDelay(true)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {})
    }
    upstream.pipe(client)
    client.once('data', async (bytes: Buffer) => {
      client.pause()
      for (const byte of bytes) {
        upstream.write(Buffer.from([byte]))
        await new Promise(resolve => setImmediate(resolve))
      }
      client.pipe(upstream)
    })
  })
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise<void>(resolve => server.close(() => resolve()))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

function get(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const options = {
      host: '127.0.0.1',
      port,
      servername: 'localhost',
      ca: authority.ca,
      agent: false,
    } as const
    const request = https.get({ ...options, headers: { 'User-Agent': chrome } }, response => {
      response.resume()
      response.on('end', () => resolve(response.statusCode ?? 0))
    })
    request.on('error', reject)
  })
}

test('a first message that comes byte by byte is read as one that comes at once', async t => {
  const { edge, port } = await start(t)
  const dripping = await startDripping(t, port)
  assert.deepEqual([await get(port), await get(dripping)], [200, 200])
  for (const request of edge.origin.requests) {
    const record = await edge.explained(request.fields.get('x-request-id') ?? '')
    assert.ok(record.riskReasons.includes('it begins TLS as no browser of this kind does'))
  }
})

test('what is no TLS, or breaks off, ends as a failed handshake and harms nobody', async t => {
  const { edge, port } = await start(t)
  for (const text of ['GET / HTTP/1.1\r\n\r\n', '\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00', '\x16\x03\x01']) {
    const peer = await RawPeer.connect(port)
    peer.write(text)
    peer.socket.end()
    await until('the connection to be closed', () => Promise.resolve(peer.over !== ''))
  }
  const failed = /^edge_tls_handshakes_total\{worker="0",kind="failed"\} 3$/m
  await until('three failed handshakes', async () => failed.test(await edge.edge.metrics()))
  assert.equal(await get(port), 200)
})

test('a first message that never ends has the time of a head, and a size', async t => {
  const { edge, port } = await start(t, 1_000)
  const silent = await RawPeer.connect(port)
  silent.write('\x16\x03\x01\x02\x00\x01')
  await until('the silent one to be closed', () => Promise.resolve(silent.over !== ''))
  const endless = await RawPeer.connect(port)
  endless.write(`\x16\x03\x01\x00\x04\x01\x00\x3f\x00${'\x16\x03\x01\x00\x01a'.repeat(4_000)}`)
  await until('the endless one to be closed', () => Promise.resolve(endless.over !== ''))
  const failed = /^edge_tls_handshakes_total\{worker="0",kind="failed"\} 2$/m
  await until('two failed handshakes', async () => failed.test(await edge.edge.metrics()))
  assert.equal(await get(port), 200)
})
