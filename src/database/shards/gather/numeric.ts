// PostgreSQL's binary form of numeric as decimal text: count, weight, sign and scale, then digits to the base 10,000.

const signs = { negative: 0x4000, nan: 0xc000, infinity: 0xd000, minusInfinity: 0xf000 } as const

export function decimalOfNumeric(value: Buffer): string {
  const count = value.readUInt16BE(0)
  const weight = value.readInt16BE(2)
  const sign = value.readUInt16BE(4)
  if (sign === signs.nan) return 'NaN'
  if (sign === signs.infinity) return 'Infinity'
  if (sign === signs.minusInfinity) return '-Infinity'
  const digits = Array.from({ length: count }, (_, index) =>
    String(value.readUInt16BE(8 + 2 * index)).padStart(4, '0'),
  ).join('')
  // The first digit counts 10,000 to the weight.
  const exponent = 4 * (weight + 1 - count)
  return `${sign === signs.negative ? '-' : ''}${digits || '0'}${exponent === 0 ? '' : `e${exponent}`}`
}
