// How the guard is plugged into a real edge: loaded when a snapshot asks for it, swapped by reloads, kept over the deaths of
// workers, absent where nobody wants it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CheckedLimit } from '../../src/file/checked-guard.ts'
import { proxyRoute, startEdge, until } from '../tools/edge-harness.ts'
import { startRawOrigin } from '../tools/raw-origin.ts'
import { RawPeer } from '../tools/raw-peer.ts'
import { ask, policyOf, specOf, startGuardedEdge, trialRoute } from './harness.ts'

const limit = (change: Partial<CheckedLimit> = {}): CheckedLimit => ({
  name: 'two',
  kind: 'rate',
  algorithm: 'fixed',
  amount: 2,
  perMs: 3_600_000,
  burst: 1,
  by: [{ by: 'ip' }],
  missingShare: 0.5,
  adaptiveShare: 1,
  local: true,
  banAfter: 0,
  detectOnly: false,
  ...change,
})

test('a guard comes and goes with reloads; a route without a policy passes; the guard of a worker that died is there again', async t => {
  const origin = await startRawOrigin(t)
  const edge = await startEdge(t, { members: [origin.port], workers: 2 })
  const status = async (path = '/'): Promise<number> => (await ask(edge.port, { path })).status
  assert.equal(await status(), 200)
  assert.equal((await edge.call('guard', { question: { kind: 'status' } })).answer, null, 'nothing is loaded')
  const guarded = (banned: boolean) => ({
    members: [origin.port],
    routes: [
      {
        id: '(guard)',
        match: { path: '/.tenfold/guard/*' },
        action: { kind: 'guard' },
      } as const,
      proxyRoute('/open/*'),
      trialRoute,
    ],
    more: {
      guard: specOf([policyOf('trial')], { ban: banned ? ['127.0.0.0/8'] : [] }) as unknown as Record<
        string,
        unknown
      >,
    },
  })
  await edge.apply(guarded(false))
  assert.deepEqual(
    [await status(), await status('/open/'), await status('/.tenfold/guard/none')],
    [200, 200, 404],
  )
  assert.equal((await ask(edge.port, { path: '/.tenfold/guard/' })).status, 404)
  await edge.apply(guarded(true))
  const late = await RawPeer.connect(edge.port)
  await late.when('its end', () => late.over !== '')
  await edge.killWorker(0)
  await edge.killWorker(1)
  await until('the workers to be back', async () =>
    (await edge.status()).workers.every(worker => worker.state === 'running'),
  )
  const again = await RawPeer.connect(edge.port)
  await again.when('its end', () => again.over !== '')
  assert.equal(again.receivedBytes, 0, 'new workers know the bans')
  await edge.apply({ members: [origin.port], routes: [proxyRoute()] })
  assert.equal(await status(), 200)
})

test('a limit refuses with its words and fields, is explained, and only records where its part detects', async t => {
  const limits = [limit()]
  const spec = specOf([policyOf('trial', { limits }), policyOf('soft', { limits, detectOnly: ['limit'] })])
  const {
    edge,
    ask: asked,
    explained,
    origin,
  } = await startGuardedEdge(t, spec, {
    workers: 2,
    routes: [proxyRoute('/soft/*', { guard: 'soft' }), trialRoute],
  })
  const statuses: number[] = []
  for (let i = 0; i < 4; i++) statuses.push((await asked({ path: '/a' })).status)
  assert.deepEqual(statuses, [200, 200, 429, 429])
  for (let i = 0; i < 4; i++) assert.equal((await asked({ path: '/soft/a' })).status, 200)
  assert.equal(origin.requests.length, 6)
  const refused = await asked({ path: '/a?x=secret' })
  const record = await explained(refused.fields.get('x-request-id') ?? '')
  assert.deepEqual(
    [record.outcome, record.policy, record.path, record.findings[0]?.step],
    ['refused', 'trial', '/a?x', 'limit'],
  )
  await until('both policies to be counted', async () => {
    const text = await edge.metrics()
    return (
      /guard_requests_total\{policy="trial",verdict="refused"\} 3/.test(text) &&
      /guard_requests_total\{policy="soft",verdict="passed"\} 4/.test(text)
    )
  })
})

test('who goes on after refusals is banned for a while, an allowed address never, and an operator ends it', async t => {
  const spec = specOf([policyOf('trial', { limits: [limit({ banAfter: 3 })] })], {
    allow: ['198.51.100.0/24'],
  })
  const { ask: asked, question } = await startGuardedEdge(t, spec, { trustedProxies: ['127.0.0.0/8'] })
  const status = async (client: string): Promise<number> => (await asked({ client })).status
  await until('the ban', async () => (await status('192.0.2.7')) === 403)
  assert.equal(await status('192.0.2.8'), 200, 'nobody else is')
  for (let i = 0; i < 10; i++) assert.notEqual(await status('198.51.100.7'), 403)
  const { bans } = await question<{ bans: { last: { key: string; by: string }[] } }>({ kind: 'status' })
  assert.deepEqual(
    bans.last.map(({ key }) => key),
    ['192.0.2.7'],
  )
  assert.deepEqual(await question({ kind: 'unban', what: '192.0.2.0/24' }), { ended: ['192.0.2.7'] })
  assert.equal(await status('192.0.2.7'), 429, 'its limit still counts')
})
