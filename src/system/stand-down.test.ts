import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openStandDown } from './stand-down.ts'

test('a stand-down lasts over restarts of the supervisor until it is ended', t => {
  const folder = mkdtempSync(join(tmpdir(), 'tf-stand-down-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const first = openStandDown(folder)
  assert.equal(first.current, null)
  first.end()
  first.begin('a new kernel')
  first.begin('a new disk')
  const next = openStandDown(folder)
  assert.deepEqual({ ...next.current, at: '' }, { at: '', reason: 'a new disk' })
  next.end()
  assert.equal(openStandDown(folder).current, null)
  writeFileSync(join(folder, 'standdown.json'), '{"at":')
  assert.equal(openStandDown(folder).current, null, 'a damaged file is none')
})
