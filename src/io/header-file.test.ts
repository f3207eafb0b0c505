import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { readHeaderFile } from './header-file.ts'
import { retryAfterMs } from './http-post.ts'

test('header lines are read; a line that is none is named by its number, never by what it holds', t => {
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-headers-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'headers')
  writeFileSync(path, '# a token\nAuthorization: Bearer a:b \r\n\nX-Tenant:shop\n')
  assert.deepEqual(readHeaderFile(path), { Authorization: 'Bearer a:b', 'X-Tenant': 'shop' })
  writeFileSync(path, 'x: 1\nBearer very secret\n')
  assert.throws(
    () => readHeaderFile(path),
    (error: Error) => /^line 2 of /.test(error.message) && !error.message.includes('very secret'),
  )
  writeFileSync(path, `x: ${'y'.repeat(20_000)}\n`)
  assert.throws(() => readHeaderFile(path), /more than 16384 bytes/)
  assert.throws(() => readHeaderFile(join(folder, 'none')), /ENOENT/)
})

test('Retry-After is seconds or a date; anything else says nothing', () => {
  const now = Date.UTC(2026, 0, 1)
  assert.equal(retryAfterMs('7', now), 7_000)
  assert.equal(retryAfterMs('Thu, 01 Jan 2026 00:00:05 GMT', now), 5_000)
  assert.equal(retryAfterMs('Wed, 31 Dec 2025 00:00:00 GMT', now), 0)
  assert.equal(retryAfterMs('soon', now), null)
  assert.equal(retryAfterMs(undefined, now), null)
})
