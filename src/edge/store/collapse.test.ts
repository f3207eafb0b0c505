import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Piece, WaitEnd } from './contract.ts'
import { MainStore } from './main-store.ts'
import { createStoreMemory } from './store-memory.ts'
import { bodyOf, fields, meta, put, spec, until } from './testing/use.ts'
import { ThreadStore } from './worker-store.ts'

const key = 'a.example /x'
const long = 60_000_000

function three(): { one: ThreadStore; two: ThreadStore; main: MainStore; told: string[] } {
  const memory = createStoreMemory(spec, 2)
  const told: string[] = []
  return {
    one: new ThreadStore(memory, 0),
    two: new ThreadStore(memory, 1),
    main: new MainStore(memory, text => told.push(text)),
    told,
  }
}

function waitAll(stores: readonly ThreadStore[], count: number, waitUs = long): WaitEnd[] {
  const ends: WaitEnd[] = []
  for (const store of stores) for (let i = 0; i < count; i++) store.wait(key, waitUs, end => ends.push(end))
  return ends
}

test('a key has one leader over all threads; who waits anywhere is told to look as soon as the head is known', async () => {
  const { one, two } = three()
  const fill = one.lead(key)
  assert.ok(fill !== null)
  assert.equal(one.lead(key), null)
  assert.equal(two.lead(key), null)
  const ends = waitAll([one, two], 50)
  await new Promise(resolve => setImmediate(resolve))
  assert.equal(ends.length, 0, 'nothing is known yet')
  assert.equal(two.get(key), null)
  fill.begin(meta, fields, [], -1)
  await until(() => ends.length === 100, 'somebody is not told')
  assert.ok(ends.every(end => end === 'stored'))
  fill.writeText('abc')
  const entry = two.get(key)
  assert.ok(entry !== null)
  assert.equal(entry.bodyBytes, -1)
  assert.equal(entry.text(), null)
  fill.commit()
  assert.equal(entry.text(), 'abc')
  entry.release()
})

test('a body is read while it is written, in the writing thread and in others', async () => {
  const { one, two } = three()
  const fill = one.lead(key)
  assert.ok(fill?.begin(meta, fields, [], -1))
  const whole = Array.from({ length: 40 }, (_, i) => `${i} `.repeat(1_000)).join('')
  const read = async (store: ThreadStore): Promise<string> => {
    const entry = store.get(key)
    assert.ok(entry !== null)
    const piece: Piece = { bytes: Buffer.alloc(0), from: 0, to: 0 }
    let text = ''
    while (!entry.ended(text.length)) {
      if (entry.piece(text.length, piece) !== null) text += piece.bytes.latin1Slice(piece.from, piece.to)
      else assert.ok(await new Promise<boolean>(told => entry.whenMore(text.length, told)))
    }
    entry.release()
    return text
  }
  const readers = [read(one), read(two), read(two)]
  for (let at = 0; at < whole.length; at += 3_000) {
    fill?.writeText(whole.slice(at, at + 3_000))
    await new Promise(resolve => setImmediate(resolve))
  }
  fill?.commit()
  for (const text of await Promise.all(readers)) assert.equal(text, whole)
})

test('a body that is cut short is told to who reads along, and found by nobody', async () => {
  const { one, two } = three()
  put(one, key, 'before')
  const fill = one.lead(key)
  assert.ok(fill?.begin(meta, fields, [], 100))
  fill?.writeText('half')
  const entry = two.get(key)
  assert.ok(entry !== null)
  const more = new Promise<boolean>(told => entry.whenMore(4, told))
  fill?.abort()
  assert.equal(await more, false)
  assert.ok(!entry.ended(4))
  entry.release()
  const old = two.get(key)
  assert.ok(old !== null)
  assert.equal(bodyOf(old), 'before')
})

test('a commit with less than was announced is a cut', () => {
  const { one, two } = three()
  const fill = one.lead(key)
  assert.ok(fill?.begin(meta, fields, [], 100))
  fill?.writeText('half')
  fill?.commit()
  assert.equal(two.get(key), null)
})

test('more than was announced, or than an object may have, is refused and counted', () => {
  const { one } = three()
  const fill = one.lead(key)
  assert.ok(fill?.begin(meta, fields, [], 3))
  assert.equal(fill?.writeText('four'), false)
  assert.equal(one.get(key), null)
  assert.equal(one.lead('a.example /y')?.begin(meta, fields, [], spec.objectBytesMax + 1), false)
  const unknown = one.lead('a.example /z')
  assert.ok(unknown?.begin(meta, fields, [], -1))
  const piece = 'x'.repeat(100_000)
  let written = 0
  while (unknown?.writeText(piece)) written += piece.length
  assert.equal(written, 500_000)
  assert.equal(one.counts.refused, 3)
  assert.equal(one.counts.bytes, 0)
})

test('after a failure one of those who waited leads; after "alone" nobody waits for a while', async () => {
  const { one, two } = three()
  const first = one.lead(key)
  let ends = waitAll([one, two], 3)
  first?.abort()
  await until(() => ends.length === 6, 'somebody is not told')
  assert.ok(ends.every(end => end === 'failed'))
  const second = two.lead(key)
  assert.ok(second !== null)
  assert.equal(one.lead(key), null)
  ends = waitAll([one, two], 3)
  second.alone(long)
  await until(() => ends.length === 6, 'somebody is not told')
  assert.ok(ends.every(end => end === 'alone'))
  assert.ok(one.isAlone(key) && two.isAlone(key))
  assert.ok(!one.isAlone('a.example /y'))
  ends = waitAll([one], 1)
  await until(() => ends.length === 1, 'it waits')
  assert.deepEqual(ends, ['alone'])
})

test('a fill that ends because what is stored is good again tells to look', async () => {
  const { one, two } = three()
  put(one, key, 'body')
  const fill = one.lead(key)
  const ends = waitAll([two], 1)
  fill?.validated()
  await until(() => ends.length === 1, 'it is not told')
  assert.deepEqual(ends, ['stored'])
  assert.equal(two.get(key)?.text(), 'body')
})

test('who waits too long is told so, who cancelled is told nothing', async () => {
  const { one, two } = three()
  const fill = one.lead(key)
  const ends = waitAll([two], 2, 1_000)
  const cancelled = two.wait(key, long, () => assert.fail('it was cancelled'))
  cancelled.cancel()
  await until(() => ends.length === 2, 'it waits on')
  assert.deepEqual(ends, ['late', 'late'])
  assert.equal(Atomics.load(two.views.thread.waiting, 1), 0)
  fill?.abort()
  await new Promise(resolve => setTimeout(resolve, 30))
})

test('what a dead worker led, filled and pinned is given back; who waited for it is told', async () => {
  const { one, two, main, told } = three()
  put(two, key, 'before')
  const pinned = one.get(key)
  assert.ok(pinned !== null)
  const fill = one.lead(key)
  assert.ok(fill?.begin(meta, fields, [], 1_000_000 / 2))
  fill?.writeText('half of it')
  const reading = two.get(key)
  const more = new Promise<boolean>(tell => reading?.whenMore(10, tell))
  const other = one.lead('a.example /other')
  assert.ok(other !== null)
  const ends: WaitEnd[] = []
  two.wait('a.example /other', long, end => ends.push(end))
  main.repairWorker(0)
  assert.equal(await more, false)
  reading?.release()
  await until(() => ends.length === 1, 'the waiter is not told')
  assert.deepEqual(ends, ['failed'])
  assert.ok(two.lead('a.example /other') !== null)
  const found = two.get(key)
  assert.ok(found !== null)
  assert.equal(bodyOf(found), 'before')
  found.release()
  two.remove(key)
  assert.equal(main.counts.bytes, 0)
  assert.deepEqual(told, [])
  void main.close()
})

test('a worker that dies while it holds the lock costs all that is stored, and nothing that is being sent', () => {
  const { one, two, main, told } = three()
  for (let i = 0; i < 100; i++) put(one, `a.example /${i}`, `${i}`.repeat(20_000))
  const sent = two.get('a.example /99')
  assert.ok(sent !== null)
  const fill = two.lead(key)
  assert.ok(fill?.begin(meta, fields, [], -1))
  assert.ok(one.entries.lock.enter())
  assert.equal(put(two, 'a.example /refused', 'while the lock is lost'), false)
  main.repairWorker(0)
  assert.equal(told.length, 1)
  assert.equal(main.counts.entries, 0)
  assert.equal(fill?.writeText('x'), false)
  for (let i = 0; i < 200; i++) put(two, `b.example /${i}`, 'z'.repeat(50_000))
  assert.equal(bodyOf(sent), '99'.repeat(20_000))
  sent.release()
  main.empty()
  assert.equal(main.counts.bytes, 0)
  void main.close()
})

test('what was refreshed while it was read, and dropped with everything, is given back once', () => {
  const { one, two, main } = three()
  for (let i = 0; i < 50; i++) put(one, `a.example /${i}`, 'so that the slot of the next one stays free')
  put(one, key, 'body')
  for (let i = 0; i < 3; i++) {
    const entry = two.peek(key)
    assert.ok(entry !== null)
    one.freshen(entry, meta, `X-Refresh: ${i}\r\n`)
  }
  assert.ok(two.entries.lock.enter())
  main.repairWorker(1)
  const after = new ThreadStore(main.memory, 1)
  for (let i = 0; i < 20; i++) put(after, `b.example /${i}`, 'z'.repeat(50_000))
  const used = main.counts.bytes
  main.repairWorker(0)
  assert.equal(main.counts.bytes, used)
  void main.close()
})
