import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Change, type CheckedSystem, checkSystem, diffSystems, renderProblems } from './index.ts'

function planned(more: object): CheckedSystem {
  const result = checkSystem({
    name: 'shop',
    edge: { listen: { http: 8080 }, routes: [{ path: '/*', to: 'api' }] },
    services: { api: { command: 'node api.mjs' } },
    ...more,
  })
  assert.ok(result.ok, result.ok ? '' : renderProblems('test', result.problems))
  return result.system
}

const told = (changes: readonly Change[]): string[] =>
  changes.map(
    ({ path, from = '-', to = '-', effect }) =>
      `${path}: ${from} -> ${to}: ${effect.kind}${effect.kind === 'live' && effect.note ? `, ${effect.note}` : ''}`,
  )

const calm = ': live, nothing that runs reads it'
const home = { home: { rate: '50/s' } }

test('a workload that comes, goes or changes restarts nothing, and is told by the keys of the file', () => {
  const [none, some] = [planned({}), planned({ workload: { actions: home } })]
  assert.deepEqual(told(diffSystems(none, some)), [`workload: - -> "requests: home"${calm}`])
  assert.deepEqual(told(diffSystems(some, none)), [`workload: "requests: home" -> -${calm}`])
  const more = planned({ workload: { actions: home, peak: 5, services: { api: { time: '2ms' } } } })
  assert.deepEqual(told(diffSystems(some, more)), [
    `workload.peak: - -> 5${calm}`,
    `workload.services: - -> {"api":{"time":{"mean":"2ms"}}}${calm}`,
  ])
  assert.deepEqual(diffSystems(more, more), [])
})

test('what is assumed for a new service is no change of the workload', () => {
  const services = { api: { command: 'node api.mjs' }, web: { command: 'node web.mjs' } }
  const changes = diffSystems(
    planned({ workload: { actions: home } }),
    planned({ services, workload: { actions: home } }),
  )
  assert.deepEqual(
    changes.map(one => one.path),
    ['services.web'],
  )
})

test('a rehearsal that comes or goes is told in short, one that changes by its keys', () => {
  const workload = { actions: home }
  const [none, some, other] = [{}, { night: {} }, { night: { seed: 2, expect: { p99: '<1s' } } }].map(
    rehearsals => planned({ workload, rehearsals }),
  ) as [CheckedSystem, CheckedSystem, CheckedSystem]
  assert.deepEqual(told(diffSystems(none, some)), [
    `rehearsals.night: - -> "10m, 0 faults, 0 expectations"${calm}`,
  ])
  assert.deepEqual(told(diffSystems(some, none)), [
    `rehearsals.night: "10m, 0 faults, 0 expectations" -> -${calm}`,
  ])
  assert.deepEqual(told(diffSystems(some, other)), [
    `rehearsals.night.seed: 1 -> 2${calm}`,
    `rehearsals.night.expect.p99: - -> ["<1s"]${calm}`,
  ])
})
