import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Clock } from '../kit/clock.ts'
import { Failure } from '../kit/failure.ts'
import { Canaries } from './canaries.ts'
import { canaryKey, canaryKeysOf } from './canary-key.ts'
import { canaryRow, canarySide, createEdgeCells, type EdgeCells } from './cells.ts'
import type { SnapshotSlots } from './slots.ts'
import type { CanarySpec, EdgeSnapshot, RouteSpec } from './snapshot.ts'

const rollback = { windowMs: 60_000, requestsMin: 50, errorShareExcess: 0.05, latencyFactor: 2 }

function routeWith(canary: Partial<CanarySpec> = {}, id = '/*'): RouteSpec {
  return {
    id,
    match: { path: '/*' },
    action: {
      kind: 'proxy',
      upstream: 'app',
      upgrade: false,
      canary: { upstream: 'next', share: 0.1, rollback, ...canary },
    },
  }
}

const snapshotOf = (...routes: RouteSpec[]): EdgeSnapshot => ({ routes }) as unknown as EdgeSnapshot

class Bench {
  readonly cells: EdgeCells = createEdgeCells(2)
  readonly told: string[] = []
  readonly folder: string
  #now = 0
  readonly clock: Clock = { monotonic: () => this.#now, wall: () => 1_700_000_000_000_000 + this.#now }

  constructor(t: TestContext) {
    this.folder = mkdtempSync(join(tmpdir(), 'tenfold-canaries-'))
    t.after(() => rmSync(this.folder, { recursive: true }))
  }

  open(): Canaries {
    return new Canaries(
      this.cells,
      this.clock,
      (subject, text) => this.told.push(`${subject}: ${text}`),
      this.folder,
    )
  }

  slots(snapshot: EdgeSnapshot, first = 0): SnapshotSlots {
    const canaries = new Map(canaryKeysOf(snapshot).map((key, at) => [key, first + at]))
    return { canaries } as unknown as SnapshotSlots
  }

  /** What a worker counts in a second. */
  count(worker: number, side: number, requests: number, errors: number): void {
    const row = canaryRow(worker, 0, side)
    this.cells.canaryWorker.requests[row]! += requests
    this.cells.canaryWorker.errors[row]! += errors
    for (let i = errors; i < requests; i++) this.cells.canaryLatency.record(row, 20_000)
    this.#now += 1_000_000
  }
}

test('what all workers have counted is judged together; a canary that is bad is out in the shared cells, told once and with its reason', t => {
  const bench = new Bench(t)
  const snapshot = snapshotOf(routeWith())
  const canaries = bench.open()
  canaries.take(snapshot, bench.slots(snapshot))
  canaries.judge(snapshot)
  for (const worker of [0, 1]) {
    bench.count(worker, canarySide.others, 500, 2)
    bench.count(worker, canarySide.canary, 40, 12)
  }
  for (let i = 0; i < 5; i++) canaries.judge(snapshot)
  assert.deepEqual(bench.told, ['/*: canary next taken out: errors 30 % against 0.4 % of 80 requests'])
  assert.notEqual(bench.cells.canary.outReason[0], 0)
  const [status] = canaries.status(snapshot)
  assert.equal(status?.state, 'taken-out')
  assert.equal(status?.outSinceMs, 1_700_000_004_000)
  assert.deepEqual([status?.canary.requests, status?.canary.errors], [80, 24])
  assert.equal(Math.round(status?.others.p95Ms ?? 0), 20)
})

test('what is out stays out over a restart of the edge, as long as the canary is described as it was', t => {
  const bench = new Bench(t)
  const snapshot = snapshotOf(routeWith())
  const before = bench.open()
  before.take(snapshot, bench.slots(snapshot))
  before.stop(snapshot, '/*')
  bench.cells.zeroCanary(0)
  const after = bench.open()
  after.take(snapshot, bench.slots(snapshot))
  assert.notEqual(bench.cells.canary.outReason[0], 0)
  assert.equal(after.status(snapshot)[0]?.state, 'stopped')

  const changed = snapshotOf(routeWith({ share: 0.2 }))
  bench.cells.zeroCanary(0)
  after.take(changed, bench.slots(changed))
  assert.equal(after.status(changed)[0]?.state, 'running')
  assert.equal(bench.cells.canary.outReason[0], 0)
  const later = bench.open()
  later.take(snapshot, bench.slots(snapshot))
  assert.equal(later.status(snapshot)[0]?.state, 'running', 'the record has gone with the description')
})

test('a folder that cannot be written costs the memory over a restart and says so; the canary is out all the same', t => {
  const bench = new Bench(t)
  writeFileSync(join(bench.folder, 'file'), '')
  const snapshot = snapshotOf(routeWith())
  const canaries = new Canaries(
    bench.cells,
    bench.clock,
    (_, text) => bench.told.push(text),
    join(bench.folder, 'file'),
  )
  const none = snapshotOf()
  canaries.take(none, bench.slots(none))
  assert.deepEqual(bench.told, [], 'without a canary nothing is asked of the disk')
  canaries.take(snapshot, bench.slots(snapshot))
  assert.match(bench.told.join(), /^which are out cannot be kept over a restart: /)
  assert.equal(canaries.stop(snapshot, '/*').state, 'stopped')
  assert.notEqual(bench.cells.canary.outReason[0], 0)
})

test('a canary that is resumed begins with a clean window', t => {
  const bench = new Bench(t)
  const snapshot = snapshotOf(routeWith())
  const canaries = bench.open()
  canaries.take(snapshot, bench.slots(snapshot))
  canaries.judge(snapshot)
  bench.count(0, canarySide.others, 500, 0)
  bench.count(0, canarySide.canary, 100, 100)
  canaries.judge(snapshot)
  assert.equal(canaries.resume(snapshot, '/*').state, 'running')
  assert.equal(bench.cells.canary.outReason[0], 0)
  for (let i = 0; i < 20; i++) {
    bench.count(0, canarySide.others, 50, 0)
    bench.count(0, canarySide.canary, 10, 0)
    canaries.judge(snapshot)
  }
  assert.equal(canaries.status(snapshot)[0]?.state, 'running')
  assert.equal(bench.told.length, 2, 'taken out and resumed')
})

test('a canary without roll-back is watched and never taken out', t => {
  const bench = new Bench(t)
  const snapshot = snapshotOf(routeWith({ rollback: null }))
  const canaries = bench.open()
  canaries.take(snapshot, bench.slots(snapshot))
  canaries.judge(snapshot)
  bench.count(0, canarySide.others, 500, 0)
  bench.count(0, canarySide.canary, 500, 500)
  canaries.judge(snapshot)
  const [status] = canaries.status(snapshot)
  assert.deepEqual([status?.state, status?.reason], ['running', 'never taken out by itself'])
  assert.equal(status?.canary.errors, 500)
})

test('what is no canary is refused with the routes that have one', t => {
  const bench = new Bench(t)
  const plain: RouteSpec = {
    ...routeWith(),
    id: '/plain',
    action: { kind: 'proxy', upstream: 'app', upgrade: false },
  }
  const snapshot = snapshotOf(routeWith(), plain)
  const canaries = bench.open()
  canaries.take(snapshot, bench.slots(snapshot))
  const refused = (id: string, sentence: RegExp): void =>
    assert.throws(
      () => canaries.resume(snapshot, id),
      error =>
        error instanceof Failure && error.code === 'EDGE_CANARY_UNKNOWN' && sentence.test(error.message),
    )
  refused('/none', /^There is no route '\/none'\. Routes with a canary: '\/\*'\.$/)
  refused('/plain', /^The route '\/plain' has no canary\./)
  assert.notEqual(canaryKey(routeWith()), canaryKey(routeWith({ share: 0.2 })))
})
