// Responses' heads: status lines, and where a body ends for each status, method and field.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { responseDrop } from './compose.ts'
import { framing, type HeadLimits, more } from './head.ts'
import { problem } from './problem.ts'
import { Http1ResponseHead } from './response-head.ts'

const limits: HeadLimits = { requestLineBytesMax: 100, headerBytesMax: 400, headerCountMax: 20 }

function parsed(text: string, method = 'GET'): { answer: number; head: Http1ResponseHead } {
  const head = new Http1ResponseHead(limits)
  return { answer: head.parse(text, method), head }
}

test('a good head gives status, reason and fields, and where it ends', () => {
  const text = 'HTTP/1.1 207 Multi-Status \xe4\r\nETag: "a"\r\nContent-Length: 5\r\n\r\n'
  const { answer, head } = parsed(`${text}hello`)
  assert.equal(answer, text.length)
  assert.deepEqual([head.status, head.reason, head.versionMinor], [207, 'Multi-Status \xe4', 1])
  assert.deepEqual([head.framing, head.contentLength, head.close], [framing.length, 5, false])
  assert.equal(head.copyFields(responseDrop, null), 'ETag: "a"\r\nContent-Length: 5\r\n')
})

test('a status line without reason is taken, with and without its space', () => {
  for (const line of ['HTTP/1.0 599', 'HTTP/1.1 100 ', 'HTTP/1.1 999 ']) {
    const { answer, head } = parsed(`${line}\r\n\r\n`)
    assert.deepEqual([answer, head.reason], [line.length + 4, ''], line)
  }
})

const refused: Record<string, [text: string, problem: keyof typeof problem]> = {
  'no version': ['200 OK\r\n\r\n', 'statusLine'],
  'HTTP/2': ['HTTP/2 200 OK\r\n\r\n', 'statusLine'],
  'HTTP/1.2': ['HTTP/1.2 200 OK\r\n\r\n', 'statusLine'],
  'a lower-case version': ['http/1.1 200 OK\r\n\r\n', 'statusLine'],
  'two spaces before the status': ['HTTP/1.1  200 OK\r\n\r\n', 'statusLine'],
  'a status of two digits': ['HTTP/1.1 20 OK\r\n\r\n', 'statusLine'],
  'a status of four digits': ['HTTP/1.1 2000 OK\r\n\r\n', 'statusLine'],
  'a status below 100': ['HTTP/1.1 099 OK\r\n\r\n', 'statusLine'],
  'a status with a sign': ['HTTP/1.1 +20 OK\r\n\r\n', 'statusLine'],
  'a reason with NUL': ['HTTP/1.1 200 O\0K\r\n\r\n', 'statusLine'],
  'a reason with a bare CR': ['HTTP/1.1 200 O\rK\r\n\r\n', 'statusLine'],
  'a status line that ends in LF': ['HTTP/1.1 200 OK\n\r\n', 'statusLine'],
  'a leading empty line': ['\r\nHTTP/1.1 200 OK\r\n\r\n', 'statusLine'],
  'a status line beyond its limit': [`HTTP/1.1 200 ${'x'.repeat(88)}\r\n\r\n`, 'headLong'],
  'a bare LF after a field': ['HTTP/1.1 200 OK\r\nA: b\n\r\n', 'lineEnd'],
  'NUL in a value': ['HTTP/1.1 200 OK\r\nA: \0\r\n\r\n', 'fieldValue'],
  'a folded line': ['HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n', 'folded'],
  'a field line without a colon': ['HTTP/1.1 200 OK\r\nA\r\n\r\n', 'fieldName'],
  'Content-Length and Transfer-Encoding': [
    'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n',
    'bothLengths',
  ],
  'Content-Length twice, the same': [
    'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n',
    'contentLength',
  ],
  'an empty Content-Length before a valid one': [
    'HTTP/1.1 200 OK\r\nContent-Length:\r\nContent-Length: 3\r\n\r\n',
    'contentLength',
  ],
  'a bad Content-Length although the status has no body': [
    'HTTP/1.1 304 Not Modified\r\nContent-Length: 3,3\r\n\r\n',
    'contentLength',
  ],
  'Transfer-Encoding: gzip, chunked': [
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n',
    'transferCoding',
  ],
  'Transfer-Encoding: identity': [
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n',
    'transferEncoding',
  ],
  'Transfer-Encoding in HTTP/1.0': [
    'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
    'transferEncoding',
  ],
}
for (const [name, [text, expected]] of Object.entries(refused)) {
  test(`a response with ${name} is refused as ${expected}, byte by byte too`, () => {
    assert.equal(parsed(text).answer, problem[expected])
    const head = new Http1ResponseHead(limits)
    let answer = 0
    for (let end = 0; end <= text.length && answer === more; end++)
      answer = head.parse(text.slice(0, end), 'GET')
    assert.equal(answer, problem[expected])
  })
}

test('a status line exactly at its limit is taken', () => {
  const line = `HTTP/1.1 200 ${'x'.repeat(87)}`
  assert.equal(line.length, limits.requestLineBytesMax)
  assert.equal(parsed(`${line}\r\n\r\n`).answer, 104)
})

test('HEAD, 1xx, 204, 304 and an accepted CONNECT have no body, whatever the fields say', () => {
  for (const fields of ['', 'Content-Length: 7\r\n', 'Transfer-Encoding: chunked\r\n']) {
    const bodiless: [status: number, method: string][] = [
      [200, 'HEAD'],
      [404, 'HEAD'],
      [100, 'GET'],
      [101, 'GET'],
      [103, 'POST'],
      [204, 'GET'],
      [304, 'GET'],
      [200, 'CONNECT'],
    ]
    for (const [status, method] of bodiless) {
      const { answer, head } = parsed(`HTTP/1.1 ${status} X\r\n${fields}\r\nHTTP/1.1 200`, method)
      assert.ok(answer > 0)
      assert.deepEqual([head.framing, head.close], [framing.none, false], `${method} ${status} ${fields}`)
    }
  }
})

test('any other body is chunked, as long as it says, or lasts until the connection closes', () => {
  const cases: [head: string, kind: number, close: boolean][] = [
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', framing.chunked, false],
    ['HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', framing.none, false],
    ['HTTP/1.1 205 Reset\r\nContent-Length: 3\r\n\r\n', framing.length, false],
    ['HTTP/1.1 200 OK\r\n\r\n', framing.untilClose, true],
    ['HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n', framing.untilClose, true],
    ['HTTP/1.1 205 Reset\r\n\r\n', framing.untilClose, true],
    ['HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n', framing.length, true],
    ['HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\n', framing.length, false],
    ['HTTP/1.1 407 X\r\nContent-Length: 3\r\nConnection: close\r\n\r\n', framing.length, true],
  ]
  for (const [text, kind, close] of cases) {
    const { answer, head } = parsed(text, 'GET')
    assert.equal(answer, text.length)
    assert.deepEqual([head.framing, head.close], [kind, close], text)
  }
  assert.equal(parsed('HTTP/1.1 407 X\r\n\r\n', 'CONNECT').head.framing, framing.untilClose)
})

test('several interim responses and the final one are read one after the other with the same object', () => {
  let rest =
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx'
  const head = new Http1ResponseHead(limits)
  const seen: [number, number, number][] = []
  while (seen.length < 3) {
    head.reset(limits)
    const answer = head.parse(rest, 'GET')
    assert.ok(answer > 0)
    seen.push([head.status, head.framing, head.count])
    rest = rest.slice(answer)
  }
  assert.deepEqual(seen, [
    [100, framing.none, 0],
    [103, framing.none, 1],
    [200, framing.length, 1],
  ])
  assert.equal(rest, 'x')
})

test('hop-by-hop fields and listed names go; what an origin may not list stays', () => {
  const { head } = parsed(
    'HTTP/1.1 200 OK\r\nConnection: x-hop, Set-Cookie, Cache-Control, Content-Length\r\nX-Hop: 1\r\nSet-Cookie: a\r\nCache-Control: private\r\nContent-Length: 0\r\nKeep-Alive: timeout=5\r\nUpgrade: h2c\r\nProxy-Authenticate: x\r\n\r\n',
  )
  assert.equal(
    head.copyFields(responseDrop, head.connectionNames),
    'Set-Cookie: a\r\nCache-Control: private\r\nContent-Length: 0\r\n',
  )
})
