import assert from 'node:assert/strict'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type FileWatcher, watchFiles } from './watch-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'tenfold-watch-'))
after(() => rmSync(folder, { recursive: true, force: true }))

interface Watched {
  readonly path: (name: string) => string
  readonly watcher: FileWatcher
  /** Resolves with what was told next; told changes are never lost. */
  next(): Promise<readonly string[]>
  readonly told: (readonly string[])[]
}

let folders = 0
function watched(names: readonly string[]): Watched {
  const prefix = `${++folders}-`
  const path = (name: string): string => join(folder, prefix + name)
  for (const name of names) writeFileSync(path(name), 'one')
  const told: (readonly string[])[] = []
  let read = 0
  const watcher = watchFiles(names.map(path), {
    pollMs: 20,
    quietMs: 60,
    onChange: files => told.push(files),
  })
  async function next(): Promise<readonly string[]> {
    for (let tries = 0; tries < 1000 && told.length <= read; tries++) await delay(20)
    const files = told[read++]
    assert.ok(files, 'no change was told within 20 s')
    return files
  }
  return { path, watcher, next, told }
}

test('a change of any watched file is told, with its path', async () => {
  const { path, watcher, next } = watched(['a', 'b'])
  writeFileSync(path('b'), 'two!')
  assert.deepEqual(await next(), [path('b')])
  writeFileSync(path('a'), 'two!')
  assert.deepEqual(await next(), [path('a')])
  watcher.close()
})

test('an editor that replaces the file, and a file that goes and comes, are noticed', async () => {
  const { path, watcher, next } = watched(['a'])
  writeFileSync(path('a.tmp'), 'one')
  renameSync(path('a.tmp'), path('a'))
  assert.deepEqual(await next(), [path('a')])
  rmSync(path('a'))
  assert.deepEqual(await next(), [path('a')])
  writeFileSync(path('a'), 'one')
  assert.deepEqual(await next(), [path('a')])
  watcher.close()
})

test('several changes in a row are told once', async () => {
  const { path, watcher, next, told } = watched(['a', 'b'])
  writeFileSync(path('a'), 'two!')
  writeFileSync(path('b'), 'two!')
  assert.deepEqual(await next(), [path('a'), path('b')])
  assert.equal(told.length, 1)
  watcher.close()
})

test('the list can be replaced; a change made while the last load ran is still told', async () => {
  const { path, watcher, next } = watched(['a'])
  writeFileSync(path('new'), 'one')
  // Nothing has polled since: the watcher knows the first state of `a` only.
  writeFileSync(path('a'), 'changed while loading')
  watcher.watch([path('a'), path('new')])
  assert.deepEqual(await next(), [path('a')])
  writeFileSync(path('new'), 'two!')
  assert.deepEqual(await next(), [path('new')])
  watcher.close()
})
