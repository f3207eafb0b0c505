// The agent over servers in memory: its life, its commands, its death at every step. Over real servers: test/database/.

import { strict as assert } from 'node:assert'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../../kit/clock.ts'
import { seededRandom } from '../../kit/random.ts'
import type { FailoverStep } from '../../policy/index.ts'
import { FailoverWorld } from '../../policy/testing/failover-world.ts'
import type { DatabaseSpec, Durability, Topology } from '../contract.ts'
import type { DatabaseGroup, GroupOptions } from './contract.ts'
import { createDatabaseGroup, type GroupSeams } from './group.ts'
import { FakeServers } from './testing/fake-servers.ts'

interface Stage {
  readonly world: FailoverWorld
  readonly servers: FakeServers
  readonly options: GroupOptions
  readonly topologies: Topology[]
  readonly said: string[]
  make(seams?: GroupSeams): DatabaseGroup
  /** The next servers of the same world: whoever held the old ones is dead. */
  fresh(): FakeServers
}

function specOf(durability: Durability, ids: readonly string[]): DatabaseSpec {
  return {
    name: 'main',
    database: 'app',
    durability,
    failover: { automatic: true, detectTimeoutMs: 300 },
    access: {},
    backup: null,
    servers: {
      kind: 'embedded',
      members: ids.map(id => ({ id, from: 'primary', delayMs: 0 })),
      settings: {},
      directories: {},
    },
  }
}

function stage(t: TestContext, durability: Durability = 'one-replica', ids = ['a', 'b', 'c']): Stage {
  const stateDirectory = mkdtempSync(join(tmpdir(), 'tenfold-agent-'))
  const spec = specOf(durability, ids)
  const world = new FailoverWorld(spec.servers.kind === 'embedded' ? spec.servers.members : [])
  const topologies: Topology[] = []
  const said: string[] = []
  const quiet = { info: () => {}, warn: () => {}, error: () => {} }
  const options: GroupOptions = {
    spec,
    stateDirectory,
    user: null,
    clock: systemClock,
    random: seededRandom(1),
    log: quiet,
    lease: { held: () => true },
    decided: ({ server, text }) => said.push(`${server ?? ''} ${text}`.trim()),
    publish: async topology => {
      topologies.push(topology)
    },
    drained: async () => true,
  }
  const groups: DatabaseGroup[] = []
  let servers = new FakeServers(world)
  // Clients write all the time, and replicas receive.
  const load = setInterval(() => {
    const primary = topologies.at(-1)?.primary
    if (primary != null) world.write(primary)
    world.stream()
  }, 3)
  t.after(async () => {
    clearInterval(load)
    for (const group of groups) group.release()
    await sleep(1)
    rmSync(stateDirectory, { recursive: true, force: true })
  })
  return {
    world,
    get servers() {
      return servers
    },
    options,
    topologies,
    said,
    make: seams => {
      const group = createDatabaseGroup(options, { servers, knock: async () => true, ...seams })
      groups.push(group)
      return group
    },
    fresh: () => {
      servers = new FakeServers(world)
      return servers
    },
  }
}

async function until(what: string, holds: () => boolean, said: readonly string[] = []): Promise<void> {
  const end = performance.now() + 30_000
  while (!holds()) {
    assert.ok(performance.now() < end, `within 30 s: ${what}\n${said.slice(-20).join('\n')}`)
    await sleep(5)
  }
}

const nothing = (): void => {}

/** Every epoch has had one primary, and epochs only grew. */
function orderly(topologies: readonly Topology[]): void {
  const owners = new Map<number, string>()
  let epoch = 0
  for (const one of topologies) {
    assert.ok(one.epoch >= epoch, `epoch ${one.epoch} after ${epoch}`)
    epoch = one.epoch
    if (one.primary === null) continue
    assert.equal(owners.get(epoch) ?? one.primary, one.primary, `epoch ${epoch} has two primaries`)
    owners.set(epoch, one.primary)
  }
}

function steady(group: DatabaseGroup): boolean {
  const { state, servers } = group.status()
  return state === 'ready' && servers.every(one => one.role === 'primary' || one.from !== null)
}

test('a new database is made, copied, opened; a stopped one is started again as it was', async t => {
  const it = stage(t)
  const first = it.make()
  await first.start(nothing)
  assert.equal(it.topologies.at(-1)?.primary, 'a')
  await until('all stream', () => steady(first), it.said)
  assert.deepEqual(
    it.servers.calls.filter(call => /^(create|clone)/.test(call)),
    ['create a', 'clone b', 'clone c'],
  )
  await first.stop(false)
  assert.ok([...it.world.servers.values()].every(one => one.process === 'ended'))
  const second = it.make({ servers: it.fresh() })
  await second.start(nothing)
  assert.deepEqual([second.topology.primary, second.topology.epoch], ['a', 1])
  assert.ok(!it.servers.calls.some(call => /^(create|clone|promote|fence)/.test(call)), `${it.servers.calls}`)
})

/** The steps of one failover, as an agent that does not die takes them. */
async function stepsOfFailover(t: TestContext): Promise<number> {
  const it = stage(t)
  let steps = 0
  const group = it.make({ died: (_, when) => when === 'before' && steps++ })
  await group.start(nothing)
  await until('all stream', () => steady(group), it.said)
  steps = 0
  it.servers.kill('a')
  await until('a new primary', () => group.topology.epoch === 2 && steady(group), it.said)
  orderly(it.topologies)
  assert.deepEqual(it.world.missing('b'), [])
  return steps
}

async function dyingAt(t: TestContext, step: number, when: 'before' | 'after'): Promise<void> {
  const it = stage(t)
  let count = Number.NEGATIVE_INFINITY
  let died: FailoverStep | null = null
  const group: DatabaseGroup = it.make({
    died: (taken, at) => {
      if (died !== null) throw new Error('dead')
      if (at !== when || count++ < step) return
      died = taken
      group.release()
      throw new Error('dead')
    },
  })
  await group.start(nothing)
  await until('all stream', () => steady(group), it.said)
  count = 0
  it.servers.kill('a')
  await until('the death of the agent', () => died !== null || group.topology.epoch === 2, it.said)
  group.release()
  const next = it.make({ servers: it.fresh() })
  await next.start(nothing)
  await until(`a primary after a death ${when} step ${step}`, () => steady(next), it.said)
  const { primary, epoch } = next.topology
  assert.ok(epoch === 1 || primary !== 'a', `epoch ${epoch} of ${primary}`)
  assert.deepEqual(it.world.missing(primary!), [], `died ${when} step ${step}`)
  orderly(it.topologies)
}

test('an agent that dies before or after any step of a failover is followed by one that ends it', async t => {
  const steps = await stepsOfFailover(t)
  assert.ok(steps >= 7, `${steps} steps`)
  const deaths = Array.from({ length: steps }, (_, step) => [
    dyingAt(t, step, 'before'),
    dyingAt(t, step, 'after'),
  ])
  await Promise.all(deaths.flat())
})

test('an operator switches over, is refused with a reason, and fails over', async t => {
  const it = stage(t)
  const group = it.make()
  await group.start(nothing)
  await until('all stream', () => steady(group), it.said)
  assert.equal(await group.switchover('c', nothing), 'c is the primary of epoch 2')
  await until('all stream', () => steady(group), it.said)
  assert.deepEqual(group.status().failovers[0]?.lost?.changes, 0)
  await assert.rejects(group.switchover('c', nothing), { code: 'DATABASE_SWITCHOVER_REFUSED' })
  await assert.rejects(group.switchover('x', nothing), { code: 'DATABASE_SERVER_UNKNOWN' })
  await assert.rejects(group.failover('c', false, nothing), { code: 'DATABASE_FAILOVER_REFUSED' })
  await assert.rejects(group.rebuild('c', nothing), { code: 'DATABASE_CHANGE_REFUSED' })
  // Until the last change is settled, the primary itself may be the only one with a commit: it is asked again.
  const fails = async (): Promise<string> => {
    for (;;) {
      try {
        return await group.failover('a', false, nothing)
      } catch (error) {
        assert.match((error as Error).message, /may be the only one that has it; --lossy accepts it/)
        await sleep(20)
      }
    }
  }
  assert.match(await fails(), /^a is the primary of epoch 3/)
  await until('all stream', () => steady(group), it.said)
  assert.match(await group.rebuild('b', nothing), /^b was copied anew/)
  orderly(it.topologies)
})

test('paused it does nothing, also as the next agent; resumed it goes on', async t => {
  const it = stage(t)
  const group = it.make()
  await group.start(nothing)
  await until('all stream', () => steady(group), it.said)
  group.pause('disks are changed')
  it.servers.kill('a')
  await until('it is said', () => /paused: disks are changed/.test(group.status().reason), it.said)
  group.release()
  const next = it.make({ servers: it.fresh() })
  await next.start(nothing)
  assert.equal(next.status().paused, 'disks are changed')
  it.servers.kill('a')
  await until('nobody is promoted', () => next.topology.primary === null, it.said)
  next.resume()
  await until('a primary', () => steady(next), it.said)
  assert.equal(next.topology.epoch, 2)
})

test('who has lost the lease looks on', async t => {
  const it = stage(t)
  let held = true
  const group = createDatabaseGroup(
    { ...it.options, lease: { held: () => held } },
    { servers: it.servers, knock: async () => true },
  )
  t.after(() => group.release())
  await group.start(nothing)
  await until('all stream', () => steady(group), it.said)
  held = false
  it.servers.kill('a')
  await until('it is seen', () => group.topology.primary === null, it.said)
  await sleep(300)
  assert.ok(!it.servers.calls.some(call => call.startsWith('promote')))
  held = true
  await until('it goes on', () => group.topology.epoch === 2 && steady(group), it.said)
})

test('two data directories of primaries without a journal, or a damaged one, are not guessed about', async t => {
  const it = stage(t)
  it.world.create('a')
  it.world.create('b')
  for (const id of ['a', 'b']) it.world.kill(id)
  await assert.rejects(it.make().start(nothing), { code: 'DATABASE_PRIMARY_UNCLEAR' })
  const other = stage(t)
  const group = other.make()
  await group.start(nothing)
  await group.stop(true)
  writeFileSync(join(other.options.stateDirectory, 'db/main/agent.json'), '{')
  await assert.rejects(other.make({ servers: other.fresh() }).start(nothing), {
    code: 'DATABASE_JOURNAL_DAMAGED',
  })
})

test('a primary that hangs while its list is being changed is replaced all the same', async t => {
  const it = stage(t)
  const group = it.make({ settings: { standbyGoneMs: 100, followAfterMs: 60_000 } })
  await group.start(nothing)
  await until('all stream', () => steady(group), it.said)
  const set = it.servers.setSynchronous.bind(it.servers)
  let asked = false
  it.servers.setSynchronous = (id, names) => {
    if (id !== 'a') return set(id, names)
    asked = true
    return new Promise(() => {})
  }
  it.world.get('c').slow = true
  await until('a shorter list is wanted', () => asked, it.said)
  it.world.get('a').process = 'suspended'
  it.world.get('c').slow = false
  await until('another primary', () => group.topology.epoch === 2 && group.topology.primary !== null, it.said)
  assert.deepEqual(it.world.missing(group.topology.primary!), [])
})
