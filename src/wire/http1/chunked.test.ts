// The chunked coding: strict grammar, the same data for any cut of the same body, and what travels on of a trailer.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ChunkedDecoder, chunkProblem, chunkProblemText, isForwardableTrailer, lastChunk } from './chunked.ts'
import { chunkLine } from './compose.ts'

const bytesOf = (text: string): Uint8Array => Buffer.from(text, 'latin1')

interface Decoded {
  data: string
  /** What `scan` answered last: the end when done. */
  answer: number
  done: boolean
  trailers: readonly string[] | null
}

/** Decodes the text in pieces that end at the cuts; `answer` is an offset into the whole. */
function decoded(text: string, cuts: readonly number[] = [], decoder = new ChunkedDecoder()): Decoded {
  decoder.reset()
  const bytes = bytesOf(text)
  const ends = [...new Set(cuts.filter(cut => cut > 0 && cut < bytes.length))].sort((a, b) => a - b)
  let data = ''
  let from = 0
  let answer = 0
  for (const to of [...ends, bytes.length]) {
    answer = decoder.scan(bytes, from, to)
    for (let i = 0; i < decoder.rangeCount; i++)
      data += Buffer.from(bytes.subarray(decoder.rangeFrom(i), decoder.rangeTo(i))).toString('latin1')
    if (answer < 0 || decoder.done) break
    assert.equal(answer, to)
    from = to
  }
  assert.equal(decoder.dataBytes, data.length)
  return { data, answer, done: decoder.done, trailers: decoder.trailers }
}

const everyByte = (text: string): number[] => Array.from(text, (_, i) => i)

const accepted: Record<string, [text: string, data: string]> = {
  'an empty body': ['0\r\n\r\n', ''],
  'a last chunk of several zeros': ['000\r\n\r\n', ''],
  'sizes in either case and with leading zeros': [
    'a\r\n0123456789\r\n0A\r\n0123456789\r\n0\r\n\r\n',
    '01234567890123456789',
  ],
  'data that looks like framing': ['7\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n', '0\r\n\r\n\r\n'],
  'extensions of each form': ['1;a;b=c;d="e \\" \xe4\t"\r\nx\r\n0;last\r\n\r\n', 'x'],
  'extensions of exactly 4096 bytes': [`1;${'e'.repeat(4_095)}\r\nx\r\n0\r\n\r\n`, 'x'],
  '13 digits': ['0000000000001\r\nx\r\n0\r\n\r\n', 'x'],
}
for (const [name, [text, data]] of Object.entries(accepted)) {
  test(`${name} is decoded, byte by byte too, and what follows stays`, () => {
    const whole = { data, answer: text.length, done: true, trailers: null }
    assert.deepEqual(decoded(`${text}GET /`), whole)
    assert.deepEqual(decoded(`${text}GET /`, everyByte(text)), whole)
  })
}

const refused: Record<string, [text: string, problem: keyof typeof chunkProblem]> = {
  'no size': ['\r\n', 'size'],
  'a size with 0x': ['0x5\r\nhello', 'size'],
  'a size with plus': ['+5\r\nhello', 'size'],
  'a size with minus': ['-5\r\nhello', 'size'],
  'a size with a leading space': [' 5\r\nhello', 'size'],
  'a size with a space behind it': ['5 \r\nhello', 'size'],
  'a size with a space before the extension': ['5 ;a\r\nhello', 'size'],
  'a size with an underscore': ['1_0\r\nhello', 'size'],
  'a size with letters behind a valid prefix': ['5g\r\nhello', 'size'],
  'a size of 14 digits': ['00000000000001\r\nx', 'size'],
  'a size that overflows 64 bits': ['10000000000000005\r\nhello', 'size'],
  'a size line that ends in LF': ['5\nhello', 'size'],
  'a size line that ends in CR and something else': ['5\rxhello', 'lineEnd'],
  'an empty extension': ['5;\r\nhello', 'extension'],
  'two semicolons': ['5;;a\r\nhello', 'extension'],
  'an extension with a bare LF': ['5;a\nhello', 'extension'],
  'an extension with a control character': ['5;a\x01\r\nhello', 'extension'],
  'an extension with a LF in quotes': ['5;a="\n"\r\nhello', 'extension'],
  'an extension with a CR in quotes': ['5;a="\r\n"\r\nhello', 'extension'],
  'an extension with a space': ['5;a b\r\nhello', 'extension'],
  'an extension without a value behind the sign': ['5;a=\r\nhello', 'extension'],
  'an extension whose quotes are followed by letters': ['5;a="b"c\r\nhello', 'extension'],
  'an extension with obs-text outside quotes': ['5;\xe4\r\nhello', 'extension'],
  'extensions of 4097 bytes': [`1;${'e'.repeat(4_096)}\r\nx`, 'extension'],
  'extensions of many chunks that are too long together': [
    `1;${'e'.repeat(999)}\r\nx\r\n`.repeat(5),
    'extension',
  ],
  'data without CR LF behind it': ['5\r\nhello0\r\n\r\n', 'lineEnd'],
  'data with only LF behind it': ['5\r\nhello\n0\r\n\r\n', 'lineEnd'],
  'data longer than its size': ['4\r\nhello\r\n0\r\n\r\n', 'lineEnd'],
  'an empty line between chunks': ['5\r\nhello\r\n\r\n0\r\n\r\n', 'size'],
  'a last chunk whose empty line ends in LF': ['0\r\n\n', 'trailer'],
  'a last chunk whose empty line is a bare CR': ['0\r\n\rx', 'lineEnd'],
  'a trailer without a colon': ['0\r\nabc\r\n\r\n', 'trailer'],
  'a trailer without a name': ['0\r\n: x\r\n\r\n', 'trailer'],
  'a trailer with a space before the colon': ['0\r\na : x\r\n\r\n', 'trailer'],
  'a folded trailer': ['0\r\na: x\r\n y\r\n\r\n', 'trailer'],
  'a trailer with NUL': ['0\r\na: \0\r\n\r\n', 'trailer'],
  'a trailer with a bare LF': ['0\r\na: x\nb: y\r\n\r\n', 'trailer'],
  'a trailer with a bare CR': ['0\r\na: x\rb: y\r\n\r\n', 'lineEnd'],
  'Content-Length as trailer': ['0\r\ncontent-Length: 3\r\n\r\n', 'trailer'],
  'Transfer-Encoding as trailer': ['0\r\nTransfer-Encoding: chunked\r\n\r\n', 'trailer'],
  'trailers of more than 8192 bytes': [`0\r\na:${'x'.repeat(8_191)}\r\n\r\n`, 'trailerLong'],
  '65 trailers': [`0\r\n${'a:\r\n'.repeat(65)}\r\n`, 'trailerLong'],
}
for (const [name, [text, problem]] of Object.entries(refused)) {
  test(`${name} is refused as ${problem}, byte by byte too, and for good`, () => {
    assert.equal(decoded(text).answer, chunkProblem[problem])
    const decoder = new ChunkedDecoder()
    assert.equal(decoded(text, everyByte(text), decoder).answer, chunkProblem[problem])
    assert.equal(decoder.scan(bytesOf('0\r\n\r\n'), 0, 5), chunkProblem[problem])
    assert.equal(decoder.done, false)
    assert.match(chunkProblemText(chunkProblem[problem]), /^[A-Z].*\.$/)
  })
}

const chunk = fc
  .tuple(
    fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 40 }),
    fc.constantFrom('', ';a', ';b="c;\\""'),
    fc.boolean(),
  )
  .map(([data, extension, upper]) => {
    const size = data.length.toString(16)
    return { data, text: `${upper ? size.toUpperCase() : size}${extension}\r\n${data}\r\n` }
  })
const trailer = fc.constantFrom('Digest: x', 'server-timing:a;dur=1', 'X: \xe4')
const body = fc.record({
  chunks: fc.array(chunk, { maxLength: 30 }),
  trailers: fc.array(trailer, { maxLength: 3 }),
  after: fc.string({ unit: 'binary-ascii', maxLength: 10 }),
})

test('any cut of any body gives its data, its trailers and its end', () => {
  const decoder = new ChunkedDecoder()
  fc.assert(
    fc.property(body, fc.array(fc.nat(1_500)), ({ chunks, trailers, after }, cuts) => {
      const text = `${chunks.map(one => one.text).join('')}0\r\n${trailers.map(line => `${line}\r\n`).join('')}\r\n`
      assert.deepEqual(decoded(text + after, cuts, decoder), {
        data: chunks.map(one => one.data).join(''),
        answer: text.length,
        done: true,
        trailers: trailers.length === 0 ? null : trailers,
      })
    }),
    { numRuns: 300 },
  )
})

test('any cut of a damaged body gives the same data, answer and trailers as the whole', () => {
  const framingByte = fc.constantFrom(...'0123456789aAfFgG;="\\ \t\r\n\0\x7f\xe4:x')
  const damage = fc.array(fc.record({ at: fc.nat(200), byte: framingByte, cut: fc.nat(3) }), { maxLength: 4 })
  fc.assert(
    fc.property(body, damage, fc.array(fc.nat(300)), ({ chunks, trailers }, damages, cuts) => {
      let text = `${chunks
        .slice(0, 4)
        .map(one => one.text)
        .join('')}0\r\n${trailers.map(line => `${line}\r\n`).join('')}\r\n`
      for (const { at, byte, cut } of damages) text = text.slice(0, at) + byte + text.slice(at + cut)
      const whole = decoded(text)
      assert.deepEqual(decoded(text, cuts), whole)
      assert.deepEqual(decoded(text, everyByte(text)), whole)
    }),
    { numRuns: 500 },
  )
})

test('random bytes are never too much: an answer comes, inside what was given', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
      const decoder = new ChunkedDecoder()
      const answer = decoder.scan(bytes, 0, bytes.length)
      assert.ok(answer <= bytes.length && answer >= Math.min(...Object.values(chunkProblem)))
    }),
  )
})

test('a body of very many chunks is decoded, and the next body is not disturbed by it', () => {
  const decoder = new ChunkedDecoder()
  const text = `${'1\r\nx\r\n'.repeat(5_000)}0\r\n\r\n`
  assert.equal(decoded(text, [], decoder).data, 'x'.repeat(5_000))
  assert.deepEqual(decoded('3\r\nabc\r\n0\r\nA: b\r\n\r\n', [], decoder).trailers, ['A: b'])
  assert.equal(decoded('0\r\n\r\n', [], decoder).trailers, null)
})

test('what is written anew is read again as the same', () => {
  for (const size of [1, 15, 16, 255, 256, 65_536]) {
    const text = `${chunkLine(size)}${'x'.repeat(size)}\r\n${lastChunk(['Digest: a'])}`
    assert.deepEqual(decoded(text), {
      data: 'x'.repeat(size),
      answer: text.length,
      done: true,
      trailers: ['Digest: a'],
    })
  }
})

test('trailers that frame, route, authenticate or steer stay behind; the others travel on', () => {
  const stay = [
    'Host',
    'Authorization',
    'Cookie',
    'Set-Cookie',
    'X-Forwarded-For',
    'Content-Type',
    'Content-Range',
  ]
  stay.push(
    'TE',
    'Range',
    'If-Match',
    'Cache-Control',
    'Proxy-X',
    'Max-Forwards',
    'Trailer',
    'Connection',
    'x_user',
  )
  stay.push('X-Request-Id', 'Via', 'Expect', 'Location', 'Upgrade', 'Sec-Fetch-Site', 'Content.Length')
  for (const name of stay) assert.equal(isForwardableTrailer(`${name}: x`), false, name)
  const go = ['Digest', 'Server-Timing', 'grpc-status', 'ETag', 'X-Checksum']
  for (const name of go) assert.equal(isForwardableTrailer(`${name}: x`), true, name)
  assert.equal(lastChunk(['Digest: x', 'Host: a', 'ETag: y']), '0\r\nDigest: x\r\nETag: y\r\n\r\n')
  assert.equal(lastChunk(null), '0\r\n\r\n')
})
