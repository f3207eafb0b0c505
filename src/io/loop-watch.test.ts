import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { type LoopSample, watchLoop } from './loop-watch.ts'

test('a loop that is held up is told as late and busy, one that waits as idle', async () => {
  const samples: LoopSample[] = []
  const stop = watchLoop(sample => void samples.push(sample))
  const end = performance.now() + 20_000
  const some = (holds: (sample: LoopSample) => boolean): boolean => samples.some(holds)
  const late = (one: LoopSample): boolean => one.delayUs > 150_000 && one.utilisation > 0.3
  // Alternately, until both were seen: what else runs here has its share.
  while (performance.now() < end && !(some(late) && some(one => one.utilisation < 0.5))) {
    const until = performance.now() + 300
    while (samples.length % 2 === 0 && performance.now() < until);
    await new Promise(resolve => setTimeout(resolve, 250))
  }
  stop()
  assert.ok(
    some(one => one.delayUs > 150_000 && one.utilisation > 0.3),
    JSON.stringify(samples),
  )
  assert.ok(
    some(one => one.utilisation < 0.5),
    JSON.stringify(samples),
  )
})
