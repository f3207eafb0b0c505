import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkSystem } from '../file/index.ts'
import type { ApplyReport, ServiceSpec } from '../fleet/index.ts'
import { Failure } from '../kit/failure.ts'
import { type ChangeParts, type Compiled, changeSystem } from './change.ts'
import { type CompiledDatabase, compileDatabases } from './compile-databases.ts'
import { compileFleet } from './compile-fleet.ts'
import { noEdgeFiles } from './edge-files.ts'
import { systemFailures } from './failures.ts'

function compiled(routeTo: string, ...services: string[]): Compiled {
  return withDatabases(routeTo, services, [])
}

function withDatabases(routeTo: string, services: readonly string[], databases: readonly string[]): Compiled {
  const checked = checkSystem({
    name: 'shop',
    edge: { routes: [{ path: '/*', to: routeTo }] },
    services: Object.fromEntries(services.map(name => [name, { command: `node ${name}.mjs` }])),
    databases: Object.fromEntries(databases.map(name => [name, {}])),
  })
  assert.ok(checked.ok)
  return {
    databases: compileDatabases(checked.system, {
      baseDirectory: '/shop',
      secrets: {},
      passwordSecret: '',
      ports: {},
    }),
    system: checked.system,
    specs: compileFleet(checked.system, { baseDirectory: '/shop', environments: {}, identitySecret: '' }),
    files: noEdgeFiles,
    guard: null,
  }
}

/** Parts that write down what they are told, and fail where the test says. */
function parts(
  failing: { service?: string; replaceNumber?: number; database?: string } = {},
): ChangeParts & { calls: string[] } {
  const calls: string[] = []
  let replaced = 0
  const names = (specs: readonly ServiceSpec[]): string =>
    specs
      .map(spec => spec.name)
      .sort()
      .join('+')
  const databaseNames = (all: readonly CompiledDatabase[]): string =>
    all
      .map(one => one.spec.name)
      .sort()
      .join('+')
  return {
    calls,
    databases: {
      bring: async all => {
        if (all.length > 0) calls.push(`bring ${databaseNames(all)}`)
        if (all.some(one => one.spec.name === failing.database))
          throw new Failure(systemFailures.startFailed, `${failing.database} does not start`)
      },
      settle: async all => {
        if (all.length > 0) calls.push(`settle ${databaseNames(all)}`)
      },
    },
    fleet: {
      apply: async (specs): Promise<ApplyReport> => {
        calls.push(`run ${names(specs)}`)
        return {
          services: specs.map(({ name }) => {
            const failed = name === failing.service
            const failures = failed ? [new Failure(systemFailures.startFailed, `${name} ends at once`)] : []
            return { service: name, outcome: failed ? 'failed' : 'ready', ready: 1, wanted: 1, failures }
          }),
        }
      },
    },
    publisher: {
      replace: async ({ system }) => {
        replaced += 1
        const route = system.edge.routes[0]?.action
        const to = route?.kind === 'proxy' ? route.upstream : ''
        calls.push(`route to ${to}, knowing ${Object.keys(system.services).sort().join('+')}`)
        if (replaced === failing.replaceNumber)
          throw new Failure(systemFailures.edgeFailed, 'the edge refused')
      },
    },
  }
}

test('a new service is ready before routes lead to it, an old one stops after', async () => {
  const { calls, ...rest } = parts()
  await changeSystem(rest, compiled('web', 'web', 'old'), compiled('new', 'web', 'new'), () => {})
  assert.deepEqual(calls, [
    'route to web, knowing new+old+web',
    'run new+old+web',
    'route to new, knowing new+web',
    'run new+web',
  ])
})

test('when a new service does not come up, everything is as it was and the reason is told', async () => {
  const { calls, ...rest } = parts({ service: 'new' })
  await assert.rejects(
    changeSystem(rest, compiled('web', 'web'), compiled('new', 'web', 'new'), () => {}),
    {
      code: 'SYSTEM_RELOAD_FAILED',
      message: /what ran before runs on.*new ends at once/s,
    },
  )
  assert.deepEqual(calls.slice(2), ['route to web, knowing web', 'run web'])
})

test('when the edge refuses the new routes, what was started for them ends again', async () => {
  const { calls, ...rest } = parts({ replaceNumber: 2 })
  await assert.rejects(
    changeSystem(rest, compiled('web', 'web'), compiled('new', 'web', 'new'), () => {}),
    {
      code: 'SYSTEM_RELOAD_FAILED',
      message: /the edge refused/,
    },
  )
  assert.deepEqual(calls.slice(3), ['route to web, knowing web', 'run web'])
})

test('a new database takes writes before services that use it start, an old one stops after them', async () => {
  const { calls, ...rest } = parts()
  const [from, to] = [withDatabases('web', ['web'], ['old']), withDatabases('web', ['web'], ['new'])]
  await changeSystem(rest, from, to, () => {})
  assert.deepEqual(calls, [
    'bring new+old',
    'route to web, knowing web',
    'run web',
    'route to web, knowing web',
    'run web',
    'settle new',
  ])
})

test('a database that does not start changes nothing, and what was there is brought back', async () => {
  const { calls, ...rest } = parts({ database: 'new' })
  const [from, to] = [withDatabases('web', ['web'], ['old']), withDatabases('web', ['web'], ['old', 'new'])]
  await assert.rejects(
    changeSystem(rest, from, to, () => {}),
    {
      code: 'SYSTEM_RELOAD_FAILED',
      message: /new does not start/,
    },
  )
  assert.deepEqual(calls, [
    'bring new+old',
    'route to web, knowing web',
    'run web',
    'bring old',
    'settle old',
  ])
})
