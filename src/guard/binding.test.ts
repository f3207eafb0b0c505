import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Http1RequestHead } from '../wire/http1/index.ts'
import { clientBinding, tlsLibrary } from './binding.ts'

const chrome = 't13d1516h2_8daaf6152771_02713d6af862'

function client(address: string, agent: string, ja4: string | null): Parameters<typeof clientBinding>[0] {
  const limits = { requestLineBytesMax: 8192, headerBytesMax: 8192, headerCountMax: 32 }
  const head = new Http1RequestHead(limits)
  head.reset(limits)
  const text = `GET / HTTP/1.1\r\nHost: a.test\r\nUser-Agent: ${agent}\r\n\r\n`
  assert.ok(head.parse(text, null) > 0)
  return { address, head, client: { hello: ja4 === null ? null : { ja4, ja3: '' } } }
}

test('a client keeps its binding inside its address block and over a resumed TLS session', () => {
  const first = clientBinding(client('192.0.2.1', 'a', chrome))
  assert.match(first, /^[\w-]{22}$/)
  assert.equal(clientBinding(client('192.0.2.77', 'a', 't13d1517h2_8daaf6152771_eeeeeeeeeeee')), first)
  assert.equal(clientBinding(client('::ffff:192.0.2.1', 'a', chrome)), first)
  const six = clientBinding(client('2001:db8:1:2::1', 'a', chrome))
  assert.equal(clientBinding(client('2001:db8:1:2:ffff::9', 'a', chrome)), six)
  assert.notEqual(clientBinding(client('2001:db8:1:3::1', 'a', chrome)), six)
})

test('another address block, User-Agent or TLS library is another client', () => {
  const first = clientBinding(client('192.0.2.1', 'a', chrome))
  assert.notEqual(clientBinding(client('192.0.3.1', 'a', chrome)), first)
  assert.notEqual(clientBinding(client('192.0.2.1', 'b', chrome)), first)
  assert.notEqual(clientBinding(client('192.0.2.1', 'a', 't13d1516h2_aaaaaaaaaaaa_02713d6af862')), first)
  assert.notEqual(clientBinding(client('192.0.2.1', 'a', null)), first)
})

test('what is kept of JA4 is transport, version and ciphers', () => {
  assert.equal(tlsLibrary(chrome), 't1315_8daaf6152771')
})
