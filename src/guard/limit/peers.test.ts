// The same requests at the same moments, decided by rate-limiter-flexible (fixed windows in memory) and by ours.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RateLimiterMemory } from 'rate-limiter-flexible'
import { seededRandom } from '../../kit/random.ts'
import { limitNext, limitOutcome, limitRule } from '../../policy/limit/index.ts'

test('within one window fixed and sliding windows and gcra let through what rate-limiter-flexible does', async () => {
  const seed = Date.now() & 0xffff
  const random = seededRandom(seed)
  for (let round = 0; round < 40; round++) {
    const amount = 1 + random.below(50)
    const peer = new RateLimiterMemory({ points: amount, duration: 3_600 })
    const rules = (['fixed', 'sliding', 'gcra'] as const).map(algorithm =>
      limitRule({ algorithm, amount, perMs: 3_600_000, burst: amount }),
    )
    const states = [0, 0, 0]
    const out = limitOutcome()
    for (let i = 0; i < 80; i++) {
      const cost = 1 + random.below(3)
      const theirs = await peer.consume('key', cost).then(
        () => true,
        () => false,
      )
      // Theirs counts what it refuses too: from then on it refuses all, ours only what does not fit.
      if (!theirs) break
      for (const [at, rule] of rules.entries()) {
        states[at] = limitNext(rule, states[at]!, 3_600_000_000 * 7, cost, 1, out)
        assert.equal(out.allowed, true, `seed ${seed}, ${rule.algorithm}`)
        const left = (await peer.get('key'))?.remainingPoints
        assert.equal(out.remaining, left, `seed ${seed}, ${rule.algorithm}`)
      }
    }
    for (const [at, rule] of rules.entries()) {
      limitNext(rule, states[at]!, 3_600_000_000 * 7, 1, 1, out)
      const left = out.remaining + (out.allowed ? 1 : 0)
      limitNext(rule, states[at]!, 3_600_000_000 * 7, left + 1, 1, out)
      // More than there is left does not pass, unless nothing was used.
      assert.equal(out.allowed, left === amount, `seed ${seed}, ${rule.algorithm}`)
    }
    await peer.delete('key')
  }
})
