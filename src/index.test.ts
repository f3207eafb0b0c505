// The types that a system file is written against: what compiles, and what must not.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkSystem } from './file/index.ts'
import { defineSystem, type SystemInput, secret } from './index.ts'

const whole = {
  name: 'boxoffice',
  control: { listen: 9900 },
  edge: {
    listen: { http: [8080, '127.0.0.1:8081'] },
    workers: 'cores',
    trustedProxies: ['10.0.0.0/8'],
    limits: { body: '1MB', headTimeout: '10s' },
    routes: [
      { path: '/rooms/:id/*', to: 'live', sticky: { by: 'path:id' }, upgrade: true },
      { path: '/old', redirect: { to: '/', status: 301 } },
      { path: '/*', to: 'web' },
    ],
  },
  services: {
    web: {
      command: 'node web.mjs',
      instances: { min: 2, max: 4 },
      health: { path: '/healthz' },
      env: { KEY: secret('KEY') },
    },
    live: { addresses: ['10.0.0.5:3000', { address: '10.0.0.6:3000', tier: 1 }], balance: 'maglev-hash' },
  },
  workload: {
    dailyUsers: 100e6,
    reads: { perUser: 1000, response: '20KB', media: { share: '10%', bytes: '2MB' } },
    actions: { search: { rate: '50/s', path: '/search' } },
    retention: '5y',
    services: { web: { time: { mean: '10ms', p99: '60ms' }, calls: [{ service: 'live', times: 0.3 }] } },
    network: { inside: '250us' },
    machine: { network: '10Gbit/s', disk: '2TB' },
  },
  rehearsals: {
    blackFriday: {
      arrivals: { level: 'peak', times: 4, shape: { flash: { at: '2m', times: 10 } } },
      faults: [{ at: '1m', kill: 'web-1' }],
      expect: { p99: '<200ms', 'web.utilisation': ['>10%', '<80%'] },
    },
  },
  environments: {
    production: { edge: { listen: { http: 80 } }, services: { web: { instances: 8, env: null } } },
  },
} as const satisfies SystemInput

test('defineSystem gives back what it is given, and it checks', () => {
  assert.equal(defineSystem(whole), whole)
  const result = checkSystem(defineSystem(whole), { environment: 'production' })
  assert.ok(result.ok)
  assert.deepEqual(result.warnings, [])
})

test('an editor is told of unknown keys, wrong units and wrong words', () => {
  const wrong = [
    // @ts-expect-error unknown key
    defineSystem({ name: 'x', servces: {} }),
    // @ts-expect-error a duration without unit
    defineSystem({ name: 'x', edge: { drainTimeout: '30' } }),
    // @ts-expect-error an unknown algorithm
    defineSystem({ name: 'x', services: { web: { command: 'x', balance: 'roundrobin' } } }),
    // @ts-expect-error a time without unit
    defineSystem({ name: 'x', workload: { services: { web: { time: '5' } } } }),
    // @ts-expect-error a measured law without its longest
    defineSystem({ name: 'x', workload: { services: { web: { time: { quantiles: { p50: '1ms' } } } } } }),
    // @ts-expect-error an unknown rhythm
    defineSystem({ name: 'x', rehearsals: { a: { arrivals: { shape: 'wild' } } } }),
    // @ts-expect-error no name
    defineSystem({ services: { web: { command: 'x' } } }),
  ]
  for (const system of wrong) assert.ok(!checkSystem(system).ok)
})

test('a function that gives a system is taken as it is', async () => {
  const later = defineSystem(async () => ({ name: 'x', services: { web: { command: 'x' } } }))
  assert.ok(typeof later === 'function')
  assert.ok(checkSystem(await later()).ok)
})
