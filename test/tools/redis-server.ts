// Real Redis servers for tests: one, several, or a cluster, each a process of its own on a free port, with nothing on the
// disk that outlives the test. They can be killed, paused (SIGSTOP), started again on the same port (empty, as a
// replacement would be) and asked by hand. A relay in front of one delays or cuts its connections.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../../src/io/free-port.ts'
import { systemClock } from '../../src/kit/clock.ts'
import { seededRandom } from '../../src/kit/random.ts'

export interface RedisServer {
  readonly port: number
  readonly url: string
  readonly pid: number
  /** One command over a connection of its own; an error of the server rejects. Arrays come as nested arrays. */
  ask(...args: readonly string[]): Promise<unknown>
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>
  /** A new and empty server on the same port. */
  start(): Promise<void>
  /** SIGSTOP and SIGCONT: connections stay open, nothing answers. */
  pause(): void
  resume(): void
}

export interface RedisOptions {
  /** `{ maxmemory: '8mb' }` */
  readonly settings?: Readonly<Record<string, string>>
}

type After = Pick<TestContext, 'after'>

/** Bound for everything that is waited for here. */
const patienceMs = 60_000
const random = seededRandom(process.pid ^ Date.now())
const taken = new Set<number>()

export async function startRedis(t: After, options: RedisOptions = {}): Promise<RedisServer> {
  const port = await newPort()
  const directory = mkdtempSync(join(tmpdir(), 'tenfold-redis-'))
  let child: ChildProcess | null = null
  const start = async (): Promise<void> => {
    child = spawned(port, directory, options.settings ?? {})
    await answers(port, child)
  }
  const kill = async (): Promise<void> => {
    const one = child
    child = null
    if (one === null || one.exitCode !== null || one.signalCode !== null) return
    const gone = once(one, 'exit')
    one.kill('SIGKILL')
    await gone
  }
  t.after(async () => {
    await kill()
    rmSync(directory, { recursive: true, force: true })
  })
  await start()
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    get pid() {
      return child?.pid ?? 0
    },
    ask: (...args) => askRedis(port, args),
    kill,
    start,
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
  }
}

/** A cluster of `count` primaries that share the 16,384 slots evenly. */
export async function startRedisCluster(t: After, count = 3): Promise<readonly RedisServer[]> {
  const settings = async (): Promise<Record<string, string>> => ({
    'cluster-enabled': 'yes',
    'cluster-node-timeout': '2000',
    'cluster-port': String(await newPort()),
    'cluster-require-full-coverage': 'no',
  })
  const buses: string[] = []
  const servers: RedisServer[] = []
  for (let i = 0; i < count; i++) {
    const own = await settings()
    buses.push(own['cluster-port']!)
    servers.push(await startRedis(t, { settings: own }))
  }
  for (const [i, server] of servers.entries()) {
    const from = Math.floor((i * 16_384) / count)
    const to = Math.floor(((i + 1) * 16_384) / count) - 1
    await server.ask('CLUSTER', 'ADDSLOTSRANGE', String(from), String(to))
    await server.ask('CLUSTER', 'SET-CONFIG-EPOCH', String(i + 1))
    if (i > 0) await servers[0]!.ask('CLUSTER', 'MEET', '127.0.0.1', String(server.port), buses[i]!)
  }
  for (const server of servers) {
    await eventually('the cluster agrees', async () => {
      const info = String(await server.ask('CLUSTER', 'INFO'))
      return info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${count}`)
    })
  }
  return servers
}

export interface RedisRelay {
  readonly port: number
  readonly url: string
  /** Milliseconds that each chunk waits on its way to the server and back. */
  delayMs: number
  /** Ends all connections; new ones are let in unless `refuse` is set. */
  cut(): void
  refuse: boolean
}

export async function startRedisRelay(t: After, serverPort: number): Promise<RedisRelay> {
  const open = new Set<Socket>()
  const relay = {
    port: 0,
    url: '',
    delayMs: 0,
    refuse: false,
    cut: () => {
      for (const socket of open) socket.destroy()
    },
  }
  const forward = (from: Socket, to: Socket): void => {
    from.on('data', chunk => {
      if (relay.delayMs === 0) to.write(chunk)
      else setTimeout(() => to.destroyed || to.write(chunk), relay.delayMs)
    })
    from.on('close', () => {
      open.delete(from)
      to.destroy()
    })
    from.on('error', () => {})
    open.add(from)
  }
  const door = createServer(client => {
    if (relay.refuse) return void client.destroy()
    const server = connect(serverPort, '127.0.0.1')
    forward(client, server)
    forward(server, client)
  })
  door.listen(0, '127.0.0.1')
  await once(door, 'listening')
  relay.port = (door.address() as AddressInfo).port
  relay.url = `redis://127.0.0.1:${relay.port}`
  t.after(async () => {
    relay.cut()
    const closed = once(door, 'close')
    door.close()
    await closed
  })
  return relay
}

/** Waits for a condition, not for a time; fails after a generous bound. */
export async function eventually(
  what: string,
  holds: () => boolean | Promise<boolean>,
  withinMs: number = patienceMs,
): Promise<void> {
  const until = systemClock.monotonic() + withinMs * 1_000
  while (!(await holds())) {
    if (systemClock.monotonic() > until) throw new Error(`not within ${withinMs} ms: ${what}`)
    await sleep(10)
  }
}

async function newPort(): Promise<number> {
  const port = await freePort('127.0.0.1', random, taken)
  taken.add(port)
  return port
}

function spawned(port: number, directory: string, settings: Readonly<Record<string, string>>): ChildProcess {
  const all = {
    port: String(port),
    bind: '127.0.0.1',
    dir: directory,
    save: '',
    appendonly: 'no',
    'enable-debug-command': 'yes',
    ...settings,
  }
  const args = Object.entries(all).flatMap(([key, value]) => [`--${key}`, value])
  rmSync(join(directory, 'nodes.conf'), { force: true })
  // A test process that is killed leaves no server behind: the kernel ends it with its parent.
  const held = existsSync('/usr/bin/setpriv') ? ['/usr/bin/setpriv', '--pdeathsig', 'KILL'] : []
  const [program, ...rest] = [...held, 'redis-server', ...args]
  return spawn(program!, rest, { stdio: 'ignore', cwd: directory })
}

async function answers(port: number, child: ChildProcess): Promise<void> {
  await eventually('a Redis server answers (Debian package redis-server)', async () => {
    if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}`)
    return askRedis(port, ['PING']).then(
      reply => reply === 'PONG',
      () => false,
    )
  })
}

async function askRedis(port: number, args: readonly string[]): Promise<unknown> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    const words = args.map(word => `$${Buffer.byteLength(word)}\r\n${word}\r\n`)
    socket.write(`*${args.length}\r\n${words.join('')}`)
    let read = Buffer.alloc(0)
    for await (const chunk of socket) {
      read = Buffer.concat([read, chunk as Buffer])
      const parsed = replyAt(read, 0)
      if (parsed === null) continue
      if (parsed.value instanceof Error) throw parsed.value
      return parsed.value
    }
    throw new Error('the server closed the connection')
  } finally {
    socket.destroy()
  }
}

/** RESP2: the reply that starts at `at`, or null while it is not whole. */
function replyAt(bytes: Buffer, at: number): { value: unknown; end: number } | null {
  const lineEnd = bytes.indexOf('\r\n', at)
  if (lineEnd < 0) return null
  const line = bytes.toString('utf8', at + 1, lineEnd)
  const next = lineEnd + 2
  const kind = String.fromCharCode(bytes[at]!)
  if (kind === '+') return { value: line, end: next }
  if (kind === '-') return { value: new Error(line), end: next }
  if (kind === ':') return { value: Number(line), end: next }
  const count = Number(line)
  if (count < 0) return { value: null, end: next }
  if (kind === '$') {
    if (bytes.length < next + count + 2) return null
    return { value: bytes.toString('utf8', next, next + count), end: next + count + 2 }
  }
  const items: unknown[] = []
  let end = next
  for (let i = 0; i < count; i++) {
    const item = replyAt(bytes, end)
    if (item === null) return null
    items.push(item.value)
    end = item.end
  }
  return { value: items, end }
}
