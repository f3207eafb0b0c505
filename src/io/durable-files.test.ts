// Files that are whole or not there: what a writer that fails leaves, and what is taken for finished.

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { filesBelow, openGrowing, readPieces, removePartials, writeDurably } from './durable-files.ts'

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-durable-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

async function* saying(...texts: string[]): AsyncGenerator<Buffer> {
  for (const text of texts) yield Buffer.from(text)
}

test('a file is written whole, for its owner alone, and read in pieces', async t => {
  const path = join(folderOf(t), 'one')
  assert.equal(await writeDurably(path, saying('a', 'bc')), 3)
  assert.equal(readFileSync(path, 'utf8'), 'abc')
  assert.equal(statSync(path).mode & 0o777, 0o600)
  const large = Buffer.alloc(600_000, 7)
  writeFileSync(path, large)
  const sizes: number[] = []
  for await (const piece of readPieces(path)) sizes.push(piece.length)
  assert.equal(
    sizes.reduce((sum, one) => sum + one, 0),
    large.length,
  )
  assert.ok(sizes.length > 1)
})

test('a source that fails leaves what was there before', async t => {
  const folder = folderOf(t)
  const path = join(folder, 'one')
  await writeDurably(path, saying('old'))
  async function* broken(): AsyncGenerator<Buffer> {
    yield Buffer.from('new')
    throw new Error('broke')
  }
  await assert.rejects(writeDurably(path, broken()), /broke/)
  assert.equal(readFileSync(path, 'utf8'), 'old')
  assert.deepEqual(
    (await filesBelow(folder)).map(one => one.name),
    ['one'],
  )
})

test('what was left half written is not listed, and removed with a folder that holds nothing else', async t => {
  const folder = folderOf(t)
  for (const name of ['half', 'kept']) mkdirSync(join(folder, name))
  writeFileSync(join(folder, 'half', 'a.partial'), 'x')
  writeFileSync(join(folder, 'kept', 'b.partial'), 'x')
  await writeDurably(join(folder, 'kept', 'c'), saying('whole'))
  assert.deepEqual(
    (await filesBelow(folder)).map(({ name, bytes }) => [name, bytes]),
    [['kept/c', 5]],
  )
  assert.equal(await removePartials(folder), 2)
  assert.equal(existsSync(join(folder, 'half')), false)
  assert.equal(existsSync(join(folder, 'kept', 'b.partial')), false)
  assert.deepEqual(await filesBelow(join(folder, 'nowhere')), [])
})

test('a growing file takes bytes at their place, again and again', async t => {
  const path = join(folderOf(t), 'grows')
  const file = await openGrowing(path)
  await file.write(Buffer.from('abcdef'), 0)
  await file.sync()
  await file.close()
  const again = await openGrowing(path)
  await again.write(Buffer.from('XY'), 2)
  await again.close()
  assert.equal(readFileSync(path, 'utf8'), 'abXYef')
})
