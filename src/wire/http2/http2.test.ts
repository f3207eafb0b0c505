import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Http1RequestHead, Http1ResponseHead } from '../http1/index.ts'
import {
  connectionPreface,
  isExtendedConnect,
  requestHeadText,
  requestListOf,
  responseFields,
  responseHeadText,
  responseList,
  trailerFields,
  trailerLines,
} from './index.ts'

const limits = { requestLineBytesMax: 8_192, headerBytesMax: 32_768, headerCountMax: 128 }
const none = { none: true, bytes: -1 }
const streaming = { none: false, bytes: -1 }
const get = [':method', 'GET', ':scheme', 'https', ':authority', 'a.example', ':path', '/x?y=1']
const post = [':method', 'POST', ':scheme', 'https', ':authority', 'a.example', ':path', '/']

test('a request becomes an HTTP/1.1 head', () => {
  assert.equal(
    requestHeadText([...get, 'x-a', '1'], none, ''),
    'GET /x?y=1 HTTP/1.1\r\nhost: a.example\r\nx-a: 1\r\n\r\n',
  )
})

test('crumbs of a cookie become one field', () => {
  const text = requestHeadText([...get, 'cookie', 'a=1', 'x', 'y', 'cookie', 'b=2'], none, '')
  assert.match(text as string, /\r\ncookie: a=1; b=2\r\n/)
})

test('Host stands in for :authority, and must be the same where both are', () => {
  const without = get.toSpliced(4, 2)
  assert.match(requestHeadText([...without, 'host', 'b'], none, '') as string, /\r\nhost: b\r\n/)
  assert.match(requestHeadText([...get, 'host', 'A.example'], none, '') as string, /\r\nhost: a\.example\r\n/)
  assert.equal(requestHeadText([...get, 'host', 'b'], none, ''), null)
  assert.equal(requestHeadText([...without, 'host', 'b', 'host', 'b'], none, ''), null)
})

test('a body is framed by its own length, by what has come, or in chunks', () => {
  assert.match(
    requestHeadText([...post, 'content-length', '7'], streaming, '') as string,
    /content-length: 7\r\n\r\n$/,
  )
  assert.match(requestHeadText(post, { none: false, bytes: 5 }, '') as string, /content-length: 5\r\n\r\n$/)
  assert.match(requestHeadText(post, streaming, '') as string, /transfer-encoding: chunked\r\n\r\n$/)
  assert.equal(requestHeadText([...post, 'content-length', '1'], none, ''), null)
  assert.match(requestHeadText([...post, 'content-length', '0'], none, '') as string, /content-length: 0/)
})

const malformed: Readonly<Record<string, readonly string[]>> = {
  'no :method': get.slice(2),
  'no :scheme': get.toSpliced(2, 2),
  'another scheme': get.with(3, 'ftp'),
  'no :path': get.slice(0, 6),
  'a :path that is a whole URL': get.with(7, 'http://evil/'),
  'a :path with a space': get.with(7, '/ HTTP/1.1'),
  '* for a GET': get.with(7, '*'),
  'a pseudo-header field twice': [...get, ':path', '/'],
  'a pseudo-header field after a regular one': ['x', 'y', ...get],
  ':status': [...get, ':status', '200'],
  ':protocol without CONNECT': [...get, ':protocol', 'websocket'],
  'an upper-case name': [...get, 'X', 'y'],
  'a name that is no token': [...get, 'x y', 'z'],
  'an empty name': [...get, '', 'z'],
  'a line end in a value': [...get, 'x', 'a\r\nb: c'],
  'NUL in a value': [...get, 'x', 'a\0b'],
  'space at the start of a value': [...get, 'x', ' a'],
  'space at the end of a value': [...get, 'x', 'a\t'],
  connection: [...get, 'connection', 'close'],
  'te: gzip': [...get, 'te', 'gzip'],
  'a line end in :authority': get.with(5, 'a\r\nx: y'),
  'a line end in :method': get.with(1, 'GET / HTTP/1.1\r\nx: y\r\n\r\nGET'),
}
for (const [what, list] of Object.entries(malformed))
  test(`malformed: ${what}`, () => assert.equal(requestHeadText(list, none, ''), null))

test('whatever the fields are, what comes out is one head and nothing behind it', () => {
  const name = fc.oneof(
    fc.constantFrom(':path', ':method', ':authority', ':scheme', 'host', 'te', 'x', 'content-length'),
    fc.string(),
  )
  const value = fc.oneof(fc.string(), fc.constantFrom('/', 'GET', 'a', '1', 'a\r\n\r\nGET / HTTP/1.1', '\n'))
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value)), pairs => {
      const text = requestHeadText([...get, ...pairs.flat()], none, '')
      if (text === null) return
      const head = new Http1RequestHead(limits)
      const after = head.parse(text)
      assert.ok(after < 0 || after === text.length)
    }),
  )
})

test('an extended CONNECT becomes an upgrade with a key of ours; other protocols are malformed', () => {
  const list = [
    ':method',
    'CONNECT',
    ':protocol',
    'websocket',
    ':scheme',
    'https',
    ':authority',
    'a',
    ':path',
    '/c',
  ]
  assert.ok(isExtendedConnect(list) && !isExtendedConnect(get))
  assert.equal(
    requestHeadText([...list, 'origin', 'https://a'], streaming, 'KEY'),
    'GET /c HTTP/1.1\r\nhost: a\r\norigin: https://a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: KEY\r\n\r\n',
  )
  assert.equal(requestHeadText(list.with(3, 'gopher'), streaming, 'KEY'), null)
  assert.equal(
    requestHeadText([':method', 'CONNECT', ':authority', 'a:1'], streaming, ''),
    'CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n',
  )
})

test('a ready request becomes a field list, with what follows its head', () => {
  const text =
    'POST /p HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nbody'
  const { list, after } = requestListOf(text, 'http', true)
  assert.deepEqual(list, [
    ':method',
    'POST',
    ':scheme',
    'http',
    ':authority',
    'h',
    ':path',
    '/p',
    'x-a',
    '1',
    'te',
    'trailers',
  ])
  assert.equal(text.slice(after), 'body')
})

test('an answer loses connection-specific fields, and a status that cannot be sent is a 502', () => {
  assert.deepEqual(responseList(200, 'Content-Type: a\r\nKeep-Alive: 1\r\nX:  y \r\n'), [
    ':status',
    '200',
    'content-type',
    'a',
    'x',
    'y',
  ])
  assert.deepEqual(responseList(799, ''), [':status', '502'])
  assert.deepEqual(responseFields(103, 'Link: a\r\nLink: b\r\n'), { ':status': 103, link: ['a', 'b'] })
})

test("an instance's answer becomes a head that is framed as it was ended", () => {
  const read = (list: readonly string[], ended: boolean, method = 'GET'): Http1ResponseHead => {
    const head = new Http1ResponseHead(limits)
    assert.ok(head.parse(responseHeadText(list, ended, method) as string, method) > 0)
    return head
  }
  assert.equal(read([':status', '200'], false).framing, 2)
  assert.equal(read([':status', '200'], true).framing, 0)
  assert.equal(read([':status', '200', 'content-length', '5'], false).contentLength, 5)
  assert.equal(read([':status', '204'], true).framing, 0)
  assert.equal(read([':status', '200'], true, 'HEAD').value(3), undefined)
  for (const bad of [
    [],
    [':status', '20'],
    [':status', '200', 'connection', 'close'],
    [':status', '200', 'x', 'a\nb'],
    [':path', '/'],
  ])
    assert.equal(responseHeadText(bad, true, 'GET'), null)
})

test('trailers that steer a message do not pass', () => {
  assert.deepEqual(trailerLines(['x-sum', '1', 'grpc-status', '0']), ['x-sum: 1', 'grpc-status: 0'])
  assert.equal(trailerLines([':path', '/']), null)
  assert.equal(trailerLines(['content-length', '1']), null)
  assert.deepEqual(trailerFields(['X-Sum: 1', 'X-Sum: 2', 'Authorization: no', 'Host: h']), {
    'x-sum': ['1', '2'],
  })
  assert.deepEqual(trailerFields(null), {})
})

test('the preface is no HTTP/1.1 head', () => {
  assert.ok(new Http1RequestHead(limits).parse(connectionPreface) < 0)
})
