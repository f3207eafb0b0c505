import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { openMaintenance } from './maintenance.ts'

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'tenfold-maintenance-'))
  t.after(() => rmSync(path, { recursive: true }))
  return path
}

test('a maintenance lasts over another opening of the state directory, until it is ended', t => {
  const state = folder(t)
  const first = openMaintenance(state)
  assert.deepEqual([first.wish, first.view], [null, null])
  const wish = {
    retryAfterSeconds: 60,
    allow: ['10.0.0.0/8'],
    page: { contentType: 'text/plain', body: 'soon' },
  }
  first.begin(wish)
  const second = openMaintenance(state)
  assert.deepEqual(second.wish, wish)
  assert.deepEqual(second.view, first.view)
  assert.equal(statSync(join(state, 'maintenance.json')).mode & 0o777, 0o600)
  second.begin({})
  assert.equal(second.view?.at, first.view?.at, 'changed, not begun anew')
  second.end()
  assert.equal(openMaintenance(state).wish, null)
})

test('a file that is damaged is no maintenance', t => {
  const state = folder(t)
  for (const text of ['', '{', '{"at":"never","wish":{}}', 'null']) {
    writeFileSync(join(state, 'maintenance.json'), text)
    assert.equal(openMaintenance(state).wish, null, text)
  }
})
