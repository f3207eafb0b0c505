import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { createHistograms, type Distribution, emptyDistribution } from '../kit/histogram.ts'
import { seededRandom } from '../kit/random.ts'
import {
  belongsToCanary,
  binomialTail,
  type CanaryRollbackSettings,
  canaryText,
  chooseShare,
  decideCanary,
  errorsByChance,
  type SideCounts,
} from './canary.ts'
import { CanaryWindow } from './canary-window.ts'
import { hashText } from './hash.ts'
import { Reason } from './reason.ts'

const settings: CanaryRollbackSettings = {
  windowMs: 60_000,
  requestsMin: 20,
  errorShareExcess: 0.05,
  latencyFactor: 2,
}

const clients = Array.from({ length: 20_000 }, (_, i) =>
  hashText(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`),
)

function latencies(...us: readonly (readonly [number, number])[]): Distribution {
  const histograms = createHistograms(1)
  for (const [value, count] of us) for (let i = 0; i < count; i++) histograms.record(0, value)
  return histograms.read([0])
}

function side(requests: number, errors: number, latency: Distribution = emptyDistribution): SideCounts {
  return { requests, errors, latency }
}

test('a canary gets its share of the clients, and a share that grows takes nobody away from it', () => {
  for (const share of [0, 0.01, 0.1, 0.5, 1]) {
    const taken = clients.filter(client => belongsToCanary(client, 'next', share)).length / clients.length
    assert.ok(Math.abs(taken - share) < 0.01, `${taken} of ${share}`)
  }
  for (const client of clients)
    if (belongsToCanary(client, 'next', 0.1)) assert.ok(belongsToCanary(client, 'next', 0.3))
})

test('two canaries choose their clients independently of each other', () => {
  const both = clients.filter(
    client => belongsToCanary(client, 'next', 0.5) && belongsToCanary(client, 'other', 0.5),
  ).length
  assert.ok(Math.abs(both / clients.length - 0.25) < 0.02, `${both}`)
})

test('a split keeps to its shares, and a changed share moves only clients to or from that part', () => {
  const parts = (shares: readonly number[]): { upstream: string; share: number }[] =>
    shares.map((share, i) => ({ upstream: `part-${i}`, share }))
  const before = clients.map(client => chooseShare(client, parts([0.5, 0.3, 0.2])))
  for (const [i, share] of [0.5, 0.3, 0.2].entries()) {
    const taken = before.filter(part => part === i).length / clients.length
    assert.ok(Math.abs(taken - share) < 0.015, `part ${i}: ${taken}`)
  }
  // 0.2 of 1.0 becomes 0.6 of 1.4.
  const after = clients.map(client => chooseShare(client, parts([0.5, 0.3, 0.6])))
  for (const [i, part] of after.entries()) if (part !== before[i]) assert.equal(part, 2)
  const moved = after.filter((part, i) => part !== before[i]).length / clients.length
  assert.ok(Math.abs(moved - (0.6 / 1.4 - 0.2)) < 0.015, `${moved}`)
})

test('a split whose every share is 0 has no part for anybody', () => {
  assert.equal(chooseShare(1, [{ upstream: 'a', share: 0 }]), -1)
})

test("the exact tests agree with known values: Fisher's tea and the binomial distribution", () => {
  // Fisher 1935: 3 of 4 cups right and 1 of 4 wrong: p = 17/70.
  const tea = errorsByChance({ canary: side(4, 3), others: side(4, 1) })
  assert.ok(Math.abs(tea - 17 / 70) < 1e-12, `${tea}`)
  assert.ok(Math.abs(binomialTail(8, 10, 0.5) - 56 / 1024) < 1e-12)
  assert.equal(binomialTail(0, 10, 0.5), 1)
  // Large counts: no overflow, and close to the normal distribution (z = 4.05: 2.6e-5).
  const large = errorsByChance({ canary: side(100_000, 10_550), others: side(900_000, 91_200) })
  assert.ok(large > 1e-6 && large < 1e-3, `${large}`)
})

test('a canary that fails far more often than the others is taken out, and says by how much', () => {
  const decision = decideCanary({ canary: side(500, 60), others: side(5_000, 20) }, settings)
  assert.equal(decision.kind, 'rollback')
  assert.equal(canaryText(decision), 'taken out: errors 12 % against 0.4 % of 500 requests')
})

test('below the smallest number of requests nothing is decided, whatever they showed', () => {
  const decision = decideCanary({ canary: side(19, 19), others: side(5_000, 0) }, settings)
  assert.deepEqual([decision.kind, decision.reason], ['hold', Reason.canaryFewRequests])
  assert.equal(decideCanary({ canary: side(20, 20), others: side(5_000, 0) }, settings).kind, 'rollback')
})

test('an excess that chance may show is held, and so is a significant one below the bound', () => {
  const noise = decideCanary({ canary: side(20, 3), others: side(40, 2) }, settings)
  assert.deepEqual([noise.kind, noise.reason], ['hold', Reason.canaryByChance])
  const small = decideCanary({ canary: side(10_000, 400), others: side(10_000, 50) }, settings)
  assert.deepEqual([small.kind, small.reason], ['hold', Reason.canaryGood])
})

test('without others there is nothing to compare with', () => {
  const decision = decideCanary({ canary: side(500, 500), others: side(0, 0) }, settings)
  assert.deepEqual([decision.kind, decision.reason], ['hold', Reason.canaryAlone])
})

test('a canary whose p95 is a multiple of the others is taken out; a factor of 0 never looks', () => {
  const seen = {
    canary: side(200, 0, latencies([20_000, 160], [90_000, 40])),
    others: side(2_000, 0, latencies([20_000, 2_000])),
  }
  const decision = decideCanary(seen, settings)
  assert.equal(decision.kind, 'rollback')
  assert.match(canaryText(decision), /^taken out: p95 (89|90|91) ms against 20 ms of 200 requests$/)
  assert.equal(decideCanary(seen, { ...settings, latencyFactor: 0 }).kind, 'hold')
})

test('a slow tail that chance may show, or that is less than a millisecond, is held', () => {
  const few = {
    canary: side(20, 0, latencies([20_000, 18], [90_000, 2])),
    others: side(2_000, 0, latencies([20_000, 2_000])),
  }
  assert.equal(decideCanary(few, settings).kind, 'hold')
  const tiny = {
    canary: side(500, 0, latencies([900, 500])),
    others: side(2_000, 0, latencies([200, 2_000])),
  }
  assert.equal(decideCanary(tiny, settings).kind, 'hold')
})

test('two sides that are alike are taken apart by chance in less than one of ten thousand looks', t => {
  const seed = Math.trunc(Math.random() * 2 ** 32)
  t.diagnostic(`seed ${seed}`)
  const random = seededRandom(seed)
  const draw = (requests: number, share: number): SideCounts => {
    let errors = 0
    for (let i = 0; i < requests; i++) if (random.float() < share) errors++
    return side(requests, errors)
  }
  let wrong = 0
  const looks = 20_000
  for (let i = 0; i < looks; i++) {
    const share = [0.005, 0.05, 0.3][i % 3] as number
    const seen = { canary: draw(60, share), others: draw(300, share) }
    if (decideCanary(seen, settings).kind === 'rollback') wrong++
  }
  // 20,000 looks at less than 3.2e-5 each: 0.6 expected at most; more than 8 has a chance below 1e-7.
  assert.ok(wrong <= 8, `${wrong} of ${looks}`)
})

test('the window forgets what is older than it, in steps of a tenth', () => {
  const window = new CanaryWindow(10_000)
  const at = (second: number, errors: number): number => {
    const sums = { canary: side(second * 10, errors), others: side(second * 100, 0) }
    return window.observe(second * 1_000_000, sums).canary.errors
  }
  for (let second = 0; second <= 5; second++) at(second, second)
  assert.equal(at(6, 6), 6)
  for (let second = 7; second <= 30; second++) at(second, 6)
  assert.equal(at(31, 7), 1)
  window.restart()
  assert.equal(at(32, 8), 0)
})

test('a window keeps a bounded number of sums, however often it is asked', () => {
  const window = new CanaryWindow(1_000)
  for (let i = 0; i < 10_000; i++) {
    const seen = window.observe(i * 10_000, { canary: side(i, 0), others: side(0, 0) })
    assert.ok(seen.canary.requests <= 111, `${seen.canary.requests}`)
  }
})
