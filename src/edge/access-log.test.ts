import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { AccessLog } from './access-log.ts'

test('a file that cannot be written is said once, and what was lost when it can be written again', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'tf-access-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'access.log')
  symlinkSync('/dev/full', path)
  const told: string[] = []
  const log = new AccessLog(path, sentence => told.push(sentence))
  for (let n = 0; n < 3; n++) {
    log.add(`{"n":${n}}\n`)
    await log.flush()
  }
  assert.equal(told.length, 1)
  assert.match(told[0] as string, /cannot be written.*ENOSPC/)
  rmSync(path)
  log.add('{"n":3}\n')
  await log.flush()
  assert.equal(readFileSync(path, 'utf8'), '{"n":3}\n{"level":"warn","lostLines":3}\n')
  assert.match(told[1] as string, /written again after 3 lost lines/)
  log.add('{"n":4}\n')
  await log.reopen()
  assert.equal(told.length, 2)
  assert.ok(readFileSync(path, 'utf8').endsWith('{"n":4}\n'))
})
