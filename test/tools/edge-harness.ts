// A running edge for tests: a real process on a free port with a snapshot that a test writes as little of as it needs.
// Ends with its test, and then asserts what must hold for every edge: nothing in flight is left, no worker has died that
// was not killed, nothing was said on standard error.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ControlEvent, EdgeStatus, MemberStatus } from '../../src/edge/control-protocol.ts'
import type {
  EdgeLimits,
  EdgeSnapshot,
  ListenerSpec,
  MemberSpec,
  RouteSpec,
  UpstreamSpec,
} from '../../src/edge/snapshot.ts'
import { socketPath } from '../../src/io/socket-path.ts'
import { connectEdge, type EdgeClient } from '../../src/system/edge-client.ts'
import { type RawOrigin, type Script, startRawOrigin } from './raw-origin.ts'
import { patienceMs, RawPeer } from './raw-peer.ts'

/** A test, or the hooks of a file (`{ after }` of node:test): whatever starts here ends with it. */
export interface Ending {
  after(end: () => Promise<void> | void): void
}

export interface EdgeSetup {
  /** Ports of the members of the upstream `app`: `app-0`, `app-1`, ... */
  readonly members?: readonly (number | Partial<MemberSpec>)[]
  readonly upstream?: Partial<UpstreamSpec>
  /** Default: everything goes to `app`. */
  readonly routes?: readonly RouteSpec[]
  /** Beside `app`. */
  readonly upstreams?: readonly UpstreamSpec[]
  readonly limits?: Partial<EdgeLimits>
  readonly workers?: number
  /** Open files that the process may have. */
  readonly filesMax?: number
  readonly accessLog?: boolean
  readonly trustedProxies?: readonly string[]
  readonly forwarded?: EdgeSnapshot['forwarded']
  /** Beside the plain one, `http`. */
  readonly listeners?: readonly ListenerSpec[]
  /** Whatever else the snapshot is to have, or to have otherwise. */
  readonly more?: Partial<EdgeSnapshot>
}

export interface EdgeUnderTest {
  readonly url: string
  readonly port: number
  readonly pid: number
  readonly stateDirectory: string
  readonly snapshot: EdgeSnapshot
  readonly events: readonly ControlEvent[]
  status(): Promise<EdgeStatus>
  metrics(): Promise<string>
  /** A member of `app`. */
  member(index: number): Promise<MemberStatus>
  /** Applies the setup anew, as the next version. */
  apply(setup: EdgeSetup): Promise<number>
  applySnapshot(snapshot: EdgeSnapshot): Promise<number>
  killWorker(worker: number): Promise<void>
  memberIdle(member: string, epoch: string, timeoutMs: number): Promise<{ idle: boolean; inFlight: number }>
  call: EdgeClient['call']
  /** Lines of the access log so far; waits until there are `count`. */
  logLines(count: number): Promise<Record<string, unknown>[]>
  /** Waits until nothing is in flight: no exchange, no request at a member, nobody who waits, no buffer in use. */
  idle(): Promise<void>
  stop(drainMs?: number): Promise<void>
  /** The test has told it to stop by itself: waits until its process is gone. */
  exited(): Promise<void>
  connect(): Promise<RawPeer>
  /** Of a listener by its id. */
  portOf(listener: string): Promise<number>
}

export const limitsOfTests: EdgeLimits = {
  requestLineBytesMax: 8_192,
  headerBytesMax: 32_768,
  headerCountMax: 128,
  bodyBytesMax: 128 << 20,
  headTimeoutMs: 30_000,
  idleTimeoutMs: 60_000,
  bodyTimeoutMs: 30_000,
  sendTimeoutMs: 30_000,
  connectionsMax: 20_000,
  requestsPerConnectionMax: 100_000,
  drainTimeoutMs: 10_000,
}

export function upstreamOf(
  name: string,
  members: readonly (number | Partial<MemberSpec>)[],
  change: Partial<UpstreamSpec> = {},
): UpstreamSpec {
  return {
    name,
    balance: { kind: 'round-robin' },
    members: members.map((member, index) => ({
      id: `${name}-${index}`,
      // A member at another port is another life of it.
      epoch: `at ${typeof member === 'number' ? member : member.port}`,
      host: '127.0.0.1',
      port: 1,
      weight: 1,
      tier: 0,
      state: 'active',
      ...(typeof member === 'number' ? { port: member } : member),
    })),
    health: {
      active: null,
      passive: {
        consecutiveFailures: 0,
        failureShare: 0,
        requestsMin: 10,
        windowMs: 10_000,
        latencyFactor: 0,
        ejectBaseMs: 1_000,
        ejectMaxMs: 10_000,
        ejectShareMax: 0.5,
      },
      panicShare: 0,
    },
    limits: { connectionsMax: 0, inFlightMax: 0, pendingMax: 1_000, pendingTimeoutMs: 20_000 },
    retry: {
      attempts: 2,
      budgetShare: 0.2,
      budgetMin: 10,
      backoffBaseMs: 5,
      backoffMaxMs: 50,
      onStatus: [],
    },
    slowStartMs: 0,
    connectTimeoutMs: 10_000,
    responseTimeoutMs: 30_000,
    idleTimeoutMs: 30_000,
    upgradeIdleTimeoutMs: 60_000,
    keepAlive: { connectionsMax: 256, timeoutMs: 60_000 },
    ...change,
  }
}

/** A route to `app`, or to another upstream. */
export function proxyRoute(
  path = '/*',
  change: Partial<RouteSpec> = {},
  action: Partial<Extract<RouteSpec['action'], { kind: 'proxy' }>> = {},
): RouteSpec {
  return {
    id: path,
    match: { path },
    action: { kind: 'proxy', upstream: 'app', upgrade: true, ...action },
    ...change,
  }
}

function snapshotOf(setup: EdgeSetup, version: number, stateDirectory: string): EdgeSnapshot {
  return {
    format: 1,
    version,
    name: 'trial',
    listeners: [{ id: 'http', kind: 'http', host: '127.0.0.1', port: 0 }, ...(setup.listeners ?? [])],
    trustedProxies: setup.trustedProxies ?? [],
    forwarded: setup.forwarded ?? 'x-forwarded',
    limits: { ...limitsOfTests, ...setup.limits },
    accessLog: setup.accessLog ? { file: join(stateDirectory, 'access.log') } : null,
    routes: setup.routes ?? [proxyRoute()],
    upstreams: [upstreamOf('app', setup.members ?? [], setup.upstream), ...(setup.upstreams ?? [])],
    stickySecret: Buffer.from('a secret of the tests, 32 bytes.').toString('base64'),
    ...setup.more,
  }
}

/** Waits for a condition, asked often; says what was waited for when it never holds. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + patienceMs
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not in ${patienceMs} ms: ${what}`)
    await sleep(10)
  }
}

export async function startEdge(context: Ending, setup: EdgeSetup = {}): Promise<EdgeUnderTest> {
  const stateDirectory = mkdtempSync(join(tmpdir(), 'tenfold-edge-'))
  mkdirSync(join(stateDirectory, 'edge'))
  let snapshot = snapshotOf(setup, 1, stateDirectory)
  writeFileSync(join(stateDirectory, 'edge', 'snapshot.json'), JSON.stringify(snapshot))
  const program = [join(import.meta.dirname, 'edge-process.ts'), stateDirectory, `${setup.workers ?? 1}`]
  const bounded = ['-c', 'ulimit -n "$0"; exec "$@"', `${setup.filesMax}`, process.execPath, ...program]
  const child = spawn(
    setup.filesMax === undefined ? process.execPath : '/bin/sh',
    setup.filesMax === undefined ? program : bounded,
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  const output = collect(child)
  const exited = new Promise<number | null>(resolve => child.once('exit', code => resolve(code)))
  const events: ControlEvent[] = []
  let killed = 0
  let stopped = false
  context.after(async () => {
    try {
      if (!stopped) await stop()
      else await ended()
    } finally {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
      await exited
      control.close()
      rmSync(stateDirectory, { recursive: true, force: true })
    }
  })
  const control = await connectControl(stateDirectory, child, output, events)
  const status = (): Promise<EdgeStatus> => control.call('status', {}, patienceMs)
  const metrics = async (): Promise<string> => (await control.call('metrics', {}, patienceMs)).text
  // The listener is there before its workers are.
  await until('the edge to listen', async () =>
    (await status()).workers.every(one => one.state === 'running'),
  )
  const port = (await status()).listeners[0]?.port as number

  async function idle(): Promise<void> {
    let last = ''
    const quiet = async (): Promise<boolean> => {
      last = JSON.stringify(await inUse(await status(), await metrics()))
      return last === '{}'
    }
    await until('nothing in flight', quiet).catch((cause: Error) => {
      throw new Error(`${cause.message}; left over: ${last}`)
    })
  }

  async function stop(drainMs = 5_000): Promise<void> {
    stopped = true
    if (child.exitCode === null) {
      await idle()
      const restarts = (await status()).workers.reduce((sum, one) => sum + one.restarts, 0)
      assert.equal(output.errors(), '', 'nothing is said on standard error')
      assert.equal(restarts, killed, 'no worker dies by itself')
      await control.call('stop', { drainMs })
    }
    await ended()
  }

  async function ended(): Promise<void> {
    await until('the edge to exit', () => child.exitCode !== null || child.signalCode !== null)
    const code = child.exitCode
    assert.equal(output.errors(), '', 'nothing is said on standard error')
    assert.equal(code, 0, 'the edge exits with 0')
    assert.ok(!existsSync(join(stateDirectory, 'edge.sock')), 'the control socket is removed')
  }

  async function applySnapshot(next: EdgeSnapshot): Promise<number> {
    const { version } = await control.call('apply', { snapshot: next }, patienceMs)
    snapshot = next
    return version
  }

  return {
    url: `http://127.0.0.1:${port}`,
    port,
    exited: async () => {
      stopped = true
      await ended()
    },
    stateDirectory,
    pid: child.pid as number,
    get snapshot() {
      return snapshot
    },
    events,
    status,
    metrics,
    member: async index => {
      const app = (await status()).upstreams.find(upstream => upstream.name === 'app')
      return app?.members[index] as MemberStatus
    },
    apply: next => applySnapshot(snapshotOf({ ...setup, ...next }, snapshot.version + 1, stateDirectory)),
    applySnapshot,
    killWorker: async worker => {
      killed++
      await control.call('killWorker', { worker })
    },
    memberIdle: (member, epoch, timeoutMs) =>
      control.call('memberIdle', { upstream: 'app', member, epoch, timeoutMs }, patienceMs),
    call: (method, params, timeoutMs) => {
      if (method === 'stop') stopped = true
      return control.call(method, params, timeoutMs)
    },
    logLines: async count => {
      let lines: string[] = []
      await until(`${count} lines in the access log`, () => {
        const file = join(stateDirectory, 'access.log')
        lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : []
        return lines.length >= count
      })
      return lines.map(line => JSON.parse(line) as Record<string, unknown>)
    },
    idle,
    stop,
    connect: () => connectEnding(context, port),
    portOf: async listener => (await status()).listeners.find(one => one.id === listener)?.port as number,
  }
}

/** A scripted origin that is from now on the edge's one member of `app`. One edge can so serve all tests of a file. */
export async function serve(
  edge: EdgeUnderTest,
  context: Ending,
  script?: Script,
  setup: EdgeSetup = {},
): Promise<RawOrigin> {
  const origin = await startRawOrigin(context, script)
  await edge.apply({ members: [origin.port], ...setup })
  return origin
}

/** A client connection that is gone when its test is. */
async function connectEnding(context: Ending, port: number): Promise<RawPeer> {
  const peer = await RawPeer.connect(port)
  context.after(() => peer.destroy())
  return peer
}

function collect(child: ChildProcess): { errors(): string } {
  let errors = ''
  child.stdout?.resume()
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  return { errors: () => errors }
}

async function connectControl(
  stateDirectory: string,
  child: ChildProcess,
  output: { errors(): string },
  events: ControlEvent[],
): Promise<EdgeClient> {
  const path = socketPath(stateDirectory)
  let client: EdgeClient | null = null
  await until('the edge to answer', async () => {
    if (child.exitCode !== null) throw new Error(`the edge exited with ${child.exitCode}: ${output.errors()}`)
    client = await connectEdge(path, { onEvent: event => events.push(event), onEnd: () => {} }).catch(
      () => null,
    )
    return client !== null
  })
  return client as unknown as EdgeClient
}

/** What is in use now, by name; empty when nothing is. */
async function inUse(status: EdgeStatus, metrics: string): Promise<Record<string, number>> {
  const used: Record<string, number> = {}
  const note = (name: string, value: number): void => {
    if (value !== 0) used[name] = value
  }
  for (const worker of status.workers) {
    note(`worker ${worker.id} exchanges`, worker.exchanges)
    if (worker.state !== 'running') note(`worker ${worker.id} starting`, 1)
  }
  for (const upstream of status.upstreams) {
    note(`${upstream.name} pending`, upstream.pending)
    for (const member of upstream.members) note(`${member.id} in flight`, member.inFlight)
  }
  for (const [, worker, value] of metrics.matchAll(/^edge_buffers\{worker="(\d+)"\} (\S+)$/gm))
    note(`worker ${worker} buffers`, Number(value))
  return used
}
