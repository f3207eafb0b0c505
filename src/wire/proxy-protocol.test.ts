import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type ProxyHeader, proxyHeaderBytesMax, readProxyHeader, writeProxyHeader } from './proxy-protocol.ts'

const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1')
const read = (text: string) => readProxyHeader(bytesOf(text), text.length)
const signature = '\r\n\r\n\0\r\nQUIT\n'

function header(text: string): ProxyHeader {
  const reading = read(text)
  assert.equal(reading.kind, 'header', JSON.stringify(reading))
  return reading as ProxyHeader
}

function problemOf(text: string): string {
  const reading = read(text)
  return reading.kind === 'problem' ? reading.problem : reading.kind
}

test('the lines of the specification are read', () => {
  assert.deepEqual(header('PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\nGET'), {
    kind: 'header',
    version: 1,
    local: false,
    source: { address: '255.255.255.255', port: 65_535 },
    destination: { address: '255.255.255.255', port: 65_535 },
    headerBytes: 56,
  })
  const six = 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'
  assert.equal(header(`PROXY TCP6 ${six} ${six} 65535 65535\r\n`).source?.address, six)
  for (const unknown of ['PROXY UNKNOWN\r\n', `PROXY UNKNOWN ${six} ${six} 65535 65535\r\n`]) {
    const { source, destination, headerBytes } = header(unknown)
    assert.deepEqual([source, destination, headerBytes], [null, null, unknown.length])
  }
})

test('the longest line of the specification has 107 bytes, and one byte more is refused', () => {
  const six = 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'
  const longest = `PROXY UNKNOWN ${six} ${six} 65535 65535\r\n`
  assert.equal(longest.length, 107)
  assert.equal(header(longest).headerBytes, 107)
  assert.equal(problemOf(longest.replace('UNKNOWN ', 'UNKNOWN  ')), 'too-long')
  assert.equal(problemOf(`PROXY UNKNOWN ${'x'.repeat(200)}`), 'too-long')
})

test('a line that is not exactly as specified is refused', () => {
  for (const text of [
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1\r2\r\n',
    'PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n',
    'PROXY TCP4 1.2.3.4  5.6.7.8 1 2\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n',
    'PROXY TCP4 1.2.3.04 5.6.7.8 1 2\r\n',
    'PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n',
    'PROXY TCP4 ::1 ::1 1 2\r\n',
    'PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n',
    'PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n',
    'PROXY TCP6 1::2::3 ::1 1 2\r\n',
    'PROXY tcp4 1.2.3.4 5.6.7.8 1 2\r\n',
    'PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n',
    'PROXY UNKNOWNX\r\n',
    'PROXY UNKNOWN \0\r\n',
    'PROXY UNKNOWN \x80\r\n',
    'PROXY \r\n',
  ])
    assert.equal(problemOf(text), 'bad-version-1', JSON.stringify(text))
})

test('bytes that can become no header are refused at the first of them that says so', () => {
  for (const text of ['G', 'PROXYX', 'PROXY\t', '\x16\x03\x01', '\r\n\r\n\r', `${signature.slice(0, -1)}\r`])
    assert.equal(problemOf(text), 'no-header', JSON.stringify(text))
  assert.equal(problemOf(`${signature}\x11\x11\0\x0c`), 'bad-version')
  assert.equal(problemOf(`${signature}\x22\x11\0\x0c`), 'bad-version')
})

test('a binary header over IPv4 with bytes as in the specification is read', () => {
  const text = `${signature}\x21\x11\0\x0c\x7f\0\0\x01\xc0\0\x02\x01\x30\x39\x01\xbbhello`
  assert.deepEqual(header(text), {
    kind: 'header',
    version: 2,
    local: false,
    source: { address: '127.0.0.1', port: 12_345 },
    destination: { address: '192.0.2.1', port: 443 },
    headerBytes: 28,
  })
})

test('a binary header over IPv6 is read, and mapped IPv4 addresses are shown as what they are', () => {
  const one = `${'\0'.repeat(15)}\x01`
  const mapped = `${'\0'.repeat(10)}\xff\xff\x0a\0\0\x01`
  const { source, destination } = header(`${signature}\x21\x21\0\x24${one}${mapped}\0\x01\0\x02`)
  assert.deepEqual(
    [source, destination],
    [
      { address: '::1', port: 1 },
      { address: '10.0.0.1', port: 2 },
    ],
  )
})

test('LOCAL, UNSPEC, Unix sockets and datagrams leave the own addresses of the connection in force', () => {
  const local = header(`${signature}\x20\0\0\0`)
  assert.deepEqual([local.local, local.source, local.headerBytes], [true, null, 16])
  assert.equal(header(`${signature}\x20\xff\0\x03abcrest`).headerBytes, 19, 'what follows LOCAL is skipped')
  assert.equal(header(`${signature}\x21\0\0\0`).source, null)
  assert.equal(header(`${signature}\x21\x31\0\xd8${'a'.repeat(216)}`).source, null)
  assert.equal(header(`${signature}\x21\x12\0\x0c${'a'.repeat(12)}`).source, null)
})

test('unassigned families, short blocks and lengths beyond the bound are refused before they have come', () => {
  assert.equal(problemOf(`${signature}\x21\x41\0\x0c`), 'bad-family')
  assert.equal(problemOf(`${signature}\x21\x13\0\x0c`), 'bad-family')
  assert.equal(problemOf(`${signature}\x21\x11\0\x0b`), 'bad-length')
  assert.equal(problemOf(`${signature}\x21\x21\0\x23`), 'bad-length')
  assert.equal(problemOf(`${signature}\x21\x31\0\xd7`), 'bad-length')
  assert.equal(problemOf(`${signature}\x21\x11\x10\x01`), 'too-long')
  assert.equal(problemOf(`${signature}\x20\0\xff\xff`), 'too-long')
  assert.equal(problemOf(`${signature}\x21\x11\x10\0`), 'more')
  assert.equal(proxyHeaderBytesMax, 4_112)
})

const addresses = '\x01\x02\x03\x04\x05\x06\x07\x08\0\x01\0\x02'
const withTlvs = (tlvs: string): string => {
  const length = 12 + tlvs.length
  return `${signature}\x21\x11${String.fromCharCode(length >> 8, length & 255)}${addresses}${tlvs}`
}

test('further fields of a binary header are skipped, and refused where their lengths do not add up', () => {
  const text = withTlvs('\x01\0\x02h2\x04\0\x00\xe0\0\x01x')
  assert.equal(header(text).headerBytes, text.length)
  assert.equal(problemOf(withTlvs('\x01')), 'bad-tlv')
  assert.equal(problemOf(withTlvs('\x01\0')), 'bad-tlv')
  assert.equal(problemOf(withTlvs('\x01\0\x03h2')), 'bad-tlv')
  assert.equal(problemOf(withTlvs('\x03\0\x03abc')), 'bad-tlv')
})

/** CRC-32C by a table: an implementation of its own, with the check value that its catalogue gives for '123456789'. */
function checksum(text: string): number {
  const rows = Array.from({ length: 256 }, (_, row) => {
    let value = row
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1
    return value >>> 0
  })
  let crc = 0xffffffff
  for (const byte of bytesOf(text)) crc = (rows[(crc ^ byte) & 255]! ^ (crc >>> 8)) >>> 0
  return (crc ^ 0xffffffff) >>> 0
}

test('a checksum is verified over the whole header, wherever it stands among the fields', () => {
  assert.equal(checksum('123456789'), 0xe3069283)
  for (const [before, after] of [
    ['', ''],
    ['\x01\0\x02h2', '\x02\0\x04host'],
  ] as const) {
    const open = withTlvs(`${before}\x03\0\x04\0\0\0\0${after}`)
    const sum = checksum(open)
    const filled = String.fromCharCode(sum >>> 24, (sum >>> 16) & 255, (sum >>> 8) & 255, sum & 255)
    const good = withTlvs(`${before}\x03\0\x04${filled}${after}`)
    assert.equal(header(good).headerBytes, good.length)
    for (const at of [16, 25, good.length - 1 - after.length]) {
      const bytes = bytesOf(good)
      bytes[at]! ^= 1
      assert.equal(problemOf(bytes.toString('latin1')), 'bad-checksum', `byte ${at}`)
    }
  }
})

const endpoints = fc.record({
  address: fc.oneof(
    fc.ipV4(),
    fc.ipV6().filter(text => !text.includes('%')),
  ),
  port: fc.nat(65_535),
})

test('a header that was written is read as the same addresses, whatever follows it', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('v1', 'v2'),
      endpoints,
      endpoints,
      fc.string({ maxLength: 50 }),
      (version, from, to, rest) => {
        const text = writeProxyHeader(version as 'v1' | 'v2', from, to)
        const { source, destination, headerBytes } = header(text + rest)
        assert.equal(headerBytes, text.length)
        assert.equal(source?.port, from.port)
        assert.equal(destination?.port, to.port)
        const again = writeProxyHeader(version as 'v1' | 'v2', source!, destination!)
        assert.equal(again, text, 'the same addresses')
      },
    ),
  )
})

test('every part of a header asks for more, and bytes behind it change nothing', () => {
  const texts = [
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n',
    'PROXY UNKNOWN\r\n',
    withTlvs('\x01\0\x02h2'),
    `${signature}\x20\0\0\0`,
  ]
  for (const text of texts) {
    for (let length = 0; length < text.length; length++)
      assert.equal(
        readProxyHeader(bytesOf(text), length).kind,
        'more',
        `${JSON.stringify(text)} to ${length}`,
      )
    assert.deepEqual(header(`${text}PROXY `), header(text))
  }
})

test('arbitrary bytes give an answer, never beyond the bound', () => {
  const start = fc.constantFrom(
    '',
    'PROXY ',
    'PROXY TCP4 ',
    signature,
    `${signature}\x21`,
    `${signature}\x21\x11`,
  )
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 400 }), (text, tail) => {
      const bytes = Buffer.concat([bytesOf(text), tail])
      const reading = readProxyHeader(bytes, bytes.length)
      if (reading.kind === 'header') assert.ok(reading.headerBytes <= proxyHeaderBytesMax)
    }),
  )
})

test('where an end has no address, what is written says so', () => {
  const none = { address: '', port: 0 }
  assert.equal(header(writeProxyHeader('v1', none, none)).source, null)
  assert.equal(header(writeProxyHeader('v2', none, none)).source, null)
})
