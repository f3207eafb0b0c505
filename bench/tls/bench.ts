// HTTPS beside nginx and HAProxy, in one alternating run: requests on kept connections, and handshakes, full and resumed.
// Origin and load generator share core 0, the proxy has core 1 for itself. See README.md for how to read it.

import { spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { startOrigin } from '../edge/origin.ts'
import type { Peer, StartedPeer } from '../edge/peers.ts'
import { table } from '../lib/markdown.ts'
import { cpuUs, end } from '../lib/processes.ts'
import { figure, median, percent, ratio, spread } from '../lib/statistics.ts'
import { wrk } from '../lib/wrk.ts'
import type { BenchOptions } from '../run.ts'
import { tlsPeers } from './peers.ts'

const loadCore = 0
const proxyCore = 1

interface Figures {
  readonly cpuUsEach: number
  readonly perSecond: number
  readonly p99Us: number
  readonly errors: number
}

interface Scenario {
  readonly name: string
  readonly title: string
  readonly unit: string
  measure(peer: StartedPeer, setting: Setting): Promise<Figures>
}

interface Setting {
  readonly folder: string
  readonly seconds: number
}

function requests(name: string, title: string, path: string): Scenario {
  return {
    name,
    title,
    unit: 'request',
    measure: async (peer, { folder, seconds }) => {
      const before = cpuUs(peer.pids)
      const url = `https://127.0.0.1:${peer.port}${path}`
      const result = await wrk({ url, connections: 64, seconds, core: loadCore }, folder)
      return {
        cpuUsEach: (cpuUs(peer.pids) - before) / result.requests,
        perSecond: result.requestsPerSecond,
        p99Us: result.p99Us,
        errors: result.errors,
      }
    },
  }
}

/** One connection after another, each closed when its handshake is done; `openssl s_time` counts them. */
function handshakes(name: string, title: string, args: readonly string[]): Scenario {
  return {
    name,
    title,
    unit: 'handshake',
    measure: async (peer, { seconds }) => {
      const before = cpuUs(peer.pids)
      const began = performance.now()
      const count = await sTime(peer.port, [...args, '-time', String(seconds)])
      const took = (performance.now() - began) / 1000
      return {
        cpuUsEach: (cpuUs(peer.pids) - before) / count,
        perSecond: count / took,
        p99Us: Number.NaN,
        errors: 0,
      }
    },
  }
}

async function sTime(port: number, args: readonly string[]): Promise<number> {
  const command = ['-c', String(loadCore), 'openssl', 's_time', '-connect', `127.0.0.1:${port}`, ...args]
  const output = await new Promise<string>((resolve, reject) => {
    const child = spawn('taskset', command, { stdio: ['ignore', 'pipe', 'pipe'] })
    let text = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => (text += chunk))
    child.once('error', reject).once('close', () => resolve(text))
  })
  const count = Number(/^(\d+) connections in \d+ real seconds/m.exec(output)?.[1])
  if (!(count > 0)) throw new Error(`openssl s_time counted nothing; it wrote:\n${output.slice(-2_000)}`)
  return count
}

const scenarios: readonly Scenario[] = [
  requests('small', 'Small answers (200 bytes), 64 kept connections, TLS 1.3', '/small'),
  requests('100k', 'Answers of 100 KB, 64 kept connections, TLS 1.3', '/100k'),
  handshakes('full', 'Full handshakes, TLS 1.3, ECDSA P-256', ['-new', '-tls1_3']),
  handshakes('resumed', 'Resumed handshakes, TLS 1.2 (openssl s_time resumes no others)', [
    '-reuse',
    '-tls1_2',
  ]),
]

async function measured(
  scenario: Scenario,
  runners: ReadonlyMap<string, StartedPeer>,
  rounds: number,
  setting: Setting,
): Promise<string> {
  const results = new Map<string, Figures[]>([...runners.keys()].map(name => [name, []]))
  for (let round = 0; round < rounds; round++)
    for (const [name, peer] of runners) results.get(name)!.push(await scenario.measure(peer, setting))
  const cpuOf = (name: string): number => median((results.get(name) ?? []).map(one => one.cpuUsEach))
  const rows = [...results].map(([name, list]) => [
    name,
    figure(cpuOf(name)),
    percent(spread(list.map(one => one.cpuUsEach))),
    ratio(cpuOf(name), cpuOf('nginx')),
    ratio(cpuOf(name), cpuOf('haproxy')),
    figure(median(list.map(one => one.perSecond))),
    figure(median(list.map(one => one.p99Us))),
    String(list.reduce((sum, one) => sum + one.errors, 0)),
  ])
  const head = [
    '',
    `CPU us a ${scenario.unit}`,
    'spread',
    'to nginx',
    'to HAProxy',
    `${scenario.unit}s/s`,
    'p99 us',
    'errors',
  ]
  return `### ${scenario.title}\n\n${table(head, rows)}`
}

async function report(
  chosen: readonly Peer[],
  options: BenchOptions,
  folder: string,
  originPort: number,
): Promise<string> {
  const setting: Setting = { folder, seconds: options.quick ? 2 : 4 }
  const rounds = options.quick ? 1 : 5
  const runners = new Map<string, StartedPeer>()
  try {
    for (const peer of chosen)
      runners.set(peer.name, await peer.start({ folder, core: proxyCore, originPort }))
    for (const peer of runners.values()) await scenarios[0]!.measure(peer, setting)
    const wanted = scenarios.filter(
      one => options.scenarios.length === 0 || options.scenarios.includes(one.name),
    )
    const parts: string[] = []
    for (const scenario of wanted) parts.push(await measured(scenario, runners, rounds, setting))
    return parts.join('\n\n')
  } finally {
    for (const peer of runners.values()) await peer.stop()
  }
}

export async function run(options: BenchOptions): Promise<string> {
  if (availableParallelism() < 2)
    throw new Error('this benchmark needs two cores: one for the proxy, one for the rest')
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-bench-'))
  chmodSync(folder, 0o755)
  const origin = await startOrigin(folder, loadCore)
  try {
    const chosen = (await tlsPeers(folder)).filter(
      peer => peer.version() !== undefined && (options.only.length === 0 || options.only.includes(peer.name)),
    )
    const tables = await report(chosen, options, folder, origin.port)
    const versions = chosen.map(peer => `${peer.name} ${peer.version()}`).join(', ')
    const rounds = options.quick ? 'one short round' : 'medians of 5 alternating rounds of 4 s'
    return `${tables}\n\n${versions}; OpenSSL of nginx and HAProxy is Debian's, of Tenfold Node's (${process.versions.openssl}); ${rounds}.`
  } finally {
    await end(origin.running)
    rmSync(folder, { recursive: true, force: true })
  }
}
