import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { Reason } from './reason.ts'
import { AttemptEnd, type AttemptFailure, decideRetry, retryBudgetAllows, triesAgain } from './retry.ts'
import type { RetrySettings } from './settings.ts'

const settings: RetrySettings = {
  attempts: 2,
  budgetShare: 0.2,
  budgetMin: 3,
  backoffBaseMs: 25,
  backoffMaxMs: 250,
  onStatus: [502, 503],
}

const both = [false, true]

/** Every combination of inputs that can occur; the whole product, less what contradicts itself. */
function* everyFailure(): Generator<[AttemptFailure, withinBudget: boolean]> {
  for (const end of Object.values(AttemptEnd))
    for (const idempotent of both)
      for (const unsent of both)
        for (const reused of both)
          for (const bodyReplayable of both)
            for (const status of end === AttemptEnd.status ? [500, 503] : [0])
              for (const attempts of [1, 2, 3])
                for (const staleUsed of both)
                  for (const clientGone of both)
                    for (const withinBudget of both)
                      yield [
                        {
                          end,
                          idempotent,
                          unsent,
                          reused,
                          bodyReplayable,
                          status,
                          attempts,
                          staleUsed,
                          clientGone,
                        },
                        withinBudget,
                      ]
}

/** The first retry takes the place of an attempt that is over. */
const replacesAttempt = ({ end, attempts }: AttemptFailure): boolean =>
  attempts === 1 && (end === AttemptEnd.connectFailed || end === AttemptEnd.lost)

test('over the whole product of inputs, no rule of RFC 9110 9.2.2 and RFC 9112 9.3.1 is broken', () => {
  let cases = 0
  const seen = new Map<number, number>()
  for (const [failure, withinBudget] of everyFailure()) {
    cases++
    const code = decideRetry(failure, settings, withinBudget)
    seen.set(code, (seen.get(code) ?? 0) + 1)
    const about = `${JSON.stringify(failure)} -> ${code}`
    if (!triesAgain(code)) continue
    const neverLeft = failure.end === AttemptEnd.connectFailed || failure.unsent
    assert.ok(
      failure.idempotent || neverLeft,
      `a request that may have been acted on is sent twice: ${about}`,
    )
    assert.notEqual(failure.end, AttemptEnd.responseBegun, `after the response began: ${about}`)
    assert.ok(failure.bodyReplayable, `a body that is gone is sent again: ${about}`)
    assert.ok(!failure.clientGone, about)
    if (failure.end === AttemptEnd.status) assert.ok(failure.idempotent && failure.status === 503, about)
    if (code === Reason.retryStaleConnection) {
      assert.ok(failure.end === AttemptEnd.lost && failure.reused && !failure.staleUsed, about)
      continue
    }
    assert.ok(failure.attempts <= settings.attempts, about)
    assert.ok(withinBudget || replacesAttempt(failure), about)
  }
  assert.equal(cases, 2_304)
  const possible = Object.values(Reason).filter(
    code => code >= Reason.retryUnsent && code <= Reason.noRetryClientGone,
  )
  assert.deepEqual(
    [...seen.keys()].sort((a, b) => a - b),
    possible,
    'every reason is reached',
  )
})

test('whatever may be tried again is: nothing is refused without one of the stated grounds', () => {
  for (const [failure, withinBudget] of everyFailure()) {
    const neverLeft = failure.end === AttemptEnd.connectFailed || failure.unsent
    const grounds =
      failure.end === AttemptEnd.responseBegun ||
      failure.clientGone ||
      !failure.bodyReplayable ||
      (failure.end === AttemptEnd.status
        ? !failure.idempotent || failure.status !== 503
        : !neverLeft && !failure.idempotent) ||
      failure.attempts > settings.attempts ||
      (!withinBudget && !replacesAttempt(failure))
    const free = failure.end === AttemptEnd.lost && failure.reused && !failure.staleUsed
    if (!grounds) assert.ok(triesAgain(decideRetry(failure, settings, withinBudget)), JSON.stringify(failure))
    else if (!free)
      assert.ok(!triesAgain(decideRetry(failure, settings, withinBudget)), JSON.stringify(failure))
  }
})

const post: AttemptFailure = {
  end: AttemptEnd.lost,
  idempotent: false,
  unsent: false,
  reused: true,
  bodyReplayable: true,
  status: 0,
  attempts: 1,
  staleUsed: false,
  clientGone: false,
}

const stories: readonly [story: string, failure: AttemptFailure, code: number][] = [
  ['POST, connection refused', { ...post, end: AttemptEnd.connectFailed }, Reason.retryUnsent],
  [
    'POST, idle connection found closed before a byte was written',
    { ...post, unsent: true },
    Reason.retryStaleConnection,
  ],
  ['POST, reset after its head had been written', post, Reason.noRetryNotIdempotent],
  ['POST, answered 503', { ...post, end: AttemptEnd.status, status: 503 }, Reason.noRetryNotIdempotent],
  ['POST, no answer in time', { ...post, end: AttemptEnd.timeout }, Reason.noRetryNotIdempotent],
  ['GET, reset on a reused connection', { ...post, idempotent: true }, Reason.retryStaleConnection],
  [
    'GET, reset on a reused connection twice',
    { ...post, idempotent: true, staleUsed: true },
    Reason.retryReset,
  ],
  ['GET, reset on a fresh connection', { ...post, idempotent: true, reused: false }, Reason.retryReset],
  ['GET, no answer in time', { ...post, idempotent: true, end: AttemptEnd.timeout }, Reason.retryTimeout],
  [
    'GET, answered 503',
    { ...post, idempotent: true, end: AttemptEnd.status, status: 503 },
    Reason.retryStatus,
  ],
  [
    'GET, answered 500',
    { ...post, idempotent: true, end: AttemptEnd.status, status: 500 },
    Reason.noRetryStatus,
  ],
  [
    'PUT, reset with half of its body gone',
    { ...post, idempotent: true, bodyReplayable: false },
    Reason.noRetryBodyGone,
  ],
]
for (const [story, failure, code] of stories)
  test(`${story}: ${triesAgain(code) ? 'tried again' : 'not tried again'}`, () => {
    assert.equal(decideRetry(failure, settings, true), code)
  })

test('with retries off a stale connection still costs no request, and all else is final', () => {
  const off = { ...settings, attempts: 0 }
  assert.equal(decideRetry({ ...post, idempotent: true }, off, false), Reason.retryStaleConnection)
  assert.equal(decideRetry({ ...post, end: AttemptEnd.connectFailed }, off, true), Reason.noRetryAttempts)
})

test('the budget is a share of the active requests, but never less than its minimum', () => {
  assert.equal(retryBudgetAllows(2, 0, settings), true)
  assert.equal(retryBudgetAllows(3, 0, settings), false)
  assert.equal(retryBudgetAllows(19, 100, settings), true)
  assert.equal(retryBudgetAllows(20, 100, settings), false)
  assert.equal(retryBudgetAllows(0, 1_000, { ...settings, budgetShare: 0, budgetMin: 0 }), false)
})
