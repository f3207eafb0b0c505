import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, openSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { hostClock } from '../../io/clock.ts'
import type { WorkerContext } from '../context.ts'
import { FileEntry } from './file-entry.ts'
import { type FileShelf, FileStore, type FindOutcome } from './file-shelf.ts'
import { OpenFiles } from './open-files.ts'
import { ReadBuffers } from './read-buffers.ts'

const root = mkdtempSync(join(tmpdir(), 'tenfold-shelf-'))
after(() => rmSync(root, { recursive: true, force: true }))

/** What a shelf asks of its worker: the time. */
const time = {
  clock: hostClock,
  now: hostClock.monotonic(),
  refresh(): void {
    time.now = hostClock.monotonic()
  },
}
const worker = time as unknown as WorkerContext

function shelfOf(store: FileStore): FileShelf {
  const spec = {
    kind: 'files',
    root,
    prefix: '/',
    index: [],
    precompressed: false,
    immutable: false,
  } as const
  return store.shelfFor({ ...spec, dotFiles: false }, undefined)
}

const find = (shelf: FileShelf, name: string): Promise<FindOutcome> =>
  new Promise(resolve => shelf.find(name, null, resolve))

async function entryOf(shelf: FileShelf, name: string): Promise<FileEntry> {
  const outcome = await find(shelf, name)
  assert.ok(outcome instanceof FileEntry, `${name}: ${JSON.stringify(outcome)}`)
  return outcome
}

test('a file is kept from its second use on; memory stays within its bound, and what is asked for often stays', async () => {
  const store = new FileStore(worker)
  const shelf = shelfOf(store)
  const size = 256_000
  const count = 290
  for (let i = 0; i < count; i++) {
    writeFileSync(join(root, `${i}.bin`), '')
    truncateSync(join(root, `${i}.bin`), size)
  }
  await entryOf(shelf, '/0.bin')
  assert.equal(store.bytes, 0, 'asked for once')
  await entryOf(shelf, '/0.bin')
  assert.equal(store.bytes, size)
  for (let i = 1; i < count; i++) {
    await entryOf(shelf, `/${i}.bin`)
    await entryOf(shelf, `/${i}.bin`)
    if (i % 16 === 0) await entryOf(shelf, '/0.bin')
    assert.ok(store.bytes <= 64 << 20, `${store.bytes}`)
  }
  assert.ok(store.bytes > 60 << 20, `${store.bytes}`)
  const hot = await entryOf(shelf, '/0.bin')
  assert.ok(hot.kept && hot.ready)
  assert.equal(hot.plain.body?.length, size)
  for (let i = 0; i < count; i++) rmSync(join(root, `${i}.bin`))
})

test('those who ask for the same at once share the work and the entry', async () => {
  writeFileSync(join(root, 'same.txt'), 'x'.repeat(10_000))
  const shelf = shelfOf(new FileStore(worker))
  const entries = await Promise.all(Array.from({ length: 20 }, () => entryOf(shelf, '/same.txt')))
  assert.equal(new Set(entries).size, 1)
  assert.equal(entries[0]?.kept, true)
})

test('what is no regular file, or a folder, or gone, is said so', async () => {
  const shelf = shelfOf(new FileStore(worker))
  mkdirSync(join(root, 'folder'))
  assert.equal(await find(shelf, '/folder'), 'directory')
  assert.equal(await find(shelf, '/none'), 'missing')
  assert.equal(await find(shelf, '/same.txt/x'), 'missing')
})

test('a large file is held open and shared; descriptors have a bound, and idle ones make room', async () => {
  writeFileSync(join(root, 'large.bin'), '')
  truncateSync(join(root, 'large.bin'), 1_000_000)
  const store = new FileStore(worker)
  const first = await entryOf(shelfOf(store), '/large.bin')
  const second = await entryOf(shelfOf(store), '/large.bin')
  assert.equal(first, second)
  assert.equal(store.openFiles.count, 1)

  const files = new OpenFiles(() => worker.now)
  assert.ok(files.take())
  const idle = files.keep(openSync(join(root, 'large.bin'), 'r'))
  idle.release(worker.now)
  for (let i = 1; i < 512; i++) assert.ok(files.take(), `${i}`)
  assert.equal(idle.closed, false)
  assert.ok(files.take(), 'the idle one makes room')
  assert.equal(idle.closed, true)
  assert.equal(files.take(), false)
  files.give()
  assert.ok(files.take())
})

test('large read buffers are few: further ones are small', () => {
  const buffers = new ReadBuffers()
  const taken = Array.from({ length: 60 }, () => buffers.take(1 << 20))
  assert.deepEqual([...new Set(taken.map(buffer => buffer.length))], [262_144, 65_536])
  assert.equal(taken.filter(buffer => buffer.length === 262_144).length, 48)
  for (const buffer of taken) buffers.give(buffer, true)
  assert.ok(taken.includes(buffers.take(1 << 20)), 'they are used again')
  assert.equal(buffers.take(100).length, 65_536)
})
