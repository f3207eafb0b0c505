import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { openTokens } from './control/tokens.ts'
import { openStateDirectory, stateDirectoryOf } from './state-directory.ts'

function root(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'tf-state-'))
  t.after(() => rmSync(path, { recursive: true }))
  return path
}

test('the state directory is beside the file unless told otherwise', () => {
  assert.equal(stateDirectoryOf('/shop/tenfold.config.ts'), '/shop/.tenfold')
  assert.equal(stateDirectoryOf('/shop/tenfold.config.ts', '/var/lib/shop'), '/var/lib/shop')
})

test('it is made private, stamped and kept out of repositories; its keys are the same the next time', t => {
  const path = join(root(t), 'deep', 'state')
  const first = openStateDirectory(path)
  for (const folder of [path, first.logs, first.edge, first.router, first.snapshots]) {
    assert.equal(statSync(folder).mode & 0o777, 0o700)
  }
  assert.equal(readFileSync(join(path, '.gitignore'), 'utf8'), '*\n')
  assert.equal(Buffer.from(first.stickySecret, 'base64').length, 32)
  assert.equal(Buffer.from(first.identitySecret, 'base64').length, 32)
  assert.notEqual(first.identitySecret, first.stickySecret)
  const again = openStateDirectory(path)
  assert.equal(again.stickySecret, first.stickySecret)
  assert.equal(again.identitySecret, first.identitySecret)
  assert.equal(again.databaseSecret, first.databaseSecret)
})

test('one that is open to others is closed', t => {
  const path = root(t)
  chmodSync(path, 0o755)
  openStateDirectory(path)
  assert.equal(statSync(path).mode & 0o777, 0o700)
})

test('one that PostgreSQL may pass through stays so', t => {
  const path = root(t)
  chmodSync(path, 0o711)
  openStateDirectory(path)
  assert.equal(statSync(path).mode & 0o777, 0o711)
})

test('one of a later format is refused and left as it is', t => {
  const path = root(t)
  writeFileSync(join(path, 'state.json'), '{"format":2,"tenfold":"9.9.9"}')
  assert.throws(() => openStateDirectory(path), { code: 'SYSTEM_STATE_TOO_NEW', message: /9\.9\.9/ })
  assert.equal(statSync(join(path, 'edge'), { throwIfNoEntry: false }), undefined)
})

test('a path that cannot be a directory is one sentence', t => {
  const path = root(t)
  mkdirSync(join(path, 'x'))
  writeFileSync(join(path, 'x', 'file'), '')
  assert.throws(() => openStateDirectory(join(path, 'x', 'file', 'state')), {
    code: 'SYSTEM_STATE_UNUSABLE',
    message: /cannot be used/,
  })
})

test('a stamp that is damaged is named, with what to do', t => {
  const path = root(t)
  writeFileSync(join(path, 'state.json'), '{"for')
  assert.throws(() => openStateDirectory(path), {
    code: 'SYSTEM_STATE_UNUSABLE',
    message: /state\.json is damaged/,
  })
})

test('a key or a token that was cut short is made anew', t => {
  const path = root(t)
  const { stickySecret } = openStateDirectory(path)
  const { admin } = openTokens(path)
  for (const left of ['', stickySecret.slice(0, 12)]) {
    writeFileSync(join(path, 'sticky.key'), left)
    assert.equal(Buffer.from(openStateDirectory(path).stickySecret, 'base64').length, 32)
  }
  writeFileSync(join(path, 'token'), '')
  const made = openTokens(path).admin
  assert.match(made, /^tf_.{40,}$/)
  assert.notEqual(made, admin)
  assert.equal(openTokens(path).admin, made)
})
