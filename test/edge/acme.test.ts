// Automatic certificates from a real authority (pebble), its questions answered by a real edge. The supervisor's part is
// driven here without one; whole systems are in test/system/certificates.test.ts.

import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { seededRandom } from '../../src/kit/random.ts'
import { Acme } from '../../src/system/acme.ts'
import type { AcmeHostView } from '../../src/system/control/views.ts'
import { selfSigned } from '../../src/system/self-signed.ts'
import { type EdgeUnderTest, startEdge, until } from '../tools/edge-harness.ts'
import { type Pebble, startPebble } from '../tools/pebble.ts'

interface Trial {
  readonly edge: EdgeUnderTest
  readonly pebble: Pebble
  readonly folder: string
  readonly installed: string[]
  readonly told: string[]
  begin(hosts: readonly string[], nowMs?: () => number): Acme
}

async function trial(t: TestContext): Promise<Trial> {
  const folder = mkdtempSync(join(tmpdir(), 'tf-acme-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const edge = await startEdge(t, { workers: 2 })
  const { file } = await selfSigned(folder, Date.now())
  const [http] = edge.snapshot.listeners
  assert.ok(http?.kind === 'http')
  await edge.applySnapshot({
    ...edge.snapshot,
    version: edge.snapshot.version + 1,
    listeners: [http, { ...http, id: 'https', tls: true }],
    tls: {
      certificates: [{ hosts: [], certFile: file, keyFile: file, source: 'self-signed' }],
      minVersion: '1.2',
    },
  })
  const pebble = await startPebble(t, edge.port)
  const installed: string[] = []
  const told: string[] = []
  return {
    edge,
    pebble,
    folder,
    installed,
    told,
    begin: (hosts, nowMs = Date.now) => {
      const acme = new Acme({
        folder,
        random: seededRandom(1),
        nowMs,
        answer: async tokens => void (await edge.call('challenges', { tokens })),
        installed: async (host, first) => void installed.push(`${host} ${first}`),
        tell: (level, host, sentence) => told.push(`${level} ${host} ${sentence}`),
      })
      t.after(() => acme.close())
      acme.follow({
        directory: pebble.directory,
        hosts,
        caFile: pebble.caFile,
        email: 'who@shop.example',
      })
      acme.begin()
      return acme
    },
  }
}

const stateOf = (acme: Acme, host: string): AcmeHostView['state'] | undefined =>
  acme.view.find(one => one.host === host)?.state

function serialOf(acme: Acme, host: string): string {
  const file = acme.files.issued.find(one => one.host === host)?.file
  return file === undefined ? '' : new X509Certificate(readFileSync(file)).serialNumber
}

test('each host gets a certificate of its own from an authority that asks the edge for it', async t => {
  const { pebble, edge, folder, installed, begin } = await trial(t)
  const acme = begin(['shop.example', 'www.shop.example'])
  await until(
    'both certificates',
    () => stateOf(acme, 'shop.example') === 'valid' && stateOf(acme, 'www.shop.example') === 'valid',
  )
  assert.deepEqual(installed, ['shop.example true', 'www.shop.example true'])
  for (const { host, file } of acme.files.issued) {
    const text = readFileSync(file, 'utf8')
    const leaf = new X509Certificate(text)
    assert.equal(leaf.checkHost(host), host)
    assert.match(text, /^-----BEGIN PRIVATE KEY-----/)
    assert.equal(text.match(/BEGIN CERTIFICATE/g)?.length, 2, 'the chain comes with it')
    assert.equal(statSync(file).mode & 0o777, 0o600)
  }
  assert.match(await pebble.root(), /BEGIN CERTIFICATE/)
  // No answer is left for others to find.
  const left = await fetch(`${edge.url}/.well-known/acme-challenge/token`)
  assert.equal(left.status, 503, 'what is no challenge goes to the routes')

  // The next supervisor finds account and certificates, and asks for nothing.
  acme.close()
  const place = readdirSync(folder).find(name => name.startsWith('127.0.0.1-')) as string
  const before = readFileSync(join(folder, place, 'account.json'), 'utf8')
  assert.match(before, /"url":"https:/)
  const next = begin(['shop.example', 'www.shop.example'])
  assert.deepEqual(
    next.view.map(one => one.state),
    ['valid', 'valid'],
  )
  assert.equal(readFileSync(join(folder, place, 'account.json'), 'utf8'), before)

  // A renewal that somebody asks for, and one at an authority that has forgotten everything.
  const first = serialOf(next, 'shop.example')
  assert.deepEqual(await next.renew('shop.example'), ['shop.example'])
  const second = serialOf(next, 'shop.example')
  assert.notEqual(second, first)
  assert.equal(installed.at(-1), 'shop.example false')
  await pebble.stop()
  await pebble.start()
  await next.renew('shop.example')
  assert.notEqual(serialOf(next, 'shop.example'), second)
  assert.throws(() => next.renew('other.example'), { code: 'SYSTEM_CERTIFICATE_UNKNOWN' })
})

test('a certificate is renewed by itself when a third of its life is left', async t => {
  const { begin, installed } = await trial(t)
  let aheadMs = 0
  const acme = begin(['shop.example'], () => Date.now() + aheadMs)
  await until('the certificate', () => stateOf(acme, 'shop.example') === 'valid')
  const { validUntil, nextTryAt } = acme.view[0] as AcmeHostView
  const lifeMs = Date.parse(validUntil as string) - Date.now()
  const leftMs = Date.parse(validUntil as string) - Date.parse(nextTryAt)
  assert.ok(leftMs >= 0.3 * lifeMs && leftMs <= 0.4 * lifeMs, `${leftMs / lifeMs} of the life is left`)
  const before = serialOf(acme, 'shop.example')
  acme.close()
  aheadMs = lifeMs - leftMs + 60_000
  const later = begin(['shop.example'], () => Date.now() + aheadMs)
  await until('the renewal', () => serialOf(later, 'shop.example') !== before)
  await until('it to be told', () => installed.at(-1) === 'shop.example false')
})

test('a refused name is told why, holds up no other, and is tried again ever later', async t => {
  const { begin, told, pebble } = await trial(t)
  let aheadMs = 0
  const acme = begin(['bad.example', 'shop.example'], () => Date.now() + aheadMs)
  await until('the other certificate', () => stateOf(acme, 'shop.example') === 'valid')
  await until('the refusal', () => stateOf(acme, 'bad.example') === 'failed')
  const view = acme.view[0] as AcmeHostView
  assert.match(view.text, /refuses: .*rejectedIdentifier.*\(1 try\)$/i)
  const waitMs = Date.parse(view.nextTryAt) - Date.now()
  assert.ok(waitMs > 3 * 60_000 && waitMs < 7 * 60_000, `${waitMs} ms`)
  assert.ok(told.some(line => line.startsWith('warn bad.example no certificate:')))
  await assert.rejects(acme.renew('bad.example'), { code: 'SYSTEM_ACME_REFUSED' })
  assert.match((acme.view[0] as AcmeHostView).text, /\(2 tries in a row\)$/)

  // The failures outlive the supervisor: it does not begin anew with an eager try.
  acme.close()
  const next = begin(['bad.example'])
  assert.equal(stateOf(next, 'bad.example'), 'failed')
  assert.ok(Date.parse((next.view[0] as AcmeHostView).nextTryAt) > Date.now() + 8 * 60_000)
  next.close()

  // An authority that is not there.
  await pebble.stop()
  aheadMs = 3_600_000 * 24 * 80
  const last = begin(['shop.example', 'new.example'], () => Date.now() + aheadMs)
  await until('the failure', () => stateOf(last, 'new.example') === 'failed')
  assert.match(last.view[1]?.text ?? '', /does not answer \(ECONNREFUSED\)/)
  await assert.rejects(last.renew('new.example'), { code: 'SYSTEM_ACME_UNREACHABLE' })
})

test('a name that does not lead to this edge fails with what the authority found', async t => {
  const { edge, pebble, begin } = await trial(t)
  // Nobody answers on the port where it looks.
  const elsewhere = await startPebble(t, 1)
  const acme = begin(['shop.example'])
  acme.follow({ directory: elsewhere.directory, hosts: ['shop.example'], caFile: elsewhere.caFile })
  await until('the failure', () => stateOf(acme, 'shop.example') === 'failed')
  assert.match(acme.view[0]?.text ?? '', /refuses: .*connection refused/i)
  assert.ok(edge.port > 0 && pebble.output() !== '')
})
