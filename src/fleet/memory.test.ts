// The memory limit: the pure verdict, and real processes that hold too much.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FleetMember } from './contract.ts'
import { ask, rig, service, until } from './fixtures/harness.ts'
import { afterMemorySample, newMemoryState } from './memory.ts'

const second = 1_000_000
const MB = 1 << 20

test('two samples in a row above the limit replace, one alone does not', () => {
  let [state, verdict] = afterMemorySample(newMemoryState, 0, 110, 100)
  assert.equal(verdict, 'keep')
  ;[state, verdict] = afterMemorySample(state, second, 90, 100)
  ;[state, verdict] = afterMemorySample(state, 2 * second, 110, 100)
  assert.equal(verdict, 'keep')
  ;[state, verdict] = afterMemorySample(state, 3 * second, 110, 100)
  assert.equal(verdict, 'replace')
})

test('far above the limit one sample is enough', () => {
  assert.equal(afterMemorySample(newMemoryState, 0, 151, 100)[1], 'drainNow')
})

test('an instance that is always above its limit is replaced at growing distances, which shrink after a quiet time', () => {
  let state = newMemoryState
  const replacedAt: number[] = []
  for (let at = 0; at < 400; at++) {
    const [next, verdict] = afterMemorySample(state, at * second, 120, 100)
    state = next
    if (verdict !== 'keep') replacedAt.push(at)
  }
  assert.deepEqual(replacedAt, [1, 11, 31, 71, 151, 311])
  const quiet = 400 + 2000
  const [first] = afterMemorySample(state, quiet * second, 90, 100)
  const [again] = afterMemorySample(first, (quiet + 1) * second, 120, 100)
  assert.equal(afterMemorySample(again, (quiet + 2) * second, 120, 100)[1], 'replace')
})

test('a replacement that leaks as fast does not outgrow the pause', () => {
  const [state] = afterMemorySample(newMemoryState, 0, 151, 100)
  assert.equal(afterMemorySample(state, second, 300, 100)[1], 'keep')
  assert.equal(afterMemorySample(state, second, 301, 100)[1], 'drainNow')
})

test('an instance above its memory limit is replaced by a ready one before it drains', async context => {
  const { fleet, front, decisions } = rig(context)
  const spec = service('web', { memoryBytesMax: 130 * MB, env: { HOARD_BYTES: String(90 * MB) } })
  await fleet.apply([spec])
  const [old] = front.active('web') as [FleetMember]
  await ask(old, '/hoard')
  await until('another one serves', () => front.active('web').some(member => member.epoch !== old.epoch))
  assert.ok(
    decisions.some(decision => /uses \d+ MB of memory, its limit is 130 MB: is replaced/.test(decision.text)),
  )
  const lists = front.events.filter(event => event.startsWith('publish'))
  const complete = lists.slice(lists.findIndex(list => list.includes('+')))
  assert.ok(
    complete.every(list => list.includes('+')),
    'it was never without an active member',
  )
  await until('the old one is gone', () => fleet.status()[0]?.members.length === 1)
})

test('an instance far above its limit drains at once, and another one is started', async context => {
  const { fleet, front, decisions } = rig(context)
  const spec = service('web', { memoryBytesMax: 100 * MB, env: { HOARD_BYTES: String(150 * MB) } })
  await fleet.apply([spec])
  const [old] = front.active('web') as [FleetMember]
  await ask(old, '/hoard')
  await until('another one serves', () => front.active('web').some(member => member.epoch !== old.epoch))
  assert.ok(decisions.some(decision => /drains now, another one is started/.test(decision.text)))
})

test('status shows what an instance uses, and members carry it where the balance wants it', async context => {
  const { fleet, front } = rig(context)
  await fleet.apply([service('web', { utilisationPublished: true }), service('api')])
  const sampled = await until('a sample', () => fleet.status()[0]?.members.find(one => one.rssBytes !== null))
  assert.ok((sampled.rssBytes ?? 0) > 20 * MB)
  assert.ok((sampled.cpuPercent ?? -1) >= 0)
  await until('it is published', () => front.active('web')[0]?.utilisation !== undefined)
  assert.equal(front.active('api')[0]?.utilisation, undefined)
})
