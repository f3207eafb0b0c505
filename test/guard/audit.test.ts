// Row 26 of the guard's checklist on a real edge: nobody writes lines of their own into the audit log, and no secret of a
// request gets into it.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { verifyLog } from '../../src/guard/audit/read.ts'
import { until } from '../tools/edge-harness.ts'
import { policyOf, specOf, startGuardedEdge } from './harness.ts'

test('log injection, secrets and card data: what strangers send is one line of JSON without values, cookies, credentials or bodies', async t => {
  const guard = specOf([policyOf('trial')], { ban: ['127.0.0.0/8', '198.51.100.7'] })
  const { edge, ask } = await startGuardedEdge(t, guard, { trustedProxies: ['127.0.0.1/32'] })
  const refused = await ask({
    client: '198.51.100.7',
    method: 'POST',
    path: '/a%0d%0a{"event":"forged"}%E2%80%A8/token=s3cret-in-path?password=s3cret-in-query&card=4111111111111111&%0d%0aforged=1',
    fields:
      'Cookie: sid=s3cret-cookie\r\nAuthorization: Bearer s3cret-bearer\r\nX-Api-Key: s3cret-key\r\nX-Request-Id: forged-0123456789\r\n',
    body: '{"password":"s3cret-body","card":"4111 1111 1111 1111"}',
  })
  assert.equal(refused.status, 403)
  const file = join(edge.stateDirectory, 'logs', 'guard.log')
  await until('the line', () => readFileSync(file, 'utf8').includes('"event":"refused"'))
  const text = readFileSync(file, 'utf8')
  assert.doesNotMatch(text, /s3cret|4111/)
  const lines = text.split('\n').slice(0, -1)
  const events = lines.map(line => (JSON.parse(line) as { event: string }).event)
  assert.deepEqual(events, ['chain-begins', 'refused'])
  assert.deepEqual((await verifyLog(file, 8)).troubles, [])
  for (const line of lines) assert.match(line, /^[\x20-\x7e]*$/, 'printable ASCII alone')
})

test('a flood of refusals never makes the edge wait, and what was not written is counted', async t => {
  const guard = specOf([policyOf('trial')], {
    ban: ['198.51.100.0/24'],
    audit: { file: null, bytesMax: 100_000, sample: 1 },
  })
  const { edge, ask } = await startGuardedEdge(t, guard, { workers: 2, trustedProxies: ['127.0.0.1/32'] })
  const asked = 400
  for (let at = 0; at < asked; at += 20)
    await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        assert.equal((await ask({ client: `198.51.100.${(at + i) % 256}` })).status, 403)
      }),
    )
  const counted = (text: string): number =>
    ['written', 'sampled-out', 'dropped'].reduce((sum, outcome) => {
      const found = new RegExp(`^guard_audit_lines_total\\{outcome="${outcome}"\\} (\\d+)$`, 'm').exec(text)
      return sum + Number(found?.[1] ?? 0)
    }, 0)
  await until('each to be accounted for', async () => counted(await edge.metrics()) >= asked)
  await until('the findings to be counted', async () =>
    /guard_findings_total\{step="ban",rule="file",outcome="refused"\} 400/.test(await edge.metrics()),
  )
  assert.deepEqual((await verifyLog(join(edge.stateDirectory, 'logs', 'guard.log'), 8)).troubles, [])
})
