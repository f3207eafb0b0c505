import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredEntry, StoreSpec } from './contract.ts'
import { MainStore } from './main-store.ts'
import { createStoreMemory } from './store-memory.ts'
import { bodyOf, fields, meta, put, spec } from './testing/use.ts'
import { ThreadStore } from './worker-store.ts'

function stores(over: Partial<StoreSpec> = {}): {
  one: ThreadStore
  two: ThreadStore
  main: MainStore
  told: string[]
} {
  const memory = createStoreMemory({ ...spec, ...over }, 2, 7)
  const told: string[] = []
  return {
    one: new ThreadStore(memory, 0),
    two: new ThreadStore(memory, 1),
    main: new MainStore(memory, text => told.push(text)),
    told,
  }
}

test('what one worker stores another one finds, with its numbers, fields and body', () => {
  const { one, two } = stores()
  assert.ok(put(one, 'a.example /x', 'hello'))
  const entry = two.get('a.example /x')
  assert.ok(entry !== null)
  assert.deepEqual(entry.meta, meta)
  assert.equal(entry.fields, fields)
  assert.equal(entry.text(), 'hello')
  assert.equal(bodyOf(entry), 'hello')
  entry.release()
  assert.equal(two.get('a.example /y'), null)
})

for (const [name, length] of [
  ['small', 10],
  ['of one run', 60_000],
  ['of several runs', 300_000],
] as const)
  test(`a body ${name} comes back as it was written, its length told before or not`, () => {
    const { one, two } = stores()
    const body = Array.from({ length }, (_, i) => String.fromCharCode(i % 251)).join('')
    const bytes = Buffer.from(body, 'latin1')
    for (const declared of [length, -1]) {
      const fill = one.lead(`a.example /${declared}`)
      assert.ok(fill !== null)
      assert.ok(fill.begin(meta, fields, [], declared))
      for (let at = 0; at < length; at += 7_919)
        assert.ok(fill.write(bytes, at, Math.min(length, at + 7_919)))
      fill.commit()
      for (let round = 0; round < 8; round++) {
        const entry = two.get(`a.example /${declared}`)
        assert.ok(entry !== null)
        assert.equal(bodyOf(entry), body)
        entry.release()
      }
    }
  })

test('memory is all free again when everything that was stored is gone and released', () => {
  const { one, two, main } = stores()
  const held: StoredEntry[] = []
  for (let i = 0; i < 500; i++) {
    put(one, `a.example /${i}`, 'x'.repeat((i * 977) % 100_000))
    const entry = two.get(`a.example /${i}`)
    if (entry !== null) held.push(entry)
  }
  main.empty()
  assert.ok(main.counts.bytes > 0, 'what is pinned keeps its memory')
  for (const entry of held) entry.release()
  assert.equal(main.counts.bytes, 0)
  assert.equal(main.counts.entries, 0)
  assert.ok(put(one, 'a.example /big', 'y'.repeat(500_000)))
})

test('a pinned body stays as it was while its entry is replaced, evicted and its memory wanted', () => {
  const { one, two } = stores()
  const body = 'p'.repeat(200_000)
  put(one, 'a.example /pinned', body)
  const entry = two.get('a.example /pinned')
  assert.ok(entry !== null)
  put(one, 'a.example /pinned', 'q'.repeat(200_000))
  for (let i = 0; i < 200; i++) put(one, `a.example /${i}`, 'z'.repeat(100_000))
  assert.equal(bodyOf(entry), body)
  entry.release()
})

/** As a thread that is in the middle of something. */
function whileLocked(store: ThreadStore, work: () => void): void {
  Atomics.store(store.views.common.lock, 0, 999)
  work()
  Atomics.store(store.views.common.lock, 0, 0)
}

test('who could not have the lock in time leaves no lead behind that nobody ends', () => {
  const { one, two } = stores()
  whileLocked(one, () => one.lead('a.example /x')?.abort())
  assert.ok(put(one, 'a.example /other', 'pays what is owed'))
  const fill = two.lead('a.example /x')
  assert.ok(fill !== null, 'nobody leads it')
  fill.abort()
})

test('an answer that could not be begun in time is not begun later, when nobody fills it', () => {
  const { one, two } = stores()
  const fill = one.lead('a.example /x')
  assert.ok(fill !== null)
  whileLocked(one, () => assert.ok(!fill.begin(meta, fields, [], 5)))
  assert.ok(put(one, 'a.example /other', 'pays what is owed'))
  assert.equal(two.get('a.example /x'), null)
  const used = one.counts.bytes
  assert.ok(put(one, 'a.example /other', 'pays what is owed'))
  assert.equal(one.counts.bytes, used)
})
