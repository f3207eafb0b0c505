import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FrontendOrder } from './frontend-order.ts'
import { frontend } from './types.ts'

function loggedIn(): FrontendOrder {
  const order = new FrontendOrder()
  order.loggedIn()
  return order
}

/** One letter a message: what becomes of each. */
function say(order: FrontendOrder, letters: string): string {
  return [...letters].map(letter => order.take(letter.charCodeAt(0))[0]).join('')
}

test('before the login is done only a password may come, and after it none', () => {
  const order = new FrontendOrder()
  assert.equal(order.take(frontend.query), 'refuse')
  assert.equal(order.refusal?.code, '08P01')
  assert.equal(order.take(frontend.password), 'pass')
  order.loggedIn()
  assert.equal(order.take(frontend.password), 'refuse')
  assert.match(order.refusal?.sentence ?? '', /after the login/)
})

test('a Query, a function call and a Sync are owed one ReadyForQuery each, the rest none', () => {
  const order = loggedIn()
  assert.equal(say(order, 'QFPBDECHS'), 'ppppppppp')
  assert.equal(order.due, 3)
  for (let left = 2; left >= 0; left--) {
    order.ready()
    assert.equal(order.due, left)
  }
  order.ready()
  assert.equal(order.due, 0, 'one that nobody is owed changes nothing')
})

test('a batch is open from its first message to its Sync', () => {
  const order = loggedIn()
  say(order, 'Q')
  assert.equal(order.batchOpen, false)
  say(order, 'P')
  assert.equal(order.batchOpen, true)
  say(order, 'Q')
  assert.equal(order.batchOpen, true, 'a simple Query does not close a batch')
  say(order, 'S')
  assert.equal(order.batchOpen, false)
})

test('after an error inside a batch everything is passed over until Sync', () => {
  const order = loggedIn()
  say(order, 'PB')
  order.failed()
  assert.equal(say(order, 'DEQPHFS'), 'iiiiiip')
  assert.equal(order.skipping, false)
  assert.equal(order.due, 1)
  assert.equal(say(order, 'Q'), 'p')
})

test('an error of a simple Query passes nothing over', () => {
  const order = loggedIn()
  say(order, 'Q')
  order.failed()
  assert.equal(say(order, 'Q'), 'p')
})

test('copy messages with nothing under way are leftovers, and dropped', () => {
  assert.equal(say(loggedIn(), 'ddcfd'), 'iiiii')
})

test('while copying in, only data comes; Flush and Sync are swallowed', () => {
  const order = loggedIn()
  say(order, 'Q')
  order.copyBegan()
  assert.equal(say(order, 'dHdSdc'), 'pipipp')
  assert.equal(order.copying, false)
  assert.equal(order.due, 1)
  order.ready()
  assert.equal(order.due, 0)
})

test('another message amid a COPY fails it with a protocol violation', () => {
  const order = loggedIn()
  say(order, 'Q')
  order.copyBegan()
  assert.equal(order.take(frontend.query), 'abort')
  assert.equal(order.refusal?.code, '08P01')
  assert.equal(order.copying, false)
})

test('a Sync that was sent right behind the Execute of a COPY is swallowed by it and owed nothing', () => {
  const order = loggedIn()
  say(order, 'PBES')
  assert.equal(order.due, 1)
  order.copyBegan()
  assert.equal(order.due, 0)
  assert.equal(order.batchOpen, true, 'the server is not free before the next Sync')
  assert.equal(say(order, 'ddcS'), 'pppp')
  assert.equal(order.due, 1)
  order.ready()
  assert.equal(order.due, 0)
})

test('data sent before the COPY was answered passes, and its Syncs are counted right', () => {
  const order = loggedIn()
  assert.equal(say(order, 'PBESddcS'), 'pppppppp')
  assert.equal(order.due, 2)
  order.copyBegan()
  assert.equal(order.due, 1)
  assert.equal(order.copying, false)
  order.ready()
  assert.equal(order.due, 0)
})

test('what was asked before a COPY in the same pipeline stays owed', () => {
  for (const before of ['Q', 'PBES', 'QPBESQ', 'PBESQPBES']) {
    const order = loggedIn()
    say(order, `${before}PBESdcS`)
    const owed = [...before].filter(letter => 'QS'.includes(letter)).length
    for (let count = 0; count < owed; count++) order.ready()
    order.copyBegan()
    assert.equal(order.due, 1, before)
    order.ready()
    assert.equal(order.due, 0, before)
  }
})

test('a COPY that fails midway leaves its data to be ignored, and the next statement passes', () => {
  const order = loggedIn()
  say(order, 'Q')
  order.copyBegan()
  say(order, 'd')
  order.failed()
  order.ready()
  assert.equal(say(order, 'ddc'), 'iii')
  assert.equal(say(order, 'Q'), 'p')
  assert.equal(order.due, 1)
})

test('the server gives a COPY up: what still comes goes to it until it is ready', () => {
  const order = loggedIn()
  say(order, 'Q')
  order.copyBegan()
  order.copyEnded()
  assert.equal(say(order, 'dc'), 'pp')
  order.ready()
  assert.equal(order.due, 0)
})

test('a terminate passes at any time after the login', () => {
  const order = loggedIn()
  say(order, 'P')
  order.failed()
  assert.equal(say(order, 'X'), 'p')
})
