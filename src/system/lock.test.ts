import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { processes } from '../io/process-table.ts'
import { type LockRecord, readLock, takeLock } from './lock.ts'
import { writePrivate } from './private-file.ts'

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'tf-lock-'))
  t.after(() => rmSync(path, { recursive: true }))
  return path
}

function record(change: Partial<LockRecord>): LockRecord {
  return {
    pid: process.pid,
    startedAt: processes.row(process.pid)?.startedAt ?? '',
    bootId: processes.bootId(),
    nonce: 'other',
    tenfold: '0',
    file: '/shop/tenfold.config.ts',
    controlUrl: 'http://127.0.0.1:9900',
    ...change,
  }
}

function place(path: string, lock: LockRecord): void {
  writePrivate(join(path, 'lock.json'), JSON.stringify(lock))
}

test('the lock is private, says where the control API is, and is gone after its release', t => {
  const path = folder(t)
  const lock = takeLock(path, '/shop/tenfold.config.ts')
  assert.equal(lock.takenOverFrom, null)
  assert.equal(readLock(path)?.controlUrl, null)
  lock.tell('http://127.0.0.1:1')
  assert.equal(readLock(path)?.controlUrl, 'http://127.0.0.1:1')
  assert.equal(statSync(join(path, 'lock.json')).mode & 0o777, 0o600)
  lock.release()
  assert.deepEqual(readdirSync(path), [])
})

test('a second one is refused with the process and the control URL of the first', t => {
  const path = folder(t)
  const lock = takeLock(path, '/shop/tenfold.config.ts')
  lock.tell('http://127.0.0.1:9900')
  assert.throws(() => takeLock(path, '/shop/tenfold.config.ts'), {
    code: 'SYSTEM_ALREADY_RUNNING',
    message: new RegExp(`process ${process.pid} .*http://127\\.0\\.0\\.1:9900`),
  })
  assert.equal(readdirSync(path).length, 1)
})

test('a lock is taken over when its process has ended, is another by now, or ran before the machine was started', t => {
  for (const change of [
    { pid: 2 ** 22 - 1, startedAt: '1' },
    { startedAt: 'another start' },
    { bootId: 'an earlier boot' },
  ]) {
    const path = folder(t)
    place(path, record(change))
    assert.equal(takeLock(path, '/f').takenOverFrom?.nonce, 'other', JSON.stringify(change))
    assert.notEqual(readLock(path)?.nonce, 'other')
    assert.equal(readdirSync(path).length, 1)
  }
})

test('a lock file that is no JSON holds nobody off', t => {
  const path = folder(t)
  writePrivate(join(path, 'lock.json'), '{')
  takeLock(path, '/f')
  assert.equal(readLock(path)?.pid, process.pid)
})

test('a release leaves a lock alone that another one has taken over', t => {
  const path = folder(t)
  const lock = takeLock(path, '/f')
  place(path, record({}))
  lock.release()
  assert.equal(readLock(path)?.nonce, 'other')
})
