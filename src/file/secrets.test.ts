import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type CheckedSystem,
  type CommandService,
  checkSystem,
  redactEnvValue,
  redactSystem,
  resolveEnvironment,
  secret,
  secretNames,
} from './index.ts'

function system(env: object): CheckedSystem {
  const result = checkSystem({ name: 'shop', services: { web: { command: 'x', env } } })
  assert.ok(result.ok)
  return result.system
}

test('a secret stays a reference in the checked system, also as JSON', () => {
  const text = JSON.stringify(system({ KEY: secret('API_KEY') }))
  assert.match(text, /"KEY":\{"secret":"API_KEY"\}/)
})

test('secrets are put in by name, and missing ones are listed', () => {
  const one = system({ A: 'plain', B: secret('X'), C: secret('Y'), D: secret('X') })
  assert.deepEqual(secretNames(one), ['X', 'Y'])
  const resolved = resolveEnvironment(one.services.web as CommandService, { X: '1' })
  assert.deepEqual(resolved, { env: { A: 'plain', B: '1', D: '1' }, missing: ['Y'] })
})

test('what may be shown of an environment hides passwords and telling names', () => {
  const cases: readonly (readonly [string, Parameters<typeof redactEnvValue>[1], string])[] = [
    ['NODE_ENV', 'production', 'production'],
    ['DB_PASSWORD', 'hunter2', '***'],
    ['STRIPE_API_KEY', 'sk_1', '***'],
    ['SESSION_TOKEN', 't', '***'],
    ['DATABASE_URL', 'postgres://app:hunter2@db:5432/shop', 'postgres://app:***@db:5432/shop'],
    ['DATABASE_URL', 'postgres://app:a@b:c@db/shop', 'postgres://app:***@db/shop'],
    ['URLS', 'redis://:p1@a redis://:p2@b', 'redis://:***@a redis://:***@b'],
    ['K', secret('STRIPE'), 'secret(STRIPE)'],
  ]
  for (const [name, value, shown] of cases) assert.equal(redactEnvValue(name, value), shown)
})

test('a redacted system shows no value that redaction hides, and keeps the rest', () => {
  const redacted = redactSystem(system({ TOKEN: 'hunter2', MODE: 'fast', KEY: secret('KEY') }))
  assert.doesNotMatch(JSON.stringify(redacted), /hunter2/)
  assert.deepEqual((redacted.services.web as CommandService).env, {
    TOKEN: '***',
    MODE: 'fast',
    KEY: 'secret(KEY)',
  })
})

test('URLs of servers elsewhere are secrets, too: by name in the list, without password in what is shown', () => {
  const result = checkSystem({
    name: 'shop',
    services: { web: { command: 'x', env: { A: secret('DB_A') } } },
    databases: { main: { servers: [secret('DB_A'), secret('DB_B'), 'postgres://a:hunter2@127.0.0.1'] } },
  })
  assert.ok(result.ok)
  assert.deepEqual(secretNames(result.system), ['DB_A', 'DB_B'])
  const shown = JSON.stringify(redactSystem(result.system).databases)
  assert.doesNotMatch(shown, /hunter2/)
  assert.match(shown, /postgres:\/\/a:\*\*\*@127\.0\.0\.1/)
})
