// Rolling, scaling, draining: what the front is told, and in which order, with real processes.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FleetMember } from './contract.ts'
import { alive, ask, patienceMs, RecordingFront, rig, service, until } from './fixtures/harness.ts'

const two = { min: 2, max: 4 }

/** The least number of active members in any list after the first complete one. */
function fewestActive(front: RecordingFront, complete: number): number {
  const counts = front.events
    .filter(event => event.startsWith('publish'))
    .map(event => event.split('+').length - 1)
  return Math.min(...counts.slice(counts.indexOf(complete)))
}

test('a changed service is rolled: a new instance takes the id over before the old one drains, one at a time', async context => {
  const { fleet, front } = rig(context)
  await fleet.apply([service('web', { instances: two, env: { GREETING: 'old' } })])
  const before = front.active('web')
  const report = await fleet.apply([service('web', { instances: two, env: { GREETING: 'new' } })])
  assert.equal(report.services[0]?.outcome, 'ready')
  const after = front.active('web')
  assert.deepEqual(
    after.map(member => member.id),
    ['web-1', 'web-2'],
  )
  for (const member of after) assert.equal((await ask(member)).GREETING, 'new')
  assert.equal(fewestActive(front, 2), 2)
  // Each former life was out of the list before it was asked whether it is idle.
  for (const { id, epoch } of before) {
    const short = `${id}:${epoch.slice(0, 4)}`
    const lastListed = front.events.findLastIndex(event => event.includes(`${short}+`))
    const asked = front.events.findIndex(event => event.startsWith(`idle ${short}`))
    assert.ok(asked > lastListed, front.events.join('\n'))
  }
})

test('an instance with requests in flight is not ended before they are done', async context => {
  const { fleet, front } = rig(context)
  await fleet.apply([service('web')])
  const [old] = front.active('web') as [FleetMember]
  const pid = fleet.status()[0]?.members[0]?.pid as number
  front.busy.add(old.epoch)
  const restarted = fleet.restart('web')
  await until('another life serves', () => front.active('web')[0]?.epoch !== old.epoch)
  assert.equal(fleet.status()[0]?.members.find(one => one.epoch === old.epoch)?.state, 'draining')
  assert.ok(alive(pid))
  front.busy.delete(old.epoch)
  assert.equal((await restarted).outcome, 'ready')
  assert.ok(!alive(pid))
})

test('an instance that never becomes idle is ended at the drain time-out', async context => {
  const { fleet, front } = rig(context)
  const stop = { ...service('web').stop, drainTimeoutMs: 300 }
  await fleet.apply([service('web', { stop })])
  const [old] = front.active('web') as [FleetMember]
  front.busy.add(old.epoch)
  assert.equal((await fleet.restart('web')).outcome, 'ready')
  assert.equal(fleet.status()[0]?.members.length, 1)
})

test('restart replaces every instance and says what it does', async context => {
  const { fleet, front } = rig(context)
  await fleet.apply([service('web', { instances: two })])
  const before = new Set(front.active('web').map(member => member.epoch))
  const progress: string[] = []
  const report = await fleet.restart('web', sentence => progress.push(sentence))
  assert.equal(report.outcome, 'ready')
  assert.ok(front.active('web').every(member => !before.has(member.epoch)))
  assert.equal(fewestActive(front, 2), 2)
  assert.ok(
    progress.some(sentence => /^web-1: ready on port \d+/.test(sentence)),
    progress.join('\n'),
  )
  assert.ok(
    progress.some(sentence => /^web-2: drains: replaced/.test(sentence)),
    progress.join('\n'),
  )
})

test('a new version that does not come up is given up, and the old instances serve on', async context => {
  const { fleet, front } = rig(context)
  await fleet.apply([service('web', { instances: two, env: { GREETING: 'old' } })])
  const before = front.active('web')
  const bad = service('web', { instances: two, env: { EXIT_AFTER_MS: '1', NEVER_LISTEN: '1' } })
  const report = await fleet.apply([bad])
  assert.equal(report.services[0]?.outcome, 'kept')
  assert.match(report.services[0]?.failures[0]?.message ?? '', /something is wrong here/)
  assert.deepEqual(front.active('web'), before)
  assert.match(fleet.status()[0]?.reason ?? '', /2 of 2 ready; the newest version did not come up/)
  // One that dies now is started as it was.
  process.kill(fleet.status()[0]?.members[0]?.pid as number, 'SIGKILL')
  await until('a follower of the old version', () => {
    const list = front.active('web')
    return list.length === 2 && list[0]?.epoch !== before[0]?.epoch
  })
  assert.equal((await ask(front.active('web')[0] as FleetMember)).GREETING, 'old')
  const good = await fleet.apply([service('web', { instances: two, env: { GREETING: 'third' } })])
  assert.equal(good.services[0]?.outcome, 'ready')
  assert.equal((await ask(front.active('web')[0] as FleetMember)).GREETING, 'third')
})

test('a restart whose new instance is not ready in time leaves the old one serving', async context => {
  const { fleet, front, stateDirectory } = rig(context)
  const command = `if [ -e up ]; then exec sleep 60; fi; touch up; exec "${process.execPath}" ${service('web').command[1]}`
  const spec = service('web', { command, directory: stateDirectory })
  await fleet.apply([spec])
  await fleet.apply([{ ...spec, ready: { ...spec.ready, timeoutMs: 600 } }])
  const before = front.active('web')
  const report = await fleet.restart('web')
  assert.equal(report.outcome, 'kept')
  assert.equal(report.failures[0]?.code, 'FLEET_NOT_READY_IN_TIME')
  assert.deepEqual(front.active('web'), before)
  assert.equal(fleet.status()[0]?.members.length, 1)
})

test('scale adds instances, and takes the highest numbers away after they drained', async context => {
  const { fleet, front } = rig(context)
  await fleet.apply([service('web')])
  assert.equal((await fleet.scale('web', 3)).ready, 3)
  const ids = front.active('web').map(member => member.id)
  assert.deepEqual(ids, ['web-1', 'web-2', 'web-3'])
  assert.equal((await fleet.scale('web', 1)).outcome, 'ready')
  assert.deepEqual(
    front.lists.get('web')?.map(member => member.id),
    ['web-1'],
  )
  for (const id of ['web-2', 'web-3']) {
    const draining = front.events.findIndex(event => new RegExp(`publish .*${id}:....-`).test(event))
    const idle = front.events.findIndex(event => event.startsWith(`idle ${id}`))
    assert.ok(draining >= 0 && idle > draining, front.events.join('\n'))
  }
  assert.equal(fleet.status()[0]?.members.length, 1)
  await assert.rejects(fleet.scale('web', 9), { code: 'FLEET_COUNT_OUT_OF_BOUNDS' })
  await assert.rejects(fleet.scale('nobody', 1), { code: 'FLEET_SERVICE_UNKNOWN' })
})

test('a new list keeps the scale within its bounds, without touching what runs', async context => {
  const { fleet, front } = rig(context)
  await fleet.apply([service('web')])
  await fleet.scale('web', 3)
  const before = front.active('web')
  await fleet.apply([service('web', { instances: { min: 1, max: 2 }, weights: { 'web-2': 5 } })])
  assert.deepEqual(front.active('web'), [before[0], { ...before[1], weight: 5 }])
})

test('a drained member gets nothing and keeps its process, also over a restart, until it is undrained', async context => {
  const { fleet, front } = rig(context)
  await fleet.apply([service('web', { instances: two })])
  await fleet.drain('web-1')
  assert.deepEqual(
    front.active('web').map(member => member.id),
    ['web-2'],
  )
  assert.equal(fleet.status()[0]?.members[0]?.state, 'drained')
  await fleet.restart('web')
  assert.deepEqual(
    front.active('web').map(member => member.id),
    ['web-2'],
  )
  await fleet.undrain('web/web-1')
  assert.equal(front.active('web').length, 2)
  await assert.rejects(fleet.drain('web-7'), { code: 'FLEET_MEMBER_UNKNOWN' })
})

test('a service that is no longer in the list drains, ends and is gone', async context => {
  const { fleet, front, mark } = rig(context)
  await fleet.apply([service('web'), service('api')])
  const report = await fleet.apply([service('api')])
  assert.deepEqual(
    report.services.map(one => `${one.service} ${one.outcome}`),
    ['api ready', 'web stopped'],
  )
  assert.deepEqual(front.lists.get('web'), [])
  assert.deepEqual(
    fleet.status().map(one => one.name),
    ['api'],
  )
  assert.ok(mark)
})

test('a newer list takes over from one that is still being applied', async context => {
  const { fleet, front } = rig(context)
  const first = fleet.apply([service('web', { env: { NEVER_LISTEN: '1' } })])
  await until('its process runs', () => fleet.status()[0]?.members[0]?.pid)
  const second = fleet.apply([service('web', { env: { GREETING: 'second' } })])
  assert.equal((await first).services[0]?.outcome, 'superseded')
  assert.equal((await second).services[0]?.outcome, 'ready')
  assert.equal((await ask(front.active('web')[0] as FleetMember)).GREETING, 'second')
})

/** Sends requests the way an edge does: to active members only, counting what is in flight to each life. */
class LoadingFront extends RecordingFront {
  readonly inFlight: Map<string, number> = new Map()
  #next = 0

  async request(): Promise<void> {
    const list = this.active('web')
    const member = list[this.#next++ % list.length] as FleetMember
    this.inFlight.set(member.epoch, (this.inFlight.get(member.epoch) ?? 0) + 1)
    try {
      await ask(member)
    } finally {
      this.inFlight.set(member.epoch, (this.inFlight.get(member.epoch) ?? 0) - 1)
    }
  }

  override async idle(_service: string, _member: string, epoch: string): Promise<boolean> {
    const deadline = performance.now() + patienceMs
    while ((this.inFlight.get(epoch) ?? 0) > 0 && performance.now() < deadline) {
      await new Promise(resolve => setTimeout(resolve, 5))
    }
    return (this.inFlight.get(epoch) ?? 0) === 0
  }
}

test('no request fails while a service is restarted, scaled up and scaled down under load', async context => {
  const front = new LoadingFront()
  const { fleet } = rig(context, { front })
  await fleet.apply([service('web', { instances: two })])
  let going = true
  let answered = 0
  const failures: unknown[] = []
  const client = async (): Promise<void> => {
    while (going) {
      try {
        await front.request()
        answered++
      } catch (error) {
        failures.push(error)
      }
    }
  }
  const clients = [client(), client(), client(), client()]
  await fleet.restart('web')
  await fleet.scale('web', 4)
  await fleet.scale('web', 2)
  going = false
  await Promise.all(clients)
  assert.deepEqual(failures, [])
  assert.ok(answered > 0)
})
