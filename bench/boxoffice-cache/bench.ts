// The example with its caches and without: the whole system as `npm start` runs it, real pages, the same visitors. See
// README.md.

import { execFile, execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { seededRandom } from '../../src/kit/random.ts'
import type { CacheView } from '../../src/system/index.ts'
import { copyBoxoffice } from '../../test/tools/boxoffice.ts'
import { table } from '../lib/markdown.ts'
import { node, start } from '../lib/processes.ts'
import { loadCore } from '../lib/rounds.ts'
import { figure, percent } from '../lib/statistics.ts'
import { wrk } from '../lib/wrk.ts'
import type { BenchOptions } from '../run.ts'

const main = join(import.meta.dirname, '../../src/cli/main.ts')
const connections = 16
const filmsVisited = 500
/** Films whose seat maps are looked at. */
const filmsSold = 20
const visitsKept = 20_000
const lists = ['/', '/?sort=rating', '/?sort=newest', '/?genre=Comedy', '/?q=star', '/?q=love']
/** Pages a second where the rate is fixed: what the services can do without caches, too. */
const rate = 40
const readyTimeoutMs = 120_000

interface Shop {
  readonly url: string
  readonly directory: string
  readonly films: readonly string[]
  readonly seatMaps: readonly string[]
  readonly visits: readonly string[]
  tenfold(...args: string[]): Promise<string>
}

/** One long list of what visitors ask for: of 100 pages 60 are films (Zipf 1.0), 30 are lists, 10 are seat maps. */
function visitsOf({ films, seatMaps }: Pick<Shop, 'films' | 'seatMaps'>): string[] {
  const random = seededRandom(1)
  const one = (paths: readonly string[]): string => paths[random.below(paths.length)] as string
  let sum = 0
  const sums = films.map((_, rank) => (sum += 1 / (rank + 1)))
  const film = (): string => {
    const wanted = random.float() * sum
    return films[sums.findIndex(upTo => upTo >= wanted)] as string
  }
  return Array.from({ length: visitsKept }, () => {
    const what = random.float()
    if (what < 0.6) return film()
    return one(what < 0.9 ? lists : seatMaps)
  })
}

/** They take turns with the list, whoever asks. */
const luaOf = (visits: readonly string[]): string => `
local visits, at = {${visits.map(path => `'${path}'`).join(',')}}, 0
request = function()
  at = at % #visits + 1
  return wrk.format(nil, visits[at])
end`

interface Times {
  readonly shared: number[]
  readonly seats: number[]
  errors: number
}

/** So many a second, whether or not those before have been answered. Microseconds. */
async function atRate({ url, visits }: Shop, seconds: number): Promise<Times> {
  const times: Times = { shared: [], seats: [], errors: 0 }
  const visit = async (path: string): Promise<void> => {
    const begun = performance.now()
    const answer = await fetch(`${url}${path}`).catch(() => null)
    await answer?.arrayBuffer()
    if (answer?.ok !== true) times.errors++
    const into = path.includes('/screenings/') ? times.seats : times.shared
    into.push((performance.now() - begun) * 1_000)
  }
  const first = performance.now()
  const going: Promise<void>[] = []
  for (let count = 0; count < rate * seconds; count++) {
    const dueMs = first + (count * 1_000) / rate - performance.now()
    if (dueMs > 0) await new Promise(resolve => setTimeout(resolve, dueMs))
    going.push(visit(visits[count % visits.length] as string))
  }
  await Promise.all(going)
  return times
}

const at = (times: readonly number[], share: number): number =>
  times.toSorted((a, b) => a - b)[Math.min(times.length - 1, Math.floor(times.length * share))] ?? Number.NaN

async function ready(url: string): Promise<void> {
  const until = Date.now() + readyTimeoutMs
  for (;;) {
    const answer = await fetch(url).catch(() => null)
    await answer?.arrayBuffer()
    if (answer?.ok) return
    if (Date.now() > until) throw new Error(`${url} is not ready`)
    await new Promise(resolve => setTimeout(resolve, 200))
  }
}

async function json<T>(url: string): Promise<T> {
  const response = await fetch(url)
  if (!response.ok) throw new Error(`${url}: ${response.status}`)
  return (await response.json()) as T
}

/** Every film is visited once, so that its screenings are planned: nothing is written while it is measured. */
async function visited(url: string): Promise<Pick<Shop, 'films' | 'seatMaps'>> {
  const films: string[] = []
  const seatMaps: string[] = []
  for (let page = 1; films.length < filmsVisited; page++) {
    const found = await json<{ films: { id: string }[] }>(`${url}/api/films?size=100&page=${page}`)
    films.push(...found.films.map(film => `/films/${film.id}`))
  }
  for (const film of films) {
    const { screenings } = await json<{ screenings: { id: string }[] }>(`${url}/api${film}`)
    if (seatMaps.length < filmsSold) seatMaps.push(`${film}/screenings/${screenings[0]!.id}`)
  }
  return { films, seatMaps }
}

async function withShop(caching: 'on' | 'off', work: (shop: Shop) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-bench-'))
  chmodSync(folder, 0o755)
  const directory = join(folder, 'shop')
  mkdirSync(directory)
  const url = await copyBoxoffice({ directory }, { BOXOFFICE_CACHE: caching })
  const tenfold = async (...args: string[]): Promise<string> =>
    (await promisify(execFile)(node, [main, ...args], { cwd: directory })).stdout
  start('boxoffice', [node, main, 'up', '--no-watch'], { cwd: directory })
  try {
    await ready(url)
    const found = await visited(url)
    await work({ url, directory, tenfold, ...found, visits: visitsOf(found) })
  } finally {
    execFileSync(node, [main, 'stop', '--now'], { cwd: directory })
    rmSync(folder, { recursive: true, force: true })
  }
}

const ms = (us: number): string => figure(us / 1_000)

export async function run(options: BenchOptions): Promise<string> {
  const seconds = options.quick ? 3 : 10
  const rows: string[][] = []
  for (const caching of ['on', 'off'] as const) {
    await withShop(caching, async shop => {
      const load = { url: shop.url, connections, core: loadCore, script: luaOf(shop.visits) }
      // Threads and connections warm; what the edge kept of it is forgotten.
      await wrk({ ...load, seconds: 2 }, shop.directory)
      const [fast, fastHits] = await counted(shop, caching, () => wrk({ ...load, seconds }, shop.directory))
      const [slow, slowHits] = await counted(shop, caching, () => atRate(shop, seconds))
      const what = `caches ${caching}`
      const perSecond = figure(fast.requestsPerSecond)
      rows.push(
        [
          `${what}: all pages, as fast as it goes`,
          fastHits,
          perSecond,
          ms(fast.p50Us),
          ms(fast.p99Us),
          String(fast.errors),
        ],
        timesRow(`${what}: films and lists`, slowHits, slow.shared, slow.errors),
        timesRow(`${what}: seat maps`, '-', slow.seats, slow.errors),
      )
    })
  }
  return table(['', 'hit ratio', 'pages/s', 'p50, ms', 'p99, ms', 'errors'], rows)
}

function timesRow(name: string, hits: string, times: readonly number[], errors: number): string[] {
  return [name, hits, `of ${rate}`, ms(at(times, 0.5)), ms(at(times, 0.99)), String(errors)]
}

/** From an empty cache on. */
async function counted<T>(shop: Shop, caching: string, work: () => Promise<T>): Promise<[T, string]> {
  if (caching === 'off') return [await work(), '-']
  await shop.tenfold('purge', '--all')
  const before = await hitsOf(shop)
  const result = await work()
  const after = await hitsOf(shop)
  return [result, percent((after.hits - before.hits) / (after.asked - before.asked))]
}

interface Counted {
  readonly hits: number
  readonly asked: number
}

async function hitsOf(shop: Shop): Promise<Counted> {
  const { routes } = JSON.parse(await shop.tenfold('cache', 'status', '--json')) as CacheView
  const sum = (count: (route: CacheView['routes'][number]) => number): number =>
    routes.reduce((all, route) => all + count(route), 0)
  const hits = sum(({ hits, stale, collapsed }) => hits + stale + collapsed)
  return { hits, asked: hits + sum(({ misses, revalidated }) => misses + revalidated) }
}
