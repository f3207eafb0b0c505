import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EdgeSnapshot } from '../edge/snapshot.ts'
import { type CheckedSystem, checkSystem } from '../file/index.ts'
import type { FleetMember } from '../fleet/index.ts'
import { noEdgeFiles } from './edge-files.ts'
import { createPublisher, type Published, type PublisherOptions } from './publisher.ts'

function system(...services: string[]): CheckedSystem {
  const checked = checkSystem({
    name: 'shop',
    edge: { routes: [{ path: '/*', to: services[0] }] },
    services: Object.fromEntries(services.map(name => [name, { command: `node ${name}.mjs` }])),
  })
  assert.ok(checked.ok)
  return checked.system
}

function member(id: string): FleetMember {
  return { id, epoch: 'e', host: '127.0.0.1', port: 4000, weight: 1, tier: 0, state: 'active' }
}

/** An edge whose answers the test gives one by one. */
function edge(current: EdgeSnapshot | null = null): {
  port: PublisherOptions['edge']
  pushes: { snapshot: EdgeSnapshot; answer(refusal?: Error): void }[]
} {
  const pushes: { snapshot: EdgeSnapshot; answer(refusal?: Error): void }[] = []
  return {
    pushes,
    port: {
      current,
      apply: snapshot =>
        new Promise((resolve, reject) => {
          pushes.push({ snapshot, answer: refusal => (refusal ? reject(refusal) : resolve()) })
        }),
      memberIdle: async () => true,
    },
  }
}

const publishing = (one: CheckedSystem): Published => ({ system: one, files: noEdgeFiles, guard: null })

function publisherOf(
  first: CheckedSystem,
  port: PublisherOptions['edge'],
): ReturnType<typeof createPublisher> {
  return createPublisher(publishing(first), {
    edge: port,
    stickySecret: '',
    identitySecret: '',
    stateDirectory: '/state',
    baseDirectory: '/shop',
  })
}

const memberIds = (snapshot: EdgeSnapshot): Record<string, string[]> =>
  Object.fromEntries(snapshot.upstreams.map(({ name, members }) => [name, members.map(one => one.id)]))

test('changes that come during a push go out together in the next one, and resolve with it', async () => {
  const { port, pushes } = edge()
  const publisher = publisherOf(system('web', 'api'), port)
  const first = publisher.publish('web', [member('web-1')])
  let later = 0
  const second = publisher.publish('api', [member('api-1')]).then(() => later++)
  const third = publisher.publish('web', [member('web-1'), member('web-2')]).then(() => later++)
  assert.equal(pushes.length, 1)
  pushes[0]?.answer()
  await first
  assert.equal(later, 0)
  assert.equal(pushes.length, 2)
  assert.deepEqual(memberIds(pushes[1]?.snapshot as EdgeSnapshot), {
    web: ['web-1', 'web-2'],
    api: ['api-1'],
  })
  pushes[1]?.answer()
  await Promise.all([second, third])
  assert.equal(pushes.length, 2)
})

test('versions grow from what the edge already has', async () => {
  const { port, pushes } = edge({ ...publisherOf(system('web'), edge().port).compile(), version: 41 })
  const publisher = publisherOf(system('web'), port)
  const pushed = publisher.publish('web', [])
  assert.equal(pushes[0]?.snapshot.version, 42)
  pushes[0]?.answer()
  await pushed
})

test('a system that the edge refuses is not pushed again with the next members', async () => {
  const { port, pushes } = edge()
  const publisher = publisherOf(system('web'), port)
  const replaced = publisher.replace(publishing(system('web', 'api')))
  pushes[0]?.answer(new Error('refused'))
  await assert.rejects(replaced, /refused/)
  const published = publisher.publish('web', [member('web-1')])
  assert.deepEqual(memberIds(pushes[1]?.snapshot as EdgeSnapshot), { web: ['web-1'] })
  pushes[1]?.answer()
  await published
})

test('members of an edge that was taken back are kept until the fleet publishes its own', async () => {
  const { port, pushes } = edge()
  const publisher = publisherOf(system('web', 'api'), port)
  const former = publisher.compile()
  const upstreams = former.upstreams.map(one => ({ ...one, members: [member(`${one.name}-9`)] }))
  publisher.seed({ ...former, upstreams })
  const published = publisher.publish('web', [member('web-1')])
  assert.deepEqual(memberIds(pushes[0]?.snapshot as EdgeSnapshot), { web: ['web-1'], api: ['api-9'] })
  pushes[0]?.answer()
  await published
})
