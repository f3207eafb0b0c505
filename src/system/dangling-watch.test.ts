import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { DanglingWatch } from './dangling-watch.ts'

test('each database is looked at in its time; findings are said once, and when they are gone', async () => {
  const told: string[] = []
  let findings: Record<string, string[]> = { main: ['a points nowhere'], other: [] }
  let looks = 0
  const watch = new DanglingWatch({
    names: () => Object.keys(findings),
    look: async name => {
      looks++
      if (name === 'broken') throw new Error('no primary')
      return { text: '', findings: findings[name] ?? [] }
    },
    tell: (kind, database, text) => told.push(`${kind} ${database}: ${text}`),
    firstMs: 1,
    everyMs: 5,
  })
  watch.start()
  watch.start()
  while (looks < 6) await sleep(1)
  assert.deepEqual(told, ['warning main: references point nowhere: a points nowhere'])
  findings = { broken: [], main: ['1', '2', '3', '4', '5', '6', '7'] }
  while (told.length < 2) await sleep(1)
  assert.equal(
    told[1],
    'warning main: references point nowhere: 1; 2; 3; 4; 5; and 2 more (`tenfold db dangling main`)',
  )
  findings = { main: [] }
  while (told.length < 3) await sleep(1)
  assert.equal(told[2], 'decision main: all references over shards point somewhere again')
  watch.stop()
  await sleep(10)
  const seen = looks
  await sleep(30)
  assert.equal(looks, seen)
})
