// Which texts depend on tables alone. What tables they are is asked of a real server: test/database/cached-statements.test.ts.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isPlain } from './result-tables.ts'

test('texts whose results follow from rows alone are plain', () => {
  for (const text of [
    'SELECT * FROM films WHERE id = $1',
    'SELECT count(*), max(upper(title)) FROM films f JOIN studios s ON (s.id = f.studio) WHERE f.id IN (1, 2)',
    'SELECT coalesce(a, 0)::numeric(10, 2) FROM films ORDER BY lower(title) LIMIT 10',
    '/* tenfold: cache=10s */ SELECT row_number() OVER (PARTITION BY studio) FROM films',
  ])
    assert.equal(isPlain(text), true, text)
})

test('the clock, the session, chance and functions of others make a text another matter', () => {
  for (const text of [
    'SELECT now(), title FROM films',
    'SELECT title FROM films WHERE at > CURRENT_DATE',
    'SELECT current_user, title FROM films',
    "SELECT title FROM films WHERE at > 'now'",
    'SELECT random() FROM films',
    'SELECT my_total(id) FROM films',
    'SELECT shop.total(id) FROM films',
    'SELECT "count"(id) FROM films',
    'SELECT * FROM films TABLESAMPLE bernoulli (10)',
    "SELECT current_setting('app.user') FROM films",
  ])
    assert.equal(isPlain(text), false, text)
})
