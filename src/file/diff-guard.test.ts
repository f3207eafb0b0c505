import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type Change,
  type CheckedSystem,
  checkSystem,
  diffSystems,
  redactSystem,
  renderProblems,
  secretNames,
} from './index.ts'

function guarded(guard: object | undefined): CheckedSystem {
  const result = checkSystem({
    name: 'shop',
    edge: { listen: { http: 8080 }, routes: [{ path: '/*', to: 'api', ...(guard ? { guard: 'a' } : {}) }] },
    services: { api: { command: 'node api.mjs' }, far: { addresses: ['10.0.0.1:80'] } },
    ...(guard ? { guard } : {}),
  })
  assert.ok(result.ok, result.ok ? '' : renderProblems('test', result.problems))
  return result.system
}

const told = (changes: readonly Change[]): string[] =>
  changes.map(
    ({ path, from = '-', to = '-', effect }) =>
      `${path}: ${from} -> ${to}: ${'service' in effect ? `${effect.kind} ${effect.service}` : effect.kind}`,
  )

const noteOf = (changes: readonly Change[], path: string): string | undefined => {
  const effect = changes.find(change => change.path === path)?.effect
  return effect?.kind === 'live' ? effect.note : undefined
}

const policies = { a: {} }

test('a guard that comes or goes is live for requests; services get its variables by starting anew', () => {
  assert.deepEqual(told(diffSystems(guarded(undefined), guarded({ policies }))), [
    'edge.routes[/*].guard: - -> "a": live',
    'services.api.env.TENFOLD_GUARD_KEY: - -> ***: rolls api',
    'services.api.env.TENFOLD_GUARD_URL: - -> ***: rolls api',
    'guard: - -> "1 policy: a": live',
  ])
  assert.deepEqual(
    told(diffSystems(guarded({ policies }), guarded(undefined))).at(-1),
    'guard: "1 policy: a" -> -: live',
  )
})

test('policies, rooms and lists change live, key by key', () => {
  const changes = diffSystems(
    guarded({ policies: { a: { limit: '5/min' } }, rooms: { r: { admit: '1/s' } } }),
    guarded({
      policies: { a: { limit: '5/min', waf: 'block' } },
      rooms: { r: { admit: '2/s' } },
      ban: ['192.0.2.1'],
    }),
  )
  assert.deepEqual(told(changes), [
    'guard.ban: [] -> ["192.0.2.1/32"]: live',
    'guard.rooms.r.perMinute: 60 -> 120: live',
    'guard.policies.a.waf.mode: "detect" -> "block": live',
  ])
})

test('what another shared store or another secret leaves behind is said; another secret is news for services', () => {
  const secret = { secret: 'GUARD_SECRET' }
  const changes = diffSystems(
    guarded({ policies }),
    guarded({ policies, shared: 'redis://10.0.0.1', secret }),
  )
  assert.match(noteOf(changes, 'guard.shared') ?? '', /counted there from now on/)
  assert.match(noteOf(changes, 'guard.secret.secret') ?? noteOf(changes, 'guard.secret') ?? '', /void/)
  assert.ok(told(changes).includes('services.api.env.TENFOLD_GUARD_KEY: *** -> ***: rolls api'))
})

test('passwords of the shared store are never shown, and their change is a change', () => {
  const [one, other] = ['hush-1', 'hush-2'].map(password =>
    guarded({ policies, secret: { secret: 'S' }, shared: `redis://edge:${password}@10.0.0.1` }),
  ) as [CheckedSystem, CheckedSystem]
  assert.deepEqual(told(diffSystems(one, other)), ['guard.shared: *** -> *** (another value): live'])
  assert.doesNotMatch(JSON.stringify(redactSystem(one)), /hush/)
})

test('the secrets that a guard refers to are known, so that loading asks for them and instances do not inherit them', () => {
  const system = guarded({
    policies: { a: { challenge: 'always' } },
    secret: { secret: 'GUARD_SECRET' },
    shared: { redis: { secret: 'GUARD_REDIS' } },
    challenge: { turnstile: { siteKey: 's', secret: { secret: 'TURNSTILE' }, hostnames: ['shop.example'] } },
  })
  assert.deepEqual(secretNames(system).sort(), ['GUARD_REDIS', 'GUARD_SECRET', 'TURNSTILE'])
})
