// The example's drop, small: 40 seats, 100 people and 400 bots of ten kinds, with the guard off and on. What is held here must
// hold for every draw of the lottery: nothing oversold, nobody above the quota, people far above their share of heads.

import assert from 'node:assert/strict'
import { after, before, type TestContext, test } from 'node:test'
import { Crowd, type Outcome } from '../examples/boxoffice/drop/crowd.ts'
import { botSeats, shareOfPeople } from '../examples/boxoffice/drop/report.ts'
import { type Shop, startShop } from '../examples/boxoffice/drop/shop.ts'

const seats = 40
const people = 100
const bots = 400
const seatsEach = 2
/** Until the shop is up, and until everybody had time to come. */
const aheadMs = 45_000

interface Dropped {
  readonly shop: Shop
  readonly outcome: Outcome
  readonly sold: number
  readonly mostEach: number
}

async function drop(guard: 'on' | 'off'): Promise<Dropped> {
  const opensAt = Math.ceil((Date.now() + aheadMs) / 1_000) * 1_000
  const opens = new Date(opensAt).toISOString()
  const shop = await startShop({ guard, seats, opens, admitPerMinute: 120 })
  try {
    const crowd = new Crowd({
      url: shop.url,
      people,
      bots,
      opensAt,
      lined: guard === 'on',
      seed: 1,
      endAfterMs: 180_000,
      tellingMs: 8_000,
      onSoldOut: async () => {
        if (guard === 'on') await shop.tenfold('guard', 'rooms', 'premiere', 'sold-out')
      },
    })
    const outcome = await crowd.run()
    const [sold, most] = await shop.sql(
      'SELECT (SELECT count(*) FROM premiere_seats WHERE order_id IS NOT NULL), coalesce(max(seats), 0) FROM (SELECT count(*) AS seats FROM premiere_seats JOIN premiere_orders ON id = order_id GROUP BY account) AS held',
    )
    return { shop, outcome, sold: Number(sold), mostEach: Number(most) }
  } catch (error) {
    await shop.stop()
    throw error
  }
}

let off: Dropped
let on: Dropped
before(async () => {
  off = await drop('off')
  await off.shop.stop()
  on = await drop('on')
})
after(() => on?.shop.stop())

function tell(context: TestContext, { outcome, sold }: Dropped): void {
  const { people: group, bots: kinds, soldOutAfterMs, requests } = outcome
  const figures = kinds.map(({ name, seats: got }) => `${name} ${got}`).join(', ')
  context.diagnostic(
    `people ${group.seats} of ${sold}; ${figures}; sold out after ${soldOutAfterMs} ms; ${requests} requests; refused to people ${JSON.stringify(group.refusals)}`,
  )
}

test('with the guard people get far more than their share of heads, and more than without it', context => {
  tell(context, off)
  tell(context, on)
  const share = shareOfPeople(on.outcome)
  assert.ok(share > (1.5 * people) / (people + bots), `people got ${share} of what was sold`)
  assert.ok(
    share > shareOfPeople(off.outcome),
    `${share} with the guard, ${shareOfPeople(off.outcome)} without`,
  )
})

test('no seat is sold twice, with the guard or without', () => {
  for (const { outcome, sold } of [off, on]) {
    assert.ok(sold <= seats)
    // An order whose answer was lost may be in the ledger alone; one that was acknowledged is always there.
    assert.ok(outcome.people.seats + botSeats(outcome) <= sold)
  }
  assert.ok(on.sold > 0 && off.sold > 0)
})

test('with the guard nobody has more than the quota, and without it somebody has', () => {
  assert.ok(on.mostEach <= seatsEach, `${on.mostEach} seats of one account`)
  assert.ok(off.mostEach > seatsEach, `${off.mostEach} seats of one account`)
})

test('what has no cookies, no place of its own or a forged one gets no seat', () => {
  for (const { name, seats: got } of on.outcome.bots)
    if (name === 'no-cookies' || name === 'forger') assert.equal(got, 0, name)
})

test('every refusal of the guard has an id, and tells why', async () => {
  const kinds = Object.entries(on.outcome.refusalIds)
  assert.ok(kinds.length >= 3, JSON.stringify(kinds.map(([code]) => code)))
  for (const [code, ids] of kinds) {
    const id = ids.at(-1) as string
    const { code: exit, out } = await on.shop.tenfold('guard', 'explain', id, '--json')
    assert.equal(exit, 0, `${code} ${id}: ${out}`)
    const told = JSON.parse(out) as { id?: string; requestId?: string }
    assert.ok(JSON.stringify(told).includes(id), out)
  }
})
