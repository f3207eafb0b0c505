import assert from 'node:assert/strict'
import { test } from 'node:test'
import { int32Part } from './compose.ts'
import { isTlsHandshake, readStartup, startupBytes, startupProblem } from './startup.ts'
import { cancelRequest, sslRequest, startupMessage } from './write-frontend.ts'

function packet(...parts: readonly (Buffer | string)[]): Buffer {
  const body = Buffer.concat(parts.map(part => (typeof part === 'string' ? Buffer.from(part) : part)))
  return Buffer.concat([int32Part(4 + body.length), body])
}

const version3 = int32Part(0x30000)

function read(bytes: Buffer): ReturnType<typeof readStartup> {
  assert.equal(startupBytes(bytes, 0, bytes.length), bytes.length)
  return readStartup(bytes, 0, bytes.length)
}

function sentence(bytes: Buffer): string {
  const startup = read(bytes)
  assert.equal(startup.kind, 'problem')
  return startup.kind === 'problem' ? `${startup.problem.code} ${startup.problem.sentence}` : ''
}

test('a StartupMessage gives its minor version, parameters and options', () => {
  const startup = read(startupMessage(0x30002, { user: 'ann', database: 'größe', '_pq_.x': '1', user2: '' }))
  assert.equal(startup.kind, 'startup')
  if (startup.kind !== 'startup') return
  assert.equal(startup.minorVersion, 2)
  assert.deepEqual(Object.fromEntries(startup.parameters), { user: 'ann', database: 'größe', user2: '' })
  assert.deepEqual(startup.options, ['_pq_.x'])
})

test('requests for encryption and for a cancel are told apart by their code', () => {
  assert.equal(read(sslRequest).kind, 'ssl')
  assert.equal(read(packet(int32Part(80_877_104))).kind, 'gss-encryption')
  for (const size of [4, 32, 256]) {
    const key = Buffer.alloc(size, 7)
    assert.deepEqual(read(cancelRequest(4_711, key)), { kind: 'cancel', processId: 4_711, key })
  }
})

test('the key of a cancel request is kept when its bytes are overwritten', () => {
  const bytes = cancelRequest(1, Buffer.from('abcd'))
  const startup = read(bytes)
  bytes.fill(0)
  assert.equal(startup.kind === 'cancel' && startup.key.toString(), 'abcd')
})

test('a packet whose length has not arrived waits; lengths beyond bounds are problems', () => {
  for (let to = 0; to < 4; to++) assert.equal(startupBytes(sslRequest, 0, to), 0)
  for (const length of [-1, 0, 3, 7, 10_001, 2 ** 31 - 1]) {
    const answer = startupBytes(int32Part(length), 0, 4)
    assert.ok(answer < 0, String(length))
    assert.equal(startupProblem(answer).code, '08P01')
  }
  assert.equal(startupBytes(int32Part(10_000), 0, 4), 10_000)
})

test('an HTTP request and a TLS handshake are not taken for a startup', () => {
  assert.ok(startupBytes(Buffer.from('GET / HTTP/1.1'), 0, 14) < 0)
  assert.ok(isTlsHandshake(0x16))
  assert.ok(!isTlsHandshake(startupMessage(0x30000, {})[0] as number))
})

test('other major versions are refused with what is spoken', () => {
  assert.match(sentence(packet(int32Part(0x20000), '\0')), /^0A000 Protocol 2\.0 is not spoken/)
  assert.match(sentence(packet(int32Part(0x40000), '\0')), /Protocol 4\.0/)
})

test('malformed parameters are protocol violations', () => {
  for (const [text, what] of [
    ['', /end with NUL/],
    ['user\0ann\0', /end with NUL/],
    ['user\0ann', /end with NUL/],
    ['user', /end with NUL/],
    ['\0more', /Bytes follow/],
    [`${'a\0b\0'.repeat(257)}\0`, /at most 256/],
  ] as const)
    assert.match(sentence(packet(version3, text)), what)
})

test('keys of a cancel request that are too short or too long are refused', () => {
  assert.match(sentence(cancelRequest(1, Buffer.alloc(3))), /4 to 256/)
  assert.match(sentence(cancelRequest(1, Buffer.alloc(257))), /4 to 256/)
  assert.match(sentence(packet(int32Part(80_877_102))), /4 to 256/)
  assert.match(sentence(packet(int32Part(80_877_103), 'x')), /8 bytes/)
})
