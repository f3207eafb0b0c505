// Instances outlive their supervisor, and the next one takes them back: with real supervisors that are killed.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { processes } from '../io/process-table.ts'
import type { FleetMember, ServiceSpec } from './contract.ts'
import { alive, ask, fixtures, marked, type Rig, rig, service, until } from './fixtures/harness.ts'
import type { LifeRecord } from './records.ts'

/** A child that carries the mark of the rig and is gone with the test. */
function child(at: Rig, args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  const options = { env: { ...process.env, FLEET_TEST_MARK: at.mark, ...env } }
  const started = spawn(process.execPath, args, { ...options, stdio: ['ignore', 'pipe', 'ignore'] })
  at.helpers.push(started)
  return started
}

/** Runs the services under a supervisor of their own, and kills that as soon as they are ready. */
async function orphaned(at: Rig, specs: readonly ServiceSpec[]): Promise<LifeRecord[]> {
  const supervisor = child(at, [join(fixtures, 'supervisor.ts'), at.stateDirectory, JSON.stringify(specs)])
  let said = ''
  supervisor.stdout?.on('data', chunk => (said += chunk))
  await until('the first supervisor is ready', () => said.includes('ready'))
  assert.equal(said, 'ready\n')
  const gone = new Promise(resolve => supervisor.once('exit', resolve))
  supervisor.kill('SIGKILL')
  await gone
  return recordsOf(at)
}

function recordsOf(at: Rig): LifeRecord[] {
  const folder = join(at.stateDirectory, 'fleet')
  return readdirSync(folder).map(name => JSON.parse(readFileSync(join(folder, name), 'utf8')) as LifeRecord)
}

function writeRecord(at: Rig, record: LifeRecord): void {
  const text = JSON.stringify({ format: 1, bootId: processes.bootId(), ...record })
  writeFileSync(join(at.stateDirectory, 'fleet', `${record.member}.${record.nonce}.json`), text)
}

test('the next supervisor takes running instances back as they are, and watches over them', async context => {
  const at = rig(context)
  const specs = [service('web', { instances: { min: 2, max: 4 } })]
  const records = await orphaned(at, specs)
  for (const record of records) assert.equal((await ask(record)).pid, record.pid)
  const report = await at.fleet.adopt()
  assert.deepEqual([report.adopted.length, report.ended.length, report.dropped.length], [2, 0, 0])
  await at.fleet.apply(specs)
  const epochs = new Set(at.front.active('web').map(member => member.epoch))
  assert.deepEqual(epochs, new Set(records.map(record => record.nonce)))
  // The very first list names both: none is missing for a moment.
  assert.equal(at.front.events[0]?.split('+').length, 3)
  assert.deepEqual(
    at.fleet.status()[0]?.members.map(member => member.adopted),
    [true, true],
  )

  const [first] = records as [LifeRecord]
  process.kill(first.pid as number, 'SIGKILL')
  await until('its death is noticed', () =>
    at.front.active('web').every(member => member.epoch !== first.nonce),
  )
  await until('another one follows', () => at.front.active('web').length === 2)
  assert.ok(at.decisions.some(decision => /ended \(how is not known/.test(decision.text)))
})

test('output of a time without supervisor is kept, and followed from then on', async context => {
  const at = rig(context)
  const specs = [service('web')]
  await orphaned(at, specs)
  await at.fleet.adopt()
  await at.fleet.apply(specs)
  const lines = await at.fleet.lastOutput({ lines: 10 })
  assert.ok(lines.some(line => line.text === 'listening'))
})

test('adopted instances of another version are rolled, those of a removed service are ended', async context => {
  const at = rig(context)
  const specs = [service('web', { env: { GREETING: 'old' } }), service('api')]
  const records = await orphaned(at, specs)
  await at.fleet.adopt()
  await at.fleet.apply([service('web', { env: { GREETING: 'new' } })])
  assert.equal((await ask(at.front.active('web')[0] as FleetMember)).GREETING, 'new')
  for (const { pid } of records) assert.ok(!alive(pid as number))
  assert.deepEqual(
    recordsOf(at).map(record => record.member),
    ['web-1'],
  )
})

test('adopted instances are ended by stop, down to their grandchildren', async context => {
  const at = rig(context)
  const specs = [service('web', { env: { GRANDCHILD: 'session' } })]
  await orphaned(at, specs)
  await until('both run', () => marked(at.mark).length === 2)
  await at.fleet.adopt()
  await at.fleet.apply(specs)
  await at.fleet.stop({ graceMs: 500 })
  assert.deepEqual(marked(at.mark), [])
  assert.deepEqual(recordsOf(at), [])
})

test('an instance that was still being started is ended, with or without a pid on record', async context => {
  const at = rig(context)
  const [record] = (await orphaned(at, [service('web')])) as [LifeRecord]
  writeRecord(at, { ...record, pid: null, startedAt: null, state: 'starting' })
  const report = await at.fleet.adopt()
  assert.match(report.ended[0]?.why ?? '', /being started when the supervisor died/)
  assert.ok(!alive(record.pid as number))

  const [other] = (await orphaned(at, [service('web')])) as [LifeRecord]
  writeRecord(at, { ...other, state: 'starting' })
  const next = at.next()
  assert.equal((await next.fleet.adopt()).ended.length, 1)
  assert.ok(!alive(other.pid as number))
})

test('a pid that belongs to a stranger by now is never signalled', async context => {
  const at = rig(context)
  const [record] = (await orphaned(at, [service('web')])) as [LifeRecord]
  process.kill(record.pid as number, 'SIGKILL')
  await until('it is gone', () => !alive(record.pid as number))
  const stranger = child(at, ['-e', 'setInterval(() => {}, 1000)'], { TENFOLD_NONCE: 'another' })
  const pid = stranger.pid as number
  const startedAt = await until('the stranger runs', () => processes.row(pid)?.startedAt)
  // Once with the start time of the dead one, once with the stranger's own but the nonce of the dead one.
  writeRecord(at, { ...record, pid })
  const first = await at.fleet.adopt()
  assert.match(first.dropped[0]?.why ?? '', /belongs to another process by now/)
  await until(
    'its environment is its own',
    () => processes.environmentValue(pid, 'TENFOLD_NONCE') === 'another',
  )
  writeRecord(at, { ...record, pid, startedAt })
  const second = await at.next().fleet.adopt()
  assert.match(second.dropped[0]?.why ?? '', /carries another nonce/)
  assert.ok(alive(pid))
  assert.deepEqual(recordsOf(at), [])
})

test('records of an earlier start of the machine, and broken ones, are forgotten', async context => {
  const at = rig(context)
  const [record] = (await orphaned(at, [service('web')])) as [LifeRecord]
  await at.fleet.adopt()
  await at.fleet.apply([])
  const old = { ...record, format: 1, bootId: 'an earlier one', pid: process.pid }
  writeFileSync(join(at.stateDirectory, 'fleet', 'web-1.old.json'), JSON.stringify({ ...old, nonce: 'old' }))
  writeFileSync(join(at.stateDirectory, 'fleet', 'broken.json'), '{"format":1,')
  const report = await at.next().fleet.adopt()
  assert.deepEqual(
    report.dropped.map(one => one.why),
    ['the machine was restarted since'],
  )
  assert.deepEqual(recordsOf(at), [])
})

test('release leaves the instances for the next supervisor', async context => {
  const at = rig(context)
  await at.fleet.apply([service('web')])
  const pid = at.fleet.status()[0]?.members[0]?.pid as number
  at.fleet.release()
  const next = at.next()
  assert.equal((await next.fleet.adopt()).adopted[0]?.pid, pid)
  await next.fleet.apply([service('web')])
  assert.equal(next.fleet.status()[0]?.members[0]?.pid, pid)
  assert.ok(existsSync(join(at.stateDirectory, 'fleet')))
})

test('of two lives in one place the younger serves and the older drains', async context => {
  const at = rig(context)
  const [older] = (await orphaned(at, [service('web', { env: { GREETING: 'older' } })])) as [LifeRecord]
  // A supervisor that dies between publishing the younger and ending the older leaves two.
  const file = join(at.stateDirectory, 'fleet', `${older.member}.${older.nonce}.json`)
  const kept = readFileSync(file, 'utf8')
  const middle = at.next()
  writeFileSync(file, '{}')
  await middle.fleet.adopt()
  await middle.fleet.apply([service('web')])
  middle.fleet.release()
  writeFileSync(file, kept)
  const next = at.next()
  assert.equal((await next.fleet.adopt()).adopted.length, 2)
  await next.fleet.apply([service('web')])
  assert.equal(next.front.active('web').length, 1)
  assert.notEqual(next.front.active('web')[0]?.epoch, older.nonce)
  assert.ok(!alive(older.pid as number))
})
