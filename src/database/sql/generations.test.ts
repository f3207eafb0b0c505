import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Generations } from './generations.ts'

test('what was looked at lately is kept, and never more than twice the bounds', () => {
  const memory = new Generations<number>({ entriesMax: 100, charactersMax: 10_000 })
  memory.set('kept', 1)
  for (let index = 0; index < 100_000; index++) {
    memory.set(`entry ${index}`, index)
    assert.ok(memory.size <= 200)
    if (index % 50 === 0) assert.equal(memory.get('kept'), 1)
  }
  assert.equal(memory.get('entry 5'), undefined)
  assert.equal(memory.get('entry 99999'), 99_999)
})

test('many characters count as well as many entries', () => {
  const memory = new Generations<number>({ entriesMax: 1_000, charactersMax: 1_000 })
  const long = 'x'.repeat(300)
  for (let index = 0; index < 50; index++) memory.set(`${index}${long}`, index)
  assert.ok(memory.size <= 6)
  assert.equal(memory.get(`49${long}`), 49)
})

test('what is longer than the whole memory is not kept', () => {
  const memory = new Generations<number>({ entriesMax: 10, charactersMax: 10 })
  memory.set('12345678901', 1)
  assert.equal(memory.size, 0)
})
