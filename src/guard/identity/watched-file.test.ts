import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseKeys } from './keys/store.ts'
import { readWhole } from './watched-file.ts'

test('a file of keys that is away, or has a line that is none, is refused with its name', async context => {
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-identity-'))
  context.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'keys.jsonl')
  await assert.rejects(readWhole(file, parseKeys), { code: 'IDENTITY_FILE_UNREADABLE' })
  writeFileSync(file, 'tfk_secret\n')
  await assert.rejects(readWhole(file, parseKeys), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'IDENTITY_FILE_MALFORMED')
    assert.match(error.message, /line 1 is no key/)
    assert.doesNotMatch(error.message, /tfk_secret/)
    return true
  })
})
