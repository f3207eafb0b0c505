import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type ClientHelloFields,
  clientHelloBytesMax,
  ja3Text,
  ja4Text,
  readClientHello,
} from './client-hello.ts'

interface Captured {
  readonly client: string
  readonly ja3: string
  readonly ja4: string
  readonly hex: string
}

// Captured on loopback; the fingerprints are what the npm package read-tls-client-hello 2.0.0 says of the same bytes.
const captured: readonly Captured[] = JSON.parse(
  readFileSync(new URL('./fixtures/client-hellos.json', import.meta.url), 'utf8'),
)
const first = Buffer.from(captured[0]!.hex, 'hex')

function read(bytes: Uint8Array): ClientHelloFields {
  const reading = readClientHello(bytes, bytes.length)
  assert.equal(reading.kind, 'hello')
  return (reading as { hello: ClientHelloFields }).hello
}

function problemOf(bytes: Uint8Array): string {
  const reading = readClientHello(bytes, bytes.length)
  return reading.kind === 'problem' ? reading.problem : reading.kind
}

const cut = (text: string): string =>
  text === '' ? '000000000000' : hash('sha256', text, 'hex').slice(0, 12)

function ja4(hello: ClientHelloFields): string {
  const { first, ciphers, rest } = ja4Text(hello)
  return `${first}_${cut(ciphers)}_${cut(rest)}`
}

/** The message of one record, in records of `size` bytes. */
function inRecords(record: Uint8Array, size: number): Buffer {
  const message = record.subarray(5)
  const parts: Buffer[] = []
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size)
    parts.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), Buffer.from(part))
  }
  return Buffer.concat(parts)
}

function u16(value: number): number[] {
  return [value >> 8, value & 255]
}
function vector(width: 1 | 2, bytes: readonly number[]): number[] {
  return [...(width === 1 ? [bytes.length] : u16(bytes.length)), ...bytes]
}

interface Made {
  version?: number
  ciphers: readonly number[]
  extensions?: readonly [number, readonly number[]][]
}

function made({ version = 0x0303, ciphers, extensions }: Made): Buffer {
  const all = extensions?.flatMap(([type, body]) => [...u16(type), ...vector(2, body)])
  const body = [
    ...u16(version),
    ...new Array<number>(32).fill(7),
    ...vector(1, []),
    ...vector(2, ciphers.flatMap(u16)),
    ...vector(1, [0]),
    ...(all === undefined ? [] : vector(2, all)),
  ]
  const message = [1, 0, ...u16(body.length), ...body]
  return Buffer.from([22, 3, 1, ...u16(message.length), ...message])
}

const alpn = (name: readonly number[]): [number, number[]] => [16, vector(2, vector(1, name))]

for (const { client, ja3: expected3, ja4: expected4, hex } of captured)
  test(`the fingerprints of ${client} are what an independent reader says`, () => {
    const hello = read(Buffer.from(hex, 'hex'))
    assert.equal(ja4(hello), expected4)
    assert.equal(hash('md5', ja3Text(hello), 'hex'), expected3)
  })

test('a published capture of Chrome with GREASE everywhere has its published JA4', () => {
  // FoxIO's sigalg-grease.pcapng: JA4_ro gives the order, JA4 the fingerprint.
  const list = (text: string): number[] => text.split(',').map(part => Number.parseInt(part, 16))
  const ciphers = list('1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035')
  const types = list('fe0d,0010,0017,0033,44cd,ff01,000a,000d,0000,0023,002b,000b,ca34,002d,0005,001b,0012')
  const signatures = list('3a3a,0904,0905,0906,0403,0804,0401,0503,0805,0501,0806,0601')
  const bodies = new Map<number, number[]>([
    [10, vector(2, [0x4a4a, 29, 23, 24].flatMap(u16))],
    [11, vector(1, [0])],
    [13, vector(2, signatures.flatMap(u16))],
    [16, vector(2, [...vector(1, [...Buffer.from('h2')]), ...vector(1, [...Buffer.from('http/1.1')])])],
    [43, vector(1, [0x5a5a, 0x0304, 0x0303].flatMap(u16))],
  ])
  const hello = read(
    made({
      ciphers: [0x1a1a, ...ciphers],
      extensions: [0x2a2a, ...types, 0xfafa].map(type => [type, bodies.get(type) ?? []]),
    }),
  )
  assert.equal(ja4(hello), 't13d1517h2_8daaf6152771_cb7bf5808d99')
  assert.deepEqual(hello.groups, [29, 23, 24])
  assert.deepEqual(hello.versions, [0x0304, 0x0303])
})

test('a hello without extensions has an empty third part', () => {
  const hello = read(made({ version: 0x0301, ciphers: [0x002f] }))
  assert.deepEqual(ja4Text(hello), { first: 't10i010000', ciphers: '002f', rest: '' })
  assert.equal(ja3Text(hello), '769,47,,,')
})

test('an application protocol is told by its ends, in hexadecimal where they are no letters or digits', () => {
  const ends = (name: readonly number[]): string =>
    ja4Text(read(made({ ciphers: [1], extensions: [alpn(name)] }))).first.slice(-2)
  assert.equal(ends([...Buffer.from('http/1.1')]), 'h1')
  assert.equal(ends([0x61]), 'aa')
  assert.equal(ends([0xab]), 'ab')
  assert.equal(ends([0xab, 0xcd]), 'ad')
  assert.equal(ends([0x30, 0xab]), '3b')
  assert.equal(ends([0x0a, 0x0a]), '0a')
  assert.equal(ends([]), '00')
})

test('more than 99 ciphers count as 99', () => {
  const ciphers = Array.from({ length: 150 }, (_, i) => i + 1)
  assert.equal(ja4Text(read(made({ ciphers }))).first, 't12i990000')
})

test('a hello in records of any size, and with bytes behind it, reads the same', () => {
  const expected = read(first)
  for (const size of [1, 2, 3, 4, 7, 64, 511])
    assert.deepEqual(
      read(Buffer.concat([inRecords(first, size), Buffer.from([20, 3, 3, 0, 1, 1])])),
      expected,
    )
})

test('a hello that is cut anywhere waits for more, and says for how many bytes at least', () => {
  for (const whole of [first, inRecords(first, 50)])
    for (let length = 0; length < whole.length; length++) {
      const reading = readClientHello(whole, length)
      assert.equal(reading.kind, 'more', `at ${length}`)
      const { bytes } = reading as { bytes: number }
      assert.ok(bytes > length && bytes <= whole.length, `at ${length}: ${bytes}`)
    }
})

test('what is no handshake, no hello, or too long is told from its first bytes', () => {
  assert.equal(problemOf(Buffer.from('GET / HTTP/1.1\r\n')), 'no-handshake')
  assert.equal(problemOf(Buffer.from([22, 2])), 'no-handshake')
  assert.equal(problemOf(Buffer.from([22, 3, 1, 0, 4, 2])), 'no-hello')
  assert.equal(problemOf(Buffer.from([22, 3, 1, 0, 0])), 'bad-record')
  assert.equal(problemOf(Buffer.from([22, 3, 1, 0x40, 1])), 'bad-record')
  assert.equal(problemOf(Buffer.from([22, 3, 1, 0, 1, 1, 23])), 'bad-record')
  assert.equal(problemOf(Buffer.from([22, 3, 1, 0, 4, 1, 0, 0x40, 0])), 'too-long')
  assert.equal(problemOf(Buffer.from([22, 3, 1, 0, 4, 1, 1, 0, 0])), 'too-long')
})

test('a flood of tiny records ends at the bound', () => {
  const endless = inRecords(
    Buffer.concat([first.subarray(0, 5), Buffer.from([1, 0, 0x3f, 0]), Buffer.alloc(9000)]),
    1,
  )
  assert.ok(endless.length > clientHelloBytesMax)
  assert.equal(problemOf(endless), 'too-long')
})

test('lengths that do not fit, and the same extension twice, are malformed', () => {
  assert.equal(
    problemOf(
      made({
        ciphers: [1],
        extensions: [
          [23, []],
          [23, []],
        ],
      }),
    ),
    'malformed',
  )
  assert.equal(problemOf(made({ ciphers: [1], extensions: [[10, [0, 3, 0, 29]]] })), 'malformed')
  assert.equal(problemOf(made({ ciphers: [1], extensions: [[13, [0, 3, 4, 3, 4]]] })), 'malformed')
  assert.equal(problemOf(made({ ciphers: [1], extensions: [[43, [2, 3, 4, 9]]] })), 'malformed')
  assert.equal(problemOf(made({ ciphers: [1], extensions: [[16, [0, 9, 2, 104]]] })), 'malformed')
  const longer = Buffer.from(made({ ciphers: [1], extensions: [] }))
  longer[longer.length - 1] = 4
  assert.equal(problemOf(longer), 'malformed')
})

test('any bytes have an answer, and a changed hello never throws', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), bytes => {
      readClientHello(bytes, bytes.length)
      readClientHello(Buffer.concat([Buffer.from([22, 3, 1, 1, 0, 1, 0, 0, 252]), bytes]), bytes.length + 9)
    }),
  )
  fc.assert(
    fc.property(fc.nat(first.length - 1), fc.nat(255), (at, value) => {
      const changed = Buffer.from(first)
      changed[at] = value
      const reading = readClientHello(changed, changed.length)
      if (reading.kind === 'hello')
        assert.match(ja4(reading.hello), /^t[0-9sd]{2}[di]\d{4}.._[0-9a-f]{12}_[0-9a-f]{12}$/)
    }),
  )
})
