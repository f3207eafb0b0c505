import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClientHistory, deed, historyBytes } from './history.ts'
import { reasonsOf } from './reasons.ts'

const second = 1_000
const minute = 60 * second
const hour = 60 * minute
/** Times wrap during these tests. */
const start = 2 ** 32 - 5 * minute

function tableOf(rows = 1_024): ClientHistory {
  return new ClientHistory(new ArrayBuffer(historyBytes(rows)))
}

const namesOf = (bits: number): string[] => reasonsOf(bits).map(({ name }) => name)

test('a clock that asks for pages is told from a person, and from what a page asks for by itself', () => {
  const history = tableOf()
  const [clock, person, poll] = [history.row(1, 1, start), history.row(2, 2, start), history.row(3, 3, start)]
  let now = start
  for (let i = 0; i < 40; i++) {
    now += 5 * second
    history.count(clock, now, true, true)
    history.count(person, now + (i % 5) * 900, true, true)
    history.count(poll, now, false, true)
  }
  assert.deepEqual(namesOf(history.risk(clock, now)), ['regular'])
  assert.deepEqual(namesOf(history.risk(person, now)), [])
  assert.deepEqual(namesOf(history.risk(poll, now)), [])
})

test('a rate counts over the last minute and is forgotten after two', () => {
  const history = tableOf()
  const row = history.row(1, 1, start)
  let now = start
  for (let i = 0; i < 299; i++) history.count(row, (now += 100), false, true)
  assert.deepEqual(namesOf(history.risk(row, now)), [])
  history.count(row, now, false, true)
  assert.deepEqual(namesOf(history.risk(row, now)), ['high-rate'])
  for (let i = 0; i < 900; i++) history.count(row, now, false, true)
  assert.deepEqual(namesOf(history.risk(row, now)), ['high-rate', 'very-high-rate'])
  assert.equal(history.rate(row, start + 90 * second), 600)
  assert.deepEqual(namesOf(history.risk(row, start + 2 * minute)), [])
})

test('who is given cookies and never returns one is told; who returned one is not', () => {
  const history = tableOf()
  const [never, once] = [history.row(1, 1, start), history.row(2, 2, start)]
  for (let i = 0; i < 13; i++) {
    for (const row of [never, once]) {
      history.count(row, start + i * i * second, true, row === once && i === 3)
      history.cookieGiven(row)
    }
  }
  assert.deepEqual(namesOf(history.risk(never, start)), ['no-cookies'])
  assert.deepEqual(namesOf(history.risk(once, start)), [])
})

test('what a client was caught at counts for an hour; challenges count from a number on', () => {
  const history = tableOf()
  const row = history.row(1, 1, start)
  history.did(row, deed.trap, start)
  history.did(row, deed.field, start)
  for (let i = 0; i < 3; i++) history.did(row, deed.failedChallenge, start + i)
  for (let i = 0; i < 7; i++) history.did(row, deed.passedChallenge, start + i)
  const all = ['honeypot', 'honeypot-field', 'failed-challenges']
  assert.deepEqual(namesOf(history.risk(row, start + 15 * minute)), all)
  // What is counted wears off.
  assert.deepEqual(namesOf(history.risk(row, start + 59 * minute)), all.slice(0, 2))
  history.did(row, deed.passedChallenge, start + 10)
  assert.ok(namesOf(history.risk(row, start + 20)).includes('many-challenges'))
  assert.deepEqual(namesOf(history.risk(row, start + hour + second)), [])
})

test('accounts of a client and addresses of an account are counted apart from how often they come', () => {
  const history = tableOf()
  const [client, account] = [history.row(1, 1, start), history.row(2, 2, start)]
  for (let i = 0; i < 1_000; i++) history.met(client, i % 20, start)
  assert.equal(history.accountsRisk(client), 0)
  for (let i = 0; i < 64; i++) history.met(client, i, start)
  assert.deepEqual(namesOf(history.accountsRisk(client)), ['many-accounts'])
  for (let i = 0; i < 9; i++) history.met(account, i * 7, start)
  assert.deepEqual(namesOf(history.accountRisk(account, start, start)), ['many-addresses'])
  history.met(account, 1, start + 13 * hour)
  assert.deepEqual(namesOf(history.accountRisk(account, start, start)), [])
})

test('an account is young only where others have been known for a day', () => {
  const history = tableOf()
  const now = start + 30 * hour
  const row = history.row(1, 1, now)
  assert.deepEqual(namesOf(history.accountRisk(row, now, start)), ['young-account'])
  assert.deepEqual(namesOf(history.accountRisk(row, now, now - hour)), [])
})

test('a client answers for itself after three requests and ten seconds', () => {
  const history = tableOf()
  const row = history.row(1, 1, start)
  for (let i = 0; i < 3; i++) history.count(row, start, false, true)
  assert.equal(history.isEstablished(row, start + 9 * second), false)
  assert.equal(history.isEstablished(row, start + 10 * second), true)
})

test('a full set gives the place of who was silent longest, and forgets all of him', () => {
  const history = tableOf(8)
  for (let i = 1; i <= 8; i++) history.count(history.row(i, i, start + i), start + i, false, true)
  const first = history.row(1, 1, start)
  history.did(first, deed.trap, start + 9)
  history.count(first, start + 9, false, true)
  const ninth = history.row(9, 9, start + 10)
  assert.notEqual(ninth, first)
  assert.equal(history.risk(ninth, start + 10), 0)
  assert.equal(history.row(1, 1, start + 11), first)
  assert.deepEqual(namesOf(history.risk(first, start + 11)), ['honeypot'])
})

test('challenges that are passed evenly over hours are no farm, many within one hour are', () => {
  const history = tableOf()
  const [person, farm] = [history.row(1, 1, start), history.row(2, 2, start)]
  for (let i = 0; i < 100; i++) history.did(person, deed.passedChallenge, start + i * 15 * minute)
  assert.deepEqual(namesOf(history.risk(person, start + 99 * 15 * minute)), [])
  for (let i = 0; i < 10; i++) history.did(farm, deed.passedChallenge, start + i * 2 * minute)
  assert.deepEqual(namesOf(history.risk(farm, start + 20 * minute)), ['many-challenges'])
})

test('who is asked for proof again and again and never gives any is told; who solves one is not', () => {
  const history = tableOf()
  const row = history.row(1, 1, start)
  for (let i = 0; i < 100; i++) history.did(row, deed.askedChallenge, start + i)
  assert.deepEqual(namesOf(history.risk(row, start + second)), [], 'what a page loads is asked once')
  for (let i = 1; i < 25; i++) history.did(row, deed.askedChallenge, start + i * 2 * second)
  assert.deepEqual(namesOf(history.risk(row, start + minute)), ['ignored-challenges'])
  history.did(row, deed.passedChallenge, start + minute)
  assert.deepEqual(namesOf(history.risk(row, start + minute)), [])
})

test('a network from which hundreds of challenges an hour are passed is told', () => {
  const history = tableOf()
  const row = history.row(1, 1, start)
  for (let i = 0; i < 290; i++) history.did(row, deed.passedChallenge, start + i)
  assert.equal(history.networkRisk(row, start + second), 0)
  for (let i = 0; i < 20; i++) history.did(row, deed.passedChallenge, start + i)
  assert.deepEqual(namesOf(history.networkRisk(row, start + second)), ['busy-network'])
  assert.equal(history.networkRisk(row, start + 10 * minute), 0)
})

test('a flood of new clients takes the places of each other, not of who is known or was caught', () => {
  const history = tableOf(8)
  for (let i = 1; i <= 3; i++)
    for (let ask = 0; ask < 3; ask++) history.count(history.row(i, i, start), start, false, true)
  history.did(history.row(4, 4, start), deed.trap, start)
  for (let i = 0; i < 10_000; i++) {
    const now = start + 1 + Math.floor(i / 10)
    history.count(history.row(100 + i, 7, now), now, true, false)
  }
  const now = start + 2 * second
  for (let i = 1; i <= 3; i++)
    assert.equal(history.isEstablished(history.row(i, i, now), now + 9 * second), true)
  assert.deepEqual(namesOf(history.risk(history.row(4, 4, now), now)), ['honeypot'])
  // Who has been silent for an hour makes room like everybody.
  const later = start + 2 * hour
  for (let i = 0; i < 8; i++) history.count(history.row(50_000 + i, 7, later), later, false, false)
  assert.equal(history.isEstablished(history.row(1, 1, later), later), false)
})
