import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import {
  appendFileSync,
  closeSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { LogFollower, lastLines, lineBytesMax, openLog, rotateIfLarge } from './log-file.ts'

function folder(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'tenfold-log-'))
  context.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

test('the last lines are read from the end, also an unfinished one, and only from where they are wanted', context => {
  const path = join(folder(context), 'a.log')
  assert.deepEqual(lastLines(path, 3), [])
  writeFileSync(path, 'one\ntwo\nthree\nfour')
  assert.deepEqual(lastLines(path, 2), ['three', 'four'])
  assert.deepEqual(lastLines(path, 9), ['one', 'two', 'three', 'four'])
  assert.deepEqual(lastLines(path, 9, 4), ['two', 'three', 'four'])
  assert.deepEqual(lastLines(path, 0), [])
})

test('of a large file only its end is read, and no half line', context => {
  const path = join(folder(context), 'a.log')
  writeFileSync(path, Array.from({ length: 300_000 }, (_, index) => `line ${index}`).join('\n'))
  const lines = lastLines(path, 1_000_000)
  assert.equal(lines.at(-1), 'line 299999')
  assert.ok(lines.length < 200_000)
  assert.match(lines[0] ?? '', /^line \d+$/)
})

test('a follower hands on whole lines only, splits endless ones, and goes on after a truncation', context => {
  const path = join(folder(context), 'a.log')
  writeFileSync(path, 'before\n')
  const lines: string[] = []
  const follower = new LogFollower(path, line => lines.push(line))
  appendFileSync(path, 'one\ntw')
  follower.poll()
  assert.deepEqual(lines, ['one'])
  appendFileSync(path, 'o\n')
  follower.poll()
  assert.deepEqual(lines, ['one', 'two'])
  writeFileSync(path, 'x\n')
  follower.poll()
  assert.deepEqual(lines, ['one', 'two', 'x'])
  appendFileSync(path, `${'y'.repeat(lineBytesMax + 5)}\n`)
  follower.poll()
  assert.deepEqual(
    lines.slice(3).map(line => line.length),
    [lineBytesMax, 5],
  )
})

test('a file that is rotated goes on being written by who has it open, and nothing is lost or doubled', async context => {
  const at = folder(context)
  const path = join(at, 'a.log')
  const file = openLog(path)
  const lines: string[] = []
  const follower = new LogFollower(path, line => lines.push(line), 0)
  const written: string[] = []
  for (let round = 0; round < 20; round++) {
    for (let number = 0; number < 10; number++) {
      written.push(`round ${round} line ${number}`)
      writeSync(file, `${written.at(-1)}\n`)
    }
    await rotateIfLarge(path, { bytesMax: 300, filesMax: 3 }, follower)
    follower.poll()
  }
  closeSync(file)
  follower.poll()
  assert.deepEqual(lines, written)
  assert.deepEqual(readdirSync(at).sort(), ['a.log', 'a.log.1', 'a.log.2'])
  const kept = ['a.log.2', 'a.log.1', 'a.log'].map(name => readFileSync(join(at, name), 'utf8')).join('')
  assert.ok(written.join('\n').endsWith(kept.trimEnd()), 'the files continue each other')
})

test('files stay bounded while another process writes as fast as it can', async context => {
  const at = folder(context)
  const path = join(at, 'a.log')
  const file = openLog(path)
  const code =
    "const line = 'x'.repeat(999) + '\\n'; const { writeSync } = require('fs'); for (;;) writeSync(1, line)"
  const writer = spawn(process.execPath, ['-e', code], { stdio: ['ignore', file, 'ignore'] })
  closeSync(file)
  const limits = { bytesMax: 200_000, filesMax: 3 }
  for (let rotations = 0; rotations < 10; ) {
    if (await rotateIfLarge(path, limits)) rotations++
    else await new Promise(resolve => setTimeout(resolve, 1))
  }
  writer.kill('SIGKILL')
  await new Promise(resolve => writer.once('exit', resolve))
  for (const name of ['a.log.1', 'a.log.2']) {
    const { size } = statSync(join(at, name))
    assert.ok(size > 0 && size <= 3 * limits.bytesMax, `${name}: ${size} bytes`)
  }
  assert.deepEqual(readdirSync(at).sort(), ['a.log', 'a.log.1', 'a.log.2'])
})

test('with one file allowed, what is old is thrown away', async context => {
  const at = folder(context)
  const path = join(at, 'a.log')
  writeFileSync(path, 'x'.repeat(100))
  assert.equal(await rotateIfLarge(path, { bytesMax: 200, filesMax: 1 }), false)
  assert.equal(await rotateIfLarge(path, { bytesMax: 50, filesMax: 1 }), true)
  assert.deepEqual([readdirSync(at), statSync(path).size], [['a.log'], 0])
})
