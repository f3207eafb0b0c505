import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  commandLineSettings,
  SettingsBook,
  sameSettings,
  settingsDifference,
  startupSetting,
} from './settings.ts'

const set = (name: string, value: string, local = false) => ({ kind: 'set', name, value, local }) as const

test('the same settings are the same value, in whatever order they came', () => {
  const book = new SettingsBook()
  const one = book.changed(book.changed(book.none, book.none, set('a', '1')), book.none, set('b', '2'))
  const other = book.changed(book.changed(book.none, book.none, set('B', '2')), book.none, set('A', '1'))
  assert.equal(one, other)
  assert.ok(!sameSettings(one, book.none))
})

test('the difference makes one set into the other, and is nothing for the same', () => {
  const book = new SettingsBook()
  const one = book.of(
    new Map([
      ['a', 'SET a TO 1'],
      ['b', 'SET b TO 2'],
    ]),
  )
  const other = book.of(
    new Map([
      ['b', 'SET b TO 3'],
      ['my.c', 'SET my.c TO 4'],
    ]),
  )
  assert.equal(settingsDifference(one, other), 'RESET a;SET b TO 3;SET my.c TO 4')
  assert.equal(settingsDifference(one, one), '')
  assert.equal(settingsDifference(other, book.none), 'RESET b;RESET "my"."c"')
})

test('RESET goes back to what the session was started with; SET LOCAL counts for nothing', () => {
  const book = new SettingsBook()
  const startup = book.of(new Map([['a', startupSetting('a', '1')]]))
  const changed = book.changed(startup, startup, set('a', '2'))
  assert.notEqual(changed, startup)
  assert.equal(book.changed(changed, startup, { kind: 'reset', name: 'A' }), startup)
  assert.equal(book.changed(changed, startup, set('a', 'DEFAULT')), startup)
  assert.equal(book.changed(changed, startup, { kind: 'reset-all' }), startup)
  assert.equal(book.changed(changed, startup, { kind: 'discard', what: 'all' }), startup)
  assert.equal(book.changed(changed, startup, { kind: 'discard', what: 'temp' }), changed)
  assert.equal(book.changed(changed, startup, set('a', '3', true)), changed)
})

test('sessions that are serializable by default stay on the primary', () => {
  const book = new SettingsBook()
  const value = (text: string): boolean =>
    book.changed(book.none, book.none, set('default_transaction_isolation', text)).primaryOnly
  assert.ok(value("'serializable'"))
  assert.ok(!value("'repeatable read'"))
})

test('a startup setting is said as a value, whatever is in it', () => {
  assert.equal(
    startupSetting('search_path', "a, 'b'"),
    "SELECT pg_catalog.set_config('search_path', 'a, ''b''', false)",
  )
  assert.equal(
    startupSetting('x.y', 'back\\slash'),
    "SELECT pg_catalog.set_config('x.y',  E'back\\\\slash', false)",
  )
})

test('options are understood as libpq writes them, and nothing else is', () => {
  const found = (text: string): [string, string][] => [
    ...(commandLineSettings(text) ?? new Map([['', 'no']])),
  ]
  assert.deepEqual(found('-c a=1 -cb=2 --c-d=3'), [
    ['a', '1'],
    ['b', '2'],
    ['c_d', '3'],
  ])
  assert.deepEqual(found('-c x=one\\ two\\\\'), [['x', 'one two\\']])
  assert.deepEqual(found(''), [])
  for (const wrong of ['-q', 'a=1', '-c', '-c a', '-c =1'])
    assert.deepEqual(found(wrong), [['', 'no']], wrong)
})
