// The router as a real process, without servers behind it: what is held here is its life.

import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RoutedDatabase, RouterSnapshot } from '../database/router/snapshot.ts'
import { freePort } from '../io/free-port.ts'
import { seededRandom } from '../kit/random.ts'
import { createRouterProcess, type RouterProcess } from './router-process.ts'

interface Bench {
  readonly directory: string
  readonly port: number
  readonly told: string[]
  process(): RouterProcess
  snapshot(version: number): RouterSnapshot
}

async function bench(t: TestContext): Promise<Bench> {
  const directory = mkdtempSync(join(tmpdir(), 'tf-router-'))
  for (const folder of ['logs', 'router']) mkdirSync(join(directory, folder))
  const port = await freePort('127.0.0.1', seededRandom(process.pid), new Set())
  const told: string[] = []
  const all: RouterProcess[] = []
  t.after(async () => {
    await Promise.all(all.map(one => one.kill()))
    rmSync(directory, { recursive: true })
  })
  return {
    directory,
    port,
    told,
    process: () => {
      const made = createRouterProcess({
        stateDirectory: directory,
        onEvent: () => {},
        onChange: (_, sentence) => told.push(sentence),
      })
      all.push(made)
      return made
    },
    snapshot: version => ({ format: 1, version, databases: [database(port)] }),
  }
}

function database(port: number): RoutedDatabase {
  return {
    name: 'main',
    database: 'app',
    listener: { host: '127.0.0.1', port },
    epoch: 1,
    timeline: 1,
    primary: null,
    holding: false,
    trouble: 'there is none in this test',
    servers: [],
    serverTls: { mode: 'off' },
    users: [],
    monitor: { user: 'tenfold_monitor', password: 'm' },
    reads: { kind: 'primary' },
    readWaitMs: 2,
    balance: 'least-connections',
    weights: {},
    pool: {
      sizeMax: 2,
      clientsMax: 10,
      waitingMax: 10,
      waitTimeoutMs: 1_000,
      idleTimeoutMs: 60_000,
      lifetimeMs: 60_000,
      transactionIdleTimeoutMs: 0,
      statementTimeoutMs: 0,
      preparedMax: 10,
      messageBytesMax: 1_048_576,
      loginTimeoutMs: 5_000,
    },
    hold: { timeoutMs: 1_000, statementsMax: 10 },
    shared: false,
    lag: { lessFromMs: 1_000, notFromMs: 10_000 },
  }
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000
  while (!(await holds())) {
    if (performance.now() > deadline) assert.fail(`never: ${what}`)
    await sleep(20)
  }
}

const listens = (port: number): Promise<boolean> =>
  new Promise(resolve => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

test('a router that is killed comes back by itself with the snapshot of last', async t => {
  const { process: made, snapshot, port } = await bench(t)
  const router = made()
  await router.start(snapshot(1))
  await router.apply(snapshot(2))
  const pid = router.state.pid as number
  process.kill(pid, 'SIGKILL')
  await until('another one runs', () => router.state.state === 'running' && router.state.pid !== pid)
  assert.equal((await router.status()).version, 2)
  assert.equal(router.state.restarts, 1)
  assert.ok(await listens(port))
})

test('the next supervisor takes the router back, and it serves meanwhile', async t => {
  const { process: made, snapshot, port } = await bench(t)
  const first = made()
  await first.start(snapshot(3))
  const { pid } = first.state
  first.release()
  assert.ok(await listens(port))
  const second = made()
  assert.equal(await second.adopt(), true)
  assert.equal(second.state.pid, pid)
  assert.equal(second.current?.version, 3)
  await second.apply(snapshot(4))
  assert.equal((await second.status()).version, 4)
})

test('one that hangs does not keep a snapshot from taking effect: it is killed, and another begins with it', async t => {
  const { process: made, snapshot } = await bench(t)
  const router = made()
  await router.start(snapshot(1))
  const pid = router.state.pid as number
  process.kill(pid, 'SIGSTOP')
  await router.apply(snapshot(2))
  assert.ok(!alive(pid), 'the hung one is gone before the snapshot counts as applied')
  await until('another one runs', () => router.state.state === 'running')
  assert.equal((await router.status()).version, 2)
})

test('one of another version serves until the next one takes over', async t => {
  const { process: made, snapshot, directory, port, told } = await bench(t)
  const first = made()
  await first.start(snapshot(1))
  const pid = first.state.pid as number
  first.release()
  const file = join(directory, 'router', 'process.json')
  const record = JSON.parse(readFileSync(file, 'utf8')) as object
  writeFileSync(file, JSON.stringify({ ...record, tenfold: '0.0.1' }))
  const second = made()
  assert.equal(await second.adopt(), false)
  assert.equal(second.replacesAnother, true)
  assert.ok(await listens(port), 'the former one still serves')
  await second.start(snapshot(2))
  assert.notEqual(second.state.pid, pid)
  await until('the former one has ended', () => !alive(pid))
  assert.ok(await listens(port))
  assert.match(told.join('\n'), /is of Tenfold 0\.0\.1: it is replaced/)
})

test('one that cannot start says its last lines, and leaves nothing', async t => {
  const { process: made, snapshot, directory } = await bench(t)
  const router = made()
  const bad = { ...snapshot(1), format: 9 } as unknown as RouterSnapshot
  await assert.rejects(router.start(bad), { code: 'SYSTEM_ROUTER_FAILED', message: /DATABASE_/ })
  assert.equal(router.state.state, 'stopped')
  assert.throws(() => readFileSync(join(directory, 'router', 'process.json')))
})

test('stop ends it, and whatever asks it afterwards is told so', async t => {
  const { process: made, snapshot, port } = await bench(t)
  const router = made()
  await router.start(snapshot(1))
  const pid = router.state.pid as number
  await router.stop(1_000)
  assert.ok(!alive(pid))
  assert.equal(await listens(port), false)
  await assert.rejects(router.status(), { code: 'SYSTEM_ROUTER_UNREACHABLE' })
  assert.equal(await router.drained('main', 100), true)
})
