import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startThread } from '../../io/threads.ts'
import { AddressCounts, connectionCount, createAddressCounts } from './address-counts.ts'
import type { HammerOrder } from './testing/hammer.ts'

const seed = (): number => 0x1234567

test('an address has as many as it may, whoever counts; what is closed makes room', () => {
  const memory = createAddressCounts(2, seed)
  const [first, second] = [new AddressCounts(memory, 0), new AddressCounts(memory, 1)]
  const tokens = Array.from({ length: 3 }, () => first.open('a', 5))
  tokens.push(second.open('a', 5), second.open('a', 5))
  assert.ok(tokens.every(token => token >= 0))
  assert.equal(first.open('a', 5), connectionCount.refused)
  assert.equal(second.open('a', 5), connectionCount.refused)
  assert.ok(first.open('b', 1) >= 0)
  second.close(tokens[4] as number)
  assert.ok(first.open('a', 5) >= 0)
  assert.equal(second.open('a', 5), connectionCount.refused)
})

test('what a dead worker held is free, and what others hold is not', () => {
  const memory = createAddressCounts(2, seed)
  const [first, second] = [new AddressCounts(memory, 0), new AddressCounts(memory, 1)]
  for (let i = 0; i < 3; i++) first.open('a', 4)
  second.open('a', 4)
  assert.equal(second.open('a', 4), connectionCount.refused)
  new AddressCounts(memory, -1).workerDied(0)
  const after = Array.from({ length: 4 }, () => second.open('a', 4))
  assert.deepEqual(
    after.map(token => token >= 0),
    [true, true, true, false],
  )
})

test('hundreds of thousands of addresses that come and go leave room for each; more at once than fit are let through uncounted', () => {
  const counts = new AddressCounts(createAddressCounts(1, seed), 0)
  for (let i = 0; i < 300_000; i++) {
    const token = counts.open(`address ${i}`, 1)
    assert.ok(token >= 0)
    counts.close(token)
  }
  let uncounted = 0
  for (let i = 0; i < 200_000; i++)
    if (counts.open(`other ${i}`, 1) === connectionCount.uncounted) uncounted++
  assert.ok(uncounted >= 200_000 - 65_536, String(uncounted))
})

test('threads that hammer the same few addresses never have more open than they may, and nothing is left over', async t => {
  const threads = 4
  const max = 7
  const memory = createAddressCounts(threads, seed)
  const live = new SharedArrayBuffer(64 * 4)
  const run = (worker: number): Promise<number> =>
    new Promise((resolve, reject) => {
      const order: HammerOrder = { memory, live, worker, max, rounds: 30_000, seed: worker + 1 }
      const thread = startThread(import.meta.url, 'testing/hammer', order)
      t.after(() => void thread.terminate())
      thread.once('message', resolve)
      thread.once('error', reject)
    })
  const worst = await Promise.all(Array.from({ length: threads }, (_, worker) => run(worker)))
  assert.ok(Math.max(...worst) <= max, `${worst} at once of ${max}`)
  assert.ok(Math.max(...worst) >= 2, 'they did meet')
  const counts = new AddressCounts(memory, 0)
  for (let address = 0; address < 16; address++) {
    const open = Array.from({ length: max }, () => counts.open(`address ${address}`, max))
    assert.ok(open.every(token => token >= 0))
    assert.equal(counts.open(`address ${address}`, max), connectionCount.refused)
  }
})
