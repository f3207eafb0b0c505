// What fresh and session reads promise, of the planner alone (fresh-reads-counted.test.ts asks the whole router): thousands while
// replicas stand still at random and several sessions write; and the same count where nothing is promised, which shows that it
// can be wrong.

import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import type { ReadsSetting } from '../../src/database/contract.ts'
import {
  newSession,
  plannerOf,
  Sessions,
  startCluster,
  unsettle,
  untilServed,
} from '../tools/read-sessions.ts'

const seed = Number(process.env.TENFOLD_SEED ?? Date.now() % 1e9)

for (const [kind, wanted] of [
  ['fresh', 20_000],
  ['session', 20_000],
  ['any', 10_000],
] as const) {
  test(`${wanted} reads with '${kind}' while replicas stand still at random`, {
    timeout: 400_000,
  }, async t => {
    t.diagnostic(`seed ${seed}`)
    const { database, replicas } = await startCluster(t)
    const planner = plannerOf(t, database)
    const sessions = new Sessions(t, planner, database, seed)
    const reads: ReadsSetting = { kind }
    await untilServed(planner, reads, ['main-2', 'main-3'])
    const goesOn = (): boolean => sessions.reads < wanted
    // Sessions that write and read what they wrote; fresh reads see everybody's writes.
    const writers = [0, 1, 2].map(row => {
      const state = newSession()
      const own = kind === 'session' ? row : undefined
      return [
        sessions.write(row, goesOn, state),
        ...[1, 2, 3].map(() => sessions.read(reads, goesOn, state, own)),
      ]
    })
    const chaos = unsettle(replicas, sessions.random, goesOn)
    await Promise.all([...writers.flat(), chaos])
    const served = [...sessions.byServer].map(([id, count]) => `${id || 'primary'} ${count}`).join(', ')
    t.diagnostic(`${sessions.writes} writes; reads: ${served}; ${JSON.stringify(planner.counts)}`)
    if (kind === 'any') assert.ok(sessions.stale > 0, 'the check never fails, so it shows nothing')
    else assert.equal(sessions.stale, 0)
    for (const id of ['main-2', 'main-3'])
      assert.ok(
        (sessions.byServer.get(id) ?? 0) > wanted / 100,
        `${id} served nothing to speak of: ${served}`,
      )
    assert.ok(sessions.writes > 100)
  })
}
