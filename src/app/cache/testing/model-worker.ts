// The races that model.test.ts runs, in a thread of their own: the test runner follows every promise of its thread, which
// makes a course thirty times slower. One job in, one verdict out.

import assert from 'node:assert/strict'
import { parentPort } from 'node:worker_threads'
import fc from 'fast-check'
import { type FakeClock, fakeClock, SECOND } from '../../../kit/clock.ts'
import { type Cache, createCache, openStore, type Store, type Strategy } from '../index.ts'
import { MemoryServer, MemoryTier } from './memory-tier.ts'
import {
  type Course,
  type ModelRow,
  runCourse,
  type Schedule,
  type Subject,
  type Verdict,
} from './schedule.ts'

/** Two readers of two reads each, two writers of one write each; a process dies in half of the courses. */
function courses(deaths: boolean): fc.Arbitrary<Course> {
  return fc.record({
    choices: fc.array(fc.nat(11), { minLength: 40, maxLength: 40 }),
    readers: fc.constant([
      { process: 0, reads: 2 },
      { process: 1, reads: 2 },
    ]),
    writers: fc.constant([
      { process: 0, values: ['a'] },
      { process: 1, values: ['b'] },
    ]),
    death: deaths ? fc.option(fc.nat(40)) : fc.constant(null),
  })
}

// The orders in the wild, over a cache that is nothing but a shared map.

type Order = (
  cache: Map<string, string>,
  step: () => Promise<void>,
  commit: () => Promise<unknown>,
  value: string,
) => Promise<void>

export const orders: Record<string, Order> = {
  'the cache is set, then the database written': async (cache, step, commit, value) => {
    await step()
    cache.set('row', value)
    await step()
    await commit()
  },
  'the database is written, then the cache set': async (cache, step, commit, value) => {
    await commit()
    await step()
    cache.set('row', value)
    await step()
  },
  'the cache is deleted, then the database written': async (cache, step, commit) => {
    await step()
    cache.delete('row')
    await step()
    await commit()
  },
  'the database is written, then the cache deleted': async (cache, step, commit) => {
    await commit()
    await step()
    cache.delete('row')
    await step()
  },
}

function naive(order: Order): (schedule: Schedule, row: ModelRow) => Subject {
  return (schedule, row) => {
    const cache = new Map<string, string>()
    return {
      read: async process => {
        const step = (): Promise<void> => schedule.step(process)
        await step()
        const held = cache.get('row')
        await step()
        if (held !== undefined) return held
        const value = await row.read(process)
        await step()
        cache.set('row', value)
        await step()
        return value
      },
      write: (process, value) =>
        order(
          cache,
          () => schedule.step(process),
          () => row.write(process, value),
          value,
        ),
      held: async () => cache.get('row'),
    }
  }
}

// Ours, with the real cache.

export interface Kind {
  readonly shared: boolean
  readonly inProcess: boolean
  readonly fill: boolean
  readonly versions: boolean
  /** Through a store of this strategy; null: through the cache itself. */
  readonly strategy: Strategy | null
}

function throughStores(
  caches: readonly Cache[],
  strategy: Strategy,
  row: ModelRow,
  clock: FakeClock,
): Subject {
  const stores: Promise<Store<string>>[] = caches.map((cache, process) =>
    openStore<string>(cache, {
      name: 'rows',
      strategy,
      clock,
      ...(strategy === 'refresh-ahead' && { entry: { refreshAheadShare: 0.01 } }),
      source: {
        load: () => row.read(process),
        save: async (_, value) => void (await row.write(process, value!)),
      },
    }),
  )
  const storeOf = (process: number): Promise<Store<string>> => stores[caches.length > 1 ? process : 0]!
  return {
    // Time goes on, so that refresh ahead has something to do.
    read: async process => {
      clock.advance(8 * SECOND)
      return (await (await storeOf(process)).get('row'))!
    },
    write: async (process, value) => (await storeOf(process)).put('row', value),
    held: async process =>
      (await caches[caches.length > 1 ? process : 0]!.region<string>('rows').get('row')) ?? undefined,
  }
}

/** Longer than all that a course's reads let pass: a write must not outlast its fence. */
const fenceMs = 100_000
/** The shared tier's own: never dies. */
const serverProcess = 2

async function ours(course: Course, kind: Kind): Promise<Verdict> {
  const clock = fakeClock()
  const server = new MemoryServer(clock)
  const caches: Cache[] = []
  const tierOf = (process: number, schedule: Schedule): MemoryTier =>
    new MemoryTier(server, {
      step: () => schedule.step(process),
      deliver: () => schedule.step(serverProcess),
    })
  const verdict = await runCourse(
    course,
    (schedule, row) => {
      const opened = (process: number): Cache =>
        createCache({
          name: 'model',
          max: { entries: 4 },
          seed: 1,
          clock,
          fenceMs,
          ttlMs: 1_000_000,
          leaseWaitMs: 0,
          // By the real clock: the reads of a process that died never end, and nobody waits for them any more.
          hardTimeoutMs: 600_000,
          inProcess: kind.inProcess,
          ...(kind.shared && { tier: tierOf(process, schedule) }),
        })
      // Without a shared tier all are in one process: two caches of one row could not know of each other.
      caches.push(opened(0))
      if (kind.shared) caches.push(opened(1))
      const cacheOf = (process: number): Cache => caches[kind.shared ? process : 0]!
      const version = (value: string): number => row.history.indexOf(value)
      if (kind.strategy !== null) return throughStores(caches, kind.strategy, row, clock)
      return {
        read: process =>
          cacheOf(process).getOrSet('row', () => row.read(process), kind.versions ? { version } : {}),
        write: async (process, value) => {
          await cacheOf(process).update('row', () => row.write(process, value), {
            ...(kind.versions && { version: (written: number) => written }),
            ...(kind.fill && { fill: () => value }),
          })
        },
        held: async process => (await cacheOf(process).get<string>('row')) ?? undefined,
      }
    },
    () => clock.advance((fenceMs / 1_000 + 1) * SECOND),
  )
  // A dead process's calls never end, so its cache can't be closed; it holds nothing but memory.
  return verdict
}

export interface Job {
  readonly id: number
  readonly runs: number
  readonly seed: number
  /** Of the orders in the wild; null: ours, as `kind` says. */
  readonly order: string | null
  readonly kind: Kind
}

export interface Answer {
  readonly id: number
  readonly failed: boolean
  readonly runs: number
  readonly counterexample: string
  readonly error: string
}

function propertyOf({ order, kind }: Job): fc.IAsyncProperty<[Course]> {
  if (order !== null) {
    return fc.asyncProperty(courses(false), async course => {
      assert.deepEqual((await runCourse(course, naive(orders[order]!))).staleHeld, [])
    })
  }
  // By the time of a message a process with a tier of its own may be behind; at rest it never is.
  const strict = !kind.shared || !kind.inProcess
  return fc.asyncProperty(courses(kind.shared), async course => {
    const verdict = await ours(course, kind)
    assert.deepEqual(verdict.staleHeld, [])
    if (strict) assert.deepEqual(verdict.staleReads, [])
  })
}

parentPort?.on('message', async (job: Job) => {
  const { failed, numRuns, counterexample, errorInstance } = await fc.check(propertyOf(job), {
    numRuns: job.runs,
    seed: job.seed,
  })
  const answer: Answer = {
    id: job.id,
    failed,
    runs: numRuns,
    counterexample: JSON.stringify(counterexample?.[0] ?? null),
    error: errorInstance instanceof Error ? errorInstance.message : '',
  }
  parentPort?.postMessage(answer)
})
