import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Purge } from './contract.ts'
import { MainStore } from './main-store.ts'
import { createStoreMemory } from './store-memory.ts'
import { meta, put, spec } from './testing/use.ts'
import { ThreadStore } from './worker-store.ts'

interface Case {
  readonly purge: Purge
  readonly gone: readonly string[]
  readonly kept: readonly string[]
}

const keys = {
  plain: 'tickets.example /films/12',
  query: 'tickets.example /films/12?page=2',
  secure: 'https:tickets.example /films/12',
  port: 'tickets.example:8080 /films/12',
  other: 'other.example /films/12',
  variant: 'tickets.example /films/12 gzip|de',
  deep: 'tickets.example /films/12/cast',
  beside: 'tickets.example /filmstars',
  root: 'tickets.example /',
}
const all = Object.values(keys)

const cases: Record<string, Case> = {
  'a target is purged for every host, scheme and variant, and no other query': {
    purge: { targets: ['/films/12'] },
    gone: [keys.plain, keys.secure, keys.port, keys.other, keys.variant],
    kept: [keys.query, keys.deep, keys.beside, keys.root],
  },
  'a target with a host is purged there, whatever the port and the scheme': {
    purge: { targets: ['tickets.example/films/12'] },
    gone: [keys.plain, keys.secure, keys.port, keys.variant],
    kept: [keys.other, keys.query],
  },
  'a prefix is whole segments': {
    purge: { prefixes: ['/films/'] },
    gone: [keys.plain, keys.query, keys.secure, keys.port, keys.other, keys.variant, keys.deep],
    kept: [keys.beside, keys.root],
  },
  'a prefix with a host is purged there': {
    purge: { prefixes: ['tickets.example/films/12'] },
    gone: [keys.plain, keys.query, keys.deep],
    kept: [keys.other, keys.beside],
  },
  'the root of a host is all of it': {
    purge: { prefixes: ['other.example/'] },
    gone: [keys.other],
    kept: [keys.plain, keys.root],
  },
  'a tag is purged wherever it stands': {
    purge: { tags: [`t ${keys.beside}`] },
    gone: [keys.beside],
    kept: [keys.plain],
  },
  'everything is purged': { purge: { all: true }, gone: all, kept: [] },
}

for (const [name, { purge, gone, kept }] of Object.entries(cases))
  for (const soft of [false, true])
    test(`${name}${soft ? ', softly: stale, not gone' : ''}`, () => {
      const memory = createStoreMemory(spec, 2)
      const one = new ThreadStore(memory, 0)
      const two = new ThreadStore(memory, 1)
      for (const key of all) put(one, key, 'body', [`t ${key}`, 'common'])
      // Also what this thread has as texts.
      for (let round = 0; round < 5; round++) for (const key of all) two.get(key)?.release()
      one.purge({ ...purge, soft })
      const after = (key: string): string => {
        const entry = two.get(key)
        const what = entry === null ? 'gone' : entry.purgedSoftly ? 'stale' : 'kept'
        entry?.release()
        return what
      }
      for (const key of gone) assert.equal(after(key), soft ? 'stale' : 'gone', key)
      for (const key of kept) assert.equal(after(key), 'kept', key)
      for (const key of gone) put(one, key, 'new', [`t ${key}`])
      for (const key of gone) assert.equal(after(key), 'kept', `${key}, stored after the purge`)
    })

test('an answer whose origin was asked before a purge is not stored after it, nor read while it comes', () => {
  const { one, two } = pair()
  const fill = one.lead(keys.plain)
  assert.ok(fill !== null)
  two.purge({ tags: ['film:12'] })
  assert.ok(fill.begin(meta, '', ['film:12'], 4))
  assert.equal(two.get(keys.plain), null)
  fill.writeText('old!')
  fill.commit()
  assert.equal(one.get(keys.plain), null)
  assert.equal(two.get(keys.plain), null)
  assert.ok(put(one, keys.plain, 'new!', ['film:12']))
  assert.equal(two.get(keys.plain)?.text(), 'new!')
})

test('a variant that is filled later counts purges from when its origin was asked', () => {
  const { one, two } = pair()
  const fill = one.lead(keys.plain)
  assert.ok(fill !== null)
  two.purge({ targets: ['/films/12'] })
  const variant = one.lead(keys.variant, fill)
  assert.ok(variant !== null)
  fill.abort()
  assert.ok(variant.begin(meta, '', [], 0))
  variant.commit()
  assert.equal(two.get(keys.variant), null)
})

test('a purge between a look and the answer that refreshes it wins', () => {
  for (const soft of [false, true]) {
    const { one, two } = pair()
    put(one, keys.plain, 'body', ['film:12'])
    const entry = one.get(keys.plain)
    assert.ok(entry !== null)
    two.purge({ tags: ['film:12'], soft })
    one.freshen(entry, meta, 'X: 1\r\n')
    entry.release()
    const found = two.get(keys.plain)
    assert.equal(found?.purgedSoftly ?? 'gone', soft ? true : 'gone')
    found?.release()
  }
})

test('what was purged softly is fresh again once it was validated', () => {
  const { one, two } = pair()
  put(one, keys.plain, 'body', ['film:12'])
  one.purge({ tags: ['film:12'], soft: true })
  const entry = two.get(keys.plain)
  assert.equal(entry?.purgedSoftly, true)
  two.freshen(entry, { ...meta, freshForUs: 77 }, 'X: 1\r\n')
  entry.release()
  const found = one.get(keys.plain)
  assert.equal(found?.purgedSoftly, false)
  assert.equal(found.fields, 'X: 1\r\n')
  assert.equal(found.meta.freshForUs, 77)
  assert.equal(found.text(), 'body')
})

test('what is removed is gone for all, also what is under way', () => {
  const { one, two } = pair()
  put(one, keys.plain, 'body')
  const fill = one.lead(keys.root)
  assert.ok(fill?.begin(meta, '', [], 1))
  two.remove(keys.plain)
  two.remove(keys.root)
  fill?.writeText('x')
  fill?.commit()
  for (const key of [keys.plain, keys.root]) assert.equal(one.get(key), null)
})

test('when purges can be counted no further everything is dropped and they are counted anew', () => {
  const memory = createStoreMemory(spec, 2)
  const one = new ThreadStore(memory, 0)
  const told: string[] = []
  const main = new MainStore(memory, text => told.push(text))
  put(one, keys.plain, 'body')
  const fill = one.lead(keys.root)
  Atomics.store(one.views.common.purgesBegun, 0, 2_000_000_000)
  void main.purge({ tags: ['nobody'] })
  assert.equal(told.length, 1)
  assert.equal(one.get(keys.plain), null)
  assert.equal(fill?.begin(meta, '', [], 0), false, 'an answer from before')
  put(one, keys.plain, 'body', ['a'])
  assert.equal(one.get(keys.plain)?.text(), 'body')
  void main.purge({ tags: ['a'] })
  assert.equal(one.get(keys.plain), null)
  void main.close()
})

function pair(): { one: ThreadStore; two: ThreadStore } {
  const memory = createStoreMemory(spec, 2)
  return { one: new ThreadStore(memory, 0), two: new ThreadStore(memory, 1) }
}
