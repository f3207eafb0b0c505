// HTTP/2 beside nginx and HAProxy, in one alternating run: small and 100 KB answers on few connections with many streams;
// and the same requests over HTTP/1.1, so that what HTTP/2 costs each of them is seen. Origin and load generator share
// core 0, the proxy has core 1 for itself. See README.md for how to read it.

import { join } from 'node:path'
import { peers as plainPeers } from '../edge/peers.ts'
import { printProfile, profileEnv } from '../lib/cpu-profile.ts'
import { type Figures, figuresTable, withCpu } from '../lib/figures.ts'
import { withOrigin } from '../lib/origin.ts'
import type { Peer, StartedPeer } from '../lib/peers.ts'
import {
  alternate,
  choosePeers,
  effortOf,
  isWanted,
  loadCore,
  type Runners,
  versionsOf,
  withPeers,
} from '../lib/rounds.ts'
import type { BenchOptions } from '../run.ts'
import { h2load } from './h2load.ts'
import { http2Peers } from './peers.ts'
import { printShares } from './shares.ts'

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

async function measure(peer: StartedPeer, scenario: Scenario, share: number): Promise<Figures> {
  const [result, used] = await withCpu(peer, () =>
    h2load({
      ...scenario,
      requests: Math.round(scenario.requests * share),
      url: `http://127.0.0.1:${peer.port}${scenario.path}`,
      core: loadCore,
    }),
  )
  return { ...result, cpuUs: used / Math.max(1, result.requests), perSecond: result.requestsPerSecond }
}

async function measured(runners: Runners, scenario: Scenario, options: BenchOptions): Promise<string> {
  const share = options.quick ? 0.25 : 1
  const { name, title } = scenario
  await alternate(runners, 1, 'warming up', peer => measure(peer, scenario, share / 4))
  const { rounds } = effortOf(options, 0)
  const results = await alternate(runners, rounds, name, peer => measure(peer, scenario, share))
  const form = { title, unit: 'request', comparedTo: ['nginx', 'haproxy'], times: ['meanUs'] } as const
  return figuresTable(form, results)
}

/** HAProxy's listener speaks either; for HTTP/1.1 it is another one. */
function peersFor({ http1 }: Scenario, chosen: readonly Peer[]): readonly Peer[] {
  const names = new Set(chosen.map(peer => peer.name))
  return http1 ? plainPeers.filter(peer => names.has(peer.name)) : chosen
}

export function run(options: BenchOptions): Promise<string> {
  return withOrigin(async place => {
    const profiles = options.rest.includes('profile') ? join(place.folder, 'profiles') : ''
    const env = profiles === '' ? {} : profileEnv(profiles)
    const chosen = choosePeers(http2Peers, options)
    const texts: string[] = []
    for (const scenario of scenarios.filter(one => isWanted(options, one.name))) {
      const work = (runners: Runners): Promise<string> => measured(runners, scenario, options)
      texts.push(await withPeers(peersFor(scenario, chosen), { ...place, env }, work))
    }
    if (profiles !== '') {
      printProfile(profiles)
      printShares(profiles)
    }
    return `${versionsOf(chosen)}.\n\n${texts.join('\n\n')}`
  })
}
