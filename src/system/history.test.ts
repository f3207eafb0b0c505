import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type CheckedSystem, checkSystem } from '../file/index.ts'
import { openHistory } from './history.ts'

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'tf-history-'))
  t.after(() => rmSync(path, { recursive: true }))
  return path
}

function systemWith(instances: number): CheckedSystem {
  const checked = checkSystem({ name: 'shop', services: { web: { command: 'node web.mjs', instances } } })
  assert.ok(checked.ok)
  return checked.system
}

test('the newest ten are kept, numbered for good, also by the next supervisor', t => {
  const path = folder(t)
  const history = openHistory(path, assert.fail)
  for (let instances = 1; instances <= 12; instances += 1)
    history.record(systemWith(instances), `n ${instances}`)
  for (const one of [history, openHistory(path, assert.fail)]) {
    const numbers = one.view().entries.map(entry => entry.number)
    assert.deepEqual(numbers, [12, 11, 10, 9, 8, 7, 6, 5, 4, 3])
    assert.deepEqual(
      one.view().entries.map(entry => entry.current),
      [true, ...Array(9).fill(false)],
    )
  }
  assert.equal(readdirSync(path).length, 10)
})

test('what was applied already is not written down again', t => {
  const history = openHistory(folder(t), assert.fail)
  history.record(systemWith(1), 'started')
  history.record(systemWith(1), 'started again')
  assert.equal(history.view().entries.length, 1)
})

test('a rollback finds the one before, or the one that is named', t => {
  const history = openHistory(folder(t), assert.fail)
  assert.throws(() => history.find(null), { code: 'SYSTEM_HISTORY_UNKNOWN', message: /no earlier/ })
  for (const instances of [1, 2, 3]) history.record(systemWith(instances), '')
  assert.equal(history.find(null).number, 2)
  assert.deepEqual(history.find(1).system, systemWith(1))
  assert.throws(() => history.find(7), { code: 'SYSTEM_HISTORY_UNKNOWN', message: /it has 1, 2, 3/ })
})

test('a record of before there were databases, caches and rehearsals has none of them', t => {
  const path = folder(t)
  openHistory(path, assert.fail).record(systemWith(1), '')
  const record = JSON.parse(readFileSync(join(path, '1.json'), 'utf8')) as { system: Record<string, unknown> }
  for (const key of ['databases', 'caches', 'rehearsals']) delete record.system[key]
  writeFileSync(join(path, '1.json'), JSON.stringify(record))
  assert.deepEqual(openHistory(path, assert.fail).find(1).system, systemWith(1))
})

test('a file that is no record of ours is passed over', t => {
  const path = folder(t)
  writeFileSync(join(path, '1.json'), '{')
  writeFileSync(join(path, '2.json'), '{"format":9}')
  assert.deepEqual(openHistory(path, assert.fail).view().entries, [])
})

test('an entry that cannot be written is told of and kept for this run', t => {
  const path = join(folder(t), 'taken')
  mkdirSync(path)
  const troubles: Error[] = []
  const history = openHistory(path, cause => troubles.push(cause))
  rmSync(path, { recursive: true })
  writeFileSync(path, 'a file where the folder was')
  history.record(systemWith(1), 'started')
  history.record(systemWith(2), 'reloaded')
  assert.equal(troubles.length, 2)
  assert.equal(history.find(null).number, 1)
})
