// HTTPS beside nginx and HAProxy, in one alternating run: requests on kept connections, and handshakes, full and resumed.
// Origin and load generator share core 0, the proxy has core 1 for itself. See README.md for how to read it.

import { type Figures, figuresTable, measureWrk, withCpu } from '../lib/figures.ts'
import { withOrigin } from '../lib/origin.ts'
import type { StartedPeer } from '../lib/peers.ts'
import { outputOf } from '../lib/processes.ts'
import { alternate, choosePeers, effortOf, isWanted, loadCore, told, withPeers } from '../lib/rounds.ts'
import type { BenchOptions } from '../run.ts'
import { tlsPeers } from './peers.ts'

interface Scenario {
  readonly name: string
  readonly title: string
  readonly unit: string
  measure(peer: StartedPeer, seconds: number, folder: string): Promise<Figures>
}

function requests(name: string, title: string, path: string): Scenario {
  return {
    name,
    title,
    unit: 'request',
    measure: (peer, seconds, folder) =>
      measureWrk(peer, { url: `https://127.0.0.1:${peer.port}${path}`, connections: 64, seconds }, folder),
  }
}

/** One connection after another, each closed when its handshake is done; `openssl s_time` counts them. */
function handshakes(name: string, title: string, args: readonly string[]): Scenario {
  return {
    name,
    title,
    unit: 'handshake',
    measure: async (peer, seconds) => {
      const began = performance.now()
      const [count, used] = await withCpu(peer, () => sTime(peer.port, [...args, '-time', String(seconds)]))
      const took = (performance.now() - began) / 1000
      return { cpuUs: used / count, perSecond: count / took, errors: 0 }
    },
  }
}

async function sTime(port: number, args: readonly string[]): Promise<number> {
  const output = await outputOf(loadCore, ['openssl', 's_time', '-connect', `127.0.0.1:${port}`, ...args])
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

export function run(options: BenchOptions): Promise<string> {
  const effort = effortOf(options, 2)
  const { rounds, seconds } = effort
  return withOrigin(async place => {
    const chosen = choosePeers(await tlsPeers(place.folder), options)
    const tables: string[] = []
    await withPeers(chosen, place, async runners => {
      const [first] = scenarios
      await alternate(runners, 1, 'warming up', peer => first!.measure(peer, seconds, place.folder))
      for (const { name, title, unit, measure } of scenarios.filter(one => isWanted(options, one.name))) {
        const results = await alternate(runners, rounds, name, peer => measure(peer, seconds, place.folder))
        const form = { title, unit, comparedTo: ['nginx', 'haproxy'], times: ['p99Us'] } as const
        tables.push(figuresTable(form, results))
      }
    })
    const versions = `; OpenSSL of nginx and HAProxy is Debian's, of Tenfold Node's (${process.versions.openssl})`
    return `${tables.join('\n\n')}\n\n${told(options, effort, chosen, { versions })}`
  })
}
