// Writes small MaxMind DB files for tests (format 2.0, records of 32 bits, IPv6 tree with IPv4 at ::/96).

import { addressBytes } from '../../../kit/address.ts'

type Value = string | number | { readonly [key: string]: Value }

/** @param blocks CIDR text to record */
export function mmdbOf(blocks: Readonly<Record<string, Value>>, type = 'Test'): Buffer {
  const nodes: [number, number][] = [[-1, -1]]
  const data: Buffer[] = []
  let dataBytes = 0
  for (const [block, record] of Object.entries(blocks)) {
    const place = dataBytes
    const bytes = encoded(record)
    data.push(bytes)
    dataBytes += bytes.length
    insert(nodes, bitsOf(block), -2 - place)
  }
  const tree = Buffer.alloc(nodes.length * 8)
  for (const [i, [left, right]] of nodes.entries()) {
    tree.writeUInt32BE(recordOf(left, nodes.length), i * 8)
    tree.writeUInt32BE(recordOf(right, nodes.length), i * 8 + 4)
  }
  const metadata = encoded({
    binary_format_major_version: 2,
    binary_format_minor_version: 0,
    build_epoch: 1,
    database_type: type,
    description: { en: 'test' },
    ip_version: 6,
    node_count: nodes.length,
    record_size: 32,
  })
  return Buffer.concat([
    tree,
    Buffer.alloc(16),
    ...data,
    Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1'),
    metadata,
  ])
}

/** -1: nothing; a node's number; -2 - place: data. */
function recordOf(value: number, count: number): number {
  if (value === -1) return count
  return value >= 0 ? value : count + 16 + (-2 - value)
}

function insert(nodes: [number, number][], bits: readonly (0 | 1)[], value: number): void {
  let at = 0
  for (const [depth, bit] of bits.entries()) {
    const node = nodes[at]!
    if (depth === bits.length - 1) node[bit] = value
    else if (node[bit]! < 0) {
      nodes.push([-1, -1])
      node[bit] = nodes.length - 1
      at = nodes.length - 1
    } else at = node[bit]!
  }
}

function bitsOf(block: string): (0 | 1)[] {
  const [address = '', length = ''] = block.split('/')
  const bytes = Buffer.from(addressBytes(address)!)
  // IPv4 lies at ::a.b.c.d, not at ::ffff:a.b.c.d.
  const four = !address.includes(':')
  if (four) bytes.fill(0, 10, 12)
  const count = Number(length) + (four ? 96 : 0)
  return Array.from({ length: count }, (_, bit) => ((bytes[bit >> 3]! >> (7 - (bit & 7))) & 1) as 0 | 1)
}

function encoded(value: Value): Buffer {
  if (typeof value === 'string')
    return Buffer.concat([control(2, Buffer.byteLength(value)), Buffer.from(value)])
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32BE(value)
    return Buffer.concat([control(6, 4), bytes])
  }
  const pairs = Object.entries(value)
  return Buffer.concat([
    control(7, pairs.length),
    ...pairs.flatMap(([key, one]) => [encoded(key), encoded(one)]),
  ])
}

function control(type: number, size: number): Buffer {
  if (size < 29) return Buffer.from([(type << 5) | size])
  return Buffer.from([(type << 5) | 29, size - 29])
}
