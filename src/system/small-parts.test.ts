import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { checkSystem, diffSystems } from '../file/index.ts'
import type { SystemEvent } from './control/views.ts'
import { changeViews, refusalsOf, summaryOf } from './differences.ts'
import { createEvents } from './events.ts'
import { renamedIfLarge } from './log-keeper.ts'
import { writePrivate } from './private-file.ts'
import { createRedactor } from './redact.ts'
import { openSystemLog } from './system-log.ts'
import { systemdUnit, type UnitQuestion } from './systemd.ts'

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'tf-parts-'))
  t.after(() => rmSync(path, { recursive: true }))
  return path
}

test('secrets are blotted out wherever they stand, longer ones first, short words not at all', () => {
  const redactor = createRedactor()
  redactor.learn(['hunter22', 'hunter22-and-more', 'on'])
  assert.equal(redactor.text('a hunter22-and-more b hunter22 on'), 'a *** b *** on')
})

test('events reach followers and the list of the latest, progress only the followers; secrets reach nobody', () => {
  const logged: string[] = []
  const log = {
    info: (_: object, text: string) => logged.push(text),
    warn: (_: object, text: string) => logged.push(text),
  }
  const events = createEvents(log, text => text.replaceAll('secret', '***'))
  const seen: SystemEvent[] = []
  const unfollow = events.follow(event => seen.push(event))
  events.follow(() => {
    throw new Error('a bad follower')
  })
  events.tell('progress', 'web', 'starting')
  events.tell('decision', 'web/web-1', 'the secret is out')
  unfollow()
  for (let count = 0; count < 60; count += 1) events.tell('decision', 'web', `number ${count}`)
  assert.deepEqual(
    seen.map(event => event.text),
    ['starting', 'the *** is out'],
  )
  assert.equal(events.latest().length, 50)
  assert.equal(events.latest().at(-1)?.text, 'number 59')
  assert.ok(logged.some(line => /a bad follower/.test(line)))
})

test('a private file is replaced whole and only its owner reads it', t => {
  const file = join(folder(t), 'deep', 'record.json')
  writePrivate(file, 'one')
  writePrivate(file, 'two')
  assert.equal(readFileSync(file, 'utf8'), 'two')
  assert.equal(statSync(file).mode & 0o777, 0o600)
})

test('an access log is renamed when it is large, and the oldest falls out', t => {
  const file = join(folder(t), 'access.log')
  const rotate = (content: string): boolean => {
    writeFileSync(file, content)
    return renamedIfLarge(file, 5, 3)
  }
  assert.equal(rotate('12345'), false)
  assert.equal(rotate('first!'), true)
  assert.equal(rotate('second'), true)
  assert.equal(rotate('third!'), true)
  assert.equal(existsSync(file), false)
  assert.equal(readFileSync(`${file}.1`, 'utf8'), 'third!')
  assert.equal(readFileSync(`${file}.2`, 'utf8'), 'second')
  assert.equal(existsSync(`${file}.3`), false)
})

test("the supervisor's log is JSON lines that only the owner reads", t => {
  const file = join(folder(t), 'logs', 'tenfold.log')
  const log = openSystemLog(file)
  log.warn({ subject: 'web' }, 'a sentence')
  log.close()
  const line = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>
  assert.equal(line.msg, 'a sentence')
  assert.equal(line.subject, 'web')
  assert.equal(statSync(file).mode & 0o777, 0o600)
})

test('differences become views, refusals and a summary', () => {
  const system = (change: object, web: object): ReturnType<typeof checkSystem> =>
    checkSystem({ name: 'shop', services: { web: { command: 'node web.mjs', ...web } }, ...change })
  const before = system({}, {})
  const after = system({ name: 'other' }, { command: 'node other.mjs', balance: 'random' })
  assert.ok(before.ok && after.ok)
  const changes = diffSystems(before.system, after.system)
  assert.equal(summaryOf(changeViews(changes)), '1 setting live, web rolls, 1 refused')
  assert.match(refusalsOf(changes).join(), /^name cannot change live \(/)
  assert.equal(summaryOf([]), 'no difference')
})

const unitQuestion: UnitQuestion = {
  name: 'shop',
  systemFile: '/srv/my shop/tenfold.config.ts',
  directory: '/srv/my shop',
  stateDirectory: '/srv/my shop/.tenfold',
  node: '/usr/bin/node',
  mainFile: '/opt/tenfold/dist/cli/main.js',
  environment: 'production',
  user: 'shop',
  stopMs: 30_000,
}

test('a systemd unit lets the supervisor end the rest, with quoted paths and time enough', () => {
  const unit = systemdUnit(unitQuestion)
  assert.match(unit, /^KillMode=process$/m)
  assert.match(unit, /^TimeoutStopSec=45$/m)
  assert.match(
    unit,
    /^ExecStart=\/usr\/bin\/node .*main\.js up --no-watch --env production --state "\/srv\/my shop\/\.tenfold" "\/srv\/my shop\/tenfold\.config\.ts"$/m,
  )
  assert.match(unit, /^User=shop$/m)
  assert.match(unit, /^ReadWritePaths="\/srv\/my shop"$/m)
  assert.doesNotMatch(unit, /^MemoryDenyWriteExecute=/m)
})

test('a unit without a user keeps the rights by which root starts services as others', () => {
  const unit = systemdUnit({ ...unitQuestion, user: null, stateDirectory: '/var/lib/shop' })
  assert.doesNotMatch(unit, /^User=|^CapabilityBoundingSet=/m)
  assert.match(unit, /^ReadWritePaths="\/srv\/my shop" \/var\/lib\/shop$/m)
})
