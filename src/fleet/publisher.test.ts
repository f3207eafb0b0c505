import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FleetMember } from './contract.ts'
import { Publisher } from './publisher.ts'

const quiet = { info: () => {}, warn: () => {}, error: () => {} }

function member(id: string): FleetMember {
  return { id, epoch: 'e', host: '127.0.0.1', port: 1, weight: 1, tier: 0, state: 'active' }
}

test('what changes in one turn is published once, one publication at a time, the newest list last', async () => {
  const published: string[] = []
  let members = [member('a')]
  let running = 0
  const front = {
    publish: async (_service: string, list: readonly FleetMember[]) => {
      assert.equal(++running, 1)
      await new Promise(resolve => setImmediate(resolve))
      published.push(list.map(one => one.id).join())
      running--
    },
    idle: async () => true,
  }
  const publisher = new Publisher('web', front, quiet, () => members)
  const first = publisher.publish()
  members = [member('a'), member('b')]
  const second = publisher.publish()
  await Promise.resolve()
  await Promise.resolve()
  members = [member('c')]
  await Promise.all([first, second, publisher.publish()])
  assert.deepEqual(published, ['a,b', 'c'])
})

test('a front that fails is asked again, with the list as it is by then', async () => {
  const published: string[] = []
  let members = [member('a')]
  let fails = 2
  const front = {
    publish: async (_service: string, list: readonly FleetMember[]) => {
      if (fails-- > 0) throw new Error('not reachable')
      published.push(list.map(one => one.id).join())
    },
    idle: async () => true,
  }
  const warned: string[] = []
  const log = { ...quiet, warn: (_fields: object, sentence: string) => void warned.push(sentence) }
  const publisher = new Publisher('web', front, log, () => members)
  const taken = publisher.publish()
  members = [member('b')]
  await taken
  assert.deepEqual(published, ['b'])
  assert.deepEqual(warned.length, 2)
  assert.match(
    warned[0] ?? '',
    /web: its members could not be published, trying again in 50 ms: not reachable/,
  )
})

test('closing lets go of whoever waits', async () => {
  const front = { publish: () => new Promise<void>(() => {}), idle: async () => true }
  const publisher = new Publisher('web', front, quiet, () => [])
  const waiting = publisher.publish()
  publisher.close()
  await waiting
  await publisher.publish()
})
