import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../kit/random.ts'
import { attachViews } from './layout.ts'
import { Runs } from './runs.ts'
import { createStoreMemory } from './store-memory.ts'

test('runs never overlap, neighbours that are free become one, and nothing is lost', () => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  console.log(`seed ${seed}`)
  const random = seededRandom(seed)
  const spec = { memoryBytes: 1_048_576, entriesMax: 16, objectBytesMax: 65_536, eviction: 'fifo' } as const
  const views = attachViews(createStoreMemory(spec, 1, 1))
  const runs = new Runs(views)
  const total = views.blocks - 1
  const owner = new Int32Array(views.blocks)
  const held: number[] = []
  let used = 0
  for (let step = 1; step <= 60_000; step++) {
    const dice = random.below(10)
    if (dice < 5 || held.length === 0) {
      const wanted = 1 + (random.below(4) === 0 ? random.below(300) : random.below(12))
      const least = random.below(2) === 0 ? wanted : Math.ceil(wanted / 4)
      const run = runs.take(wanted, least)
      if (run === 0) {
        assert.ok(wanted * 1.15 > total - used || held.length > 0)
        continue
      }
      const size = runs.sizeOf(run)
      assert.ok(size >= least && size <= wanted)
      for (let block = run; block < run + size; block++) {
        assert.equal(owner[block], 0, `block ${block} is in use`)
        owner[block] = step
      }
      used += size
      held.push(run)
      continue
    }
    const run = held[random.below(held.length)] as number
    const size = runs.sizeOf(run)
    const keep = dice === 5 && size > 1 ? 1 + random.below(size - 1) : 0
    if (keep > 0) runs.trim(run, keep)
    else {
      runs.give(run)
      held.splice(held.indexOf(run), 1)
    }
    owner.fill(0, run + keep, run + size)
    used -= size - keep
    assert.equal(views.common.usedBlocks[0], used)
  }
  for (const run of held) runs.give(run)
  assert.equal(views.common.usedBlocks[0], 0)
  const whole = runs.take(total)
  assert.equal(runs.sizeOf(whole), total, 'all of it is one run again')
})
