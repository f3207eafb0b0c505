import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { RecordFolder } from './record-file.ts'

test('records are written, replaced, listed and removed; what is not ours or broken has no value', context => {
  const path = join(mkdtempSync(join(tmpdir(), 'tenfold-record-')), 'fleet')
  context.after(() => rmSync(join(path, '..'), { recursive: true, force: true }))
  const folder = new RecordFolder(path)
  assert.equal(statSync(path).mode & 0o777, 0o700)
  folder.write('b', { n: 1 })
  folder.write('a', { n: 2 })
  folder.write('b', { n: 3 })
  writeFileSync(join(path, 'c.json'), '{"n":')
  writeFileSync(join(path, 'd.json.new'), '{}')
  assert.deepEqual(folder.list(), [
    { name: 'a', value: { n: 2 } },
    { name: 'b', value: { n: 3 } },
    { name: 'c', value: undefined },
  ])
  assert.equal(statSync(join(path, 'a.json')).mode & 0o777, 0o600)
  folder.remove('a')
  folder.remove('a')
  assert.deepEqual(readdirSync(path).sort(), ['b.json', 'c.json', 'd.json.new'])
})
