// The PROXY protocol over real sockets and with real peers: read from listed ones only, written to members.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import type { ListenerSpec } from '../../src/edge/snapshot.ts'
import { readProxyHeader, writeProxyHeader } from '../../src/wire/proxy-protocol.ts'
import { startEdge, until } from '../tools/edge-harness.ts'
import { startHaproxy, startNginx } from '../tools/peers.ts'
import { closedPort, ok, type RawOrigin, type Script, startRawOrigin } from '../tools/raw-origin.ts'
import { RawPeer } from '../tools/raw-peer.ts'

const run = promisify(execFile)

type TcpListener = Extract<ListenerSpec, { kind: 'tcp' }>

const tcp = (change: Partial<TcpListener> = {}): TcpListener => ({
  id: 'in',
  kind: 'tcp',
  host: '127.0.0.1',
  port: 0,
  upstream: 'app',
  idleTimeoutMs: 60_000,
  ...change,
})

const fromHere = { proxyProtocol: ['127.0.0.0/8'] }
const fromElsewhere = { proxyProtocol: ['192.0.2.0/24'] }
const signature = '\r\n\r\n\0\r\nQUIT\n'

/** Keeps what came until the peer ends, then says how much it was. */
const listens = (heard: string[]): Script => {
  return async peer => {
    const bytes = await peer.rest()
    heard.push(bytes.toString('latin1'))
    peer.write(`${bytes.length}`)
  }
}

interface Ending {
  after(end: () => Promise<void> | void): void
}

async function setUp(context: Ending, change: Partial<TcpListener>) {
  const heard: string[] = []
  const origin = await startRawOrigin(context as never, listens(heard))
  const edge = await startEdge(context, {
    members: [origin.port],
    listeners: [tcp(change)],
    accessLog: true,
    limits: { headTimeoutMs: 1_000 },
  })
  const port = await edge.portOf('in')
  /** Sends the parts and ends; what came back, or how the connection was cut. */
  async function send(...parts: (string | Buffer)[]): Promise<string> {
    const peer = await RawPeer.connect(port)
    context.after(() => peer.destroy())
    for (const part of parts) {
      await peer.send(typeof part === 'string' ? Buffer.from(part, 'latin1') : part)
      await new Promise(resolve => setImmediate(resolve))
    }
    peer.halfClose()
    const answer = await peer.rest()
    return peer.over === 'end' ? answer.toString('latin1') : peer.over
  }
  return { edge, port, heard, send, origin }
}

test('the header of a listed peer is taken off, whatever its version and however it is cut', async t => {
  const { edge, heard, send } = await setUp(t, fromHere)
  const [source, destination] = [
    { address: '198.51.100.7', port: 4_321 },
    { address: '203.0.113.1', port: 443 },
  ]
  let sent = 0
  for (const version of ['v1', 'v2'] as const) {
    const header = writeProxyHeader(version, source, destination)
    for (const parts of [[`${header}payload`], [header, 'payload'], [...`${header}pay`, 'load']]) {
      assert.equal(await send(...parts), '7')
      assert.equal(heard[sent++], 'payload')
    }
  }
  for (const line of await edge.logLines(6)) assert.equal(line.client, '198.51.100.7')
})

test('LOCAL and UNKNOWN leave the peer itself as the client', async t => {
  const { edge, heard, send } = await setUp(t, fromHere)
  assert.equal(await send(`${signature}\x20\0\0\0hello`), '5')
  assert.equal(await send('PROXY UNKNOWN\r\nhello'), '5')
  assert.deepEqual(heard, ['hello', 'hello'])
  for (const line of await edge.logLines(2)) assert.equal(line.client, '127.0.0.1')
})

test('a listed peer without a header, with a wrong one or a slow one is reset, and nobody hears of it', async t => {
  const { edge, heard, port, send } = await setUp(t, fromHere)
  for (const bytes of [
    'GET / HTTP/1.1\r\n\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 99999\r\n',
    `PROXY TCP4 1.2.3.4 5.6.7.8 1 2${' '.repeat(200)}`,
    `${signature}\x21\x11\xff\xff`,
    `${signature}\x31\x11\0\x0c`,
    `${signature}\x21\x11\0\x0cabc`,
    'PROX',
    '',
  ])
    assert.equal(await send(bytes), 'ECONNRESET', JSON.stringify(bytes))
  const slow = await RawPeer.connect(port)
  slow.write('PROXY TCP4 1.2')
  await slow.when('the reset', () => slow.over !== '')
  assert.equal(slow.over, 'ECONNRESET')
  assert.deepEqual(heard, [])
  assert.match(await edge.metrics(), /^edge_refused_total\{worker="0"\} 9$/m)
  assert.match(await edge.metrics(), /^edge_connections\{worker="0"\} 0$/m)
})

test('a peer that is not listed may send no header, and passes without one', async t => {
  const { edge, heard, send } = await setUp(t, fromElsewhere)
  for (const parts of [
    ['PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nhello'],
    ['PROXY TCP4 1.2.', '3.4 5.6.7.8 1 2\r\nhello'],
    [...'PROXY UNKNOWN\r\n'],
    [`${signature}\x20\0\0\0hello`],
    [signature, '\x21\x11\0\x0cabcdefghijklhello'],
  ])
    assert.equal(await send(...parts), 'ECONNRESET', JSON.stringify(parts))
  await until(
    'the member to have seen their ends',
    () => heard.length === 0 || heard.every(text => text === ''),
  )
  heard.length = 0
  for (const parts of [['hello'], ['PROXIES'], ['PRO', 'SE'], ['\r', '\n\r\nhello'], ['P'], ['']]) {
    const text = parts.join('')
    assert.equal(await send(...parts), `${text.length}`)
    assert.equal(heard.at(-1), text)
  }
  await edge.idle()
})

test('members are told of the client, in either version, before anything else', async t => {
  for (const version of ['v1', 'v2'] as const) {
    const { heard, port } = await setUp(t, { sendProxy: version })
    const client = await RawPeer.connect(port)
    const { localPort } = client.socket
    client.write('hello')
    client.halfClose()
    await client.rest()
    const bytes = Buffer.from(heard[0] as string, 'latin1')
    const reading = readProxyHeader(bytes, bytes.length)
    assert.equal(reading.kind, 'header')
    if (reading.kind !== 'header') return
    assert.deepEqual(reading.source, { address: '127.0.0.1', port: localPort })
    assert.deepEqual(reading.destination, { address: '127.0.0.1', port })
    assert.equal(bytes.toString('latin1', reading.headerBytes), 'hello')
  }
})

test('what a listed peer says of the client is what members are told', async t => {
  const { heard, send } = await setUp(t, { ...fromHere, sendProxy: 'v1' })
  const six = { address: '2001:db8::7', port: 4_321 }
  await send(`${writeProxyHeader('v2', six, { address: '2001:db8::1', port: 443 })}hello`)
  assert.deepEqual(heard, ['PROXY TCP6 2001:db8::7 2001:db8::1 4321 443\r\nhello'])
})

for (const word of ['send-proxy', 'send-proxy-v2', 'send-proxy-v2 proxy-v2-options crc32c,unique-id']) {
  test(`haproxy in front, with ${word}, names its client`, async t => {
    const { edge, heard, port } = await setUp(t, fromHere)
    const lines = word.includes('unique-id') ? 'unique-id-format %[uuid]' : ''
    const haproxy = await startHaproxy(t, port, { mode: 'tcp', server: word, lines })
    const client = await connectFrom('127.0.0.9', haproxy.port)
    t.after(() => client.destroy())
    client.write('through haproxy')
    client.halfClose()
    assert.equal((await client.rest()).toString(), '15')
    // Whoever looked whether haproxy listens was passed on as well, and said nothing.
    assert.deepEqual(
      heard.filter(text => text !== ''),
      ['through haproxy'],
    )
    await until('the log names the client', async () =>
      (await edge.logLines(1)).some(line => line.client === '127.0.0.9'),
    )
  })
}

async function connectFrom(localAddress: string, port: number): Promise<RawPeer> {
  const { connect } = await import('node:net')
  const socket = connect({ host: '127.0.0.1', port, localAddress, allowHalfOpen: true })
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  return new RawPeer(socket)
}

/** Answers each request with the address that it says the client has. */
const tellsClient: Script = async (peer, _number, origin: RawOrigin) => {
  for (;;) {
    const request = await peer.request()
    if (request === null) return
    origin.requests.push(request)
    peer.write(ok(request.fields.get('x-forwarded-for') ?? 'nobody'))
  }
}

test('haproxy and nginx behind, told by either version, know the client', async t => {
  const origin = await startRawOrigin(t, tellsClient)
  const haproxy = await startHaproxy(t, origin.port, { bind: 'accept-proxy', lines: 'option forwardfor' })
  const proxied = await closedPort()
  await startNginx(
    t,
    `listen 127.0.0.1:${proxied} proxy_protocol; location / { return 200 "$proxy_protocol_addr"; }`,
  )
  for (const [member, version] of [
    [haproxy.port, 'v1'],
    [haproxy.port, 'v2'],
    [proxied, 'v1'],
    [proxied, 'v2'],
  ] as const) {
    const edge = await startEdge(t, { members: [member], listeners: [tcp({ sendProxy: version })] })
    const client = await connectFrom('127.0.0.8', await edge.portOf('in'))
    client.write('GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n')
    assert.equal((await client.response()).body.toString(), '127.0.0.8')
    client.destroy()
  }
})

test('curl with --haproxy-protocol reaches nginx, which hears of the client from us', async t => {
  const proxied = await closedPort()
  await startNginx(
    t,
    `listen 127.0.0.1:${proxied} proxy_protocol; location / { return 200 "$proxy_protocol_addr"; }`,
  )
  const listeners = [tcp({ ...fromHere, sendProxy: 'v2' })]
  const edge = await startEdge(t, { members: [proxied], listeners })
  const url = `http://127.0.0.1:${await edge.portOf('in')}/`
  const { stdout } = await run('curl', ['-sS', '--interface', '127.0.0.7', '--haproxy-protocol', url])
  assert.equal(stdout, '127.0.0.7')
  await assert.rejects(run('curl', ['-sS', url]), 'without the header curl is refused')
})
