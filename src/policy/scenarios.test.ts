// Plays every file of `scenarios/` and compares it with itself. TENFOLD_REWRITE_SCENARIOS=1 writes what came out
// instead: read the difference before you commit it.

import { strict as assert } from 'node:assert'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { CanaryRehearsal } from './testing/canary-rehearsal.ts'
import { FailoverRehearsal } from './testing/failover-rehearsal.ts'
import { FleetRehearsal } from './testing/fleet-rehearsal.ts'
import { playScenario, type ScenarioPlayer, scenarioTimeUs } from './testing/scenario.ts'
import { UpstreamRehearsal } from './testing/upstream-rehearsal.ts'

const folder = new URL('./scenarios/', import.meta.url)
const rewrite = process.env.TENFOLD_REWRITE_SCENARIOS === '1'

/** A file's first word tells what it is played on. */
const players: Readonly<Record<string, () => ScenarioPlayer>> = {
  canary: () => new CanaryRehearsal(1).play,
  failover: () => new FailoverRehearsal().play,
  upstream: () => new UpstreamRehearsal(1).play,
  service: () => new FleetRehearsal(1).play,
}

const files = readdirSync(folder).filter(name => name.endsWith('.txt'))

for (const name of files) {
  const file = new URL(name, folder)
  const text = readFileSync(file, 'utf8')
  test(`${name}: ${/^# (.*)/.exec(text)?.[1] ?? 'scenario'}`, () => {
    const kind = name.split('-')[0]!
    const player = players[kind]
    assert.ok(player, `${name} begins with none of: ${Object.keys(players).join(', ')}`)
    const played = playScenario(text, player())
    if (rewrite) writeFileSync(file, played)
    else assert.equal(played, text)
  })
}

test('there are scenarios to play', () => {
  assert.ok(files.length >= 8)
})

test('a scenario that says something wrong is noticed', () => {
  const text = '# t\nupstream a b\nadvance 1s\n----\ntraffic: a 999, b 0\n'
  assert.notEqual(playScenario(text, new UpstreamRehearsal(1).play), text)
  assert.throws(
    () => playScenario('upstream a\nfly away\n', new UpstreamRehearsal(1).play),
    /unknown command: fly away/,
  )
  assert.throws(() => scenarioTimeUs('3 weeks'), /not a time/)
})
