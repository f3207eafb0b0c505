// Requests' heads: what is read from good ones, and each way in which a bad one is refused.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fieldId } from '../fields.ts'
import { requestDrop } from './compose.ts'
import { framing, type HeadLimits, more } from './head.ts'
import { problem, problemOf } from './problem.ts'
import { Http1RequestHead } from './request-head.ts'

const limits: HeadLimits = { requestLineBytesMax: 200, headerBytesMax: 400, headerCountMax: 20 }
type ProblemName = keyof typeof problem

function parsed(text: string, given: HeadLimits = limits): { answer: number; head: Http1RequestHead } {
  const head = new Http1RequestHead(given)
  return { answer: head.parse(text), head }
}

function refusalOf(text: string): ProblemName | 'accepted' | 'more' {
  const { answer } = parsed(text)
  if (answer > 0) return 'accepted'
  if (answer === more) return 'more'
  return (Object.keys(problem) as ProblemName[]).find(name => problem[name] === answer) as ProblemName
}

const get = (fields: string, line = 'GET / HTTP/1.1'): string => `${line}\r\nHost: a\r\n${fields}\r\n`
const post = (fields: string): string => get(fields, 'POST / HTTP/1.1')

// What node:http accepts by default and a front door has to decide (docs/decisions/0011-http1-strictness.md, List A).
const listA: Record<string, [text: string, refusal: ProblemName | 'accepted']> = {
  'two Host lines': [get('Host: a\r\n'), 'host'],
  'two Host lines that differ': [get('Host: b\r\n'), 'host'],
  'Host with a comma': ['GET / HTTP/1.1\r\nHost: a,b\r\n\r\n', 'host'],
  'Host with userinfo': ['GET / HTTP/1.1\r\nHost: user@a\r\n\r\n', 'host'],
  'an HTTP/0.9 request line': ['GET /\r\nHost: a\r\n\r\n', 'requestLine'],
  'HTTP/0.9 by number': [get('', 'GET / HTTP/0.9'), 'version'],
  'Transfer-Encoding: ,chunked': [post('Transfer-Encoding: ,chunked\r\n'), 'transferEncoding'],
  'Transfer-Encoding: gzip, chunked': [post('Transfer-Encoding: gzip, chunked\r\n'), 'transferCoding'],
  'Transfer-Encoding in HTTP/1.0': [
    get('Transfer-Encoding: chunked\r\n', 'POST / HTTP/1.0'),
    'transferEncoding',
  ],
  'Content-Length with leading zeros': [post('Content-Length: 007\r\n'), 'contentLength'],
  'a fragment in the target': [get('', 'GET /a#b HTTP/1.1'), 'target'],
  'an underscore name that imitates framing': [get('Content_Length: 7\r\n'), 'ambiguousName'],
  'TRACE with a body': [get('Content-Length: 7\r\n', 'TRACE / HTTP/1.1'), 'bodyNotAllowed'],
  'GET with a body: its framing is kept': [get('Content-Length: 7\r\n'), 'accepted'],
  'one leading empty line: it is skipped': [`\r\n${get('')}`, 'accepted'],
  'an absolute target that differs from Host: the target wins': [
    get('', 'GET http://b/ HTTP/1.1'),
    'accepted',
  ],
}

// What node:http refuses already.
const alsoRefused: Record<string, [text: string, refusal: ProblemName]> = {
  'Content-Length and Transfer-Encoding': [
    post('Content-Length: 3\r\nTransfer-Encoding: chunked\r\n'),
    'bothLengths',
  ],
  'Transfer-Encoding and Content-Length, even when the coding is unknown': [
    post('Transfer-Encoding: xchunked\r\nContent-Length: 3\r\n'),
    'bothLengths',
  ],
  'Content-Length twice, the same': [post('Content-Length: 3\r\nContent-Length: 3\r\n'), 'contentLength'],
  'Content-Length twice, different': [post('Content-Length: 3\r\ncontent-length: 4\r\n'), 'contentLength'],
  'an empty Content-Length before a valid one': [
    post('Content-Length:\r\nContent-Length: 3\r\n'),
    'contentLength',
  ],
  'Content-Length as a list': [post('Content-Length: 3, 3\r\n'), 'contentLength'],
  'Content-Length with plus': [post('Content-Length: +3\r\n'), 'contentLength'],
  'Content-Length with minus': [post('Content-Length: -3\r\n'), 'contentLength'],
  'Content-Length in hexadecimal': [post('Content-Length: 0x3\r\n'), 'contentLength'],
  'Content-Length with a space inside': [post('Content-Length: 1 2\r\n'), 'contentLength'],
  'Content-Length empty': [post('Content-Length: \r\n'), 'contentLength'],
  'Content-Length beyond 2^53 - 1': [post('Content-Length: 9007199254740992\r\n'), 'contentLength'],
  'Content-Length that overflows 64 bits': [
    post('Content-Length: 18446744073709551617\r\n'),
    'contentLength',
  ],
  'Transfer-Encoding: xchunked': [post('Transfer-Encoding: xchunked\r\n'), 'transferEncoding'],
  'Transfer-Encoding: identity': [post('Transfer-Encoding: identity\r\n'), 'transferEncoding'],
  'Transfer-Encoding: chunked, chunked': [
    post('Transfer-Encoding: chunked, chunked\r\n'),
    'transferEncoding',
  ],
  'Transfer-Encoding: chunked, identity': [
    post('Transfer-Encoding: chunked, identity\r\n'),
    'transferEncoding',
  ],
  'Transfer-Encoding on two lines': [
    post('Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n'),
    'transferEncoding',
  ],
  'Transfer-Encoding: chunked, twice': [
    post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n'),
    'transferEncoding',
  ],
  'Transfer-Encoding empty': [post('Transfer-Encoding:\r\n'), 'transferEncoding'],
  'Transfer-Encoding with a parameter': [post('Transfer-Encoding: chunked;a=b\r\n'), 'transferEncoding'],
  'Transfer-Encoding in quotes': [post('Transfer-Encoding: "chunked"\r\n'), 'transferEncoding'],
  'Transfer-Encoding with vertical tab': [post('Transfer-Encoding: \x0bchunked\r\n'), 'fieldValue'],
  'Transfer-Encoding with a no-break space': [post('Transfer-Encoding: \xa0chunked\r\n'), 'transferEncoding'],
  'a space before the colon': [post('Content-Length : 3\r\n'), 'fieldName'],
  'a tab before the colon': [post('Transfer-Encoding\t: chunked\r\n'), 'fieldName'],
  'a folded line': [get('A: b\r\n c\r\n'), 'folded'],
  'a folded line with tab': [get('A: b\r\n\tc\r\n'), 'folded'],
  'white space before the first field': ['GET / HTTP/1.1\r\n Host: a\r\n\r\n', 'folded'],
  'a bare LF after the request line': ['GET / HTTP/1.1\nHost: a\r\n\r\n', 'requestLine'],
  'a bare LF after a field': ['GET / HTTP/1.1\r\nHost: a\n\r\n', 'lineEnd'],
  'a bare LF as the last line': ['GET / HTTP/1.1\r\nHost: a\r\n\n', 'lineEnd'],
  'a bare CR in a value': [get('A: b\rc\r\n'), 'lineEnd'],
  'two CR before LF': [get('A: b\r\r\n'), 'lineEnd'],
  'a bare CR in place of the empty line': ['GET / HTTP/1.1\r\nHost: a\r\n\rX', 'lineEnd'],
  'NUL in a value': [get('A: b\0c\r\n'), 'fieldValue'],
  'DEL in a value': [get('A: b\x7fc\r\n'), 'fieldValue'],
  'NUL in a name': [get('A\0: b\r\n'), 'fieldName'],
  'obs-text in a name': [get('\xc3\x84: b\r\n'), 'fieldName'],
  'an empty name': [get(': b\r\n'), 'fieldName'],
  'a field line without a colon': [get('Authorization\r\n'), 'fieldName'],
  'a pseudo-header': [get(':authority: b\r\n'), 'fieldName'],
  'HTTP/1.2': [get('', 'GET / HTTP/1.2'), 'version'],
  'HTTP/2.0': [get('', 'GET / HTTP/2.0'), 'version'],
  'the HTTP/2 preface': ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'version'],
  'HTTP/1.10': [get('', 'GET / HTTP/1.10'), 'requestLine'],
  'a lower-case version': [get('', 'GET / http/1.1'), 'requestLine'],
  'a tab in the request line': [get('', 'GET\t/ HTTP/1.1'), 'method'],
  'two spaces in the request line': [get('', 'GET  / HTTP/1.1'), 'requestLine'],
  'a space behind the version': [get('', 'GET / HTTP/1.1 '), 'requestLine'],
  'a space in the target': [get('', 'GET /a b HTTP/1.1'), 'requestLine'],
  'a raw UTF-8 target': [get('', 'GET /\xc3\xa4 HTTP/1.1'), 'target'],
  'NUL in the target': [get('', 'GET /\0 HTTP/1.1'), 'target'],
  'a leading space': [` ${get('')}`, 'requestLine'],
  'a leading bare LF': [`\n${get('')}`, 'requestLine'],
  'two leading empty lines': [`\r\n\r\n${get('')}`, 'requestLine'],
  'a method that is no token': [get('', 'G(T / HTTP/1.1'), 'method'],
  'a method of 33 letters': [get('', `${'M'.repeat(33)} / HTTP/1.1`), 'method'],
}

// Ours beside those.
const moreRefused: Record<string, [text: string, refusal: ProblemName]> = {
  'no Host in HTTP/1.1': ['GET / HTTP/1.1\r\n\r\n', 'host'],
  'an empty Host': ['GET / HTTP/1.1\r\nHost:\r\n\r\n', 'host'],
  'an empty Host in HTTP/1.0': ['GET / HTTP/1.0\r\nHost:\r\n\r\n', 'host'],
  'no Host in HTTP/1.1 although the target is absolute': ['GET http://a/ HTTP/1.1\r\n\r\n', 'host'],
  'a bad Host although the target is absolute': ['GET http://a/ HTTP/1.1\r\nHost: a/b\r\n\r\n', 'host'],
  'a second Host in HTTP/1.0': ['GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n', 'host'],
  'an absolute target with userinfo': [get('', 'GET http://u@a/ HTTP/1.1'), 'host'],
  'an absolute target whose backslash hides userinfo': [get('', 'GET http://a\\@b/ HTTP/1.1'), 'host'],
  'an absolute target with an invalid port': [get('', 'GET http://a:b/ HTTP/1.1'), 'host'],
  'an absolute target without a host': [get('', 'GET http:/// HTTP/1.1'), 'target'],
  'an absolute target of another scheme': [get('', 'GET ftp://a/ HTTP/1.1'), 'target'],
  'a target without a slash': [get('', 'GET index.html HTTP/1.1'), 'target'],
  'a query alone as target': [get('', 'GET ?a HTTP/1.1'), 'target'],
  '* for another method than OPTIONS': [get('', 'GET * HTTP/1.1'), 'target'],
  'CONNECT with a path': [get('', 'CONNECT /a HTTP/1.1'), 'target'],
  'CONNECT without a port': [get('', 'CONNECT a HTTP/1.1'), 'target'],
  'CONNECT with a body': [get('Transfer-Encoding: chunked\r\n', 'CONNECT a:1 HTTP/1.1'), 'bodyNotAllowed'],
  'a dot name that imitates framing': [get('Transfer.Encoding: chunked\r\n'), 'ambiguousName'],
  'an underscore name that imitates a forwarding field': [get('x_Forwarded-for: ::1\r\n'), 'ambiguousName'],
  'an unknown expectation': [post('Content-Length: 1\r\nExpect: 200-ok\r\n'), 'expectation'],
  'an unknown expectation behind a known one': [
    post('Content-Length: 1\r\nExpect: 100-continue\r\nExpect: tea\r\n'),
    'expectation',
  ],
  'Connection with 33 names': [
    get(`Connection: ${Array.from({ length: 33 }, (_, i) => `x${i}`)}\r\n`),
    'connectionList',
  ],
}

for (const [name, [text, expected]] of Object.entries({ ...listA, ...alsoRefused, ...moreRefused })) {
  const verb = expected === 'accepted' ? 'is accepted' : `is refused as ${expected}`
  test(`${name} ${verb}, byte by byte too`, () => {
    assert.equal(refusalOf(text), expected)
    const head = new Http1RequestHead(limits)
    let answer = 0
    for (let end = 0; end <= text.length && answer === more; end++) answer = head.parse(text.slice(0, end))
    assert.equal(answer, parsed(text).answer)
  })
}

test('each problem has a status of the RFC, a code and a sentence of its own', () => {
  const codes = new Set<string>()
  for (const code of Object.values(problem)) {
    const { status, code: name, text } = problemOf(code)
    assert.ok([400, 414, 417, 431, 501, 502, 505].includes(status), name)
    assert.match(text, /^[A-Z].*\.$/)
    codes.add(name)
  }
  assert.equal(codes.size, Object.keys(problem).length)
  assert.equal(problemOf(-1000).status, 400)
})

test('a good head gives method, target, authority and fields, and where it ends', () => {
  const text =
    'PATCH /a/b?c=%20 HTTP/1.1\r\nHOST: Shop.example:81\r\nX-A: \t one \t\r\nx-a:two\r\nX-Empty:\r\n\r\n'
  const { answer, head } = parsed(`${text}GET /next`)
  assert.equal(answer, text.length)
  assert.deepEqual([head.method, head.target, head.authority], ['PATCH', '/a/b?c=%20', 'Shop.example:81'])
  assert.deepEqual([head.versionMinor, head.framing, head.close, head.count], [1, framing.none, false, 4])
  assert.deepEqual([head.nameAt(1), head.valueAt(1), head.valueAt(3)], ['X-A', 'one', ''])
  assert.equal(head.find('x-a'), 'one, two')
  assert.equal(head.find('x-b'), undefined)
  assert.equal(head.find('x-empty'), '')
  assert.equal(head.value(fieldId.host), 'Shop.example:81')
  assert.equal(head.value(fieldId.cookie), undefined)
  assert.equal(head.firstOf(fieldId.te), -1)
})

test('several Cookie lines are one list with semicolons', () => {
  assert.equal(parsed(get('Cookie: a=1\r\nAccept: x\r\nCookie: b=2\r\n')).head.find('cookie'), 'a=1; b=2')
})

test('methods of any token pass, with their case', () => {
  for (const method of ['get', 'PROPFIND', 'M-SEARCH', 'X'.repeat(32), "!#$%&'*+-.^_`|~"]) {
    const { answer, head } = parsed(get('', `${method} / HTTP/1.1`))
    assert.ok(answer > 0, method)
    assert.equal(head.method, method)
  }
})

test('the target goes on in origin form, and the authority of an absolute one replaces Host', () => {
  const cases: [line: string, target: string, authority: string][] = [
    ['GET http://b/x?y HTTP/1.1', '/x?y', 'b'],
    ['GET HTTPS://b:8443 HTTP/1.1', '/', 'b:8443'],
    ['GET http://b?y=http://c/ HTTP/1.1', '/?y=http://c/', 'b'],
    ['OPTIONS http://b HTTP/1.1', '*', 'b'],
    ['OPTIONS * HTTP/1.1', '*', 'a'],
    ['GET //b/x HTTP/1.1', '//b/x', 'a'],
    ['GET http://[::1]:80/x HTTP/1.1', '/x', '[::1]:80'],
    ['CONNECT b:443 HTTP/1.1', 'b:443', 'a'],
    ['GET /x HTTP/1.0', '/x', 'a'],
  ]
  for (const [line, target, authority] of cases) {
    const { answer, head } = parsed(get('', line))
    assert.ok(answer > 0, line)
    assert.deepEqual([head.target, head.authority], [target, authority], line)
    assert.ok(!/host/i.test(head.copyFields(requestDrop, null)), 'Host is written anew')
  }
  assert.equal(parsed('GET / HTTP/1.0\r\n\r\n').head.authority, '')
})

test('framing and Expect are what RFC 9112 6.3 says', () => {
  const cases: [text: string, framing: number, length: number, expect: boolean][] = [
    [post(''), framing.none, 0, false],
    [post('Content-Length: 0\r\n'), framing.none, 0, false],
    [post('content-LENGTH:\t12 \r\nExpect: 100-Continue\r\n'), framing.length, 12, true],
    [post('Content-Length: 9007199254740991\r\n'), framing.length, 9_007_199_254_740_991, false],
    [post('Transfer-Encoding: Chunked\r\nExpect: 100-continue\r\n'), framing.chunked, 0, true],
    [get('Expect: 100-continue\r\n'), framing.none, 0, false],
    [get('Content-Length: 4\r\nExpect: 100-continue\r\n', 'PUT / HTTP/1.0'), framing.length, 4, false],
  ]
  for (const [text, kind, length, expect] of cases) {
    const { answer, head } = parsed(text)
    assert.equal(answer, text.length)
    assert.deepEqual([head.framing, head.contentLength, head.expectContinue], [kind, length, expect], text)
  }
})

test('a connection lasts by the rules of its version', () => {
  const closes = (text: string): boolean => {
    const { answer, head } = parsed(text)
    assert.ok(answer > 0)
    return head.close
  }
  assert.equal(closes(get('')), false)
  assert.equal(closes(get('Connection: Close\r\n')), true)
  assert.equal(closes(get('Connection: keep-alive, x, close\r\n')), true)
  assert.equal(closes(get('Connection: keep-alive\r\nConnection: close\r\n')), true)
  assert.equal(closes(get('', 'GET / HTTP/1.0')), true)
  assert.equal(closes(get('Connection: Keep-Alive\r\n', 'GET / HTTP/1.0')), false)
  assert.equal(closes(get('Connection: keep-alive, close\r\n', 'GET / HTTP/1.0')), true)
  assert.equal(closes(get('Connection: xclose, "close", \xa0close\r\n')), false)
})

test('names that Connection lists go, except those that a sender may not list', () => {
  const { head } = parsed(
    get(
      'Connection: upgrade, X-Mine, , x-mine,Host, Authorization, X-Forwarded-For, Content-Length, Content-Encoding, Cookie, TE\r\n' +
        'X-Mine: 1\r\nX_Mine: 2\r\nX-MINE: 3\r\nAuthorization: k\r\nX-Forwarded-For: 1\r\nCookie: c\r\nTE: trailers\r\nKeep-Alive: 1\r\nProxy: p\r\n',
    ),
  )
  assert.equal(head.connectionUpgrade, true)
  assert.deepEqual(head.connectionNames, ['x-mine', 'te'])
  assert.equal(
    head.copyFields(requestDrop, head.connectionNames),
    'Authorization: k\r\nX-Forwarded-For: 1\r\nCookie: c\r\n',
  )
})

test('fields are copied as they came, obs-text and white space included, without what is dropped at any place', () => {
  const kept = ['A: 1\r\n', 'b:\t\xe4\xff \r\n', 'C:\r\n']
  const dropped = ['Host: a\r\n', 'te: x\r\n', 'Keep-Alive: x\r\n']
  for (let order = 0; order < 64; order++) {
    // One kept and one dropped field in turn, each pair in both orders, each kept field there or not.
    const lines = kept.flatMap((line, i) => {
      const one = (order >> (i + 3)) & 1 ? [line] : []
      return (order >> i) & 1 ? [...one, dropped[i] as string] : [dropped[i] as string, ...one]
    })
    const { answer, head } = parsed(`GET / HTTP/1.1\r\n${lines.join('')}\r\nbody: no\r\n\r\n`)
    assert.ok(answer > 0)
    assert.equal(head.copyFields(requestDrop, null), lines.filter(line => kept.includes(line)).join(''))
    assert.equal(head.copyFields(requestDrop, ['a', 'b', 'c']), '')
  }
})

test('each limit takes what is exactly at it and refuses one more', () => {
  const line = (bytes: number): string => `GET /${'x'.repeat(bytes - 14)} HTTP/1.1`
  const fields = (bytes: number): string => `Host: a\r\nX: ${'y'.repeat(bytes - 14)}\r\n`
  const whole = (lineBytes: number, fieldBytes: number): string =>
    `${line(lineBytes)}\r\n${fields(fieldBytes)}\r\n`
  assert.equal(line(200).length, 200)
  assert.equal(fields(400).length, 400)
  assert.equal(refusalOf(whole(200, 400)), 'accepted')
  assert.equal(refusalOf(whole(201, 400)), 'requestLineLong')
  assert.equal(refusalOf(whole(200, 401)), 'headLong')
  assert.equal(refusalOf(`${line(300).slice(0, 250)}`), 'requestLineLong')
  const many = (count: number): string => `GET / HTTP/1.1\r\nHost: a\r\n${'A:\r\n'.repeat(count - 1)}\r\n`
  assert.equal(refusalOf(many(20)), 'accepted')
  assert.equal(refusalOf(many(21)), 'fieldCount')
})

test('a head that never ends is refused as soon as it is longer than its limit', () => {
  for (const endless of ['Host: a\r\nX: ', 'Host: a\r\n', 'Host: a\r\nX:\r\n']) {
    const head = new Http1RequestHead(limits)
    let text = `GET / HTTP/1.1\r\n${endless}`
    let answer = head.parse(text)
    while (answer === more && text.length < 1000) answer = head.parse((text += 'z'))
    assert.equal(answer, problem.headLong)
    assert.equal(text.length, 16 + 400 + 1)
  }
})

test('a head of many fields and many kilobytes is read whole, also where windows end', () => {
  const wide: HeadLimits = { requestLineBytesMax: 70_000, headerBytesMax: 700_000, headerCountMax: 5_000 }
  const head = new Http1RequestHead(limits)
  for (const size of [1_000, 1_024, 8_191, 8_192, 8_193, 65_536, 69_000]) {
    head.reset(wide)
    const count = 700
    const fields = Array.from({ length: count }, (_, i) => `X-${i}: ${'v'.repeat(i)}\r\n`).join('')
    const text = `GET /${'t'.repeat(size)} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`
    assert.equal(head.parse(`${text}rest`), text.length)
    assert.equal(head.count, count + 1)
    assert.equal(head.target.length, size + 1)
    for (let i = 0; i < count; i++) assert.equal(head.valueAt(i + 1).length, i)
  }
})

test('a head object that is used again knows nothing of the request before', () => {
  const used = new Http1RequestHead(limits)
  used.parse(
    `PUT http://b/ HTTP/1.0\r\nHost: a\r\nContent-Length: 4\r\nConnection: upgrade, x\r\nExpect: 100-continue\r\n\r\n`,
  )
  used.reset(limits)
  used.parse('GET /half HTTP/1.1\r\nCookie: a\r\nCoo')
  used.reset(limits)
  const text = get('Accept: x\r\n')
  const fresh = new Http1RequestHead(limits)
  assert.equal(used.parse(text), fresh.parse(text))
  for (const id of Object.values(fieldId)) assert.equal(used.firstOf(id), fresh.firstOf(id))
  for (const key of [
    'method',
    'target',
    'authority',
    'framing',
    'contentLength',
    'close',
    'connectionNames',
    'connectionUpgrade',
    'expectContinue',
    'versionMinor',
    'count',
  ] as const)
    assert.deepEqual(used[key], fresh[key], key)
  assert.equal(used.copyFields(requestDrop, null), 'Accept: x\r\n')
})

test('pipelined requests are read one after the other, each with its own body and nothing of the next', () => {
  const length = post('Content-Length: 4\r\n')
  const next = get('', 'DELETE /next HTTP/1.1')
  // The body is itself a request line: it must be skipped by its length, never read.
  let rest = `${length}GET ${next}\r\n${get('')}`
  const seen: [string, string][] = []
  const head = new Http1RequestHead(limits)
  while (rest !== '') {
    head.reset(limits)
    const end = head.parse(rest)
    assert.ok(end > 0)
    seen.push([head.method, head.target])
    rest = rest.slice(end + head.contentLength)
  }
  assert.deepEqual(seen, [
    ['POST', '/'],
    ['DELETE', '/next'],
    ['GET', '/'],
  ])
})
