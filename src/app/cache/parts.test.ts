import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fakeClock } from '../../kit/clock.ts'
import { seededRandom } from '../../kit/random.ts'
import { calmUntil, jittered, loadsEarly } from './early.ts'
import { Fences } from './fences.ts'
import { createCache } from './index.ts'
import { Memory } from './memory.ts'
import { TagVerdict, TagVersions } from './tag-versions.ts'
import { turnClock } from './time.ts'
import { estimatedBytes, freezeDeep } from './values.ts'
import { VersionFloors } from './version-floors.ts'

test('with more forgotten tags than are remembered, too much is taken for forgotten, never too little', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(30), fc.boolean()), { maxLength: 80 }), steps => {
      const versions = new TagVersions(4)
      const forgotten: { tag: string; soft: boolean }[] = []
      for (const [tag, soft] of steps) {
        versions.forget(`t${tag}`, soft)
        forgotten.push({ tag: `t${tag}`, soft })
        assert.ok(versions.size <= 10)
      }
      for (let since = 0; since <= forgotten.length; since++) {
        for (let tag = 0; tag <= 30; tag++) {
          const later = forgotten.slice(since).filter(one => one.tag === `t${tag}`)
          const verdict = versions.verdict([`t${tag}`], since)
          if (later.some(one => !one.soft)) assert.equal(verdict, TagVerdict.gone)
          else if (later.length > 0) assert.notEqual(verdict, TagVerdict.valid)
        }
      }
      assert.equal(versions.verdict(['t0'], versions.latest), TagVerdict.valid)
    }),
  )
})

test('early loads: none before the calm is over, always from the end on, likelier the dearer the load', () => {
  const random = seededRandom(7)
  const share = (now: number, loadUs: number): number => {
    let early = 0
    for (let i = 0; i < 20_000; i++) if (loadsEarly(now, 1_000_000, loadUs, 1, random.float())) early++
    return early / 20_000
  }
  assert.equal(share(calmUntil(1_000_000, 10_000, 1) - 1, 10_000), 0)
  assert.equal(share(1_000_000, 10_000), 1)
  // P(-ln(u) * d >= left) = exp(-left / d).
  for (const loadUs of [10_000, 50_000, 200_000]) {
    const expected = Math.exp(-100_000 / loadUs)
    assert.ok(Math.abs(share(900_000, loadUs) - expected) < 0.02, `${loadUs} us`)
  }
  assert.equal(loadsEarly(0, 1_000_000, 10_000, 1, 0), false)
  assert.equal(jittered(100, 0.1, 0), 100)
  assert.equal(jittered(100, 0.1, 0.5), 95)
})

test('a fence stands while anybody holds it, and until its time; alone is who nobody else joined', () => {
  const fences = new Fences()
  const names = { keys: ['a'], tags: ['t'] }
  const first = fences.hold(names, 0)
  assert.equal(fences.aloneSince('a', first, 0), true)
  const second = fences.hold(names, 0)
  fences.free(names, 0)
  assert.equal(fences.onKey('a', 0), true)
  assert.equal(fences.onTags(['x', 't'], 0), true)
  assert.equal(fences.aloneSince('a', first, 0), false)
  assert.equal(fences.aloneSince('a', second, 0), false)
  fences.free(names, 500)
  assert.deepEqual([fences.onKey('a', 499), fences.onKey('a', 500)], [true, false])
  const third = fences.hold(names, 100)
  assert.equal(fences.aloneSince('a', third, 600), false)
})

test('fences whose time is over are swept out when many are there', () => {
  const fences = new Fences()
  for (let i = 0; i < 5_000; i++) {
    const names = { keys: [`k${i}`], tags: [] }
    fences.hold(names, i)
    fences.free(names, i + 1)
  }
  assert.ok(fences.size <= 1_100, `${fences.size}`)
})

test('version floors only rise, and are bounded', () => {
  const floors = new VersionFloors()
  floors.raise('a', 5)
  floors.raise('a', 3)
  assert.equal(floors.of('a'), 5)
  for (let i = 0; i < 40_000; i++) floors.raise(`k${i}`, i)
  assert.equal(floors.of('k39999'), 39_999)
  assert.equal(floors.of('a'), -1)
})

test('rows, nested plain objects and arrays are frozen; what keeps state of its own is not touched', () => {
  class Row {
    tags = ['x']
  }
  const value = { row: new Row(), seen: new Map([['a', 1]]), bytes: new Uint8Array(2), at: new Date(0) }
  freezeDeep(value)
  assert.throws(() => value.row.tags.push('y'), TypeError)
  assert.throws(() => Object.assign(value, { at: null }), TypeError)
  value.seen.set('b', 2)
  value.bytes[0] = 1
  const loop: { self?: unknown } = {}
  loop.self = loop
  assert.equal(freezeDeep(loop), loop)
})

test('estimates follow the size of strings, bytes, and long lists', () => {
  assert.equal(estimatedBytes('x'.repeat(100)), 216)
  assert.ok(estimatedBytes(new Uint8Array(1_000)) >= 1_000)
  const list = Array.from({ length: 100_000 }, (_, id) => ({ id, name: 'a film' }))
  const bytes = estimatedBytes(list)
  assert.ok(bytes > 100_000 * 50 && bytes < 100_000 * 300, `${bytes}`)
})

test('time stands still within a turn of the event loop, and goes on after it', async () => {
  const clock = fakeClock()
  clock.advance(5)
  const turn = turnClock(clock)
  assert.equal(turn.monotonic(), 5)
  clock.advance(5)
  assert.equal(turn.monotonic(), 5)
  for (let tries = 0; turn.monotonic() === 5 && tries < 10_000; tries++)
    await new Promise(resolve => setTimeout(resolve, 1))
  assert.equal(turn.monotonic(), 10)
})

test('by the real clock too, what was expired is not taken for fresh in the same turn', async () => {
  await using cache = createCache({ name: 'test', graceMs: 60_000 })
  await cache.set('a', 'old')
  assert.equal(cache.getNow('a'), 'old')
  const done = cache.invalidate({ keys: ['a'], soft: true })
  assert.equal(cache.getNow('a'), undefined)
  await done
})

test('the in-process tier is a map that forgets: whatever it holds is what was put last, within its bounds', () => {
  const act = fc.record({
    kind: fc.constantFrom('put', 'remove', 'look', 'tag', 'time'),
    key: fc.nat(12),
    size: fc.integer({ min: 1, max: 40 }),
  })
  fc.assert(
    fc.property(fc.array(act, { maxLength: 200 }), fc.constantFrom(0, 100), (acts, bytesMax) => {
      const tags = new TagVersions(100)
      const memory = new Memory(
        { entriesMax: 6, bytesMax, valueBytesMax: 30, negativeShare: 0.5, eviction: 's3-fifo', seed: 1 },
        tags,
      )
      const model = new Map<string, { value: number; deadAt: number }>()
      let now = 0
      acts.forEach(({ kind, key, size }, at) => {
        const name = `k${key}`
        const tag = `t${key % 3}`
        if (kind === 'time') now += size
        else if (kind === 'remove') {
          memory.remove(name)
          model.delete(name)
        } else if (kind === 'tag') {
          tags.forget(tag, false)
          for (const other of model.keys()) if (Number(other.slice(1)) % 3 === key % 3) model.delete(other)
        } else if (kind === 'put') {
          const held = {
            value: at,
            negative: size % 5 === 0,
            bytes: size,
            calmUntil: now + 50,
            freshUntil: now + 50,
          }
          memory.put(
            name,
            { ...held, deadAt: now + 80, loadUs: 0, version: -1, tags: [tag], since: tags.latest },
            now,
          )
          if (size > 30) model.delete(name)
          else model.set(name, { value: at, deadAt: now + 80 })
        }
        const found = memory.look(name, now)
        const known = model.get(name)
        if (found === 1 || found === 2) assert.equal(memory.value(memory.slotOf(name)), known?.value)
        if (known === undefined || now >= known.deadAt) assert.ok(found !== 1 && found !== 2)
        assert.ok(memory.count <= 6 && (bytesMax === 0 || memory.bytes <= bytesMax))
      })
    }),
    { numRuns: 500 },
  )
})
