import assert from 'node:assert/strict'
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { JournalFile } from './journal-file.ts'

function pathFor(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-journal-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'deep', 'one.jsonl')
}

function linesOf(path: string): string[] {
  let found: string[] = []
  JournalFile.takeOver(path, lines => {
    found = lines
    return lines
  }).close()
  return found
}

test('what was appended is read back, in order; a torn last line is not', context => {
  const path = pathFor(context)
  const journal = JournalFile.takeOver(path, () => [])
  journal.append('a\n')
  journal.append('b\nc\n')
  journal.close()
  appendFileSync(path, '{"torn')
  assert.deepEqual(linesOf(path), ['a', 'b', 'c'])
  assert.equal(statSync(path).mode & 0o777, 0o600)
})

test('who takes it over has it, and the former owner sees that it has not', context => {
  const path = pathFor(context)
  const former = JournalFile.takeOver(path, () => [])
  former.append('a\n')
  assert.equal(former.owned, true)
  const next = JournalFile.takeOver(path, lines => lines)
  former.append('lost\n')
  assert.equal(former.owned, false)
  former.replace(['x'])
  next.append('b\n')
  assert.equal(next.owned, true)
  former.close()
  next.close()
  assert.deepEqual(linesOf(path), ['a', 'b'])
  assert.ok(!existsSync(`${path}.taken`))
})

test('a death amid a takeover loses nothing', context => {
  const path = pathFor(context)
  const journal = JournalFile.takeOver(path, () => [])
  journal.append('a\n')
  journal.close()
  assert.throws(() =>
    JournalFile.takeOver(path, () => {
      throw new Error('died here')
    }),
  )
  assert.ok(!existsSync(path))
  assert.deepEqual(linesOf(path), ['a'])
})

test('begun anew it holds those lines only, and is appended to behind them', context => {
  const path = pathFor(context)
  const journal = JournalFile.takeOver(path, () => [])
  for (let i = 0; i < 1_000; i++) journal.append(`line ${i}\n`)
  journal.replace(['one', 'two'])
  journal.append('three\n')
  assert.equal(journal.owned, true)
  assert.equal(journal.bytes, 14)
  journal.close()
  assert.equal(readFileSync(path, 'utf8'), 'one\ntwo\nthree\n')
})
