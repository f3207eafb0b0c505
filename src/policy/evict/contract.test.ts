// What `contract.ts` promises, for every kind: in random order, in plain and shared memory, by entries and by bytes, and
// beside threads that hit without a lock. Kinds with one right answer are compared with naive models to the last slot.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { type Random, seededRandom } from '../../kit/random.ts'
import { mix32 } from '../hash.ts'
import type { EvictionKind, EvictionOptions, EvictionPolicy } from './contract.ts'
import type { HitterTask } from './fixtures/hitter.ts'
import { evictionFactory, evictionKinds } from './index.ts'
import { ArcModel, type Model, modelOf } from './testing/models.ts'
import { Owner } from './testing/owner.ts'

const seedOfRun = Number(process.env.TENFOLD_SEED ?? Date.now() % 2 ** 31)
const lockFree: readonly EvictionKind[] = ['fifo', 'lifo', 'random', 'clock', 'sieve', 's3-fifo']

interface Held {
  readonly key: number
  readonly size: number
}

/** Two views over one memory, a model, and the books that a test keeps itself. */
class Stage {
  readonly held = new Map<number, Held>()
  readonly keys = new Map<number, number>()
  readonly views: readonly [EvictionPolicy, EvictionPolicy]
  readonly model: Model | undefined
  readonly options: EvictionOptions
  readonly #random: Random
  readonly #free: number[]

  constructor(kind: EvictionKind, options: EvictionOptions, shared: boolean, random: Random) {
    const factory = evictionFactory(kind)
    const bytes = 64 + factory.bytes(options)
    const memory = shared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes)
    this.views = [factory.attach(memory, 64, options), factory.attach(memory, 64, options)]
    this.model = modelOf(kind, options.slots, options.capacity)
    this.options = options
    this.#random = random
    this.#free = Array.from({ length: options.slots }, (_, slot) => slot)
  }

  /** Either of the views: they must show the same. */
  get policy(): EvictionPolicy {
    return this.views[this.#random.below(2) as 0 | 1]
  }

  request(key: number, size: number): void {
    const slot = this.keys.get(key)
    if (slot !== undefined) this.hit(slot)
    else this.insert(key, size)
  }

  hit(slot: number): void {
    this.policy.hit(slot)
    this.model?.hit(slot)
  }

  insert(key: number, size: number): void {
    this.policy.miss(mix32(key))
    while (this.policy.size + size > this.options.capacity || this.#free.length === 0) this.evict()
    const [slot] = this.#free.splice(this.#random.below(this.#free.length), 1) as [number]
    this.policy.insert(slot, mix32(key), size)
    this.model?.insert(slot, mix32(key), size)
    this.held.set(slot, { key, size })
    this.keys.set(key, slot)
  }

  evict(): number {
    const slot = this.policy.evict()
    if (this.model) assert.equal(slot, this.model.evict(), 'the model lets another one go')
    if (slot >= 0) this.#out(slot)
    else assert.equal(this.held.size, 0, 'nothing goes although something is in')
    return slot
  }

  remove(slot: number): void {
    this.policy.remove(slot)
    this.model?.remove(slot)
    this.#out(slot)
  }

  check(): void {
    const size = [...this.held.values()].reduce((sum, one) => sum + one.size, 0)
    for (const view of this.views) {
      assert.equal(view.count, this.held.size)
      assert.equal(view.size, size)
    }
    assert.ok(size <= this.options.capacity, `${size} of ${this.options.capacity}`)
  }

  drain(): void {
    while (this.evict() >= 0);
    assert.equal(this.held.size, 0)
    this.check()
  }

  someSlot(): number | undefined {
    return [...this.held.keys()][this.#random.below(Math.max(1, this.held.size))]
  }

  #out(slot: number): void {
    const one = this.held.get(slot)
    assert.ok(one, `slot ${slot} went and was not in`)
    this.held.delete(slot)
    this.keys.delete(one.key)
    this.#free.push(slot)
  }
}

/** Few keys more than fit, the low ones asked for more often; and once in a while something else happens. */
function play(stage: Stage, random: Random, steps: number, sizeMax: number): void {
  const keys = stage.options.slots * 2
  for (let step = 0; step < steps; step++) {
    const what = random.below(100)
    const slot = stage.someSlot()
    if (what < 4 && slot !== undefined) stage.remove(slot)
    else if (what < 6) stage.evict()
    else stage.request(Math.min(random.below(keys), random.below(keys)), 1 + random.below(sizeMax))
    stage.check()
  }
}

for (const kind of evictionKinds) {
  describe(kind, () => {
    for (const shared of [false, true]) {
      test(`two views over ${shared ? 'shared' : 'plain'} memory agree with the books, whatever happens`, t => {
        t.diagnostic(`TENFOLD_SEED=${seedOfRun}`)
        const random = seededRandom(seedOfRun)
        for (const slots of [1, 2, 3, 10, 40]) {
          const stage = new Stage(kind, { slots, capacity: slots, seed: 1 }, shared, random)
          play(stage, random, 1200, 1)
          stage.drain()
          play(stage, random, 200, 1)
        }
      })
    }

    test('sizes are counted, and what is in never exceeds the capacity', t => {
      t.diagnostic(`TENFOLD_SEED=${seedOfRun}`)
      const random = seededRandom(seedOfRun + 1)
      for (const [slots, capacity] of [
        [40, 1000],
        [10, 5000],
        [60, 300],
      ] as const) {
        const stage = new Stage(kind, { slots, capacity, seed: 1 }, false, random)
        play(stage, random, 1500, 200)
        stage.drain()
      }
    })

    test('totals beyond 32 bits are right', () => {
      const policy = evictionFactory(kind).create({ slots: 8, capacity: 2 ** 36 })
      for (let slot = 0; slot < 8; slot++) policy.insert(slot, mix32(slot), 2 ** 32 - 1)
      assert.equal(policy.size, 8 * (2 ** 32 - 1))
      policy.remove(3)
      policy.evict()
      assert.equal(policy.size, 6 * (2 ** 32 - 1))
    })

    test('after clear it is as new', () => {
      const options = { slots: 20, capacity: 20, seed: 3 }
      const [used, fresh] = [evictionFactory(kind).create(options), evictionFactory(kind).create(options)]
      const random = seededRandom(5)
      const owner = new Owner(used, 20, 20)
      for (let i = 0; i < 2000; i++) owner.request(random.below(40))
      used.clear()
      assert.deepEqual([used.count, used.size, used.evict()], [0, 0, -1])
      const owners = [new Owner(used, 20, 20), new Owner(fresh, 20, 20)] as const
      for (let i = 0; i < 3000; i++) {
        const key = random.below(40)
        assert.equal(owners[0].request(key), owners[1].request(key), `request ${i}`)
      }
    })

    test('to remove or to hit a slot that is out changes nothing', () => {
      const options = { slots: 4, capacity: 4 }
      const policy = evictionFactory(kind).create(options)
      policy.remove(2)
      policy.hit(2)
      assert.deepEqual([policy.count, policy.size, policy.evict()], [0, 0, -1])
      for (const slot of [0, 1]) policy.insert(slot, mix32(slot), 1)
      for (let i = 0; i < 5; i++) policy.hit(3)
      policy.remove(3)
      assert.deepEqual([policy.evict(), policy.evict()].toSorted(), [0, 1])
    })

    test('a slot that is in is not inserted again', () => {
      const policy = evictionFactory(kind).create({ slots: 4, capacity: 4 })
      policy.insert(1, 1, 1)
      assert.throws(() => policy.insert(1, 2, 1), /only while it is out/)
    })

    test('uses are remembered while the slot is in and after it went, and begin anew', () => {
      const policy = evictionFactory(kind).create({ slots: 4, capacity: 4 })
      policy.insert(2, mix32(2), 1)
      assert.equal(policy.uses(2), 0)
      for (let i = 0; i < 3; i++) policy.hit(2)
      assert.equal(policy.uses(2), 3)
      while (policy.evict() !== 2);
      assert.equal(policy.uses(2), 3)
      policy.insert(2, mix32(7), 1)
      assert.equal(policy.uses(2), 0)
    })

    test('an owner who inserts first and makes room after loses nothing', () => {
      const policy = evictionFactory(kind).create({ slots: 11, capacity: 10, seed: 1 })
      const held = new Set<number>()
      for (let key = 0; key < 500; key++) {
        const slot = Array.from({ length: 11 }, (_, one) => one).find(one => !held.has(one))!
        policy.miss(mix32(key % 30))
        policy.insert(slot, mix32(key % 30), 1)
        held.add(slot)
        while (policy.size > 10) assert.ok(held.delete(policy.evict()))
        assert.equal(policy.count, held.size)
      }
    })

    test('says truly whether a hit is lock-free', () => {
      const options = { slots: 16, capacity: 16 }
      const factory = evictionFactory(kind)
      const memory = new ArrayBuffer(factory.bytes(options))
      const policy = factory.attach(memory, 0, options)
      assert.equal(policy.hitIsLockFree, lockFree.includes(kind))
      for (let slot = 0; slot < 16; slot++) policy.insert(slot, mix32(slot), 1)
      if (policy.hitIsLockFree) assertHitsWriteApart(policy, new Uint8Array(memory))
    })
  })
}

/** At most a count and a mark, and never a byte that another slot's hits write too. */
function assertHitsWriteApart(policy: EvictionPolicy, bytes: Uint8Array): void {
  const written = new Set<number>()
  for (let slot = 0; slot < 16; slot++) {
    const before = bytes.slice()
    for (let i = 0; i < 20; i++) policy.hit(slot)
    const changed = [...bytes.keys()].filter(at => bytes[at] !== before[at])
    assert.ok(changed.length >= 1 && changed.length <= 2, `a hit wrote ${changed.length} bytes`)
    for (const at of changed) assert.ok(!written.has(at), 'two slots share a byte')
    for (const at of changed) written.add(at)
  }
}

test('ARC decides as the paper, request by request', t => {
  t.diagnostic(`TENFOLD_SEED=${seedOfRun}`)
  const random = seededRandom(seedOfRun + 2)
  for (const entries of [1, 2, 5, 16, 50]) {
    const policy = evictionFactory('arc').create({ slots: entries, capacity: entries })
    const [owner, model] = [new Owner(policy, entries, entries), new ArcModel(entries)]
    for (let i = 0; i < 12_000; i++) {
      // Popular keys, a loop and a scan by turns, so that the target moves both ways.
      const phase = Math.floor(i / 1500) % 3
      const popular = Math.min(random.below(entries * 4), random.below(entries * 4))
      const key = phase === 0 ? popular : phase === 1 ? i % (entries * 2) : 10_000 + Math.floor(i / 3)
      assert.equal(owner.request(key), model.request(key), `${entries} entries, request ${i}`)
    }
    assert.ok(owner.hits > 0)
  }
})

for (const kind of ['clock', 'sieve', 's3-fifo'] as const) {
  test(`${kind} passes a bounded number of marked slots, so that one eviction never holds everybody up`, () => {
    const slots = 20_000
    const policy = evictionFactory(kind).create({ slots, capacity: slots })
    for (let slot = 0; slot < slots; slot++) policy.insert(slot, mix32(slot), 1)
    for (let slot = 0; slot < slots; slot++) for (let i = 0; i < 3; i++) policy.hit(slot)
    // In the order of their arrival the slots are passed: the one after the bound goes although it is marked.
    assert.equal(policy.evict(), 512)
    assert.equal(policy.uses(512), 3)
    assert.equal(policy.count, slots - 1)
  })
}

test('threads hit without a lock while the owner inserts, evicts and removes; nothing is lost', async () => {
  for (const kind of lockFree) {
    const options = { slots: 512, capacity: 512, seed: 1 }
    const memory = new SharedArrayBuffer(evictionFactory(kind).bytes(options))
    const signals = new Int32Array(new SharedArrayBuffer(8))
    const hitters = [1, 2].map(seed => {
      const workerData: HitterTask = { kind, memory, options, signals, seed }
      return new Worker(new URL('./fixtures/hitter.ts', import.meta.url), { workerData })
    })
    const ended = hitters.map(hitter => once(hitter, 'exit'))
    try {
      await Promise.all(hitters.map(hitter => once(hitter, 'online')))
      churn(evictionFactory(kind).attach(memory, 0, options), options.slots, signals)
    } finally {
      Atomics.store(signals, 0, 1)
      await Promise.all(ended)
    }
  }
})

/** Until the threads have hit enough beside it. */
function churn(policy: EvictionPolicy, slots: number, signals: Int32Array): void {
  const random = seededRandom(3)
  const owner = new Owner(policy, slots, slots)
  const enough = Atomics.load(signals, 1) + 200_000
  for (let i = 0; i < 50_000 || Atomics.load(signals, 1) < enough; i++) owner.request(random.below(slots * 3))
  assert.equal(policy.count, slots)
  const gone = new Set<number>()
  for (let slot = policy.evict(); slot >= 0; slot = policy.evict()) gone.add(slot)
  assert.deepEqual([gone.size, policy.count, policy.size], [slots, 0, 0])
}
