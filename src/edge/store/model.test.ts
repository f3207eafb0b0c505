import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../kit/random.ts'
import { evictionKinds } from '../../policy/evict/index.ts'
import type { StoredEntry } from './contract.ts'
import { allocateMemory, blockBytes, entryState } from './layout.ts'
import { createStoreMemory } from './store-memory.ts'
import { bodyOf, fields, meta, put, spec } from './testing/use.ts'
import { ThreadStore } from './worker-store.ts'

interface Modelled {
  body: string
  fields: string
  tags: readonly string[]
  soft: boolean
}

const keyOf = (i: number): string => `host${i % 3}.example /folder${i % 7}/${i}`

for (const eviction of evictionKinds)
  test(`random use gives what a plain map gives, or nothing where it was evicted (${eviction})`, () => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    console.log(`seed ${seed}`)
    const random = seededRandom(seed)
    const memory = createStoreMemory({ ...spec, memoryBytes: 786_432, entriesMax: 120, eviction }, 2)
    const stores = [new ThreadStore(memory, 0), new ThreadStore(memory, 1)] as const
    const model = new Map<string, Modelled>()
    const held: { entry: StoredEntry; body: string }[] = []
    let found = 0
    for (let step = 0; step < 6_000; step++) {
      const store = stores[random.below(2)] as ThreadStore
      const key = keyOf(random.below(160))
      const dice = random.below(100)
      const entry = dice < 60 ? store.get(key) : null
      if (entry !== null) {
        const expected = model.get(key)
        assert.ok(expected !== undefined, `${key} should be gone`)
        assert.equal(entry.fields, expected.fields)
        assert.equal(bodyOf(entry), expected.body)
        assert.equal(entry.purgedSoftly, expected.soft)
        found++
        if (dice < 6) {
          store.freshen(entry, meta, `X-Step: ${step}\r\n`)
          const after = store.get(key)
          // There may have been no room for its new head.
          if (after !== null && after.fields !== expected.fields) {
            expected.fields = `X-Step: ${step}\r\n`
            expected.soft = false
          }
          after?.release()
        }
        if (dice < 50) entry.release()
        else held.push({ entry, body: expected.body })
      } else if (dice < 80) {
        const body = String(step).repeat(random.below(random.below(10) === 0 ? 12_000 : 400))
        const tags = [`tag${random.below(20)}`, `tag${random.below(20)}`]
        if (put(store, key, body, tags)) model.set(key, { body, fields, tags, soft: false })
      } else if (dice === 80) {
        const tag = `tag${random.below(20)}`
        const soft = random.below(2) === 0
        store.purge({ tags: [tag], soft })
        for (const [name, one] of model)
          if (!one.tags.includes(tag)) continue
          else if (soft) one.soft = true
          else model.delete(name)
      } else if (dice === 81) {
        const folder = random.below(7)
        store.purge({ prefixes: [`/folder${folder}/`] })
        for (const name of model.keys()) if (name.includes(`/folder${folder}/`)) model.delete(name)
      } else if (dice < 85) {
        store.remove(key)
        model.delete(key)
      }
      if (held.length > 12) {
        const [one] = held.splice(random.below(held.length), 1) as [(typeof held)[number]]
        assert.equal(bodyOf(one.entry), one.body, 'what is held stays as it was')
        one.entry.release()
      }
    }
    assert.ok(found > 300, `only ${found} were found`)
    for (const { entry } of held) entry.release()
    const { entry, common } = stores[0].views
    let blocks = 0
    for (let slot = 1; slot <= (common.slotsUsed[0] as number); slot++)
      if (entry.state[slot] === entryState.stored) blocks += entry.blocks[slot] as number
    assert.equal(common.usedBlocks[0], blocks)
  })

test('a million entries cost at most 400 bytes each beside their keys, fields and bodies', () => {
  const entriesMax = 1_000_000
  const count = 20_000
  const body = 'x'.repeat(1_024)
  const key = 'tickets.example /films/000000'
  // The pages of a memory that nobody touches are never made.
  const whole = allocateMemory({ ...spec, memoryBytes: 1_600_000_000, entriesMax }, 4, 1)
  const arena = Math.max(...whole.buffers.map(({ byteLength }) => byteLength))
  const tables = whole.buffers.reduce((sum, { byteLength }) => sum + byteLength, -arena) / entriesMax
  const memory = createStoreMemory({ ...spec, memoryBytes: 40_000_000, entriesMax: count }, 1)
  const store = new ThreadStore(memory, 0)
  for (let i = 0; i < count; i++)
    put(store, `tickets.example /films/${String(i).padStart(6, '0')}`, body, [`film:${i}`, 'all'])
  assert.equal(store.counts.entries, count)
  const inArena = ((store.views.common.usedBlocks[0] as number) * blockBytes) / count
  const overhead = tables + inArena - key.length - fields.length - body.length
  assert.ok(overhead <= 400, `${overhead} bytes`)
})
