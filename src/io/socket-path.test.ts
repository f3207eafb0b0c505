import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { socketPath, socketPathBytesMax } from './socket-path.ts'

test('a socket is in the state directory when its path fits', t => {
  const state = mkdtempSync(join(tmpdir(), 'tf-'))
  t.after(() => rmSync(state, { recursive: true }))
  assert.equal(dirname(socketPath(state)), state)
})

test('a long state directory gets a short private folder, the same each time, and one can listen there', async t => {
  const root = mkdtempSync(join(tmpdir(), 'tf-'))
  const state = join(root, 'd'.repeat(120))
  mkdirSync(state)
  const path = socketPath(state)
  t.after(() => {
    rmSync(root, { recursive: true })
    rmSync(dirname(path), { recursive: true, force: true })
  })
  assert.ok(Buffer.byteLength(path) <= socketPathBytesMax)
  assert.equal(socketPath(state), path)
  assert.equal(statSync(dirname(path)).mode & 0o777, 0o700)
  const server = createServer()
  await new Promise<void>(resolve => server.listen(path, resolve))
  await new Promise<void>(resolve => server.close(() => resolve()))
})

test('a short folder that others may enter is refused', t => {
  const root = mkdtempSync(join(tmpdir(), 'tf-'))
  const state = join(root, 'd'.repeat(120))
  mkdirSync(state)
  const folder = dirname(socketPath(state))
  t.after(() => {
    rmSync(root, { recursive: true })
    rmSync(folder, { recursive: true, force: true })
  })
  chmodSync(folder, 0o755)
  assert.throws(() => socketPath(state), /only this user/)
})
