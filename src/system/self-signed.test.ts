import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import tls from 'node:tls'
import { readCertificate } from '../io/tls-certificate.ts'
import { localNames, selfSigned } from './self-signed.ts'

const dayMs = 86_400_000

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tf-self-signed-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

test('a client that trusts it connects to localhost and to the loopback addresses', async t => {
  const { file, made } = await selfSigned(folderOf(t), Date.now())
  assert.equal(made, true)
  assert.equal(statSync(file).mode & 0o777, 0o600)
  const pem = readFileSync(file, 'utf8')
  const server = tls.createServer({ key: pem, cert: pem }, socket => socket.end('hello'))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const { port } = server.address() as { port: number }
  for (const servername of ['localhost', '127.0.0.1', '::1']) {
    const names = servername === 'localhost' ? { servername } : {}
    const socket = tls.connect({
      port,
      host: '127.0.0.1',
      ca: pem,
      ...names,
      checkServerIdentity: (_, certificate) => tls.checkServerIdentity(servername, certificate),
    })
    const authorized = await new Promise<boolean>((resolve, reject) => {
      socket.once('secureConnect', () => resolve(socket.authorized))
      socket.once('error', reject)
    })
    socket.destroy()
    assert.equal(authorized, true, servername)
  }
})

test('it is kept while it is good, and made anew a week before its end, when damaged, or cut short', async t => {
  const folder = folderOf(t)
  const nowMs = Date.now()
  const first = await selfSigned(folder, nowMs)
  const text = readFileSync(first.file, 'utf8')
  const { notAfter, names } = readCertificate(text, first.file)
  assert.ok(Math.abs(notAfter - (nowMs + 90 * dayMs)) < 2_000)
  assert.deepEqual(new Set(names.map(name => name.replace('0:0:0:0:0:0:0:1', '::1'))), new Set(localNames()))
  assert.equal((await selfSigned(folder, nowMs)).made, false)
  assert.equal((await selfSigned(folder, nowMs + 82 * dayMs)).made, false)
  assert.equal((await selfSigned(folder, nowMs + 84 * dayMs)).made, true)
  assert.notEqual(readFileSync(first.file, 'utf8'), text)
  for (const broken of ['', text.slice(0, 300), text.replace(/BEGIN PRIVATE/, 'BEGIN SOME')]) {
    writeFileSync(first.file, broken)
    assert.equal((await selfSigned(folder, nowMs)).made, true)
  }
})
