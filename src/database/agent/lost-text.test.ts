import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { lostChange, replaySql } from './lost-text.ts'

function told(line: string, key: readonly string[] = []): string {
  const change = lostChange(line)
  assert.ok(change, line)
  return replaySql(change, key)
}

test('an insert becomes an insert, with quotes, arrays, nulls and names that need quoting', () => {
  const line = `table public."Odd ""name""": INSERT: id[integer]:7 "a b"[character varying]:'it''s: x[1]' tags[text[]]:'{a,b}' bits[bit(3)]:B'101' gone[text]:null`
  assert.equal(
    told(line),
    `INSERT INTO public."Odd ""name""" (id, "a b", tags, bits, gone) OVERRIDING SYSTEM VALUE VALUES (7, 'it''s: x[1]', '{a,b}', B'101', null);`,
  )
})

test('an update is found by its old key, else by the key of its table, else it is only told', () => {
  const moved = `table public.t: UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2 v[text]:'x'`
  assert.equal(told(moved), `UPDATE public.t SET id = 2, v = 'x' WHERE id = 1;`)
  const same = `table public.t: UPDATE: id[integer]:1 v[text]:unchanged-toast-datum n[integer]:null`
  assert.equal(told(same, ['id']), 'UPDATE public.t SET id = 1, n = null WHERE id = 1;')
  assert.match(
    told(same),
    /^-- UPDATE public\.t: no key tells which row: id = 1, v = \(unchanged\), n = null$/,
  )
})

test('a delete is found by what identifies the row, and a truncate is not replayed', () => {
  assert.equal(told('table public.t: DELETE: id[integer]:1'), 'DELETE FROM public.t WHERE id = 1;')
  assert.match(told('table public.t: DELETE: (no-tuple-data)'), /^-- DELETE public\.t: no key/)
  assert.match(told('table public.t: TRUNCATE: (no-flags)'), /^-- TRUNCATE public\.t;/)
})

test('what is no row change is none, and what is not understood is refused', () => {
  assert.equal(lostChange('BEGIN 7'), null)
  assert.equal(lostChange('COMMIT 7 (at 2026-01-01 00:00:00+00)'), null)
  assert.throws(() => lostChange('table public.t: INSERT: id[integer'), /not a type/)
  assert.throws(() => lostChange('table public.t: INSERT: id[integer] 7'), /not a value/)
})

test('a value of several lines stays one value', () => {
  assert.equal(
    told("table public.t: INSERT: v[text]:'a\nb'"),
    "INSERT INTO public.t (v) OVERRIDING SYSTEM VALUE VALUES ('a\nb');",
  )
})
