import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkSystem } from '../file/index.ts'
import type { ProcessSpec } from '../fleet/index.ts'
import { compileFleet } from './compile-fleet.ts'

function specOf(edge: object): ProcessSpec {
  const checked = checkSystem({ name: 'shop', edge, services: { web: { command: 'x', env: { A: '1' } } } })
  assert.ok(checked.ok, JSON.stringify(checked))
  const [spec] = compileFleet(checked.system, {
    baseDirectory: '/shop',
    environments: { web: { A: '1' } },
    identitySecret: 'c2VjcmV0',
  })
  return spec as ProcessSpec
}

test('instances learn the key of client identities only where the edge asks for client certificates', () => {
  const without = specOf({})
  assert.deepEqual(without.env, { A: '1' })
  const asking = specOf({ listen: { https: 443 }, tls: { clientCertificates: { caFile: 'ca.pem' } } })
  assert.deepEqual(asking.env, { A: '1', TENFOLD_IDENTITY_SECRET: 'c2VjcmV0' })
  assert.notEqual(asking.version, without.version, 'instances that do not know it are replaced')
})
