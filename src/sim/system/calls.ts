// What an instance asks of others for a request, one after another: other services through an edge, databases, caches.
// How often is a mean: the whole part always, the rest by chance.

import type { Stream } from '../core/index.ts'
import type { Blueprint } from './blueprint.ts'
import { type DatabasePort, StatementEnd, type StatementEndCode } from './database-port.ts'
import { type Exchanges, Stage } from './exchanges.ts'
import type { World } from './world.ts'

/** One kind of call, with databases' reads and writes apart. */
type Call =
  | { readonly kind: 'service'; readonly proxy: number; readonly times: number }
  | { readonly kind: 'read' | 'write'; readonly database: number; readonly times: number }
  | { readonly kind: 'cache'; readonly hitRatio: number; readonly times: number; readonly cache: string }

export class Calls {
  readonly #world: World
  readonly #exchanges: Exchanges
  readonly #databases: readonly DatabasePort[]
  readonly #byService: readonly (readonly Call[])[]
  readonly #counts: Stream
  readonly #caches: Stream
  readonly #network: Stream
  readonly #cacheCode: number
  readonly cacheHits: Map<string, { hits: number; asked: number }> = new Map()

  constructor(
    world: World,
    exchanges: Exchanges,
    databases: readonly DatabasePort[],
    proxies: readonly number[],
  ) {
    const { engine, blueprint } = world
    this.#world = world
    this.#exchanges = exchanges
    this.#databases = databases
    this.#byService = callsOf(blueprint, proxies)
    this.#counts = engine.stream('calls')
    this.#caches = engine.stream('application caches')
    this.#network = engine.stream('network of calls')
    this.#cacheCode = engine.on('cache answers', (attempt, life) => this.#cacheAnswered(attempt, life))
  }

  /** The instance's own work on an attempt is done. */
  begin(attempt: number): void {
    const { at } = this.#exchanges.attempts
    at.call[attempt] = -1
    at.left[attempt] = 0
    this.#next(attempt)
  }

  #next(attempt: number): void {
    const { at } = this.#exchanges.attempts
    const calls = this.#byService[at.service[attempt] as number] as readonly Call[]
    while (at.left[attempt] === 0) {
      const index = (at.call[attempt] as number) + 1
      const call = calls[index]
      if (call === undefined) {
        this.#exchanges.answer(attempt, 200)
        return
      }
      at.call[attempt] = index
      at.left[attempt] = this.#draw(call.times)
    }
    at.left[attempt]!--
    this.#start(attempt, calls[at.call[attempt] as number] as Call)
  }

  #draw(times: number): number {
    const whole = Math.floor(times)
    const rest = times - whole
    return rest > 0 && this.#counts.float() < rest ? whole + 1 : whole
  }

  #start(attempt: number, call: Call): void {
    const { at, lives } = this.#exchanges.attempts
    const client = at.client[attempt] as number
    if (call.kind === 'service') this.#ask(attempt, call.proxy)
    else if (call.kind === 'cache') {
      const { inside } = this.#world.network
      const round = inside.draw(this.#network) + inside.draw(this.#network)
      this.#world.engine.after(round, this.#cacheCode, attempt, lives[attempt])
    } else {
      const database = this.#databases[call.database] as DatabasePort
      database.statement(attempt, call.kind === 'write', at.object[attempt] as number, client)
    }
  }

  #ask(attempt: number, proxy: number): void {
    const { requests, attempts } = this.#exchanges
    const row = requests.take()
    if (row < 0) {
      this.#exchanges.answer(attempt, 500)
      return
    }
    const { at } = requests
    at.action[row] = -1
    at.edge[row] = attempts.at.edge[attempt] as number
    at.client[row] = attempts.at.client[attempt] as number
    at.object[row] = attempts.at.object[attempt] as number
    at.firstAt[row] = this.#world.engine.now
    at.parent[row] = attempt
    at.parentLife[row] = attempts.lives[attempt] as number
    this.#exchanges.start(row, proxy)
  }

  #isOpen(attempt: number, life: number): boolean {
    const { at, lives } = this.#exchanges.attempts
    return lives[attempt] === life && at.stage[attempt] === Stage.calling
  }

  /** Another service answered. */
  answered(attempt: number, life: number, ok: boolean): void {
    if (!this.#isOpen(attempt, life)) return
    if (ok) this.#next(attempt)
    else this.#exchanges.answer(attempt, 500)
  }

  /** A database answered. */
  done(attempt: number, end: StatementEndCode): void {
    if (end === StatementEnd.ok) this.#next(attempt)
    else this.#exchanges.answer(attempt, end === StatementEnd.refused ? 503 : 500)
  }

  #cacheAnswered(attempt: number, life: number): void {
    if (!this.#isOpen(attempt, life)) return
    const { at } = this.#exchanges.attempts
    const call = this.#byService[at.service[attempt] as number]?.[at.call[attempt] as number]
    if (call?.kind !== 'cache') return
    const seen = this.cacheHits.get(call.cache) ?? { hits: 0, asked: 0 }
    this.cacheHits.set(call.cache, seen)
    seen.asked++
    if (this.#caches.float() >= call.hitRatio) {
      this.#next(attempt)
      return
    }
    seen.hits++
    this.#exchanges.answer(attempt, 200)
  }

  /** The instance died: what it asked of databases is void. */
  dropped(attempt: number): void {
    const { at } = this.#exchanges.attempts
    const call = this.#byService[at.service[attempt] as number]?.[at.call[attempt] as number]
    if (call?.kind === 'read' || call?.kind === 'write') this.#databases[call.database]?.cancel(attempt)
  }
}

function callsOf({ services, system, workload }: Blueprint, proxies: readonly number[]): Call[][] {
  const names = services.map(service => service.name)
  const databases = Object.keys(system.databases)
  return services.map(({ load }) =>
    load.calls.flatMap((call): Call[] => {
      if (call.kind === 'service')
        return [{ kind: 'service', proxy: proxies[names.indexOf(call.service)] as number, times: call.times }]
      if (call.kind === 'cache') {
        const { hitRatio = null } = workload.caches[call.cache] ?? {}
        return [{ kind: 'cache', hitRatio: hitRatio ?? 0, times: call.times, cache: call.cache }]
      }
      const database = databases.indexOf(call.database)
      const reads: Call = { kind: 'read', database, times: call.reads }
      const writes: Call = { kind: 'write', database, times: call.writes }
      return [reads, writes].filter(one => one.times > 0)
    }),
  )
}
