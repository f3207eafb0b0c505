// TLS on a TCP listener: ended here, begun again towards members, behind a PROXY header too.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect as connectTcp, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import tls, { type TLSSocket } from 'node:tls'
import type { EdgeSnapshot, ListenerSpec } from '../../src/edge/snapshot.ts'
import { writeProxyHeader } from '../../src/wire/proxy-protocol.ts'
import { createAuthority, writePair } from '../tools/certificates.ts'
import { startEdge, until } from '../tools/edge-harness.ts'
import { type Script, startRawOrigin } from '../tools/raw-origin.ts'
import { RawPeer } from '../tools/raw-peer.ts'

const folder = mkdtempSync(join(tmpdir(), 'tenfold-layer4-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const authority = await createAuthority()
const caFile = join(folder, 'ca.pem')
writeFileSync(caFile, authority.ca)
const pair = await authority.sign({ hosts: ['localhost', 'ip:127.0.0.1'] })
const files = writePair(folder, 'main', pair)
const tlsSpec: NonNullable<EdgeSnapshot['tls']> = {
  certificates: [{ hosts: [], ...files, source: 'file' }],
  minVersion: '1.2',
}
const listener: ListenerSpec = {
  id: 'db',
  kind: 'tcp',
  host: '127.0.0.1',
  port: 0,
  upstream: 'app',
  tls: true,
  idleTimeoutMs: 60_000,
}

/** Says how much came, once the peer has ended, and sends it back. */
const tellBack: Script = async peer => {
  const bytes = await peer.rest()
  peer.write(bytes)
}

interface Ending {
  after(end: () => Promise<void> | void): void
}

/** `before` is sent ahead of the handshake. */
async function connect(context: Ending, port: number, before = ''): Promise<RawPeer> {
  const plain = connectTcp({ port, host: '127.0.0.1', allowHalfOpen: true })
  if (before !== '') plain.write(before, 'latin1')
  const socket: TLSSocket = tls.connect({
    socket: plain,
    host: 'localhost',
    ca: authority.ca,
    ALPNProtocols: ['postgresql'],
    allowHalfOpen: true,
  } as tls.ConnectionOptions)
  context.after(() => void socket.destroy())
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve)
    socket.once('error', reject)
  })
  assert.equal(socket.alpnProtocol, false, 'nothing is agreed on that we do not speak')
  return new RawPeer(socket)
}

test('members get the bytes without TLS, 8 MB each way, also from a client that has ended its side', async t => {
  const origin = await startRawOrigin(t, tellBack)
  const edge = await startEdge(t, { members: [origin.port], listeners: [listener], more: { tls: tlsSpec } })
  const client = await connect(t, await edge.portOf('db'))
  const bytes = randomBytes(8 << 20)
  await client.send(bytes)
  client.halfClose()
  const back = await client.rest()
  assert.ok(back.equals(bytes))
  assert.equal(client.over, 'end')
})

test('a PROXY header of a listed peer comes before the handshake', async t => {
  const origin = await startRawOrigin(t, tellBack)
  const edge = await startEdge(t, {
    members: [origin.port],
    listeners: [{ ...listener, proxyProtocol: ['127.0.0.1'], sendProxy: 'v1' } as ListenerSpec],
    more: { tls: tlsSpec },
  })
  const from = { address: '198.51.100.9', port: 4_000 }
  const header = writeProxyHeader('v2', from, { address: '203.0.113.1', port: 443 })
  const client = await connect(t, await edge.portOf('db'), header)
  await client.send('hello')
  client.halfClose()
  assert.equal((await client.rest()).toString(), 'PROXY TCP4 198.51.100.9 203.0.113.1 4000 443\r\nhello')
})

test('a client that does not begin a handshake in time is gone, and counts for nothing', async t => {
  const origin = await startRawOrigin(t, tellBack)
  const edge = await startEdge(t, {
    members: [origin.port],
    listeners: [listener],
    limits: { headTimeoutMs: 300 },
    more: { tls: tlsSpec },
  })
  const port = await edge.portOf('db')
  const silent = await RawPeer.connect(port)
  await silent.when('the end', () => silent.over !== '')
  const plain = await RawPeer.connect(port)
  plain.write('GET / HTTP/1.1\r\n\r\n')
  await plain.when('the end', () => plain.over !== '')
  assert.equal(origin.connections.length, 0)
  await until('no connection', async () => /^edge_connections\{worker="0"\} 0$/m.test(await edge.metrics()))
  for (const peer of [silent, plain]) peer.destroy()
})

test('members are reached over TLS where the upstream says so, and not when their certificate is wrong', async t => {
  const sockets = new Set<Socket>()
  const server = tls.createServer({ key: pair.key, cert: pair.cert }, socket => {
    socket.on('error', () => {})
    socket.pipe(socket)
  })
  server.on('connection', socket => sockets.add(socket))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise<void>(resolve => server.close(() => resolve()))
  })
  const { port } = server.address() as { port: number }
  const { tls: _, ...plain } = listener as Extract<ListenerSpec, { kind: 'tcp' }>
  const edge = await startEdge(t, {
    members: [port],
    listeners: [plain],
    upstream: { tls: { caFile, verify: true, serverName: 'localhost' } },
  })
  const client = await RawPeer.connect(await edge.portOf('db'))
  client.write('over tls')
  assert.equal((await client.bytes(8)).toString(), 'over tls')
  client.destroy()
  await edge.idle()
  await edge.apply({ upstream: { tls: { caFile, verify: true, serverName: 'other.example' } } })
  const refused = await RawPeer.connect(await edge.portOf('db'))
  await refused.when('the reset', () => refused.over !== '')
  assert.equal(refused.over, 'ECONNRESET')
  await until('a word about it', () =>
    edge.events.some(({ text }) => text.includes('ERR_TLS_CERT_ALTNAME_INVALID')),
  )
})

test('PROXY headers to members over TLS are refused: nobody would agree on where they stand', async t => {
  const edge = await startEdge(t, { members: [1] })
  const sends = { ...listener, tls: false, sendProxy: 'v2' } as ListenerSpec
  await assert.rejects(
    edge.apply({ listeners: [sends], upstream: { tls: { verify: false } } }),
    /reached over TLS/,
  )
})
