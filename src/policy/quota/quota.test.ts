import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../kit/random.ts'
import { Quota, type QuotaChange, type QuotaRules, type QuotaWish } from './quota.ts'

const rules: QuotaRules = { stock: 10, holdMs: 60_000, resetMs: 0, idempotent: false }
const wall = 1_800_000_000_000_000
const second = 1_000_000

const wish = (name: string, quantity = 1, change: Partial<QuotaWish> = {}): QuotaWish => ({
  keys: [{ name, amount: 4 }],
  quantity,
  idempotency: '',
  ...change,
})

test('a buyer gets no more than the amount, in one order or many, until some is given back', () => {
  const quota = new Quota(rules)
  assert.equal(quota.reserve(0, wall, wish('ada', 5)).state, 'over')
  const first = quota.reserve(0, wall, wish('ada', 3))
  const second_ = quota.reserve(0, wall, wish('ada', 2))
  assert.deepEqual([first.state, second_.state, second_.left, second_.which], ['held', 'over', 1, 0])
  quota.end(0, wall, first.id, 'free')
  assert.equal(quota.reserve(0, wall, wish('ada', 4)).state, 'held')
})

test('all keys are reserved or none is', () => {
  const quota = new Quota(rules)
  const keys = [
    { name: 'account', amount: 4 },
    { name: 'card', amount: 2 },
  ]
  assert.equal(quota.reserve(0, wall, wish('', 3, { keys })).which, 1)
  assert.deepEqual(quota.counts(), { held: 0, taken: 0, keys: 0 })
})

test('what nobody heard the end of is free after its time; what is under way is not', () => {
  const quota = new Quota(rules)
  const open = quota.reserve(0, wall, wish('ada', 4))
  const lost = quota.reserve(0, wall, wish('bob', 4))
  quota.end(0, wall, lost.id, 'unknown')
  assert.equal(quota.reserve(59 * second, wall, wish('bob', 1)).state, 'over')
  assert.equal(quota.reserve(61 * second, wall, wish('bob', 1)).state, 'held')
  assert.equal(quota.reserve(86_400 * second, wall, wish('ada', 1)).state, 'over')
  quota.end(86_400 * second, wall, open.id, 'taken')
  assert.equal(quota.counts().taken, 4)
})

test('a key counts from 0 again after its time, from its first purchase', () => {
  const quota = new Quota({ ...rules, stock: 0, resetMs: 3_600_000 })
  quota.end(0, wall, quota.reserve(0, wall, wish('ada', 4)).id, 'taken')
  assert.equal(quota.reserve(0, wall + 3_599 * second, wish('ada')).state, 'over')
  assert.equal(quota.reserve(0, wall + 3_600 * second, wish('ada', 4)).state, 'held')
})

test('an Idempotency-Key is one order: refused again, or passed on uncounted where instances honour it', () => {
  const one = wish('ada', 2, { idempotency: 'a' })
  const strict = new Quota(rules)
  const first = strict.reserve(0, wall, one)
  assert.equal(strict.reserve(0, wall, one).state, 'repeated')
  strict.end(0, wall, first.id, 'taken')
  assert.equal(strict.reserve(0, wall, one).state, 'repeated')
  assert.equal(strict.counts().taken, 2)

  const passing = new Quota({ ...rules, idempotent: true })
  const began = passing.reserve(0, wall, one)
  const again = passing.reserve(0, wall, one)
  assert.deepEqual([again.state, again.id], ['held', began.id])
  assert.equal(passing.reserve(0, wall, { ...one, quantity: 1 }).state, 'repeated')
  passing.end(0, wall, began.id, 'free')
  assert.equal(passing.counts().held, 2, 'the other one is under way')
  passing.end(0, wall, again.id, 'taken')
  assert.equal(passing.reserve(0, wall, one).state, 'counted')
  assert.deepEqual(passing.counts(), { held: 0, taken: 2, keys: 1 })
})

test('whatever happens, nothing is sold above stock or quota, and changes make the same quota again', () => {
  const seed = Date.now() >>> 0
  const random = seededRandom(seed)
  for (let round = 0; round < 20; round++) {
    const quota = new Quota({ ...rules, stock: 60, idempotent: round % 2 === 0 })
    const journal: QuotaChange[] = []
    const open: { id: number; names: string[]; quantity: number }[] = []
    const sold = new Map<string, number>()
    let total = 0
    let now = 0
    for (let step = 0; step < 1_500; step++) {
      now += random.below(second)
      const names = [`account ${random.below(12)}`, `card ${random.below(9)}`]
      const quantity = 1 + random.below(3)
      const keys = names.map(name => ({ name, amount: 6 }))
      const answer = quota.reserve(now, wall + now, { keys, quantity, idempotency: '' })
      if (answer.state === 'held') open.push({ id: answer.id, names, quantity })
      const [done] = open.length > 3 ? open.splice(random.below(open.length), 1) : []
      if (done !== undefined) {
        const taken = random.below(3) === 0
        quota.end(now, wall + now, done.id, taken ? 'taken' : random.below(2) === 0 ? 'free' : 'unknown')
        if (taken) {
          total += done.quantity
          for (const name of done.names) sold.set(name, (sold.get(name) ?? 0) + done.quantity)
        }
      }
      journal.push(...quota.changes.splice(0))
    }
    assert.ok(total <= 60 && [...sold.values()].every(count => count <= 6), `seed ${seed}`)
    assert.equal(quota.counts().taken, total, `seed ${seed}`)
    for (const changes of [journal, [...quota.snapshot()]]) {
      const again = new Quota(quota.rules)
      again.restore(changes, now)
      assert.deepEqual(again.counts(), quota.counts(), `seed ${seed}`)
    }
  }
})
