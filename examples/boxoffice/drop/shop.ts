// The shop of a drop: Boxoffice as `npm start` runs it, on free ports, with a state directory of its own that is gone
// afterwards; and what an operator asks it. Ends only what it started.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const commandLine = join(import.meta.dirname, '../../../src/cli/main.ts')
const systemFile = join(import.meta.dirname, '../tenfold.config.ts')
const startMsMax = 180_000
const saidMax = 20_000

export interface ShopOptions {
  readonly guard: 'on' | 'off'
  readonly seats: number
  /** ISO 8601. */
  readonly opens: string
  readonly admitPerMinute: number
}

export interface Ran {
  readonly code: number | null
  readonly out: string
}

export interface Shop {
  readonly url: string
  /** `tenfold ARGS` for this shop. */
  tenfold(...args: string[]): Promise<Ran>
  /** Fields of one row, by the database's own client. */
  sql(text: string): Promise<readonly string[]>
  stop(): Promise<void>
}

export async function startShop({ guard, seats, opens, admitPerMinute }: ShopOptions): Promise<Shop> {
  const state = mkdtempSync(join(tmpdir(), 'boxoffice-drop-'))
  const port = await freePort()
  const env = {
    ...process.env,
    BOXOFFICE_PORT: String(port),
    BOXOFFICE_CONTROL: '0',
    BOXOFFICE_GUARD: guard,
    BOXOFFICE_PREMIERE_SEATS: String(seats),
    BOXOFFICE_PREMIERE_OPENS: opens,
    BOXOFFICE_PREMIERE_ADMIT: String(admitPerMinute),
  }
  const run = (args: readonly string[]): ChildProcess =>
    spawn(process.execPath, [commandLine, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const up = run(['up', '--no-watch', '--state', state, systemFile])
  const said = listen(up)
  const url = `http://127.0.0.1:${port}`
  const stop = async (): Promise<void> => {
    if (up.exitCode === null) up.kill('SIGTERM')
    await ended(up)
    rmSync(state, { recursive: true, force: true })
  }
  try {
    await ready(url, up)
  } catch (error) {
    await stop()
    throw new Error(`${(error as Error).message}\n${said()}`)
  }
  const tenfold = async (...args: string[]): Promise<Ran> => {
    const child = run([...args, '--state', state])
    const out = listen(child)
    return { code: await ended(child), out: out() }
  }
  return {
    url,
    tenfold,
    sql: async text => {
      const { code, out } = await tenfold('db', 'psql', 'main', '--command', text)
      if (code !== 0) throw new Error(`${text}: ${out}`)
      return (out.split('\n')[2] ?? '').split('|').map(field => field.trim())
    },
    stop,
  }
}

function listen(child: ChildProcess): () => string {
  let text = ''
  const hear = (chunk: string): void => {
    text = (text + chunk).slice(-saidMax)
  }
  child.stdout?.setEncoding('utf8').on('data', hear)
  child.stderr?.setEncoding('utf8').on('data', hear)
  return () => text
}

function ended(child: ChildProcess): Promise<number | null> {
  return new Promise(resolve => {
    if (child.exitCode !== null || child.signalCode !== null) resolve(child.exitCode)
    else child.once('close', resolve)
  })
}

async function ready(url: string, up: ChildProcess): Promise<void> {
  const end = Date.now() + startMsMax
  while (Date.now() < end && up.exitCode === null) {
    const answer = await fetch(`${url}/premiere`).catch(() => undefined)
    await answer?.arrayBuffer()
    if (answer?.ok) return
    await sleep(200)
  }
  throw new Error('the shop did not come up')
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}
