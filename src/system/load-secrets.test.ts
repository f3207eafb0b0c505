import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { type CheckedSystem, checkSystem, fileFailures, secret } from '../file/index.ts'
import { Failure } from '../kit/failure.ts'
import { loadSecretValues, parseSecrets, resolveSecrets } from './load-secrets.ts'

const folder = mkdtempSync(join(tmpdir(), 'tenfold-secrets-'))
after(() => rmSync(folder, { recursive: true, force: true }))

function failure(attempt: () => unknown): Failure {
  try {
    attempt()
  } catch (error) {
    if (error instanceof Failure) return error
    throw error
  }
  throw new Error('did not fail')
}

function system(): CheckedSystem {
  const env = { MODE: 'fast', KEY: secret('API_KEY'), OTHER: secret('OTHER') }
  const result = checkSystem({ name: 'shop', services: { web: { command: 'x', env } } })
  assert.ok(result.ok)
  return result.system
}

test('secrets come from secrets.env, and the environment wins', () => {
  const file = join(folder, 'secrets.env')
  assert.deepEqual(loadSecretValues(folder, { API_KEY: 'outer' }), { API_KEY: 'outer' })
  writeFileSync(file, "# keys\n\nAPI_KEY=inner\nexport OTHER = 'two words'\nEMPTY=\n", { mode: 0o600 })
  assert.deepEqual(loadSecretValues(folder, { API_KEY: 'outer', UNSET: undefined }), {
    API_KEY: 'outer',
    OTHER: 'two words',
    EMPTY: '',
  })
  assert.deepEqual(resolveSecrets(system(), loadSecretValues(folder, {})), {
    web: { MODE: 'fast', KEY: 'inner', OTHER: 'two words' },
  })
  chmodSync(file, 0o640)
  const exposed = failure(() => loadSecretValues(folder, {}))
  assert.equal(exposed.kind, fileFailures.secretsExposed)
  assert.match(exposed.message, /mode 0640.*chmod 600/)
})

test('all missing secrets are named at once, with who needs them', () => {
  const missing = failure(() => resolveSecrets(system(), {}))
  assert.equal(missing.kind, fileFailures.secretMissing)
  assert.match(
    missing.message,
    /API_KEY \(for services\.web\.env\.KEY\), OTHER \(for services\.web\.env\.OTHER\)/,
  )
})

test('a line that is not NAME=value is told by its number and never shown', () => {
  const malformed = failure(() => parseSecrets('A=1\nhunter2\n', 'secrets.env'))
  assert.equal(malformed.kind, fileFailures.secretsMalformed)
  assert.match(malformed.message, /secrets\.env:2 /)
  assert.doesNotMatch(malformed.message, /hunter2/)
})
