// The lesson, executable: in which order may a cache and a database be written? Random interleavings of readers, writers
// and deaths over a model of the database. The four orders that one finds in the wild go stale; `update` does not.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import type { Answer, Job, Kind } from './testing/model-worker.ts'

const seed = Number(process.env.MODEL_SEED ?? Math.floor(performance.timeOrigin) % 2 ** 31)
/** Of each kind: 20,000 of ours together, and of the orders in the wild until one fails. */
const runs = Number(process.env.MODEL_RUNS ?? 1_000)
const worker = new Worker(new URL('./testing/model-worker.ts', import.meta.url))
after(() => worker.terminate())

const plain: Kind = { shared: false, inProcess: true, fill: false, versions: false, strategy: null }

async function verdictOf(order: string | null, kind: Kind): Promise<Answer> {
  const job: Job = { id: 0, runs, seed, order, kind }
  assert.ok(worker.threadId > 0, 'the thread of the model lives')
  worker.postMessage(job)
  const [answer] = (await once(worker, 'message')) as [Answer]
  return answer
}

for (const order of [
  'the cache is set, then the database written',
  'the database is written, then the cache set',
  'the cache is deleted, then the database written',
  'the database is written, then the cache deleted',
]) {
  test(`${order}: some course leaves the cache stale for good, without anybody dying`, async t => {
    const { failed, counterexample } = await verdictOf(order, plain)
    assert.ok(failed, `no stale course was found (seed ${seed})`)
    t.diagnostic(`seed ${seed}: ${counterexample}`)
  })
}

for (const shared of [false, true])
  for (const fill of [false, true])
    for (const versions of [false, true])
      for (const inProcess of shared ? [true, false] : [true]) {
        const where = shared
          ? `two processes over a shared tier, ${inProcess ? 'each with' : 'without'} a tier of its own`
          : 'one process'
        const how = `${fill ? 'filled by its writer' : 'forgotten'}${versions ? ', with versions' : ''}`
        test(`update leaves nothing stale in ${runs} courses: ${where}, ${how}`, async () => {
          const answer = await verdictOf(null, { ...plain, shared, inProcess, fill, versions })
          assert.equal(answer.failed, false, `seed ${seed}: ${answer.error} on ${answer.counterexample}`)
          assert.equal(answer.runs, runs)
        })
      }

for (const shared of [false, true])
  for (const strategy of ['aside', 'write-through', 'write-around', 'refresh-ahead'] as const) {
    const where = shared ? 'two processes over a shared tier' : 'one process'
    test(`a store of the strategy ${strategy} leaves nothing stale in ${runs} courses: ${where}`, async () => {
      const answer = await verdictOf(null, { ...plain, shared, inProcess: !shared, strategy })
      assert.equal(answer.failed, false, `seed ${seed}: ${answer.error} on ${answer.counterexample}`)
      assert.equal(answer.runs, runs)
    })
  }
