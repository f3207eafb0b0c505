import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createAuthority } from '../../test/tools/certificates.ts'
import { Failure } from '../kit/failure.ts'
import { seededRandom } from '../kit/random.ts'
import { Acme } from './acme.ts'
import { type AcmeOrder, newKey, orderCertificate, retryAfterMsOf } from './acme-order.ts'
import { openAcmeStore } from './acme-store.ts'

/** An authority of which only the beginning is there: directory, nonces, and what a test says to a new account. */
async function authority(
  t: TestContext,
  newAccount: (response: ServerResponse) => void,
): Promise<Pick<AcmeOrder, 'directory' | 'ca'> & { readonly asked: string[] }> {
  const signer = await createAuthority()
  const asked: string[] = []
  const server = createServer(await signer.sign({ hosts: ['ip:127.0.0.1'] }), (request, response) => {
    asked.push(`${request.method} ${request.url}`)
    response.setHeader('replay-nonce', `nonce-${asked.length}`)
    if (request.url === '/account') return newAccount(response)
    const paths = { newNonce: '/nonce', newAccount: '/account', newOrder: '/order' }
    const entries = Object.entries(paths).map(([name, path]) => [name, `${base()}${path}`])
    response.end(request.url === '/dir' ? JSON.stringify(Object.fromEntries(entries)) : '')
  })
  const base = (): string => `https://127.0.0.1:${(server.address() as { port: number }).port}`
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { directory: `${base()}/dir`, ca: signer.ca, asked }
}

function problem(response: ServerResponse, status: number, type: string, headers = {}): void {
  response.writeHead(status, { 'content-type': 'application/problem+json', ...headers })
  response.end(JSON.stringify({ type: `urn:ietf:params:acme:error:${type}`, detail: 'as it likes' }))
}

const orderAt = (where: Pick<AcmeOrder, 'directory' | 'ca'>): AcmeOrder => ({
  ...where,
  host: 'shop.example',
  email: null,
  account: { key: newKey(), url: null },
  keepAccount: () => {},
  answer: async () => {},
  forget: async () => {},
})

test('an authority that wants to be left alone is asked once, and its time is told', async t => {
  const where = await authority(t, response =>
    problem(response, 429, 'rateLimited', { 'retry-after': '7200' }),
  )
  const failure = await orderCertificate(orderAt(where)).catch((cause: unknown) => cause)
  assert.ok(failure instanceof Failure)
  assert.equal(failure.code, 'SYSTEM_ACME_LIMITED')
  assert.equal(failure.details.retryAfterMs, 7_200_000)
  assert.deepEqual(where.asked, ['GET /dir', 'HEAD /nonce', 'POST /account'])
})

test('a person cannot hurry an authority that asked to wait', async t => {
  const where = await authority(t, response =>
    problem(response, 429, 'rateLimited', { 'retry-after': '7200' }),
  )
  const folder = mkdtempSync(join(tmpdir(), 'tf-acme-'))
  const acme = new Acme({
    folder,
    random: seededRandom(1),
    nowMs: () => Date.now(),
    order: order => orderCertificate({ ...order, ca: where.ca }),
    answer: async () => {},
    installed: async () => {},
    tell: () => {},
  })
  t.after(() => {
    acme.close()
    rmSync(folder, { recursive: true })
  })
  acme.follow({ directory: where.directory, hosts: ['shop.example'] })
  acme.begin()
  await assert.rejects(acme.renew(null), { code: 'SYSTEM_ACME_LIMITED' })
  const asked = where.asked.length
  assert.throws(() => acme.renew('shop.example'), {
    code: 'SYSTEM_ACME_LIMITED',
    message: /asked for no further request for shop\.example before 20/,
  })
  assert.equal(where.asked.length, asked)
  assert.ok(Date.parse(acme.view[0]?.nextTryAt ?? '') >= Date.now() + 7_100_000)
})

test('what an authority says is told; what breaks it is told apart', async t => {
  const refusing = await authority(t, response => problem(response, 403, 'unauthorized'))
  await assert.rejects(orderCertificate(orderAt(refusing)), {
    code: 'SYSTEM_ACME_REFUSED',
    message: /^127\.0\.0\.1:\d+ refuses: as it likes - unauthorized\.$/,
  })
  const broken = await authority(t, response => response.writeHead(503).end('<html>'))
  await assert.rejects(orderCertificate(orderAt(broken)), {
    code: 'SYSTEM_ACME_UNREACHABLE',
    message: /out of order: status 503/,
  })
  const cutting = await authority(t, response => response.destroy())
  await assert.rejects(orderCertificate(orderAt(cutting)), { code: 'SYSTEM_ACME_UNREACHABLE' })
  const huge = await authority(t, response => response.end('x'.repeat(2 << 20)))
  await assert.rejects(orderCertificate(orderAt(huge)), { message: /more than 1048576 bytes/ })
  await assert.rejects(orderCertificate({ ...orderAt(refusing), ca: null }), {
    message: /UNABLE_TO_VERIFY_LEAF_SIGNATURE/,
  })
})

test('Retry-After is seconds or a date', () => {
  const nowMs = Date.parse('2026-01-01T00:00:00Z')
  assert.equal(retryAfterMsOf('120', nowMs), 120_000)
  assert.equal(retryAfterMsOf('Thu, 01 Jan 2026 01:00:00 GMT', nowMs), 3_600_000)
  assert.equal(retryAfterMsOf('Wed, 31 Dec 2025 01:00:00 GMT', nowMs), 0)
  for (const text of ['', 'soon', '-5', '99999999999']) assert.equal(retryAfterMsOf(text, nowMs), 0, text)
})

test('a try that never comes to an end is made at once one time, then ever later', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'tf-acme-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const nowMs = 1_700_000_000_000
  const directory = 'https://authority.example/dir'
  const lives: number[] = []
  for (let life = 0; life < 3; life++) {
    // A supervisor that dies while the order is under way: nothing ever comes of it.
    const begun = Promise.withResolvers<void>()
    const acme = new Acme({
      folder,
      random: seededRandom(1),
      nowMs: () => nowMs,
      order: () => {
        begun.resolve()
        return new Promise(() => {})
      },
      answer: async () => {},
      installed: async () => {},
      tell: () => {},
    })
    acme.follow({ directory, hosts: ['shop.example'] })
    const dueAt = openAcmeStore(folder, directory).troubleOf('shop.example')?.nextTryAtMs ?? 0
    lives.push(Math.max(0, dueAt - nowMs))
    acme.begin()
    if (dueAt <= nowMs) await begun.promise
    acme.close()
  }
  assert.deepEqual(lives, [0, 0, 300_000])
})
