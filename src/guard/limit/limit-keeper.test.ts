import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Clock } from '../../kit/clock.ts'
import { limitOutcome, limitRule } from '../../policy/limit/index.ts'
import { LimitKeeper } from './limit-keeper.ts'
import { createLimitMemory, LimitCells } from './memory.ts'

const hourUs = 3_600_000_000
const limit = {
  rule: limitRule({ algorithm: 'gcra', amount: 10, perMs: 3_600_000, burst: 10 }),
  overflow: { low: 1, high: 1 },
}
const key = { low: 12_345, high: 67_890 }
const out = limitOutcome()

/** One process of the edge: its own uptime, its own tables, at this moment of the wall clock. */
function life(wallUs: number, uptimeUs: number): { cells: LimitCells; advance(us: number): void } {
  let passed = 0
  const clock: Clock = { monotonic: () => uptimeUs + passed, wall: () => wallUs + passed }
  const cells = new LimitCells(createLimitMemory(2, clock), null, clock)
  return {
    cells,
    advance: us => {
      passed += us
    },
  }
}

const keeperOf = (t: TestContext, state: string, cells: LimitCells, told: string[] = []): LimitKeeper => {
  const keeper = new LimitKeeper(state, cells, text => told.push(text))
  t.after(() => keeper.close())
  return keeper
}

function passes(cells: LimitCells): number {
  let count = 0
  while (cells.table.take(limit, key, cells.now(), 1, 1, out)) count++
  return count
}

function stateOf(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'tenfold-keeper-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

const wall = 1_800_000_000_000_000

test('what a process has counted is known to the next one, and time that passed between counts', async t => {
  const state = stateOf(t)
  const first = life(wall, 5_000_000)
  const keeper = keeperOf(t, state, first.cells)
  await keeper.begin()
  assert.equal(passes(first.cells), 10)
  await keeper.close()
  // A fifth of an hour later, on a machine that was started anew: two of ten have flown back.
  const second = life(wall + hourUs / 5, 77)
  await keeperOf(t, state, second.cells).begin()
  assert.equal(passes(second.cells), 2)
  const third = life(wall + 2 * hourUs, 77)
  await keeperOf(t, state, third.cells).begin()
  assert.equal(passes(third.cells), 10)
})

test('a process that takes over hears what the one before it still counts', async t => {
  const state = stateOf(t)
  const old = life(wall, 1_000)
  const oldKeeper = keeperOf(t, state, old.cells)
  await oldKeeper.begin()
  const next = life(wall, 2_000)
  const nextKeeper = keeperOf(t, state, next.cells)
  await nextKeeper.begin()
  old.cells.table.take(limit, key, old.cells.now(), 7, 1, out)
  await oldKeeper.close()
  await nextKeeper.tick()
  assert.equal(passes(next.cells), 3)
})

test('a file that is damaged, or of a clock that was set back, limits nobody and stops nothing', async t => {
  const state = stateOf(t)
  const later = life(wall + 5 * hourUs, 1)
  const keeper = keeperOf(t, state, later.cells)
  await keeper.begin()
  assert.equal(passes(later.cells), 10)
  await keeper.close()
  const [file = ''] = readdirSync(join(state, 'guard', 'limits'))
  writeFileSync(join(state, 'guard', 'limits', '1-1.counts'), 'half')
  writeFileSync(join(state, 'guard', 'limits', '2-2.counts'), Buffer.alloc(1_000, 7))
  assert.match(file, /\.counts$/)
  const told: string[] = []
  const now = life(wall, 1)
  await keeperOf(t, state, now.cells, told).begin()
  assert.equal(passes(now.cells), 10)
  assert.match(told.join(), /set back/)
})
