// The compiler and the linter as tests, so that `npm test` and `npm run check` have one summary and one exit code.
// Never changes a file: `npm run format` does.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '..')

function outcomeOf(program: string, args: readonly string[]): { status: number | null; output: string } {
  const run = spawnSync(join(root, 'node_modules', '.bin', program), args, { cwd: root, encoding: 'utf8' })
  return { status: run.status, output: `${run.stdout}${run.stderr}` }
}

test('the types of every module, test, script, benchmark and example hold', () => {
  for (const project of ['.', 'examples/boxoffice']) {
    const { status, output } = outcomeOf('tsc', ['--noEmit', '--pretty', 'false', '-p', project])
    assert.equal(status, 0, `tsc found errors:\n${output}`)
  }
})

test('format and lint are clean; `npm run format` mends the format', () => {
  const { status, output } = outcomeOf('biome', ['check', '--error-on-warnings', '--colors=off', '.'])
  assert.equal(status, 0, `biome found problems:\n${output}`)
})
