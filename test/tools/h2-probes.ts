// What an HTTP/2 server must do about wrong frames and wrong requests: one probe a rule of RFC 9113, the same for every
// server. A probe writes its frames on a connection that is past its settings; what comes of it is put into one word.

import {
  codeNames,
  flag,
  frame,
  frameType,
  H2Peer,
  headers,
  integer,
  literals,
  postFields,
  preface,
  requestFields,
  settings,
  uint32,
} from './h2-peer.ts'

/**
 * What came of a probe: `GOAWAY CODE`, `closed` (without a word), `RST CODE`, `STATUS 200`, `ignored`, `silent` (no answer,
 * and none on a PING either).
 */
export type Outcome = string

export interface Probe {
  readonly name: string
  readonly clause: string
  /** What RFC 9113 allows: starts of outcomes. */
  readonly allowed: readonly string[]
  /** The stream whose fate counts. */
  readonly stream?: number
  /** Without settings exchanged before. */
  readonly raw?: boolean
  write(peer: H2Peer): void | Promise<void>
}

type Fields = readonly (readonly [string, string])[]

const open = flag.endHeaders
const connectionError = ['GOAWAY', 'closed']
const streamError = ['RST', ...connectionError]
/** Malformed requests: RFC 9113 8.1.1 wants a stream error, and lets a server answer before it. */
const malformed = [...streamError, 'STATUS 400']
const accepted = ['STATUS 200']

const connection = (name: string, clause: string, write: (peer: H2Peer) => void | Promise<void>): Probe => ({
  name,
  clause,
  allowed: connectionError,
  write,
})
const onStream = (
  name: string,
  clause: string,
  write: (peer: H2Peer) => void | Promise<void>,
  allowed: readonly string[] = streamError,
): Probe => ({ name, clause, allowed, stream: 1, write })

const request = (name: string, clause: string, fields: Fields, allowed = malformed): Probe =>
  onStream(name, clause, peer => peer.write(headers(1, fields)), allowed)
const withField = (
  name: string,
  clause: string,
  field: readonly [string, string],
  allowed = malformed,
): Probe => request(name, clause, [...requestFields, field], allowed)
const without = (name: string): Fields => requestFields.filter(([field]) => field !== name)
const changed = (name: string, value: string): Fields =>
  requestFields.map(one => (one[0] === name ? ([name, value] as const) : one))

const frames: readonly Probe[] = [
  {
    name: 'a preface that is none',
    clause: '3.4',
    allowed: connectionError,
    raw: true,
    write: peer => peer.write(Buffer.from('PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n')),
  },
  {
    name: 'a first frame that is not SETTINGS',
    clause: '3.4',
    allowed: connectionError,
    raw: true,
    write: peer => peer.write(Buffer.from(preface), headers(1, requestFields)),
  },
  onStream(
    'a frame of an unknown type',
    '4.1',
    peer => peer.write(frame(0x77, 0, 0, Buffer.alloc(8)), headers(1, requestFields)),
    accepted,
  ),
  onStream('DATA above the frame size', '4.2', peer =>
    peer.write(headers(1, postFields, open), frame(frameType.data, 0, 1, Buffer.alloc(16_385))),
  ),
  connection('HEADERS above the frame size', '4.2', peer =>
    peer.write(frame(frameType.headers, open, 1, literals([...requestFields, ['x', 'y'.repeat(17_000)]]))),
  ),
  connection('a field block that HPACK cannot read', '4.3', peer =>
    peer.write(frame(frameType.headers, open | flag.endStream, 1, integer(200, 7, 0x80))),
  ),
  connection('a frame between HEADERS and CONTINUATION', '4.3', peer =>
    peer.write(
      frame(frameType.headers, flag.endStream, 1, literals(requestFields)),
      frame(frameType.ping, 0, 0, Buffer.alloc(8)),
    ),
  ),
  connection('CONTINUATION on another stream', '6.10', peer =>
    peer.write(
      frame(frameType.headers, flag.endStream, 1, literals(requestFields)),
      frame(frameType.continuation, open, 3),
    ),
  ),
  connection('CONTINUATION after a whole block', '6.10', peer =>
    peer.write(headers(1, postFields, open), frame(frameType.continuation, open, 1, literals([['a', 'b']]))),
  ),
  connection('a request on an even stream', '5.1.1', peer => peer.write(headers(2, requestFields))),
  connection('a stream below an earlier one', '5.1.1', async peer => {
    peer.write(headers(5, requestFields))
    await peer.until(() => peer.ended(5), 3_000)
    peer.write(headers(3, requestFields))
  }),
  connection('DATA on an idle stream', '5.1', peer => peer.write(frame(frameType.data, 1, 1))),
  connection('RST_STREAM on an idle stream', '6.4', peer =>
    peer.write(frame(frameType.reset, 0, 1, uint32(8))),
  ),
  connection('WINDOW_UPDATE on an idle stream', '5.1', peer =>
    peer.write(frame(frameType.window, 0, 1, uint32(1))),
  ),
  onStream('DATA after END_STREAM', '5.1', peer =>
    peer.write(headers(1, requestFields), frame(frameType.data, 1, 1)),
  ),
  onStream('HEADERS after END_STREAM', '5.1', peer =>
    peer.write(headers(1, requestFields), headers(1, requestFields)),
  ),
  onStream(
    'DATA after RST_STREAM of our own',
    '5.1',
    peer =>
      peer.write(
        headers(1, postFields, open),
        frame(frameType.reset, 0, 1, uint32(8)),
        frame(frameType.data, 1, 1, Buffer.from('x')),
      ),
    [...streamError, 'ignored'],
  ),
  connection('DATA on stream 0', '6.1', peer => peer.write(frame(frameType.data, 1, 0, Buffer.from('x')))),
  connection('padding longer than DATA', '6.1', peer =>
    peer.write(headers(1, postFields, open), frame(frameType.data, flag.padded, 1, Buffer.from([9, 1]))),
  ),
  connection('HEADERS on stream 0', '6.2', peer => peer.write(headers(0, requestFields))),
  connection('padding longer than HEADERS', '6.2', peer =>
    peer.write(
      frame(
        frameType.headers,
        open | flag.endStream | flag.padded,
        1,
        Buffer.concat([Buffer.from([255]), literals(requestFields)]),
      ),
    ),
  ),
  onStream('PRIORITY of 4 bytes', '6.3', peer =>
    peer.write(headers(1, postFields, open), frame(frameType.priority, 0, 1, Buffer.alloc(4))),
  ),
  connection('PRIORITY on stream 0', '6.3', peer =>
    peer.write(frame(frameType.priority, 0, 0, Buffer.alloc(5))),
  ),
  onStream(
    'a stream that depends on itself',
    '5.3 (RFC 7540 5.3.1)',
    peer => {
      const weight = Buffer.concat([uint32(1), Buffer.from([15])])
      const block = Buffer.concat([weight, literals(requestFields)])
      peer.write(frame(frameType.headers, open | flag.endStream | flag.priority, 1, block))
    },
    [...streamError, ...accepted],
  ),
  connection('RST_STREAM of 3 bytes', '6.4', peer =>
    peer.write(headers(1, postFields, open), frame(frameType.reset, 0, 1, Buffer.alloc(3))),
  ),
  connection('RST_STREAM on stream 0', '6.4', peer => peer.write(frame(frameType.reset, 0, 0, uint32(8)))),
  connection('an acknowledgement of SETTINGS with content', '6.5', peer =>
    peer.write(frame(frameType.settings, flag.ack, 0, Buffer.alloc(6))),
  ),
  connection('SETTINGS on a stream', '6.5', peer => peer.write(frame(frameType.settings, 0, 1))),
  connection('SETTINGS of 5 bytes', '6.5', peer =>
    peer.write(frame(frameType.settings, 0, 0, Buffer.alloc(5))),
  ),
  connection('ENABLE_PUSH = 2', '6.5.2', peer => peer.write(settings([2, 2]))),
  connection('INITIAL_WINDOW_SIZE above 2^31-1', '6.5.2', peer => peer.write(settings([4, 2 ** 31]))),
  connection('MAX_FRAME_SIZE = 100', '6.5.2', peer => peer.write(settings([5, 100]))),
  onStream(
    'an unknown setting',
    '6.5.2',
    peer => peer.write(settings([0xff00, 1]), headers(1, requestFields)),
    accepted,
  ),
  connection('PUSH_PROMISE from a client', '8.4', peer =>
    peer.write(
      headers(1, postFields, open),
      frame(frameType.push, open, 1, Buffer.concat([uint32(2), literals(requestFields)])),
    ),
  ),
  connection('PING on a stream', '6.7', peer => peer.write(frame(frameType.ping, 0, 1, Buffer.alloc(8)))),
  connection('PING of 6 bytes', '6.7', peer => peer.write(frame(frameType.ping, 0, 0, Buffer.alloc(6)))),
  connection('GOAWAY on a stream', '6.8', peer => peer.write(frame(frameType.goaway, 0, 1, Buffer.alloc(8)))),
  connection('WINDOW_UPDATE of 0 on the connection', '6.9', peer =>
    peer.write(frame(frameType.window, 0, 0, uint32(0))),
  ),
  onStream('WINDOW_UPDATE of 0 on a stream', '6.9', peer =>
    peer.write(headers(1, postFields, open), frame(frameType.window, 0, 1, uint32(0))),
  ),
  connection('WINDOW_UPDATE of 3 bytes', '6.9', peer =>
    peer.write(frame(frameType.window, 0, 0, Buffer.alloc(3))),
  ),
  connection('a connection window above 2^31-1', '6.9.1', peer =>
    peer.write(frame(frameType.window, 0, 0, uint32(2 ** 31 - 1))),
  ),
  onStream('a stream window above 2^31-1', '6.9.1', peer =>
    peer.write(headers(1, postFields, open), frame(frameType.window, 0, 1, uint32(2 ** 31 - 1))),
  ),
  connection('SETTINGS that lift a stream window above 2^31-1', '6.9.2', peer =>
    peer.write(
      headers(1, postFields, open),
      frame(frameType.window, 0, 1, uint32(2 ** 31 - 1 - 65_535)),
      settings([4, 70_000]),
    ),
  ),
]

const requests: readonly Probe[] = [
  request('a plain request', '8.1', requestFields, accepted),
  onStream(
    'trailers without END_STREAM',
    '8.1',
    peer => peer.write(headers(1, postFields, open), headers(1, [['x', 'y']], open)),
    malformed,
  ),
  onStream(
    'a pseudo-header field in trailers',
    '8.1',
    peer =>
      peer.write(
        headers(1, postFields, open),
        headers(1, [
          [':path', '/'],
          ['x', 'y'],
        ]),
      ),
    malformed,
  ),
  withField('an upper-case field name', '8.2.1', ['X-Upper', '1']),
  withField('a space in a field name', '8.2.1', ['x y', '1']),
  withField('a colon in a field name', '8.2.1', ['x:y', '1']),
  withField('an empty field name', '8.2.1', ['', '1']),
  withField('NUL in a field name', '8.2.1', ['x\0y', '1']),
  withField('NUL in a value', '8.2.1', ['x-a', '1\x002']),
  withField('LF in a value', '8.2.1', ['x-a', '1\nx-b: 2']),
  withField('CR LF in a value', '8.2.1', ['x-a', '1\r\nx-b: 2']),
  withField('a value that begins with a space', '8.2.1', ['x-a', ' 1']),
  withField('a value that ends with a tab', '8.2.1', ['x-a', '1\t']),
  withField('Connection', '8.2.2', ['connection', 'close']),
  withField('Keep-Alive', '8.2.2', ['keep-alive', 'timeout=5']),
  withField('Proxy-Connection', '8.2.2', ['proxy-connection', 'close']),
  withField('Transfer-Encoding', '8.2.2', ['transfer-encoding', 'chunked']),
  withField('Upgrade', '8.2.2', ['upgrade', 'h2c']),
  withField('TE: gzip', '8.2.2', ['te', 'gzip']),
  withField('TE: trailers', '8.2.2', ['te', 'trailers'], accepted),
  request('no :method', '8.3.1', without(':method')),
  request('no :scheme', '8.3.1', without(':scheme')),
  request('no :path', '8.3.1', without(':path')),
  request('an empty :path', '8.3.1', changed(':path', '')),
  request('a :path without a slash', '8.3.1', changed(':path', 'a')),
  request('a whole URL as :path', '8.3.1', changed(':path', 'http://evil.example/')),
  request('a space in :path', '8.3.1', changed(':path', '/a HTTP/1.1')),
  request('CR LF in :path', '8.3.1', changed(':path', '/ HTTP/1.1\r\nx: y')),
  request('CR LF in :method', '8.3.1', changed(':method', 'GET / HTTP/1.1\r\nx: y\r\n\r\nGET')),
  request('* as :path of a GET', '8.3.1', changed(':path', '*')),
  request('two :path', '8.3', [...requestFields, [':path', '/b']]),
  request('two :method', '8.3', [...requestFields, [':method', 'POST']]),
  request('an unknown pseudo-header field', '8.3', [...requestFields, [':x', '1']]),
  request(':status in a request', '8.3', [...requestFields, [':status', '200']]),
  request('a pseudo-header field after a regular one', '8.3', [['x', 'y'], ...requestFields]),
  withField('Host that is not :authority', '8.3.1', ['host', 'other.example']),
  withField('Host that is :authority', '8.3.1', ['host', 'localhost'], accepted),
  request('userinfo in :authority', '8.3.1', changed(':authority', 'user@localhost')),
  request('a space in :authority', '8.3.1', changed(':authority', 'local host')),
  request('no :authority and no Host', '8.3.1', without(':authority'), [...malformed, ...accepted]),
  withField('Content-Length without DATA', '8.1.1', ['content-length', '1']),
  onStream(
    'less DATA than Content-Length',
    '8.1.1',
    peer =>
      peer.write(
        headers(1, [...postFields, ['content-length', '5']], open),
        frame(frameType.data, 1, 1, Buffer.from('abc')),
      ),
    malformed,
  ),
  onStream(
    'more DATA than Content-Length',
    '8.1.1',
    peer =>
      peer.write(
        headers(1, [...postFields, ['content-length', '2']], open),
        frame(frameType.data, 1, 1, Buffer.from('abc')),
      ),
    malformed,
  ),
  withField('a Content-Length that is no number', '8.1.1', ['content-length', '+0']),
  request('two Content-Length', '8.1.1', [
    ...requestFields,
    ['content-length', '0'],
    ['content-length', '1'],
  ]),
  request('CONNECT with :path', '8.5', changed(':method', 'CONNECT'), [...malformed, 'STATUS 405']),
  request(
    'CONNECT with a :protocol that nobody speaks',
    'RFC 8441 4',
    [...changed(':method', 'CONNECT'), [':protocol', 'gopher']],
    [...malformed, 'STATUS 4', 'STATUS 5'],
  ),
  request(':protocol without CONNECT', 'RFC 8441 4', [...requestFields, [':protocol', 'websocket']]),
]

export const probes: readonly Probe[] = [...frames, ...requests]

/** How long a server may take to say something. */
const wordMs = 3_000

export async function runProbe(port: number, probe: Probe): Promise<Outcome> {
  const peer = probe.raw ? await H2Peer.connect(port) : await H2Peer.greeted(port)
  try {
    await probe.write(peer)
    const { stream } = probe
    if (probe.raw) await peer.until(() => peer.over || peer.goaway !== null, wordMs)
    else if (!(await peer.answered(wordMs)) && !peer.over && peer.goaway === null)
      return fate(peer, stream) ?? 'silent'
    if (stream !== undefined)
      await peer.until(() => peer.over || peer.goaway !== null || peer.ended(stream), wordMs)
    return fate(peer, stream) ?? 'ignored'
  } finally {
    peer.destroy()
  }
}

function fate(peer: H2Peer, stream: number | undefined): Outcome | null {
  if (peer.goaway !== null && peer.goaway !== 0) return `GOAWAY ${codeNames[peer.goaway] ?? peer.goaway}`
  if (stream !== undefined) {
    const reset = peer.resetOf(stream)
    const status = peer.statusOf(stream)
    if (status !== null && (reset === null || reset === 0)) return `STATUS ${status}`
    if (reset !== null) return `RST ${codeNames[reset] ?? reset}`
  }
  if (peer.goaway !== null) return 'GOAWAY NO_ERROR'
  return peer.over ? 'closed' : null
}

export const isAllowed = (probe: Probe, outcome: Outcome): boolean =>
  probe.allowed.some(start => outcome.startsWith(start))

/** Where nghttp2 or Node leaves no choice: docs/reference/http2-strictness.md tells what comes of it. */
export const toleratedProbes: Readonly<Record<string, string>> = {
  'a stream below an earlier one': 'ignored',
  'PRIORITY on stream 0': 'ignored',
  'a space in a field name': 'STATUS 200',
  'a colon in a field name': 'STATUS 200',
  'an empty field name': 'STATUS 200',
  'NUL in a field name': 'STATUS 200',
  'NUL in a value': 'STATUS 200',
  'LF in a value': 'STATUS 200',
  'CR LF in a value': 'STATUS 200',
  'a value that begins with a space': 'STATUS 200',
  'a value that ends with a tab': 'STATUS 200',
}
