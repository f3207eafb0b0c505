// For tests: a project in a temporary folder, and the real command line run on it as processes. Whatever a test leaves
// running is ended after it, and that nothing is left is asserted.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { connectTo, type StatusView } from '../../src/system/index.ts'

const mainFile = join(import.meta.dirname, '../../src/cli/main.ts')
/** Bounds on liveness only: nothing here is measured. */
const patienceMs = 60_000

export interface Ran {
  readonly code: number | null
  readonly out: string
  readonly error: string
}

export interface Project {
  readonly directory: string
  write(name: string, content: string): void
  /** Writes tenfold.config.mjs as a plain object. */
  configure(system: object): void
  run(...args: string[]): Promise<Ran>
  /** Starts `up --json` and waits for `ready`. */
  up(...args: string[]): Promise<Up>
  /** Straight from the control API: a process each time would be slow. */
  status(): Promise<StatusView>
}

export interface Up {
  readonly child: ChildProcess
  readonly lines: readonly Record<string, unknown>[]
  readonly status: StatusView
  readonly exited: Promise<number | string | null>
}

export function project(t: TestContext, options: { folder?: string } = {}): Project {
  const root = mkdtempSync(join(tmpdir(), 'tf-cli-'))
  const directory = join(root, options.folder ?? 'shop')
  mkdirSync(directory, { recursive: true })
  // Instances may run as another user.
  chmodSync(root, 0o755)
  copyFileSync(join(import.meta.dirname, 'web-service.mjs'), join(directory, 'web.mjs'))
  const started: ChildProcess[] = []
  t.after(async () => {
    for (const child of started) child.kill('SIGKILL')
    if (existsSync(join(directory, '.tenfold', 'lock.json'))) await made.run('stop', '--now')
    // Who was told to end may be a moment late.
    for (let tries = 0; tries < 50 && processesOf(directory).length > 0; tries++)
      await new Promise(resolve => setTimeout(resolve, 100))
    assert.deepEqual(processesOf(directory).map(commandOf), [], 'nothing that a test started may outlive it')
    rmSync(root, { recursive: true })
  })

  const made: Project = {
    directory,
    write: (name, content) => writeFileSync(join(directory, name), content),
    configure: system =>
      made.write('tenfold.config.mjs', `export default ${JSON.stringify(system, null, 2)}\n`),
    run: (...args) => ran(launch(directory, args)),
    up: async (...args) => {
      const child = launch(directory, ['up', '--json', ...args])
      started.push(child)
      return ready(child)
    },
    status: () => connectTo({ file: directory }).status(),
  }
  return made
}

function launch(directory: string, args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [mainFile, ...args], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TENFOLD_ENV: '', KEY_VALUE: 'very-secret-value' },
  })
}

async function ran(child: ChildProcess): Promise<Ran> {
  let out = ''
  let error = ''
  child.stdout?.on('data', chunk => (out += String(chunk)))
  child.stderr?.on('data', chunk => (error += String(chunk)))
  const code = await new Promise<number | null>(resolve => child.once('close', resolve))
  return { code, out, error }
}

async function ready(child: ChildProcess): Promise<Up> {
  const lines: Record<string, unknown>[] = []
  let error = ''
  child.stderr?.on('data', chunk => (error += String(chunk)))
  const exited = new Promise<number | string | null>(resolve =>
    child.once('exit', (code, signal) => resolve(signal ?? code)),
  )
  const status = new Promise<StatusView>((resolve, reject) => {
    const limit = setTimeout(
      () => reject(new Error(`not ready: ${JSON.stringify(lines)} ${error}`)),
      patienceMs,
    )
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', text => {
      const line = JSON.parse(text) as Record<string, unknown>
      lines.push(line)
      if (line.type !== 'ready') return
      clearTimeout(limit)
      resolve(line.status as StatusView)
    })
    void exited.then(how => {
      clearTimeout(limit)
      reject(new Error(`up ended with ${how}: ${JSON.stringify(lines)} ${error}`))
    })
  })
  return { child, lines, status: await status, exited }
}

/** Pids of live processes whose working directory is in that folder: edges, instances, supervisors. */
function processesOf(directory: string): string[] {
  return readdirSync('/proc').filter(pid => /^\d+$/.test(pid) && workingDirectory(pid).startsWith(directory))
}

function commandOf(pid: string): string {
  try {
    return `${pid}: ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')}`
  } catch {
    return pid
  }
}

/** Empty when it has ended (zombies have none) or is not ours to see. */
function workingDirectory(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    return ''
  }
}

/** Until the condition holds; fails after a long time. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = Date.now() + patienceMs
  while (!(await condition())) {
    assert.ok(Date.now() < deadlineMs, `still not: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

/** The body, or the failure's code. */
export async function fetched(url: string): Promise<string> {
  try {
    const response = await fetch(url, { headers: { connection: 'close' } })
    const text = await response.text()
    return response.ok ? text.trim() : String(response.status)
  } catch (cause) {
    return String((cause as { cause?: { code?: string } }).cause?.code ?? cause)
  }
}
