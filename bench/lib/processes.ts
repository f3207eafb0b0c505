// Starts programs on one core, waits until they listen, reads what the operating system says they used, and ends them.
// Every process started here is in its own group and is ended with it; none outlives the run.

import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export interface StartOptions {
  /** Core to run on; undefined: any. */
  readonly core?: number
  readonly env?: Record<string, string>
  readonly cwd?: string
  /** Where its output goes: shown when it fails to start. */
  readonly show?: boolean
}

export interface Running {
  readonly name: string
  readonly pid: number
  readonly child: ChildProcess
  /** The last 20,000 characters of what it wrote. */
  output(): string
}

const running = new Set<ChildProcess>()
const outputMax = 20_000
const readyTimeoutMs = 20_000

/** As root this lifts the hard limit of open files too; otherwise to what is allowed. */
const withManyFiles = 'ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"; exec "$@"'

export function start(name: string, command: readonly string[], options: StartOptions = {}): Running {
  const pinned = options.core === undefined ? command : ['taskset', '-c', String(options.core), ...command]
  const child = spawn('sh', ['-c', withManyFiles, 'sh', ...pinned], {
    detached: true,
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      if (options.show) process.stderr.write(text)
      output = (output + text).slice(-outputMax)
    })
  }
  running.add(child)
  child.once('exit', () => running.delete(child))
  return { name, pid: child.pid!, child, output: () => output }
}

export const node: string = join(import.meta.dirname, '..', '..', 'node_modules', '.bin', 'node')

/** The command that runs a program of ours under Node. */
export function program(file: string, ...args: readonly (string | number)[]): string[] {
  return [node, file, ...args.map(String)]
}

/** Runs a program to its end and reads the last line that it wrote: JSON. */
export async function answerOf<T>(name: string, command: readonly string[], core: number): Promise<T> {
  const one = start(name, command, { core })
  await new Promise(resolve => one.child.once('close', resolve))
  return JSON.parse(one.output().trim().split('\n').at(-1) ?? '') as T
}

/** All that a program on a core writes until it ends, however it ends. */
export function outputOf(core: number, command: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('taskset', ['-c', String(core), ...command], { stdio: ['ignore', 'pipe', 'pipe'] })
    let text = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => (text += chunk))
    child.once('error', reject).once('close', () => resolve(text))
  })
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(-child.pid!, signal)
  } catch {
    // The group is gone already.
  }
}

/** TERM, then KILL after a while; resolves when the process is gone. */
export async function end(one: Running, graceMs = 2_000): Promise<void> {
  if (one.child.exitCode !== null || one.child.signalCode !== null) return
  const gone = new Promise(resolve => one.child.once('exit', resolve))
  signalGroup(one.child, 'SIGTERM')
  const timer = setTimeout(() => signalGroup(one.child, 'SIGKILL'), graceMs)
  await gone
  clearTimeout(timer)
  signalGroup(one.child, 'SIGKILL')
}

export function endAllProcesses(): void {
  for (const child of running) signalGroup(child, 'SIGKILL')
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise(resolve => server.close(resolve))
  return port
}

function canConnect(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

/** Waits until the program accepts connections; fails with its output when it ends or takes too long. */
export async function listening(one: Running, port: number): Promise<void> {
  for (const until = Date.now() + readyTimeoutMs; Date.now() < until; await sleep(25)) {
    if (one.child.exitCode !== null) break
    if (await canConnect(port)) return
  }
  throw new Error(`${one.name} does not listen on ${port}; it wrote:\n${one.output()}`)
}

/** The process and all its descendants. */
export function treeOf(pid: number): number[] {
  const parents = new Map<number, number>()
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8')
      parents.set(Number(entry), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]))
    } catch {
      // It ended while we read.
    }
  }
  const found = [pid]
  for (const one of found) for (const [child, parent] of parents) if (parent === one) found.push(child)
  return found
}

/** Nanoseconds on a CPU since the start, all threads: the scheduler's own account. */
function threadTimeNs(pid: number): number {
  let total = 0
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      total += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0])
    } catch {
      // The thread ended while we read.
    }
  }
  return total
}

/** CPU microseconds that the processes have used so far, user and system. */
export function cpuUs(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + threadTimeNs(pid), 0) / 1000
}

/** Memory that only these processes hold (private pages), in bytes: shared library pages do not count. */
export function privateBytes(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
    const kb = [...rollup.matchAll(/^Private_(?:Clean|Dirty): +(\d+) kB/gm)].map(match => Number(match[1]))
    return sum + kb.reduce((a, b) => a + b, 0) * 1024
  }, 0)
}

export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  timeoutMs = 30_000,
): Promise<void> {
  for (const end = Date.now() + timeoutMs; Date.now() < end; await sleep(25)) if (await holds()) return
  throw new Error(`waited ${timeoutMs} ms in vain: ${what}`)
}
