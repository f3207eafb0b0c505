// The edges themselves: processor time for each request, what the edge answers by itself, its cache with one request of all
// that want the same thing going on to the service, and what happens when an edge dies.

import { Law, type Stream } from '../core/index.ts'
import { Station } from '../models/station.ts'
import { Place } from './clients.ts'
import { EdgeCache, Look } from './edge-cache.ts'
import type { Exchanges } from './exchanges.ts'
import { Outcome, type OutcomeCode } from './traffic.ts'
import type { World } from './world.ts'

/** Parents that are no attempt. */
const noParent = -1
const background = -2
const keySpan = 2 ** 32

export class Front {
  readonly edge: number
  readonly station: Station | null
  readonly cache: EdgeCache | null
  serves = true
  held = 0
  /** Who leads for a thing, and who waits for it. */
  readonly waiting: Map<number, { row: number; life: number }[]> = new Map()
  refreshes = 0

  constructor(edge: number, station: Station | null, cache: EdgeCache | null) {
    this.edge = edge
    this.station = station
    this.cache = cache
  }
}

export class Fronts {
  readonly fronts: readonly Front[]
  readonly #world: World
  readonly #exchanges: Exchanges
  /** By action, then by service: the numbers of the rules in `exchanges`. */
  readonly #proxies: readonly number[]
  readonly #time: Law
  readonly #work: Stream
  readonly #answer: (row: number, outcome: OutcomeCode) => void
  readonly #upCode: number
  readonly #lateCode: number
  readonly #timeoutCode: number

  constructor(
    world: World,
    exchanges: Exchanges,
    proxies: readonly number[],
    answer: (row: number, outcome: OutcomeCode) => void,
  ) {
    const { engine, blueprint, window } = world
    const { machine, caches } = blueprint.workload
    this.#world = world
    this.#exchanges = exchanges
    this.#proxies = proxies
    this.#answer = answer
    this.#time = new Law({ kind: 'fixed', us: machine.edgeUs })
    this.#work = engine.stream('edge work')
    this.#upCode = engine.on('edge up', edge => this.#up(edge))
    this.#lateCode = engine.on('collapsed too long', (row, life) => this.#collapsedTooLong(row, life))
    this.#timeoutCode = engine.on('route timeout', (row, number) => this.#routeTimeout(row, number))
    const settings = blueprint.system.edge.cache
    this.fronts = Array.from({ length: blueprint.rehearsal.edges }, (_, edge) => {
      const station =
        machine.edgeUs === 0
          ? null
          : new Station(
              engine,
              `edge-${edge + 1}`,
              { servers: blueprint.workers, discipline: 'fifo', queueMax: null },
              window,
              row => this.#route(row),
            )
      const load = caches.edge
      const cache =
        settings === undefined || load === undefined ? null : new EdgeCache(world, edge, settings, load)
      return new Front(edge, station, cache)
    })
  }

  #frontOf(row: number): Front {
    return this.fronts[this.#exchanges.requests.at.edge[row] as number] as Front
  }

  /** A client's request is at its edge. */
  enter(row: number): void {
    const { station } = this.#frontOf(row)
    if (station === null) this.#route(row)
    else station.submit(row, this.#time.draw(this.#work))
  }

  #route(row: number): void {
    const { at, lives } = this.#exchanges.requests
    // Its client may have given up while it waited for the processor.
    if (at.place[row] !== Place.edge) return
    const action = at.action[row] as number
    const plan = this.#world.blueprint.actions[action]
    const route = plan?.route ?? null
    if (route === null) {
      this.#answer(row, Outcome.failed)
      return
    }
    if (route.own !== null) {
      this.#answer(row, Outcome.answered)
      return
    }
    if (route.timeoutMs !== null)
      this.#world.engine.after(route.timeoutMs * 1000, this.#timeoutCode, row, at.tryNumber[row])
    const front = this.#frontOf(row)
    if (front.cache?.keeps(action)) this.#look(front, front.cache, row, lives[row] as number)
    else this.#exchanges.start(row, this.#proxies[action] as number)
  }

  #routeTimeout(row: number, number: number): void {
    const { at } = this.#exchanges.requests
    if (at.tryNumber[row] !== number || at.place[row] !== Place.edge) return
    this.#exchanges.cancel(row)
    this.#answer(row, Outcome.failed)
  }

  // --- the cache -----------------------------------------------------------------------------------------------------

  #look(front: Front, cache: EdgeCache, row: number, life: number): void {
    const { at } = this.#exchanges.requests
    const action = at.action[row] as number
    const object = at.object[row] as number
    const found = cache.look(action, object)
    if (found === Look.miss) {
      this.#miss(front, row, life)
      return
    }
    this.#answer(row, Outcome.answered)
    if (found === Look.refresh) this.#refresh(front, action, object, at.client[row] as number)
  }

  #miss(front: Front, row: number, life: number): void {
    const { at } = this.#exchanges.requests
    const action = at.action[row] as number
    const key = action * keySpan + (at.object[row] as number)
    const collapseMs = this.#world.blueprint.actions[action]?.route?.route.cache?.collapseMs ?? 0
    const others = front.waiting.get(key)
    if (others !== undefined && collapseMs > 0) {
      others.push({ row, life })
      this.#world.engine.after(collapseMs * 1000, this.#lateCode, row, life)
      return
    }
    if (others === undefined) front.waiting.set(key, [])
    at.leads[row] = others === undefined ? 1 : 0
    this.#exchanges.start(row, this.#proxies[action] as number)
  }

  #collapsedTooLong(row: number, life: number): void {
    const { at, lives } = this.#exchanges.requests
    if (lives[row] !== life || at.place[row] !== Place.edge) return
    const front = this.#frontOf(row)
    const action = at.action[row] as number
    const others = front.waiting.get(action * keySpan + (at.object[row] as number))
    const index = others?.findIndex(one => one.row === row && one.life === life) ?? -1
    if (index < 0) return
    others?.splice(index, 1)
    at.leads[row] = 0
    this.#exchanges.start(row, this.#proxies[action] as number)
  }

  /** Asked anew in the background, once at a time for a thing, within the bound of the file. */
  #refresh(front: Front, action: number, object: number, client: number): void {
    const key = action * keySpan + object
    const most = (this.#world.blueprint.system.edge.cache?.backgroundMax ?? 0) * this.#world.blueprint.workers
    if (front.waiting.has(key) || front.refreshes >= most) return
    const row = this.#exchanges.requests.take()
    if (row < 0) return
    const { at } = this.#exchanges.requests
    at.action[row] = action
    at.object[row] = object
    at.client[row] = client
    at.edge[row] = front.edge
    at.parent[row] = background
    at.leads[row] = 1
    at.place[row] = Place.edge
    front.waiting.set(key, [])
    front.refreshes++
    this.#exchanges.start(row, this.#proxies[action] as number)
  }

  /** What the services answered, for a client or in the background. */
  ended(row: number, outcome: OutcomeCode): void {
    const { at } = this.#exchanges.requests
    const isBackground = at.parent[row] === background
    const leads = at.leads[row] === 1
    at.leads[row] = 0
    const action = at.action[row] as number
    const object = at.object[row] as number
    const front = this.#frontOf(row)
    const { cache } = front
    let result = outcome
    if (cache?.keeps(action)) {
      if (outcome === Outcome.answered) cache.store(action, object)
      else if (cache.servesOnError(action, object, 503)) result = Outcome.answered
    }
    const others = leads ? (front.waiting.get(action * keySpan + object) ?? []) : []
    if (leads) front.waiting.delete(action * keySpan + object)
    if (isBackground) {
      front.refreshes--
      this.#exchanges.requests.end(row)
    } else this.#answer(row, result)
    for (const one of others) this.#follow(front, one.row, one.life, result)
  }

  /** Who waited is served with what came; when nothing did, asks for himself. */
  #follow(front: Front, row: number, life: number, outcome: OutcomeCode): void {
    const { at, lives } = this.#exchanges.requests
    if (lives[row] !== life || at.place[row] !== Place.edge) return
    if (outcome === Outcome.answered) this.#answer(row, Outcome.answered)
    else if (front.serves) this.#miss(front, row, life)
  }

  /** A client gave up while it waited for another's answer, or led. */
  left(row: number): void {
    const { at } = this.#exchanges.requests
    if (at.leads[row] !== 1) return
    at.leads[row] = 0
    const front = this.#frontOf(row)
    const key = (at.action[row] as number) * keySpan + (at.object[row] as number)
    const others = front.waiting.get(key) ?? []
    front.waiting.delete(key)
    for (const one of others) this.#follow(front, one.row, one.life, Outcome.failed)
  }

  // --- faults --------------------------------------------------------------------------------------------------------

  /** @param forUs null: it is started again at once, as the supervisor does */
  kill(edge: number, forUs: number | null, bootUs: number, why: string): void {
    const front = this.fronts[edge] as Front
    if (forUs !== null) front.held++
    if (!front.serves) return
    front.serves = false
    front.station?.clear(() => {})
    front.waiting.clear()
    front.cache?.clear()
    this.#world.timeline.add('fault', `edge-${edge + 1}`, 'dies', why)
    const { at, lives, rows } = this.#exchanges.requests
    for (let row = 0; row < rows; row++) {
      if (at.edge[row] !== edge || at.place[row] !== Place.edge || (lives[row] as number) < 0) continue
      at.leads[row] = 0
      this.#exchanges.cancel(row)
      if (at.parent[row] === noParent) this.#answer(row, Outcome.failed)
    }
    front.refreshes = 0
    if (forUs === null) this.#world.engine.after(bootUs, this.#upCode, edge)
  }

  release(edge: number, bootUs: number): void {
    const front = this.fronts[edge] as Front
    if (--front.held === 0 && !front.serves) this.#world.engine.after(bootUs, this.#upCode, edge)
  }

  #up(edge: number): void {
    const front = this.fronts[edge] as Front
    if (front.held > 0 || front.serves) return
    front.serves = true
    this.#world.timeline.add('restart', `edge-${edge + 1}`, 'serves', 'started again, with an empty cache')
  }
}
