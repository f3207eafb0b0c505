// Two hosts and a client on one network, made of network namespaces: each has a cable to a bridge and knows nothing of the
// machine's own network. Everything that runs in them is ended by its pid with the test, and then they are taken down.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { TestContext } from 'node:test'

export interface Host {
  readonly name: string
  /** `198.51.100.1`. */
  readonly address: string
  /** The interface inside. */
  readonly device: 'eth0'
  /** Runs there until the test ends; its output is kept. */
  start(program: string, args: readonly string[], options?: { cwd?: string }): Started
  run(program: string, args: readonly string[]): string
  /** Pulls the cable, or plugs it in. */
  cable(state: 'down' | 'up'): void
  /** Isolated hosts do not hear each other; everybody else hears them. */
  isolate(on: boolean): void
  /** Does the interface have this address now? */
  has(address: string): boolean
}

export interface Started {
  readonly child: ChildProcess
  output(): string
  stop(signal?: NodeJS.Signals): Promise<void>
}

/** Why there can be no such network here; false when there can. */
export function whyNoHosts(): string | false {
  if (process.getuid?.() !== 0) return 'only root makes network namespaces'
  const made = spawnSync('unshare', ['-n', 'ip', 'link', 'add', 'tf0', 'type', 'bridge'], {
    encoding: 'utf8',
  })
  return made.status === 0 ? false : `no network namespaces or bridges here: ${made.stderr.trim()}`
}

let count = 0

/** `names` get the addresses .1, .2, ... of 198.51.100.0/24 (RFC 5737: of no real network). */
export function hosts<N extends string>(t: TestContext, names: readonly N[]): Record<N, Host> {
  const prefix = `tf${process.pid}${count++}`
  const lan = `${prefix}-lan`
  const started: Started[] = []
  const made: string[] = []
  t.after(async () => {
    for (const one of started.reverse()) await one.stop()
    for (const space of made) {
      for (const pid of ip('netns', 'pids', space).split('\n').filter(Boolean).map(Number))
        process.kill(pid, 'SIGKILL')
      ip('netns', 'del', space)
    }
  })
  const space = (name: string): string => {
    ip('netns', 'add', name)
    made.push(name)
    ip('-n', name, 'link', 'set', 'lo', 'up')
    return name
  }
  space(lan)
  ip('-n', lan, 'link', 'add', 'br0', 'type', 'bridge')
  ip('-n', lan, 'link', 'set', 'br0', 'up')
  const entries = names.map((name, index): [N, Host] => {
    const inside = space(`${prefix}-${name}`)
    const address = `198.51.100.${index + 1}`
    ip('-n', lan, 'link', 'add', `to-${name}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', inside)
    ip('-n', lan, 'link', 'set', `to-${name}`, 'master', 'br0', 'up')
    ip('-n', inside, 'addr', 'add', `${address}/24`, 'dev', 'eth0')
    ip('-n', inside, 'link', 'set', 'eth0', 'up')
    return [name, hostIn(inside, { name, address, lan }, started)]
  })
  return Object.fromEntries(entries) as Record<N, Host>
}

function hostIn(
  inside: string,
  { name, address, lan }: { name: string; address: string; lan: string },
  started: Started[],
): Host {
  return {
    name,
    address,
    device: 'eth0',
    start: (program, args, { cwd } = {}) => {
      // `ip netns exec` becomes the program: the pid is its own.
      const child = spawn('ip', ['netns', 'exec', inside, program, ...args], {
        stdio: ['ignore', 'pipe', 'pipe'],
        ...(cwd === undefined ? {} : { cwd }),
      })
      let said = ''
      for (const stream of [child.stdout, child.stderr])
        stream?.setEncoding('utf8').on('data', (text: string) => {
          said += text
        })
      const exited = new Promise<void>(resolve => child.once('exit', () => resolve()))
      const one: Started = {
        child,
        output: () => said,
        stop: async (signal = 'SIGTERM') => {
          child.kill(signal)
          await exited
        },
      }
      started.push(one)
      return one
    },
    run: (program, args) => ip('netns', 'exec', inside, program, ...args),
    // At the bridge's end: the host sees that its carrier is gone, as with a real cable.
    cable: state => void ip('-n', lan, 'link', 'set', `to-${name}`, state),
    isolate: on =>
      void ip('-n', lan, 'link', 'set', `to-${name}`, 'type', 'bridge_slave', 'isolated', on ? 'on' : 'off'),
    has: wanted => ip('-n', inside, '-4', '-o', 'addr', 'show', 'dev', 'eth0').includes(` ${wanted}/`),
  }
}

function ip(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync('ip', args, { encoding: 'utf8' })
  assert.equal(status, 0, `ip ${args.join(' ')}: ${stderr}${stdout}`)
  return stdout
}

/** A process and all that it has started, itself last: for a death that takes everything. */
export function familyOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean)
  return [...children.flatMap(child => familyOf(Number(child))), pid]
}
