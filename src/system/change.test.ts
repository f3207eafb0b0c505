import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkSystem } from '../file/index.ts'
import type { ApplyReport, ServiceSpec } from '../fleet/index.ts'
import { Failure } from '../kit/failure.ts'
import { type ChangeParts, type Compiled, changeSystem } from './change.ts'
import { compileFleet } from './compile-fleet.ts'
import { noEdgeFiles } from './edge-files.ts'
import { systemFailures } from './failures.ts'

function compiled(routeTo: string, ...services: string[]): Compiled {
  const checked = checkSystem({
    name: 'shop',
    edge: { routes: [{ path: '/*', to: routeTo }] },
    services: Object.fromEntries(services.map(name => [name, { command: `node ${name}.mjs` }])),
  })
  assert.ok(checked.ok)
  return {
    system: checked.system,
    specs: compileFleet(checked.system, { baseDirectory: '/shop', environments: {}, identitySecret: '' }),
    files: noEdgeFiles,
  }
}

/** Parts that write down what they are told, and fail where the test says. */
function parts(
  failing: { service?: string; replaceNumber?: number } = {},
): ChangeParts & { calls: string[] } {
  const calls: string[] = []
  let replaced = 0
  const names = (specs: readonly ServiceSpec[]): string =>
    specs
      .map(spec => spec.name)
      .sort()
      .join('+')
  return {
    calls,
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
      replace: async system => {
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
