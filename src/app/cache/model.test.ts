// The lesson, executable: in which order may a cache and a database be written? Random interleavings of readers, writers
// and deaths over a model of the database. The four orders that one finds in the wild go stale; `update` does not.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fakeClock, SECOND } from '../../kit/clock.ts'
import { type Cache, createCache } from './index.ts'
import { MemoryServer, MemoryTier } from './testing/memory-tier.ts'
import { type Course, type ModelRow, runCourse, type Schedule, type Subject, type Verdict } from './testing/schedule.ts'

const seed = Number(process.env.MODEL_SEED ?? Math.floor(performance.timeOrigin) % 2 ** 31)
const runs = Number(process.env.MODEL_RUNS ?? 10_000)

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

type Order = (cache: Map<string, string>, step: () => Promise<void>, commit: () => Promise<unknown>, value: string) => Promise<void>

const orders: Record<string, Order> = {
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

/** A course on which what is held stays stale, as short as it can be made; null: none was found. */
async function staleCourse(
  make: (schedule: Schedule, row: ModelRow) => Subject,
  deaths: boolean,
): Promise<Course | null> {
  const property = fc.asyncProperty(courses(deaths), async course => {
    const { staleHeld } = await runCourse(course, make)
    return staleHeld.length === 0
  })
  const found = await fc.check(property, { numRuns: runs, seed })
  return found.failed ? found.counterexample![0] : null
}

for (const [name, order] of Object.entries(orders)) {
  test(`${name}: some course leaves the cache stale for good, without anybody dying`, async t => {
    t.diagnostic(`seed ${seed}`)
    const course = await staleCourse(naive(order), false)
    assert.notEqual(course, null, 'no stale course was found')
    t.diagnostic(`for example ${JSON.stringify(course!.choices)}`)
  })
}

// Ours, with the real cache.

interface Kind {
  readonly shared: boolean
  readonly inProcess: boolean
  readonly fill: boolean
  readonly versions: boolean
}

const fenceMs = 10_000

async function ours(course: Course, kind: Kind): Promise<Verdict> {
  const clock = fakeClock()
  const server = new MemoryServer(clock)
  const caches: Cache[] = []
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
          leaseWaitMs: 0,
          inProcess: kind.inProcess,
          ...(kind.shared && { tier: new MemoryTier(server, { step: () => schedule.step(process) }) }),
        })
      // Without a shared tier all are in one process: two caches of one row could not know of each other.
      caches.push(opened(0))
      if (kind.shared) caches.push(opened(1))
      const cacheOf = (process: number): Cache => caches[kind.shared ? process : 0]!
      const version = (value: string): number => row.history.indexOf(value)
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

for (const shared of [false, true])
  for (const fill of [false, true])
    for (const versions of [false, true])
      for (const inProcess of shared ? [true, false] : [true]) {
        const where = shared
          ? `two processes over a shared tier, ${inProcess ? 'each with' : 'without'} a tier of its own`
          : 'one process'
        const how = `${fill ? 'filled by its writer' : 'forgotten'}${versions ? ', with versions' : ''}`
        test(`update leaves nothing stale in ${runs} courses: ${where}, ${how}`, async t => {
          t.diagnostic(`seed ${seed}`)
          // By the time of a message a process with a tier of its own may be behind; at rest it never is.
          const strict = !shared || !inProcess
          await fc.assert(
            fc.asyncProperty(courses(shared), async course => {
              const verdict = await ours(course, { shared, inProcess, fill, versions })
              assert.deepEqual(verdict.staleHeld, [])
              if (strict) assert.deepEqual(verdict.staleReads, [])
            }),
            { numRuns: runs, seed },
          )
        })
      }
