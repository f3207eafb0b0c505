import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { SpentTable, spentTableBytes } from './spent-table.ts'

const now = 1_900_000_000_000
const bucketBytes = (2 + 14 * 3) * 4

test('an id is spent once, by whichever thread comes first', async () => {
  const memory = new SharedArrayBuffer(spentTableBytes)
  const gate = new SharedArrayBuffer(8)
  const ids = Array.from({ length: 20_000 }, (_, i) => `id ${i}`)
  const threads = [1, 2, 3].map(
    holder =>
      new Worker(new URL('./testing/spend-thread.ts', import.meta.url), {
        workerData: { memory, gate, holder, ids },
      }),
  )
  const told = threads.map(
    thread =>
      new Promise<string[]>((resolve, reject) => {
        thread.once('message', resolve)
        thread.once('error', reject)
      }),
  )
  const started = new Int32Array(gate)
  while (Atomics.load(started, 0) < threads.length) await new Promise(resolve => setTimeout(resolve, 5))
  Atomics.store(started, 1, 1)
  Atomics.notify(started, 1)
  const won = (await Promise.all(told)).flat()
  assert.equal(won.length, ids.length)
  assert.equal(new Set(won).size, ids.length)
  await Promise.all(threads.map(thread => thread.terminate()))
})

test('what is too old can not be spent, and what was spent is free for another use of its place once it is too old', () => {
  const table = new SpentTable(new SharedArrayBuffer(bucketBytes), 1)
  assert.equal(table.spend('old', now - 1, now), false)
  for (let i = 0; i < 14; i++) assert.equal(table.spend(`${i}`, now + 10_000, now), true)
  assert.equal(table.spend('more', now + 60_000, now + 12_000), true)
  assert.equal(table.spend('more', now + 60_000, now + 12_000), false)
})

test('a full table forgets what expires first and never lets it be spent again', () => {
  const table = new SpentTable(new SharedArrayBuffer(bucketBytes), 1)
  for (let i = 0; i < 14; i++) assert.equal(table.spend(`${i}`, now + 10_000 + i * 1_000, now), true)
  // It would be forgotten at once.
  assert.equal(table.spend('shorter', now + 5_000, now), false)
  assert.equal(table.spend('longer', now + 60_000, now), true)
  for (let i = 0; i < 14; i++) {
    assert.equal(table.spend(`${i}`, now + 10_000 + i * 1_000, now), false, `${i}`)
    assert.equal(table.isFresh(`${i}`, now + 10_000 + i * 1_000), false)
  }
  assert.equal(table.isFresh('unseen', now + 60_000), true)
})

test('however many are spent, no id succeeds twice', () => {
  const table = new SpentTable(new SharedArrayBuffer(bucketBytes * 4), 1)
  const seed = Number(process.env.SPENT_SEED ?? Date.now() % 2 ** 31)
  let state = seed
  const random = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return (state >>> 8) % below
  }
  const spent = new Set<string>()
  let time = now
  for (let i = 0; i < 20_000; i++) {
    time += random(200)
    const life = 1_000 + random(30_000)
    const id =
      random(3) === 0 && spent.size > 0
        ? ([...spent].at(-1 - random(Math.min(spent.size, 100))) as string)
        : `${i} ${time + life}`
    const expires = Number(id.split(' ')[1])
    if (!table.spend(id, expires, time)) continue
    assert.ok(!spent.has(id), `${id} was spent twice; SPENT_SEED=${seed}`)
    spent.add(id)
  }
  assert.ok(spent.size > 1_000, `SPENT_SEED=${seed}`)
})

test('what a thread that died was holding is free again, and nothing is spent while it is not', () => {
  const memory = new SharedArrayBuffer(bucketBytes)
  new Int32Array(memory)[0] = 7
  const table = new SpentTable(memory, 1)
  assert.equal(table.spend('id', now + 1_000, now), false)
  table.release(6)
  assert.equal(table.spend('id', now + 1_000, now), false)
  table.release(7)
  assert.equal(table.spend('id', now + 1_000, now), true)
})
