import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { keyReader } from './compare.ts'
import { decimalOfNumeric } from './numeric.ts'

const column = (typeId: number, format = 0) => ({ name: 'c', tableId: 0, typeId, format })

function compared(compare: 'number' | 'timestamp' | 'bytes', one: string, other: string): number {
  const reader = keyReader(compare, column(1700))
  return Math.sign(reader.compare(reader.read(Buffer.from(one)), reader.read(Buffer.from(other)))) || 0
}

test('numbers are ordered exactly, whatever their length, scale and exponent', () => {
  const decimal = fc.tuple(fc.bigInt({ min: -(10n ** 25n), max: 10n ** 25n }), fc.nat({ max: 12 }))
  const text = ([digits, scale]: [bigint, number], exponent: boolean): string => {
    if (exponent) return `${digits}e-${scale}`
    const size = String(digits < 0n ? -digits : digits).padStart(scale + 1, '0')
    const whole = size.slice(0, size.length - scale)
    const part = scale === 0 ? '' : `.${size.slice(size.length - scale)}`
    return `${digits < 0n ? '-' : ''}${whole}${part}`
  }
  const scaled = ([digits, scale]: [bigint, number]): bigint => digits * 10n ** BigInt(12 - scale)
  fc.assert(
    fc.property(decimal, decimal, fc.boolean(), fc.boolean(), fc.boolean(), (one, near, same, a, b) => {
      // Often the next number.
      const other: [bigint, number] = same ? [one[0] + (near[0] % 2n), one[1]] : near
      const wanted = scaled(one) < scaled(other) ? -1 : scaled(one) > scaled(other) ? 1 : 0
      assert.equal(compared('number', text(one, a), text(other, b)), wanted)
    }),
  )
})

test('NaN is above infinity and equal to itself; zeros are equal', () => {
  const order = ['-Infinity', '-1e400', '-1', '0', '1e-400', '1', '1e400', 'Infinity', 'NaN']
  for (const [i, one] of order.entries())
    for (const [j, other] of order.entries())
      assert.equal(compared('number', one, other), Math.sign(i - j), `${one} and ${other}`)
  assert.equal(compared('number', '-0', '0.000'), 0)
  assert.equal(compared('number', '9007199254740993', '9007199254740992'), 1)
})

test('times are ordered by the instant, over zones, eras and infinity', () => {
  const order = [
    '-infinity',
    '4713-01-01 00:00:00+00 BC',
    '0044-03-15 12:00:00+00 BC',
    '0044-03-15 12:00:00.000001+00 BC',
    '0001-01-01 00:00:00+00',
    '2024-02-28 23:59:59.9+00',
    '2024-02-29 00:30:00+00',
    '2024-02-28 23:00:00-02',
    '2024-10-27 02:30:00+02',
    '2024-10-27 02:00:00+01',
    '294276-12-31 23:59:59+00',
    'infinity',
  ]
  for (const [i, one] of order.entries())
    for (const [j, other] of order.entries())
      assert.equal(compared('timestamp', one, other), Math.sign(i - j), `${one} and ${other}`)
  assert.equal(compared('timestamp', '2024-01-01 05:30:00+05:30', '2024-01-01 00:00:00+00'), 0)
  assert.throws(() => compared('timestamp', '27/10/2024', '28/10/2024'), /ISO/)
})

test('the binary form of numeric is read as what it is', () => {
  const numeric = (weight: number, sign: number, ...digits: number[]): Buffer => {
    const bytes = Buffer.alloc(8 + 2 * digits.length)
    bytes.writeUInt16BE(digits.length, 0)
    bytes.writeInt16BE(weight, 2)
    bytes.writeUInt16BE(sign, 4)
    for (const [index, digit] of digits.entries()) bytes.writeUInt16BE(digit, 8 + 2 * index)
    return bytes
  }
  assert.equal(Number(decimalOfNumeric(numeric(0, 0, 12, 3400))), 12.34)
  assert.equal(Number(decimalOfNumeric(numeric(1, 0x4000, 5))), -50_000)
  assert.equal(Number(decimalOfNumeric(numeric(-1, 0, 1))), 0.0001)
  assert.equal(Number(decimalOfNumeric(numeric(0, 0))), 0)
  assert.equal(decimalOfNumeric(numeric(0, 0xc000)), 'NaN')
  assert.equal(decimalOfNumeric(numeric(0, 0xf000)), '-Infinity')
})

test('a binary type whose order is not known is refused', () => {
  assert.throws(() => keyReader('number', column(790, 1)), /object id 790/)
})
