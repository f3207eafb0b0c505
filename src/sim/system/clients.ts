// People: they ask at their times, wait with their patience, and come back when they were refused. Each asks the edge that
// serves it; which thing is asked for follows its popularity.

import { backoffCeilingUs, backoffUs } from '../../policy/backoff.ts'
import { Arrivals, type Law, never, type Stream, type TraceCounts, Zipf } from '../core/index.ts'
import { Deadlines } from '../models/deadlines.ts'
import type { ActionPlan } from './blueprint.ts'
import type { Exchanges } from './exchanges.ts'
import { Outcome, type OutcomeCode } from './traffic.ts'
import type { World } from './world.ts'

export const Place = { way: 0, edge: 1, answered: 2, gone: 3 } as const

interface Source {
  readonly plan: ActionPlan
  readonly arrivals: Arrivals
  readonly gaps: Stream
  readonly who: Stream
  readonly things: Stream
  readonly zipf: Zipf | null
  event: number
}

export class Clients {
  readonly #world: World
  readonly #exchanges: Exchanges
  readonly #sources: readonly Source[]
  readonly #arriveCode: number
  readonly #edgeCode: number
  readonly #homeCode: number
  readonly #againCode: number
  readonly #network: Stream
  readonly #backoff: Stream
  readonly #patience: Deadlines | null
  readonly #client: Law
  #tryNumber = 0
  /** A request is at an edge: what happens there, the edge decides. */
  readonly #enter: (row: number) => void
  /** Edges that serve; a client goes to its own, or the next one that does. */
  edgeServes: (edge: number) => boolean = () => true
  /** A client gave up at the edge. */
  left: (row: number) => void = () => {}

  constructor(world: World, exchanges: Exchanges, trace: TraceCounts | null, enter: (row: number) => void) {
    const { engine, blueprint, network } = world
    const { rehearsal } = blueprint
    this.#world = world
    this.#exchanges = exchanges
    this.#enter = enter
    this.#client = network.client
    this.#network = engine.stream('network of clients')
    this.#backoff = engine.stream('clients come back')
    this.#arriveCode = engine.on('arrives', index => this.#arrive(index))
    this.#edgeCode = engine.on('at the edge', (row, life) => this.#atEdge(row, life))
    this.#homeCode = engine.on('answer at home', (row, life) => this.#home(row, life))
    this.#againCode = engine.on('client comes back', (row, life) => this.#again(row, life))
    const { patienceMs } = rehearsal.clients
    this.#patience =
      patienceMs === null
        ? null
        : new Deadlines(
            engine,
            'patience',
            patienceMs * 1000,
            (row, number) => exchanges.requests.at.tryNumber[row] === number,
            row => this.#giveUp(row),
          )
    this.#sources = blueprint.actions.map((plan): Source => {
      const { objects } = plan.load
      const level = levelOf(world) * plan.share
      return {
        plan,
        arrivals: new Arrivals(rehearsal.arrivals.shape, level, world.window.fromUs, trace),
        gaps: engine.stream(`${plan.id} arrivals`),
        who: engine.stream(`${plan.id} clients`),
        things: engine.stream(`${plan.id} things`),
        zipf: objects === null ? null : new Zipf(objects.count, objects.alpha),
        event: -1,
      }
    })
  }

  begin(): void {
    for (const index of this.#sources.keys()) this.#plan(index)
  }

  surge(times: number): void {
    for (const [index, source] of this.#sources.entries()) {
      source.arrivals.surge(times, this.#world.engine.now)
      if (source.event >= 0) this.#world.engine.cancel(source.event)
      this.#plan(index)
    }
  }

  #plan(index: number): void {
    const source = this.#sources[index] as Source
    const at = source.arrivals.next(source.gaps)
    source.event =
      at === never ? -1 : this.#world.engine.at(Math.max(at, this.#world.engine.now), this.#arriveCode, index)
  }

  #arrive(index: number): void {
    const { engine, blueprint, traffic } = this.#world
    const source = this.#sources[index] as Source
    this.#plan(index)
    traffic.arrived(index, engine.now)
    const row = this.#exchanges.requests.take()
    if (row < 0) {
      // As many are under way as memory holds: an unstable system, which the result says.
      traffic.ended(index, engine.now, engine.now, Outcome.refused)
      return
    }
    const { at } = this.#exchanges.requests
    at.action[row] = index
    at.client[row] = source.who.below(blueprint.clients)
    at.object[row] = source.zipf === null ? 0 : source.zipf.draw(source.things) - 1
    at.firstAt[row] = engine.now
    at.tries[row] = 0
    at.parent[row] = -1
    at.leads[row] = 0
    this.#ask(row)
  }

  #ask(row: number): void {
    const { at, lives } = this.#exchanges.requests
    const { engine, blueprint } = this.#world
    const { edges } = blueprint.rehearsal
    at.tryNumber[row] = this.#tryNumber = (this.#tryNumber + 1) & 0x7fff_ffff
    at.tries[row]!++
    at.place[row] = Place.way
    let edge = (at.client[row] as number) % edges
    for (let other = 1; other < edges && !this.edgeServes(edge); other++) edge = (edge + 1) % edges
    at.edge[row] = edge
    this.#patience?.begin(row, at.tryNumber[row])
    const delay = this.#client.draw(this.#network)
    if (delay === 0) this.#atEdge(row, lives[row] as number)
    else engine.after(delay, this.#edgeCode, row, lives[row])
  }

  #atEdge(row: number, life: number): void {
    const { at, lives } = this.#exchanges.requests
    if (lives[row] !== life || at.place[row] !== Place.way) return
    at.place[row] = Place.edge
    if (this.edgeServes(at.edge[row] as number)) this.#enter(row)
    else this.answer(row, Outcome.failed)
  }

  /** The edge has an answer for its client. */
  answer(row: number, outcome: OutcomeCode): void {
    const { at, lives } = this.#exchanges.requests
    if (at.place[row] !== Place.edge) return
    at.place[row] = Place.answered
    at.outcome[row] = outcome
    const delay = this.#client.draw(this.#network)
    if (delay === 0) this.#home(row, lives[row] as number)
    else this.#world.engine.after(delay, this.#homeCode, row, lives[row])
  }

  #home(row: number, life: number): void {
    const { at, lives } = this.#exchanges.requests
    if (lives[row] !== life || at.place[row] !== Place.answered) return
    this.#over(row, at.outcome[row] as OutcomeCode)
  }

  #giveUp(row: number): void {
    const { at } = this.#exchanges.requests
    if (at.place[row] === Place.edge) {
      this.#exchanges.cancel(row)
      this.left(row)
    }
    this.#over(row, Outcome.abandoned)
  }

  #over(row: number, outcome: OutcomeCode): void {
    const { requests } = this.#exchanges
    const { at } = requests
    const { engine, traffic, blueprint } = this.#world
    at.tryNumber[row] = -1
    at.place[row] = Place.gone
    const action = at.action[row] as number
    const { clients } = blueprint.rehearsal
    if (outcome !== Outcome.answered && (at.tries[row] as number) <= clients.retries) {
      traffic.tried(action, at.firstAt[row] as number, 'clientRetries')
      const retry = (at.tries[row] as number) - 1
      const delay = clients.jitter
        ? backoffUs(retry, clients.backoffBaseMs, clients.backoffMaxMs, this.#backoff)
        : backoffCeilingUs(retry, clients.backoffBaseMs, clients.backoffMaxMs)
      engine.after(delay, this.#againCode, row, requests.lives[row])
      return
    }
    traffic.ended(action, at.firstAt[row] as number, engine.now, outcome)
    requests.end(row)
  }

  #again(row: number, life: number): void {
    if (this.#exchanges.requests.lives[row] === life) this.#ask(row)
  }
}

/** Requests a second of all actions together. */
export function levelOf({ blueprint }: World): number {
  const { level } = blueprint.rehearsal.arrivals
  if (level.kind === 'rate') return level.perSecond
  const mean = blueprint.actions.reduce((sum, action) => sum + action.perSecond, 0)
  return mean * level.times * (level.kind === 'peak' ? blueprint.workload.peakFactor : 1)
}
