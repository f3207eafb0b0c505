import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startThread, type Worker } from '../../io/threads.ts'
import { seededRandom } from '../../kit/random.ts'
import type { EvictionKind } from '../../policy/evict/contract.ts'
import { entryState } from './layout.ts'
import { MainStore } from './main-store.ts'
import { createStoreMemory } from './store-memory.ts'
import { type HammerStart, hammerCell } from './testing/hammer.ts'

const workers = 3
const hammerUrl = new URL('./testing/hammer-thread.ts', import.meta.url).href

interface Run {
  readonly eviction: EvictionKind
  readonly kills: number
  readonly fillsLeast: number
}

async function hammer({ eviction, kills, fillsLeast }: Run): Promise<void> {
  const seed = Math.floor(Math.random() * 2 ** 31)
  console.log(`seed ${seed}`)
  const random = seededRandom(seed)
  const spec = { memoryBytes: 6_291_456, entriesMax: 3_000, objectBytesMax: 786_432, eviction }
  const memory = createStoreMemory(spec, workers, seed)
  let emptied = 0
  const main = new MainStore(memory, () => emptied++)
  const cells = new Int32Array(new SharedArrayBuffer(64))
  const threads: Worker[] = []
  const start = (worker: number): void => {
    const data: HammerStart = {
      memory,
      worker,
      seed: random.below(2 ** 31),
      keys: 4_000,
      bodyBytesMax: 150_000,
      cells: cells.buffer as SharedArrayBuffer,
    }
    threads[worker] = startThread(hammerUrl, 'hammer-thread', data)
  }
  for (let worker = 0; worker < workers; worker++) start(worker)
  try {
    for (let i = 0; i < kills; i++) {
      await pause(30 + random.below(120))
      const worker = random.below(workers)
      const { common, thread } = main.store.views
      // Half of them while they hold the lock, as far as that can be hit.
      for (let looks = i % 2 === 0 ? 1_000_000 : 0; looks > 0; looks--)
        if (Atomics.load(common.lock, 0) === Atomics.load(thread.life, worker)) break
      await (threads[worker] as Worker).terminate()
      main.repairWorker(worker)
      start(worker)
    }
    await until(() => Atomics.load(cells, hammerCell.fills) >= fillsLeast)
    Atomics.store(cells, hammerCell.stop, 1)
    await until(() => Atomics.load(cells, hammerCell.stopped) === workers)
  } finally {
    await Promise.all(threads.map(thread => thread.terminate()))
  }
  assert.equal(cells[hammerCell.wrongBytes], 0, 'bytes that belong to something else')
  assert.equal(cells[hammerCell.wrongHeads], 0, 'heads that belong to something else')
  assert.ok((cells[hammerCell.reads] as number) > 1_000)
  assert.ok(main.counts.bytes <= main.counts.bytesMax)
  for (let worker = 0; worker < workers; worker++) main.repairWorker(worker)
  assert.equal(
    main.store.views.pins.reduce((sum, pins) => sum + pins, 0),
    0,
    'pins are left',
  )
  const tell = `${main.counts.entries} entries, ${main.counts.evicted} evicted, ${cells[hammerCell.fills]} fills, emptied ${emptied} times`
  console.log(tell)
  const { entry, common } = main.store.views
  let blocks = 0
  for (let slot = 1; slot <= (common.slotsUsed[0] as number); slot++)
    if (entry.state[slot] === entryState.stored) blocks += entry.blocks[slot] as number
    else assert.equal(entry.state[slot], entryState.free, 'neither stored nor free')
  assert.equal(common.usedBlocks[0], blocks, 'memory that belongs to nothing')
  void main.close()
}

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

async function until(holds: () => boolean): Promise<void> {
  for (let waited = 0; !holds(); waited += 20) {
    assert.ok(waited < 60_000, 'it does not come to it')
    await pause(20)
  }
}

test('no thread ever reads a byte of another object while all fill, evict, purge, refresh and send', () =>
  hammer({ eviction: 's3-fifo', kills: 0, fillsLeast: 20_000 }))

test('nor under a policy that needs the lock for each use', () =>
  hammer({ eviction: 'lru', kills: 0, fillsLeast: 10_000 }))

test('threads that are killed at random instructions leave nothing behind', () =>
  hammer({ eviction: 's3-fifo', kills: 25, fillsLeast: 20_000 }))
