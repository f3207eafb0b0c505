// Where reads go, with real servers: what is not known, what stands still, what dies, what others write. One set of
// servers for the tests that harm nobody, an own one for each that does.

import { strict as assert } from 'node:assert'
import { execFileSync } from 'node:child_process'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../../src/kit/clock.ts'
import {
  calm,
  newSession,
  placed,
  plannerOf,
  routed,
  Sessions,
  serverOf,
  startCluster,
  until,
  untilServed,
} from '../tools/read-sessions.ts'

const seed = Number(process.env.TENFOLD_SEED ?? Date.now() % 1e9)
const shared = await startCluster({ after: end => after(end as () => Promise<void>) })
const both = ['main-2', 'main-3']
const fresh = { kind: 'fresh' } as const
const session = { kind: 'session' } as const
const any = { kind: 'any' } as const

function childrenOf(pid: number): number[] {
  const listed = execFileSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' })
  return listed.trim().split(/\s+/).map(Number)
}

/** One that has ended meanwhile needs none. */
function signal(processes: readonly number[], name: NodeJS.Signals): void {
  for (const pid of processes) {
    try {
      process.kill(pid, name)
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ESRCH')
    }
  }
}

/** Long enough that a read never ends by its limit in a test. */
const patient = { ...shared.database, readWaitMs: 30_000 }

test('a planner that has just been made knows nothing: the primary serves, and its first sample settles it', async t => {
  const planner = plannerOf(t, shared.database)
  assert.equal(
    planner.place(newSession(), fresh, () => undefined),
    '',
  )
  assert.match(planner.reasonOfLast, /^primary:(unknown-yet|no-replica)$/)
  await untilServed(planner, fresh, both)
  assert.equal(planner.reasonOfLast, 'replica')
  assert.ok(planner.counts.replica > 0)
})

test('the setting primary goes to the primary, whatever replicas have', async t => {
  const planner = plannerOf(t, shared.database)
  await untilServed(planner, fresh, both)
  assert.equal(
    planner.place(newSession(), { kind: 'primary' }, () => undefined),
    '',
  )
  assert.equal(planner.reasonOfLast, 'primary:setting')
})

test('a fresh read waits for what was acknowledged to somebody else; who has it serves', async t => {
  const planner = plannerOf(t, patient)
  const sessions = new Sessions(t, planner, patient, seed)
  await untilServed(planner, fresh, both)
  const client = await sessions.connect('')
  const [second, third] = shared.replicas
  await second!.pause()
  await third!.pause()
  await sessions.writeOnce(client, 0, newSession())
  let done = false
  const read = placed(planner, newSession(), fresh).finally(() => {
    done = true
  })
  await until(() => planner.lagOf('main-3')!.bytes > 0)
  assert.equal(done, false, 'nobody has it')
  await third!.resume()
  assert.deepEqual(await read, { server: 'main-3', reason: 'waited' })
  assert.equal((await placed(planner, newSession(), fresh)).server, 'main-3', 'the other still stands')
  await second!.resume()
  await untilServed(planner, fresh, both)
})

test('a wait is bounded, then the primary serves; after some in vain nobody waits, until replicas go on', async t => {
  const database = { ...shared.database, readWaitMs: 5 }
  const planner = plannerOf(t, database)
  const sessions = new Sessions(t, planner, database, seed)
  await untilServed(planner, fresh, both)
  const client = await sessions.connect('')
  for (const replica of shared.replicas) await replica.pause()
  await sessions.writeOnce(client, 0, newSession())
  assert.deepEqual(await placed(planner, newSession(), fresh), { server: '', reason: 'primary:not-fresh' })
  await until(async () => planner.place(newSession(), fresh, () => undefined) === '')
  assert.equal(planner.reasonOfLast, 'primary:not-fresh')
  for (const replica of shared.replicas) await replica.resume()
  await untilServed(planner, fresh, both)
})

test('a session sees its own write, and the writes of others hold nobody up', async t => {
  const planner = plannerOf(t, patient)
  const sessions = new Sessions(t, planner, patient, seed)
  const [mine, other] = [newSession(), newSession()]
  await untilServed(planner, session, both)
  const client = await sessions.connect('')
  for (const replica of shared.replicas) await replica.pause()
  await sessions.writeOnce(client, 1, mine)
  assert.equal((await placed(planner, other, session)).reason, 'replica')
  const read = placed(planner, mine, session)
  await until(() => planner.lagOf('main-2')!.bytes > 0)
  assert.equal((await placed(planner, other, session)).reason, 'replica')
  await shared.replicas[0]!.resume()
  assert.deepEqual(await read, { server: 'main-2', reason: 'waited' })
  await shared.replicas[1]!.resume()
})

test('a token makes another router’s session see a write: it waits there as the writer would', async t => {
  const [here, there] = [plannerOf(t, patient), plannerOf(t, patient)]
  const sessions = new Sessions(t, here, patient, seed)
  const [writer, reader] = [newSession(), newSession()]
  await untilServed(there, session, both)
  const client = await sessions.connect('')
  assert.equal(await new Promise(done => here.token(newSession(), done)), null, 'who wrote nothing has none')
  for (const replica of shared.replicas) await replica.pause()
  await sessions.writeOnce(client, 2, writer)
  const token = await new Promise<string | null>(done => here.token(writer, done))
  assert.match(token ?? '', /^1\/[1-9A-F][0-9A-F]+$/)
  assert.ok(there.after(reader, token!))
  assert.equal(there.after(reader, `${token} `), false)
  let server: string | null = null
  const read = placed(there, reader, session).then(place => {
    server = place.server
  })
  await until(() => there.lagOf('main-2') !== null && there.lagOf('main-2')!.bytes > 0)
  assert.equal(server, null)
  await shared.replicas[0]!.resume()
  await read
  assert.equal(server, 'main-2')
  await shared.replicas[1]!.resume()
})

test('a token that nobody could have had makes a read no slower than a sample', async t => {
  const planner = plannerOf(t, patient)
  await untilServed(planner, fresh, both)
  const forged = newSession()
  assert.ok(planner.after(forged, '1/1FFFFFFFFFFFFF'))
  assert.ok(both.includes((await placed(planner, forged, session)).server))
  assert.ok(planner.after(forged, '9/1'))
  assert.deepEqual(await placed(planner, forged, session), { server: '', reason: 'primary:timeline' })
})

test('where two routers write, a fresh read sees what was acknowledged by the other', async t => {
  const database = { ...patient, shared: true }
  const [writing, reading] = [plannerOf(t, database), plannerOf(t, database)]
  const writers = new Sessions(t, writing, database, seed)
  const readers = new Sessions(t, reading, database, seed + 1)
  // One ledger for both.
  for (let row = 0; row < writers.acknowledged.length; row++) {
    Object.defineProperty(readers.acknowledged, row, { get: () => writers.acknowledged[row] })
  }
  await untilServed(reading, fresh, both)
  const goesOn = (): boolean => readers.reads < 3_000
  await Promise.all([
    writers.write(3, goesOn),
    writers.write(4, goesOn),
    ...[1, 2, 3, 4].map(() => readers.read(fresh, goesOn)),
  ])
  assert.equal(readers.stale, 0)
  assert.ok(readers.byServer.get('main-2')! > 100, JSON.stringify(reading.counts))
})

test('commits that are acknowledged before they are flushed are covered once the planner is told of them', async t => {
  for (const told of [true, false]) {
    const planner = plannerOf(t, patient)
    const sessions = new Sessions(t, planner, patient, seed)
    sessions.synchronousCommit = 'off'
    await untilServed(planner, fresh, both)
    if (told) planner.asynchronousCommit()
    let rounds = 0
    const goesOn = (): boolean => (told ? rounds++ < 60 : sessions.stale === 0)
    const client = await sessions.connect('')
    await client.query('SET synchronous_commit = off')
    const reader = sessions.read(fresh, () => sessions.reads < rounds || goesOn())
    const writer = sessions.write(5, goesOn)
    await Promise.all([reader, writer])
    assert.equal(sessions.stale > 0, !told, `told: ${told}, ${sessions.stale} of ${sessions.reads} stale`)
  }
})

test('who may commit without waiting is found in the server’s settings and in the catalogue', async t => {
  const { database } = await startCluster(t, ['main-2'], { synchronous_commit: 'off' })
  const settings = plannerOf(t, database)
  const catalogued = plannerOf(t, shared.database, {
    catalogue: () => ({ ...calm, asynchronousCommit: true }),
  })
  for (const [planner, spec] of [
    [settings, database],
    [catalogued, shared.database],
  ] as const) {
    const sessions = new Sessions(t, planner, spec, seed)
    sessions.synchronousCommit = 'off'
    await untilServed(planner, any, ['main-2'])
    await until(() => planner.counts.replica > 0)
    const goesOn = (): boolean => sessions.reads < 30
    await Promise.all([sessions.write(6, goesOn), sessions.read(fresh, goesOn)])
    assert.equal(sessions.stale, 0)
  }
})

test('the catalogue is read at the start, and again after a definition has changed', async t => {
  let times = 0
  const catalogue = (): typeof calm => {
    times++
    return calm
  }
  const planner = plannerOf(t, shared.database, { catalogue })
  await until(() => times === 1)
  planner.definitionsChanged()
  await until(() => times === 2)
})

test('a bounded read goes to nobody who may be further behind, also for writes that no router saw', async t => {
  const planner = plannerOf(t, shared.database)
  const bounded = { kind: 'maxLag', maxLagMs: 500 } as const
  await untilServed(planner, bounded, both)
  await shared.replicas[0]!.pause()
  const client = await new Sessions(t, planner, shared.database, seed).connect('')
  // Past the router: nobody tells the planner.
  await client.query('UPDATE ledger SET n = n + 1 WHERE id = 7')
  await until(() => (planner.lagOf('main-2')?.ms ?? 0) > 500)
  for (let i = 0; i < 50; i++) assert.equal((await placed(planner, newSession(), bounded)).server, 'main-3')
  await shared.replicas[1]!.pause()
  await client.query('UPDATE ledger SET n = n + 1 WHERE id = 7')
  await until(async () => (await placed(planner, newSession(), bounded)).reason === 'primary:lag')
  assert.ok(both.includes((await placed(planner, newSession(), any)).server), 'any takes the least bad')
  for (const replica of shared.replicas) await replica.resume()
  await untilServed(planner, bounded, both)
})

test('lags are told in bytes and milliseconds, and no clock that can jump is asked', async t => {
  const clock = {
    monotonic: systemClock.monotonic,
    wall: () => assert.fail('the wall clock was asked'),
  }
  const planner = plannerOf(t, shared.database, { clock })
  await until(() => planner.lagOf('main-2')?.ms === 0 && planner.lagOf('main-2')?.bytes === 0)
  assert.equal(planner.standingOf('main-2'), 'used')
  await shared.replicas[0]!.pause()
  const client = await new Sessions(t, planner, shared.database, seed).connect('')
  await client.query('UPDATE ledger SET n = n + 1 WHERE id = 7')
  await until(() => planner.lagOf('main-2')!.bytes > 0 && planner.lagOf('main-2')!.ms > 1_000)
  assert.match(planner.standingOf('main-2'), /^used less: [\d.]+ s behind$/)
  assert.equal(planner.lagOf('main-1'), null)
  await shared.replicas[0]!.resume()
  await until(() => planner.lagOf('main-2')!.bytes === 0)
})

test('a delayed replica is never read from, also when it is the only one', async t => {
  const { database, replicas } = shared
  const delayed = { ...serverOf('main-2', replicas[0]!.port), delayMs: 60_000 }
  const planner = plannerOf(t, { ...database, servers: [database.servers[0]!, delayed] })
  await until(() => planner.lagOf('main-2') !== null)
  for (const reads of [any, fresh, session])
    assert.deepEqual(await placed(planner, newSession(), reads), { server: '', reason: 'primary:no-replica' })
  assert.equal(planner.standingOf('main-2'), 'never read from: it is delayed on purpose')
})

test('a read that is not wanted any more is forgotten; a planner that closes lets go of the others', async t => {
  const planner = plannerOf(t, patient)
  const sessions = new Sessions(t, planner, patient, seed)
  await untilServed(planner, fresh, both)
  const client = await sessions.connect('')
  for (const replica of shared.replicas) await replica.pause()
  await sessions.writeOnce(client, 0, newSession())
  const called: string[] = []
  const unwanted = (): void => void called.push('unwanted')
  assert.equal(planner.place(newSession(), fresh, unwanted), null)
  const wanted = placed(planner, newSession(), fresh)
  planner.cancel(unwanted)
  planner.close()
  assert.equal((await wanted).server, '')
  assert.deepEqual(called, [])
  for (const replica of shared.replicas) await replica.resume()
})

test('a replica that is killed and started again serves nothing older than it did', async t => {
  t.diagnostic(`seed ${seed}`)
  const { database, replicas } = await startCluster(t)
  const planner = plannerOf(t, { ...database, readWaitMs: 50 })
  const sessions = new Sessions(t, planner, database, seed)
  await untilServed(planner, fresh, both)
  let over = false
  const goesOn = (): boolean => !over
  const writers = [0, 1].map(row => sessions.write(row, goesOn))
  // A connection to a killed server ends a reader, as it ends a client's statement: it begins anew.
  const reader = async (): Promise<void> => {
    while (goesOn()) await sessions.read(fresh, goesOn).catch(() => sleep(1))
  }
  const readers = [reader(), reader(), reader()]
  for (let round = 0; round < 4; round++) {
    await replicas[round % 2]!.kill()
    await until(() => planner.lagOf(both[round % 2]!) === null)
    await until(() => planner.standingOf(both[round % 2]!) === 'not used: it does not answer the monitor')
    await replicas[round % 2]!.start()
    await until(() => planner.lagOf(both[round % 2]!) !== null)
    await untilServed(planner, fresh, both)
  }
  over = true
  await Promise.all([...writers, ...readers])
  assert.equal(sessions.stale, 0)
  assert.ok(sessions.reads > 100 && sessions.writes > 100)
})

test('after a switch of the timeline nothing of the old one is believed', async t => {
  t.diagnostic(`seed ${seed}`)
  const { primary, replicas, database } = await startCluster(t)
  const [second, third] = replicas
  const planner = plannerOf(t, { ...database, readWaitMs: 50 })
  const sessions = new Sessions(t, planner, database, seed)
  const mine = newSession()
  await untilServed(planner, fresh, both)
  const client = await sessions.connect('')
  await sessions.writeOnce(client, 0, mine)
  await untilServed(planner, fresh, both)
  const old = await new Promise<string | null>(done => planner.token(mine, done))
  // Everything acknowledged has reached both, as a quorum would have it for the one that is promoted.
  await primary.stop()
  await until(() => planner.place(newSession(), fresh, () => undefined) !== '')
  assert.equal(planner.reasonOfLast, 'replica', 'reads go on without a primary: nobody writes')
  planner.use({ ...database, epoch: 1, primary: null, trouble: 'main-1 died' })
  assert.ok(both.includes((await placed(planner, newSession(), fresh)).server))
  await second!.promote()
  const next = routed(second!, [], { epoch: 2, timeline: 2, primary: 'main-2' })
  const servers = [serverOf('main-2', second!.port, 'primary'), serverOf('main-3', third!.port)]
  planner.use({ ...next, servers, readWaitMs: 50 })
  assert.equal(
    planner.place(newSession(), fresh, () => undefined),
    '',
    'nothing is known of the new primary',
  )
  // An older topology that comes late changes nothing.
  planner.use(database)
  sessions.ports.set('', second!.port)
  const writer = await sessions.connect('')
  await sessions.writeOnce(writer, 1, newSession())
  await until(async () => (await placed(planner, newSession(), fresh)).reason === 'primary:not-fresh')
  assert.notEqual((await placed(planner, newSession(), fresh)).server, 'main-3', 'it copies from nobody yet')
  await third!.follow(second!.port)
  await untilServed(planner, fresh, ['main-3'])
  const told = newSession()
  assert.ok(planner.after(told, old!))
  assert.equal((await placed(planner, told, session)).server, 'main-3', 'the old token’s write survived')
  let reads = 0
  const goesOn = (): boolean => sessions.reads < reads
  reads = sessions.reads + 2_000
  await Promise.all([sessions.write(2, goesOn), sessions.read(fresh, goesOn), sessions.read(fresh, goesOn)])
  assert.equal(sessions.stale, 0)
})

test('a primary that hangs holds no read longer than it may wait', async t => {
  const { primary, database } = await startCluster(t, ['main-2'])
  const planner = plannerOf(t, { ...database, readWaitMs: 30 })
  const sessions = new Sessions(t, planner, database, seed)
  await untilServed(planner, fresh, ['main-2'])
  const client = await sessions.connect('')
  await sessions.writeOnce(client, 0, newSession())
  const processes = [primary.pid, ...childrenOf(primary.pid)]
  t.after(() => signal(processes, 'SIGCONT'))
  signal(processes, 'SIGSTOP')
  planner.wrote(newSession())
  assert.deepEqual(await placed(planner, newSession(), fresh), { server: '', reason: 'primary:not-fresh' })
  signal(processes, 'SIGCONT')
  await untilServed(planner, fresh, ['main-2'])
})

test('a server that is on an older timeline than the cluster is not believed to be its primary', async t => {
  const planner = plannerOf(t, { ...shared.database, epoch: 3, timeline: 2 })
  await untilServed(planner, any, both)
  await sleep(200)
  assert.equal(
    planner.place(newSession(), fresh, () => undefined),
    '',
  )
  assert.equal(planner.reasonOfLast, 'primary:unknown-yet')
})
