// A request's life at the edge and at instances, in virtual time: which member, again or not, hedged or not, waiting for a
// place or not. The order of questions is that of src/edge/attempts.ts, and each is answered by the same policy. A request
// and an attempt are rows; what an instance works on goes on when the edge has given it up.

import { assert } from '../../kit/failure.ts'
import { chooseShare } from '../../policy/canary.ts'
import { admission, isRefusal } from '../../policy/circuit.ts'
import { mix32 } from '../../policy/hash.ts'
import { decideHedge } from '../../policy/hedge.ts'
import { Reason } from '../../policy/reason.ts'
import {
  AttemptEnd,
  type AttemptEndCode,
  type AttemptFailure,
  decideRetry,
  isReplacement,
  retryBudgetAllows,
  retryDelayUs,
  triesAgain,
} from '../../policy/retry.ts'
import type { Stream } from '../core/index.ts'
import { Deadlines } from '../models/deadlines.ts'
import { Table } from '../models/table.ts'
import type { ProxyPlan } from './blueprint.ts'
import { EdgeView } from './edge-view.ts'
import { attemptFields, requestFields } from './rows.ts'
import type { Instance, ServicePool } from './services.ts'
import { Outcome, type OutcomeCode } from './traffic.ts'
import type { World } from './world.ts'

/** Where an attempt is. `gone`: its answer was lost on the way, and only its time-out will end it. */
export const Stage = { free: 0, going: 1, working: 2, calling: 3, returning: 4, gone: 5 } as const

const rowsMax = 4_194_304
const seen: AttemptFailure = {
  end: 0,
  idempotent: false,
  unsent: false,
  reused: false,
  bodyReplayable: true,
  status: 0,
  attempts: 0,
  staleUsed: false,
  clientGone: false,
}

export interface ExchangePorts {
  /** The edge's answer to a request of a client. */
  ended(request: number, outcome: OutcomeCode): void
  /** A service's request to another was answered. */
  answered(attempt: number, life: number, ok: boolean): void
  /** An instance begins with an attempt: its own work is done, now it asks others. */
  worked(attempt: number): void
  /** The instance that worked on it died, or nobody waits any more: what it asked of others is void. */
  dropped(attempt: number): void
}

export class Exchanges {
  readonly requests: Table<typeof requestFields>
  readonly attempts: Table<typeof attemptFields>
  /** Views by edge, then service. */
  readonly views: readonly (readonly EdgeView[])[]
  readonly pools: readonly ServicePool[]
  readonly #world: World
  readonly #ports: ExchangePorts
  readonly #proxies: ProxyPlan[] = []
  readonly #tried: (number[] | null)[] = []
  readonly #random: Stream
  readonly #network: Stream
  readonly #failures: Stream
  readonly #timeouts = new Map<number, Deadlines>()
  readonly #codes: { arrive: number; back: number; fail: number; again: number; hedge: number; late: number }
  /** Lost messages between an edge and an instance. */
  isCut: (edge: number, instance: Instance) => boolean = () => false

  constructor(
    world: World,
    pools: (died: (instance: Instance) => void, changed: (service: number) => void) => readonly ServicePool[],
    ports: ExchangePorts,
  ) {
    const { engine } = world
    this.#world = world
    this.#ports = ports
    this.requests = new Table(requestFields, rowsMax)
    this.attempts = new Table(attemptFields, rowsMax)
    this.#random = engine.stream('balancing')
    this.#network = engine.stream('network inside')
    this.#failures = engine.stream('failures')
    this.#codes = {
      arrive: engine.on('at instance', (row, life) => this.#atInstance(row, life)),
      back: engine.on('answer', (row, life) => this.#atEdge(row, life)),
      fail: engine.on('attempt failed', (row, life) => this.#failedAt(row, life)),
      again: engine.on('try again', (row, life) => this.#again(row, life)),
      hedge: engine.on('hedge', (row, life) => this.#hedgeNow(row, life)),
      late: engine.on('waited too long', (row, life) => this.#waitedTooLong(row, life)),
    }
    this.pools = pools(
      instance => this.#instanceDied(instance),
      service => this.#publish(service),
    )
    const { edges } = world.blueprint.rehearsal
    this.views = Array.from({ length: edges }, (_, edge) =>
      this.pools.map(pool => new EdgeView(world, edge, pool)),
    )
  }

  /** A number for the rules of a route or of a service's own. */
  addProxy(plan: ProxyPlan): number {
    return this.#proxies.push(plan) - 1
  }

  #publish(service: number): void {
    for (const views of this.views ?? []) {
      const view = views[service] as EdgeView
      view.publish()
      this.#wake(view)
    }
  }

  // --- choice --------------------------------------------------------------------------------------------------------

  /** The edge passes a request on. Its row's action, edge, client, object and parent are set. */
  start(row: number, proxy: number): void {
    const { at } = this.requests
    const plan = this.#proxies[proxy] as ProxyPlan
    at.proxy[row] = proxy
    at.service[row] = plan.split === null ? plan.service : this.#split(plan, at.client[row] as number)
    at.primary[row] = at.second[row] = -1
    at.count[row] = at.retries[row] = at.budgeted[row] = at.counted[row] = at.waits[row] = 0
    this.#tried[row] = null
    this.#choose(row)
  }

  #split(plan: ProxyPlan, client: number): number {
    const part = chooseShare(mix32(client), plan.split ?? [])
    return plan.splitServices[Math.max(0, part)] as number
  }

  #viewOf(row: number): EdgeView {
    const { at } = this.requests
    return (this.views[at.edge[row] as number] as readonly EdgeView[])[at.service[row] as number] as EdgeView
  }
  #workerOf(row: number): number {
    return (this.requests.at.client[row] as number) % this.#world.blueprint.workers
  }

  #choose(row: number): void {
    const view = this.#viewOf(row)
    const group = view.groups[this.#workerOf(row)]
    if (group === undefined) {
      this.#end(row, Outcome.failed)
      return
    }
    const member = view.waiting.length === 0 ? this.#pick(view, row) : -1
    if (member >= 0) this.#attempt(view, row, member, false)
    else if (group.anyInRotation) this.#waitForPlace(view, row)
    else this.#end(row, Outcome.failed)
  }

  #pick(view: EdgeView, row: number): number {
    const { now } = this.#world.engine
    const group = view.groups[this.#workerOf(row)]
    if (group === undefined) return -1
    const { at } = this.requests
    const plan = this.#proxies[at.proxy[row] as number] as ProxyPlan
    const tried = this.#tried[row] ?? null
    if (plan.sticky) {
      const key = mix32(at.client[row] as number)
      return group.pickByKey(now, key, this.#random, tried)
    }
    const key = group.usesKey ? this.#keyOf(view, row) : 0
    const member = group.pick(now, key, this.#random, tried)
    // All others are out: the one that failed may be back by now.
    return member < 0 && tried !== null ? group.pick(now, key, this.#random, null) : member
  }

  #keyOf(view: EdgeView, row: number): number {
    const { balance } = view.pool.plan.upstream
    const { at } = this.requests
    const byThing =
      'key' in balance &&
      (balance.key.by === 'path' || balance.key.by === 'url' || balance.key.by === 'query')
    return mix32((byThing ? at.object[row] : at.client[row]) as number)
  }

  #waitForPlace(view: EdgeView, row: number): void {
    const { limits } = view.pool.plan.upstream
    if (isRefusal(admission(false, view.waiting.length, limits))) {
      this.#end(row, Outcome.refused)
      return
    }
    view.waiting.push(row)
    const { at, lives } = this.requests
    at.waits[row] = 1
    at.waitEvent[row] = this.#world.engine.after(
      limits.pendingTimeoutMs * 1000,
      this.#codes.late,
      row,
      lives[row],
    )
  }

  #waitedTooLong(row: number, life: number): void {
    const { at, lives } = this.requests
    if (lives[row] !== life || at.waits[row] === 0) return
    this.#leaveLine(row)
    this.#end(row, Outcome.refused)
  }

  #leaveLine(row: number): void {
    const { waiting } = this.#viewOf(row)
    waiting.splice(waiting.indexOf(row), 1)
    this.requests.at.waits[row] = 0
  }

  /** A place is free: whoever waits longest is offered it. */
  #wake(view: EdgeView): void {
    while (view.waiting.length > 0) {
      const row = view.waiting[0] as number
      const member = this.#pick(view, row)
      if (member < 0) return
      view.waiting.shift()
      const { at } = this.requests
      at.waits[row] = 0
      this.#world.engine.cancel(at.waitEvent[row] as number)
      this.#attempt(view, row, member, false)
    }
  }

  // --- one attempt ---------------------------------------------------------------------------------------------------

  #attempt(view: EdgeView, row: number, member: number, hedge: boolean): void {
    const { engine } = this.#world
    const requests = this.requests.at
    const worker = this.#workerOf(row)
    const group = view.groups[worker]
    const instance = view.members[member] as Instance
    const attempt = this.attempts.take()
    assert(attempt >= 0, `simulation: more than ${rowsMax} attempts at once`)
    if (requests.counted[row] === 0) {
      requests.counted[row] = 1
      view.active++
    }
    const slot = view.slotOf(member)
    view.cells.memberWorker.inFlight[worker * view.cells.memberSlots + slot]!++
    if (group?.isOverLimit(member)) {
      view.cells.memberWorker.inFlight[worker * view.cells.memberSlots + slot]!--
      this.attempts.end(attempt)
      if (!hedge) this.#waitForPlace(view, row)
      return
    }
    const { at, lives } = this.attempts
    at.request[attempt] = row
    at.requestLife[attempt] = this.requests.lives[row] as number
    at.edge[attempt] = view.edge
    at.service[attempt] = instance.service
    at.instance[attempt] = instance.index
    at.instanceLife[attempt] = instance.life
    at.slot[attempt] = slot
    at.worker[attempt] = worker
    at.sentAt[attempt] = engine.now
    at.stage[attempt] = Stage.going
    at.status[attempt] = 200
    at.held[attempt] = 1
    at.client[attempt] = requests.client[row] as number
    at.object[attempt] = requests.object[row] as number
    if (hedge) requests.second[row] = attempt
    else {
      requests.primary[row] = attempt
      requests.count[row]!++
    }
    const life = lives[attempt] as number
    if (this.isCut(view.edge, instance)) {
      at.failure[attempt] = AttemptEnd.connectFailed
      engine.after(view.pool.plan.upstream.connectTimeoutMs * 1000, this.#codes.fail, attempt, life)
      return
    }
    const plan = this.#proxies[requests.proxy[row] as number] as ProxyPlan
    this.#timeoutOf(
      Math.min(plan.retry.perTryTimeoutMs ?? Number.POSITIVE_INFINITY, plan.responseTimeoutMs),
    ).begin(attempt, life)
    this.#send(attempt, life, this.#codes.arrive, instance.delayUs)
    if (plan.hedge !== null && !hedge && requests.second[row] === -1) this.#planHedge(view, row, plan)
  }

  #send(attempt: number, life: number, code: number, delayUs: number): void {
    const { engine, network } = this.#world
    engine.after(network.inside.draw(this.#network) + delayUs, code, attempt, life)
  }

  #timeoutOf(lengthMs: number): Deadlines {
    let deadlines = this.#timeouts.get(lengthMs)
    if (deadlines !== undefined) return deadlines
    deadlines = new Deadlines(
      this.#world.engine,
      `answer within ${lengthMs} ms`,
      lengthMs * 1000,
      (row, life) => this.attempts.lives[row] === life && this.attempts.at.held[row] === 1,
      row => {
        const isGone = this.attempts.at.stage[row] === Stage.gone
        this.#giveBack(row)
        this.#failed(row, AttemptEnd.timeout)
        if (isGone) this.#forget(row)
      },
    )
    this.#timeouts.set(lengthMs, deadlines)
    return deadlines
  }

  instanceOf(attempt: number): Instance {
    const { at } = this.attempts
    const pool = this.pools[at.service[attempt] as number] as ServicePool
    return pool.instances[at.instance[attempt] as number] as Instance
  }

  #atInstance(attempt: number, life: number): void {
    const { at, lives } = this.attempts
    if (lives[attempt] !== life) return
    const instance = this.instanceOf(attempt)
    if (instance.life !== at.instanceLife[attempt] || !instance.alive) {
      // Nobody listens: refused at once.
      at.failure[attempt] = AttemptEnd.connectFailed
      this.#send(attempt, life, this.#codes.fail, 0)
      return
    }
    instance.inside++
    instance.taken++
    at.stage[attempt] = Stage.working
    const pool = this.pools[instance.service] as ServicePool
    const place = instance.station.submit(attempt, pool.time.draw(pool.stream))
    if (place < 0) this.answer(attempt, 503)
  }

  /** The instance's own work is done (told by its station). */
  worked(attempt: number): void {
    this.attempts.at.stage[attempt] = Stage.calling
    this.#ports.worked(attempt)
  }

  /** The instance answers. */
  answer(attempt: number, status: number): void {
    const { at, lives } = this.attempts
    const instance = this.instanceOf(attempt)
    const pool = this.pools[instance.service] as ServicePool
    instance.inside--
    const share = Math.max(pool.plan.load.failureShare, instance.failShare)
    at.status[attempt] = share > 0 && this.#failures.float() < share ? 500 : status
    at.stage[attempt] = Stage.returning
    if (instance.state === 'draining') pool.settled(instance)
    if (this.isCut(at.edge[attempt] as number, instance)) {
      if (at.held[attempt] === 1) at.stage[attempt] = Stage.gone
      else this.#forget(attempt)
      return
    }
    this.#send(attempt, lives[attempt] as number, this.#codes.back, instance.delayUs)
  }

  /** All that a dead process worked on is lost; edges see their connections close. */
  #instanceDied(instance: Instance): void {
    const { at, lives, rows } = this.attempts
    for (let attempt = 0; attempt < rows; attempt++) {
      const stage = at.stage[attempt]
      if (stage !== Stage.working && stage !== Stage.calling) continue
      if (at.service[attempt] !== instance.service || at.instance[attempt] !== instance.index) continue
      if (stage === Stage.calling) this.#ports.dropped(attempt)
      at.stage[attempt] = Stage.returning
      at.failure[attempt] = AttemptEnd.lost
      this.#send(attempt, lives[attempt] as number, this.#codes.fail, 0)
    }
  }

  // --- hedging -------------------------------------------------------------------------------------------------------

  #isSafe(row: number): boolean {
    const action = this.requests.at.action[row] as number
    return action >= 0 && (this.#world.blueprint.actions[action]?.safe ?? false)
  }
  #isIdempotent(row: number): boolean {
    const action = this.requests.at.action[row] as number
    return action >= 0 ? (this.#world.blueprint.actions[action]?.idempotent ?? false) : true
  }

  #planHedge(view: EdgeView, row: number, plan: ProxyPlan): void {
    const delayUs = plan.hedge === null ? -1 : view.hedgeDelay(plan.hedge)
    if (decideHedge(delayUs, this.#isSafe(row), true, false, true) !== Reason.hedge) return
    const { at, lives } = this.requests
    at.hedges[row] = 1
    at.hedgeEvent[row] = this.#world.engine.after(delayUs, this.#codes.hedge, row, lives[row])
  }

  #hedgeNow(row: number, life: number): void {
    const { at, lives } = this.requests
    if (lives[row] !== life || at.hedges[row] === 0) return
    at.hedges[row] = 0
    const first = at.primary[row] as number
    if (first < 0) return
    const view = this.#viewOf(row)
    const allowed = this.#budgetAllows(view, row)
    if (decideHedge(0, true, true, at.second[row] !== -1, allowed) !== Reason.hedge) return
    const group = view.groups[this.#workerOf(row)]
    const key = group?.usesKey ? this.#keyOf(view, row) : 0
    const slot = this.attempts.at.slot[first] as number
    const member = group?.pick(this.#world.engine.now, key, this.#random, [slot]) ?? -1
    if (member < 0) return
    this.#countRetry(view, row, true, false)
    this.#attempt(view, row, member, true)
  }

  #budgetAllows(view: EdgeView, row: number): boolean {
    const plan = this.#proxies[this.requests.at.proxy[row] as number] as ProxyPlan
    return retryBudgetAllows(view.retriesActive, view.active, plan.retry)
  }

  #countRetry(view: EdgeView, row: number, hedge: boolean, replaces: boolean): void {
    const { at } = this.requests
    at.retries[row]!++
    if (!replaces) {
      at.budgeted[row]!++
      view.retriesActive++
    }
    const action = at.action[row] as number
    if (action >= 0)
      this.#world.traffic.tried(action, at.firstAt[row] as number, hedge ? 'hedges' : 'edgeRetries')
  }

  // --- outcomes ------------------------------------------------------------------------------------------------------

  #atEdge(attempt: number, life: number): void {
    const { at, lives } = this.attempts
    if (lives[attempt] !== life) return
    if (at.held[attempt] === 0) {
      this.#forget(attempt)
      return
    }
    const view = (this.views[at.edge[attempt] as number] as readonly EdgeView[])[
      at.service[attempt] as number
    ] as EdgeView
    const { now } = this.#world.engine
    const status = at.status[attempt] as number
    const latencyUs = now - (at.sentAt[attempt] as number)
    this.#giveBack(attempt)
    this.#observe(view, attempt, status >= 502 && status <= 504, latencyUs)
    view.latency.record(0, latencyUs)
    const row = at.request[attempt] as number
    const hedge = this.requests.at.second[row] === attempt
    this.#forget(attempt)
    const plan = this.#proxies[this.requests.at.proxy[row] as number] as ProxyPlan
    if (plan.retry.onStatus.includes(status) && this.#triesStatusAgain(view, row, attempt, status, hedge))
      return
    this.#abandonOthers(row, attempt)
    this.#end(row, status < 500 ? Outcome.answered : status === 503 ? Outcome.refused : Outcome.failed)
  }

  #triesStatusAgain(view: EdgeView, row: number, attempt: number, status: number, hedge: boolean): boolean {
    const { at } = this.requests
    const plan = this.#proxies[at.proxy[row] as number] as ProxyPlan
    this.#fill(row, AttemptEnd.status)
    seen.status = status
    const reason = decideRetry(seen, plan.retry, this.#budgetAllows(view, row))
    if (!triesAgain(reason)) return false
    if (hedge) at.second[row] = -1
    else {
      at.primary[row] = at.second[row] as number
      at.second[row] = -1
    }
    if (at.primary[row] === -1) this.#tryAgain(view, row, this.attempts.at.slot[attempt] as number, reason)
    return true
  }

  #failedAt(attempt: number, life: number): void {
    const { at, lives } = this.attempts
    if (lives[attempt] !== life) return
    if (at.held[attempt] === 0) {
      this.#forget(attempt)
      return
    }
    this.#giveBack(attempt)
    this.#failed(attempt, at.failure[attempt] as AttemptEndCode)
    this.#forget(attempt)
  }

  /** An attempt did not deliver; the edge no longer holds it. */
  #failed(attempt: number, end: AttemptEndCode): void {
    const { at } = this.attempts
    const row = at.request[attempt] as number
    const view = (this.views[at.edge[attempt] as number] as readonly EdgeView[])[
      at.service[attempt] as number
    ] as EdgeView
    this.#observe(view, attempt, true, 0)
    const requests = this.requests.at
    if (attempt === requests.second[row]) {
      requests.second[row] = -1
      if (requests.primary[row] !== -1) return
    } else {
      requests.primary[row] = -1
      if (requests.second[row] !== -1) {
        requests.primary[row] = requests.second[row] as number
        requests.second[row] = -1
        return
      }
    }
    this.#fill(row, end)
    const plan = this.#proxies[requests.proxy[row] as number] as ProxyPlan
    const reason = decideRetry(seen, plan.retry, this.#budgetAllows(view, row))
    if (triesAgain(reason)) this.#tryAgain(view, row, at.slot[attempt] as number, reason)
    else this.#end(row, Outcome.failed)
  }

  #fill(row: number, end: AttemptEndCode): void {
    seen.end = end
    seen.idempotent = this.#isIdempotent(row)
    seen.status = 0
    seen.attempts = this.requests.at.count[row] as number
  }

  #tryAgain(view: EdgeView, row: number, slot: number, reason: number): void {
    const { at, lives } = this.requests
    const plan = this.#proxies[at.proxy[row] as number] as ProxyPlan
    this.#countRetry(view, row, false, isReplacement(reason, at.count[row] as number))
    const tried = this.#tried[row]
    if (tried === null || tried === undefined) this.#tried[row] = [slot]
    else tried.push(slot)
    const delayUs = retryDelayUs(at.retries[row] as number, view.members.length, plan.retry, this.#random)
    if (delayUs < 1_000) this.#choose(row)
    else this.#world.engine.after(delayUs, this.#codes.again, row, lives[row])
  }

  #again(row: number, life: number): void {
    if (this.requests.lives[row] === life && this.requests.at.primary[row] === -1) this.#choose(row)
  }

  #observe(view: EdgeView, attempt: number, failed: boolean, latencyUs: number): void {
    const { at } = this.attempts
    const slot = at.slot[attempt] as number
    const member = view.memberOf(slot)
    if (member < 0) return
    view.groups[at.worker[attempt] as number]?.observe(member, failed, latencyUs, this.#world.engine.now)
  }

  /** The edge's count of what is in flight at the member. */
  #giveBack(attempt: number): void {
    const { at } = this.attempts
    if (at.held[attempt] === 0) return
    at.held[attempt] = 0
    const view = (this.views[at.edge[attempt] as number] as readonly EdgeView[])[
      at.service[attempt] as number
    ] as EdgeView
    const { memberSlots, memberWorker } = view.cells
    memberWorker.inFlight[(at.worker[attempt] as number) * memberSlots + (at.slot[attempt] as number)]!--
    if (view.waiting.length > 0) this.#wake(view)
  }

  #forget(attempt: number): void {
    this.attempts.at.stage[attempt] = Stage.free
    this.attempts.end(attempt)
  }

  #abandonOthers(row: number, winner: number): void {
    const { at } = this.requests
    for (const attempt of [at.primary[row] as number, at.second[row] as number])
      if (attempt >= 0 && attempt !== winner) this.#giveBack(attempt)
    at.primary[row] = at.second[row] = -1
  }

  /** Its client is gone, or the edge's own time for it is over: nothing more is done for it. */
  cancel(row: number): void {
    if (this.requests.at.waits[row] === 1) {
      this.#world.engine.cancel(this.requests.at.waitEvent[row] as number)
      this.#leaveLine(row)
    }
    this.#abandonOthers(row, -1)
    this.#settle(row)
  }

  #settle(row: number): void {
    const { at } = this.requests
    if (at.hedges[row] === 1) {
      at.hedges[row] = 0
      this.#world.engine.cancel(at.hedgeEvent[row] as number)
    }
    if (at.counted[row] === 0) return
    const view = this.#viewOf(row)
    view.active--
    view.retriesActive -= at.budgeted[row] as number
    at.counted[row] = 0
  }

  #end(row: number, outcome: OutcomeCode): void {
    this.#settle(row)
    const { at } = this.requests
    const parent = at.parent[row] as number
    if (parent < 0) {
      this.#ports.ended(row, outcome)
      return
    }
    const life = at.parentLife[row] as number
    this.requests.end(row)
    this.#ports.answered(parent, life, outcome === Outcome.answered)
  }
}
