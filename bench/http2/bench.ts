// HTTP/2 beside nginx and HAProxy, in one alternating run: small and 100 KB answers on few connections with many streams;
// and the same requests over HTTP/1.1, so that what HTTP/2 costs each of them is seen. Origin and load generator share
// core 0, the proxy has core 1 for itself. See README.md for how to read it.

import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { startOrigin } from '../edge/origin.ts'
import { type Peer, peers as plainPeers, type StartedPeer } from '../edge/peers.ts'
import { printProfile } from '../lib/cpu-profile.ts'
import { table } from '../lib/markdown.ts'
import { cpuUs, end } from '../lib/processes.ts'
import { figure, median, percent, ratio, spread } from '../lib/statistics.ts'
import type { BenchOptions } from '../run.ts'
import { h2load } from './h2load.ts'
import { http2Peers } from './peers.ts'
import { printShares } from './shares.ts'

const loadCore = 0
const proxyCore = 1

interface Scenario {
  readonly name: string
  readonly title: string
  readonly path: string
  readonly requests: number
  readonly connections: number
  readonly streams: number
  readonly http1: boolean
}

const scenarios: readonly Scenario[] = [
  {
    name: 'small',
    title: 'Small answers (200 bytes), 8 connections with 16 streams each',
    path: '/small',
    requests: 60_000,
    connections: 8,
    streams: 16,
    http1: false,
  },
  {
    name: '100k',
    title: 'Answers of 100 KB, 8 connections with 4 streams each',
    path: '/100k',
    requests: 6_000,
    connections: 8,
    streams: 4,
    http1: false,
  },
  {
    name: 'single',
    title: 'Small answers, 64 connections with 1 stream each',
    path: '/small',
    requests: 60_000,
    connections: 64,
    streams: 1,
    http1: false,
  },
  {
    name: 'http1',
    title: 'For comparison: small answers over HTTP/1.1, 64 connections',
    path: '/small',
    requests: 60_000,
    connections: 64,
    streams: 1,
    http1: true,
  },
]

interface Figures {
  readonly cpuUsEach: number
  readonly perSecond: number
  readonly meanUs: number
  readonly errors: number
}

async function measure(peer: StartedPeer, scenario: Scenario, share: number): Promise<Figures> {
  const before = cpuUs(peer.pids)
  const result = await h2load({
    ...scenario,
    requests: Math.round(scenario.requests * share),
    url: `http://127.0.0.1:${peer.port}${scenario.path}`,
    core: loadCore,
  })
  return {
    cpuUsEach: (cpuUs(peer.pids) - before) / Math.max(1, result.requests),
    perSecond: result.requestsPerSecond,
    meanUs: result.meanUs,
    errors: result.errors,
  }
}

async function measured(
  scenario: Scenario,
  runners: ReadonlyMap<string, StartedPeer>,
  rounds: number,
  share: number,
): Promise<string> {
  const results = new Map<string, Figures[]>([...runners.keys()].map(name => [name, []]))
  for (const peer of runners.values()) await measure(peer, scenario, share / 4)
  for (let round = 0; round < rounds; round++)
    for (const [name, peer] of runners) results.get(name)!.push(await measure(peer, scenario, share))
  const cpuOf = (name: string): number => median((results.get(name) ?? []).map(one => one.cpuUsEach))
  const rows = [...results].map(([name, list]) => [
    name,
    figure(cpuOf(name)),
    percent(spread(list.map(one => one.cpuUsEach))),
    ratio(cpuOf(name), cpuOf('nginx')),
    ratio(cpuOf(name), cpuOf('haproxy')),
    figure(median(list.map(one => one.perSecond))),
    figure(median(list.map(one => one.meanUs))),
    String(list.reduce((sum, one) => sum + one.errors, 0)),
  ])
  const head = ['', 'CPU us a request', 'spread', 'to nginx', 'to HAProxy', 'requests/s', 'mean us', 'errors']
  return `### ${scenario.title}\n\n${table(head, rows)}`
}

function chosen<T extends { readonly name: string }>(
  all: readonly T[],
  names: readonly string[],
): readonly T[] {
  return names.length === 0 ? all : all.filter(one => names.includes(one.name))
}

/** HAProxy's listener speaks either; for HTTP/1.1 it is another one. */
function peersFor(scenario: Scenario, options: BenchOptions): readonly Peer[] {
  const names = new Set(http2Peers.map(peer => peer.name))
  return chosen(scenario.http1 ? plainPeers.filter(peer => names.has(peer.name)) : http2Peers, options.only)
}

export async function run(options: BenchOptions): Promise<string> {
  if (availableParallelism() < 2)
    throw new Error('this benchmark needs two cores: one for the load, one for the proxy')
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-bench-'))
  chmodSync(folder, 0o755)
  const origin = await startOrigin(folder, loadCore)
  const profiles = options.rest.includes('profile') ? join(folder, 'profiles') : ''
  const env = profiles === '' ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profiles}` }
  try {
    const texts: string[] = []
    for (const scenario of chosen(scenarios, options.scenarios)) {
      const runners = new Map<string, StartedPeer>()
      for (const peer of peersFor(scenario, options))
        runners.set(peer.name, await peer.start({ folder, core: proxyCore, originPort: origin.port, env }))
      texts.push(await measured(scenario, runners, options.quick ? 1 : 5, options.quick ? 0.25 : 1))
      for (const peer of runners.values()) await peer.stop()
    }
    if (profiles !== '') {
      printProfile(profiles)
      printShares(profiles)
    }
    const versions = http2Peers.map(peer => `${peer.name} ${peer.version() ?? 'absent'}`).join(', ')
    return `${versions}.\n\n${texts.join('\n\n')}`
  } finally {
    await end(origin.running)
    rmSync(folder, { recursive: true, force: true })
  }
}
