// A head judged in pieces is judged as the whole, and no bytes are too much for the parsers.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { requestDrop } from './compose.ts'
import { type HeadLimits, more } from './head.ts'
import { problem } from './problem.ts'
import { Http1RequestHead } from './request-head.ts'
import { Http1ResponseHead } from './response-head.ts'
import { requestText, responseText } from './testing/messages.ts'

type AnyHead = Http1RequestHead | Http1ResponseHead

const makers: Record<string, { make: (limits: HeadLimits) => AnyHead; text: fc.Arbitrary<string> }> = {
  request: { make: limits => new Http1RequestHead(limits), text: requestText },
  response: { make: limits => new Http1ResponseHead(limits), text: responseText },
}

/** All that a head says, once it is complete. */
function sayings(head: AnyHead, answer: number): unknown {
  if (answer <= 0) return answer
  const own =
    head instanceof Http1RequestHead ? [head.method, head.target, head.authority] : [head.status, head.reason]
  const fields = Array.from({ length: head.count }, (_, i) => [head.idAt(i), head.nameAt(i), head.valueAt(i)])
  const { framing, contentLength, close, connectionNames, connectionUpgrade, versionMinor } = head
  const copied = head.copyFields(requestDrop, connectionNames)
  return {
    answer,
    own,
    fields,
    framing,
    contentLength,
    close,
    connectionNames,
    connectionUpgrade,
    versionMinor,
    copied,
  }
}

function parse(head: AnyHead, text: string): number {
  return head instanceof Http1RequestHead ? head.parse(text) : head.parse(text, 'GET')
}

function read(head: AnyHead, limits: HeadLimits, text: string, ends: Iterable<number>): unknown {
  head.reset(limits)
  let answer = more
  for (const end of ends) {
    answer = parse(head, text.slice(0, end))
    if (answer !== more) break
  }
  return sayings(head, answer)
}

const limit = fc.oneof(fc.integer({ min: 1, max: 120 }), fc.constant(4_000))
const someLimits = fc.record({
  requestLineBytesMax: limit,
  headerBytesMax: limit,
  headerCountMax: fc.integer({ min: 1, max: 12 }),
})

for (const [kind, { make, text: messages }] of Object.entries(makers)) {
  const head = make({ requestLineBytesMax: 1, headerBytesMax: 1, headerCountMax: 1 })

  test(`any cuts of any ${kind}, good or bad and at any limits, give what the whole gives`, () => {
    fc.assert(
      fc.property(messages, someLimits, fc.array(fc.nat(300), { maxLength: 6 }), (text, limits, cuts) => {
        const whole = read(head, limits, text, [text.length])
        const ends = [...cuts.filter(cut => cut < text.length).sort((a, b) => a - b), text.length]
        assert.deepEqual(read(head, limits, text, ends), whole)
        assert.deepEqual(
          read(
            head,
            limits,
            text,
            Array.from(text, (_, i) => i + 1),
          ),
          whole,
        )
      }),
      { numRuns: 1_500 },
    )
  })

  test(`a cut near the end of a window does not change what a ${kind} says`, () => {
    const start = kind === 'request' ? 'GET / HTTP/1.1\r\nHost: a\r\n' : 'HTTP/1.1 200 OK\r\n'
    const limits = { requestLineBytesMax: 100, headerBytesMax: 20_000, headerCountMax: 50 }
    for (const window of [1_024, 8_192]) {
      for (let before = window - 12; before <= window + 4; before++) {
        const filler = `F: ${'f'.repeat(before - start.length - 5)}\r\n`
        const text = `${start}${filler}Name: value \r\nConnection: close\r\n\r\nbody`
        const whole = read(head, limits, text, [text.length])
        assert.equal(typeof whole, 'object')
        for (let cut = window - 2; cut <= window + 2; cut++)
          assert.deepEqual(read(head, limits, text, [cut, text.length]), whole)
      }
    }
  })

  test(`random bytes as a ${kind} never throw, and what is accepted has no bare CR, LF or NUL`, () => {
    const special = fc.constantFrom('\r\n', '\r', '\n', '\0', ' ', ':', 'A', '\x7f', '\xff', 'Host: a')
    const byte = fc.integer({ min: 0, max: 255 }).map(code => String.fromCharCode(code))
    const noise = fc.array(fc.oneof(special, byte), { maxLength: 60 }).map(parts => parts.join(''))
    const start = fc.constantFrom('', 'GET / HTTP/1.1\r\nHost: a\r\n', 'HTTP/1.1 200 OK\r\n')
    const end = fc.constantFrom('', '\r\n', '\r\n\r\n')
    const limits = { requestLineBytesMax: 100, headerBytesMax: 300, headerCountMax: 20 }
    const problems = new Set<number>(Object.values(problem))
    fc.assert(
      fc.property(start, noise, end, (first, middle, last) => {
        const text = first + middle + last
        head.reset(limits)
        const answer = parse(head, text)
        if (answer <= 0) return assert.ok(answer === more || problems.has(answer))
        assert.ok(answer <= text.length)
        const accepted = text.slice(0, answer)
        assert.ok(accepted.endsWith('\r\n\r\n'))
        assert.ok(!/\0|\r(?!\n)|(?<!\r)\n/.test(accepted))
        assert.ok(!/\0|\r(?!\n)|(?<!\r)\n/.test(head.copyFields(requestDrop, null)))
      }),
      { numRuns: 5_000 },
    )
  })
}

test('what is as long as both limits and four bytes, without an empty line, is never waited for', () => {
  const limits = { requestLineBytesMax: 40, headerBytesMax: 40, headerCountMax: 20 }
  const head = new Http1RequestHead(limits)
  const start = fc.constantFrom('\r\n', '\r', '')
  const target = fc.nat(40).map(length => `GET /${'x'.repeat(length)} HTTP/1.1\r\n`)
  const part = fc.constantFrom('Host: a\r\n', 'A:\r\n', 'A', '\r', 'b: ', 'xxxxx', ' ')
  const fields = fc.array(part, { minLength: 30, maxLength: 60 }).map(parts => parts.join(''))
  fc.assert(
    fc.property(start, target, fields, (first, line, rest) => {
      const text = (first + line + rest).padEnd(84, 'y').slice(0, 84)
      fc.pre(!text.includes('\r\n\r\n'))
      head.reset(limits)
      assert.notEqual(head.parse(text), more)
    }),
    { numRuns: 3_000 },
  )
})
