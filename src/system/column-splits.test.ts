// Splits of tables as the system keeps them: a journal that can't be read.

import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ColumnSplits } from './column-splits.ts'

test('a journal that is broken is said, keeps nobody from starting, and is not taken for none', async t => {
  const stateDirectory = mkdtempSync(join(tmpdir(), 'tenfold-splits-'))
  t.after(() => rmSync(stateDirectory, { recursive: true }))
  mkdirSync(join(stateDirectory, 'column-splits'))
  writeFileSync(join(stateDirectory, 'column-splits', 'main.json'), '{oops')
  const said: string[] = []
  const splits = new ColumnSplits({
    stateDirectory,
    say: (database: string, level: string, text: string) => said.push(`${database} ${level} ${text}`),
  } as never)
  await splits.start(['main', 'other'])
  assert.match(said.join('\n'), /^main warn the split of a table does not go on: .*main\.json can't be used/)
  assert.equal(said.length, 1)
  assert.throws(() => splits.view('main'), { code: 'SYSTEM_SPLIT_REFUSED' })
  assert.deepEqual(splits.view('other'), { database: 'other', current: null })
  await splits.stop()
})
