import assert from 'node:assert/strict'
import { test } from 'node:test'
import { progressOf } from './operation-progress.ts'

function told(run: (progress: ReturnType<typeof progressOf>) => void): string[] {
  const lines: string[] = []
  run(progressOf('main', (name, text) => lines.push(`${name}: ${text}`)))
  return lines
}

test('progress tells each step once, and of bytes each tenth part', () => {
  const lines = told(progress => {
    progress('holding statements')
    progress('holding statements')
    for (let done = 0; done <= 1_000; done += 10) progress('copying the data', done, 1_000)
    progress('main-2 starts')
  })
  assert.equal(lines[0], 'main: holding statements')
  assert.equal(lines[1], 'main: copying the data: 0 B of 1000 B')
  assert.equal(lines.length, 13)
  assert.equal(lines.at(-1), 'main: main-2 starts')
})

test('many steps of one kind are told by their first', () => {
  const lines = told(progress => {
    for (let number = 0; number < 500; number += 1) progress(`looking at table ${number}`)
    progress('done with tables')
  })
  assert.equal(lines[0], 'main: looking at table 0')
  assert.equal(lines.at(-1), 'main: done with tables')
  assert.ok(lines.length < 20, `${lines.length} lines`)
})
