import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { answerRange, contentRange, contentRangeUnsatisfied, partsText } from './range.ts'

/** `0-4,10-19`, `whole` or `unsatisfiable`. */
function shown(field: string, size: number): string {
  const answer = answerRange(field, size)
  if (answer.kind !== 'ranges') return answer.kind
  return answer.ranges.map(({ from, to }) => `${from}-${to - 1}`).join(',')
}

test('single ranges, from either end, are cut to the size', () => {
  assert.equal(shown('bytes=0-4', 1000), '0-4')
  assert.equal(shown('bytes=990-', 1000), '990-999')
  assert.equal(shown('bytes=-5', 1000), '995-999')
  assert.equal(shown('bytes=-5000', 1000), '0-999')
  assert.equal(shown('bytes=900-99999999999999999999', 1000), '900-999')
  assert.equal(shown('Bytes=0-0', 1000), '0-0')
  assert.equal(shown('bytes= 0-4 ', 1000), '0-4')
})

test('what can not be satisfied is said; what is malformed is ignored', () => {
  for (const field of ['bytes=1000-', 'bytes=1000-1001', 'bytes=-0', 'bytes=5000-,-0'])
    assert.equal(shown(field, 1000), 'unsatisfiable', field)
  assert.equal(shown('bytes=0-0', 0), 'unsatisfiable')
  for (const field of [
    'bytes',
    'bytes=',
    'bytes=-',
    'bytes=a-b',
    'bytes=5-4',
    'bytes=0-4,x',
    'bytes=0-4,,6-7',
    'lines=0-4',
    'bytes=+1-4',
    'bytes=0x1-4',
    'bytes=1.5-4',
    'bytes 0-4',
  ])
    assert.equal(shown(field, 1000), 'whole', field)
})

test('several ranges keep their order, unless they touch: then they are joined', () => {
  assert.equal(shown('bytes=500-509,0-9', 1000), '500-509,0-9')
  assert.equal(shown('bytes=0-9,10-19', 1000), '0-19')
  assert.equal(shown('bytes=0-9,50-59', 1000), '0-59')
  assert.equal(shown('bytes=0-9,5-14,500-509', 1000), '0-14,500-509')
  assert.equal(shown('bytes=0-9,2000-', 1000), '0-9')
})

test('hostile sets get the whole file: many, overlapping, larger than the file itself', () => {
  assert.equal(shown(`bytes=${'0-0,'.repeat(16)}0-0`, 100_000), 'whole')
  assert.equal(shown('bytes=0-,0-,0-,0-', 100_000), 'whole')
  assert.equal(shown('bytes=0-499,0-499,0-499', 100_000), '0-499')
  assert.equal(shown('bytes=0-400,500-999', 1000), 'whole')
  const tiny = Array.from({ length: 1000 }, (_, i) => `${i * 2}-${i * 2}`).join(',')
  assert.equal(shown(`bytes=${tiny}`, 100_000), 'whole')
})

test('whatever is asked, what is sent is inside of the file, ordered apart, and less than it', () => {
  const number = fc.oneof(fc.nat(50), fc.nat(100_000))
  const spec = fc.oneof(
    fc.tuple(number, number).map(([a, b]) => `${a}-${b}`),
    number.map(a => `${a}-`),
    number.map(a => `-${a}`),
  )
  fc.assert(
    fc.property(fc.array(spec, { minLength: 1, maxLength: 20 }), fc.nat(50_000), (specs, size) => {
      const answer = answerRange(`bytes=${specs.join(',')}`, size)
      if (answer.kind !== 'ranges') return
      let bytes = 0
      const sorted = answer.ranges.toSorted((a, b) => a.from - b.from)
      for (const [at, { from, to }] of sorted.entries()) {
        assert.ok(from >= 0 && from < to && to <= size)
        if (at > 0) assert.ok(from > sorted[at - 1]!.to)
        bytes += to - from
      }
      assert.ok(bytes <= size)
    }),
  )
})

test('the parts of a multipart body say their ranges, and its length is known before', () => {
  const ranges = [
    { from: 0, to: 5 },
    { from: 500, to: 510 },
  ]
  const text = partsText(ranges, 1000, 'text/plain', 'bound')
  const body = `${text.heads[0]}01234${text.heads[1]}0123456789${text.end}`
  assert.equal(body.length, text.bytes)
  assert.equal(
    body,
    '--bound\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-4/1000\r\n\r\n01234\r\n' +
      '--bound\r\nContent-Type: text/plain\r\nContent-Range: bytes 500-509/1000\r\n\r\n0123456789\r\n--bound--\r\n',
  )
  assert.equal(contentRange({ from: 0, to: 1 }, 2), 'bytes 0-0/2')
  assert.equal(contentRangeUnsatisfied(7), 'bytes */7')
})
