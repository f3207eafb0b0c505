// Copies of requests to another upstream, whose answers nobody gets. A copy is an exchange of its own that begins after
// the original has been dispatched, is never retried or hedged, and whose client discards everything, so nothing that
// happens to it reaches the original: not its failures, its slowness or its weight (bounded in flight, counted beyond).
// Only bodies that came whole with their heads (`replayBytesMax`), or were held, are copied; upgrades and copies themselves never are.

import { routeSlots } from './cells.ts'
import type { ExchangeClient } from './client.ts'
import type { CompiledRoute, CompiledSnapshot } from './compile.ts'
import type { WorkerContext } from './context.ts'
import type { CopiedRequest, Exchange } from './exchange.ts'
import { type Gate, gateAnswer } from './gate.ts'
import type { MemberGroup } from './group.ts'
import { NoClient } from './no-client.ts'
import type { SnapshotSlots } from './slots.ts'
import { type MirrorSpec, mirrorRouteId, type RouteSpec } from './snapshot.ts'

/** A copy lives at most so long: an answer without an end would hold its place for ever. */
const copyTimeoutUs = 30_000_000
const copyLimits = { requestLineBytesMax: 1 << 20, headerBytesMax: 1 << 20, headerCountMax: 1_024 }
const markName = 'x-mirrored'
const nothingDropped = new Uint8Array(256)

/** Copies in flight, kept over snapshots. */
interface MirrorLoad {
  inFlight: number
}

/** What a worker keeps of its mirrors: by route. */
export type MirrorLoads = Map<string, MirrorLoad>

export function mirrorGates(
  worker: WorkerContext,
  route: RouteSpec,
  groups: ReadonlyMap<string, MemberGroup>,
  slots: SnapshotSlots,
  loads: MirrorLoads,
): Gate[] {
  const spec = route.action.kind === 'proxy' ? route.action.mirror : undefined
  if (spec === undefined) return []
  const load = loads.get(route.id) ?? { inFlight: 0 }
  loads.set(route.id, load)
  const row = worker.index * routeSlots + (slots.routes.get(mirrorRouteId(route.id)) as number)
  return [new MirrorGate(worker, spec, groups.get(spec.upstream) as MemberGroup, row, load)]
}

class MirrorGate implements Gate {
  readonly name = 'mirror'
  readonly #worker: WorkerContext
  readonly #spec: MirrorSpec
  readonly #group: MemberGroup
  readonly #row: number
  readonly #load: MirrorLoad
  #route: CompiledRoute | null = null

  constructor(worker: WorkerContext, spec: MirrorSpec, group: MemberGroup, row: number, load: MirrorLoad) {
    this.#worker = worker
    this.#spec = spec
    this.#group = group
    this.#row = row
    this.#load = load
  }

  enter(exchange: Exchange): number {
    const { share, inFlightMax } = this.#spec
    const { head } = exchange
    if (share < 1 && this.#worker.random.float() >= share) return gateAnswer.pass
    if (head.connectionUpgrade || head.find(markName) !== undefined) return gateAnswer.pass
    const { routeWorker } = this.#worker.cells
    if (exchange.client?.bodyOpen) routeWorker.unmirroredBody[this.#row]!++
    else if (this.#load.inFlight >= inFlightMax) routeWorker.unmirroredBusy[this.#row]!++
    else this.#copy(exchange)
    return gateAnswer.pass
  }

  #copy(exchange: Exchange): void {
    const load = this.#load
    load.inFlight++
    const copy: CopiedRequest = {
      path: exchange.path,
      target: exchange.target,
      bodyText: exchange.bodyText,
      idSuffix: exchange.idSuffix,
      edits: exchange.requestEdits,
      bodyHeld: exchange.bodyHeld,
    }
    this.#route ??= this.#routeOfCopies(exchange.route as CompiledRoute)
    const text = `${exchange.head.copyWithLine(nothingDropped, null)}X-Mirrored: 1\r\n\r\n`
    const client = new NoClient(this.#worker, exchange.client as ExchangeClient, () => {
      load.inFlight--
    })
    // After the callback in which the original is dispatched: it waits for nothing.
    setImmediate(beginCopy, this.#worker, exchange.snapshot, this.#route, client, text, copy)
  }

  #routeOfCopies(route: CompiledRoute): CompiledRoute {
    return {
      ...route,
      spec: { ...route.spec, id: mirrorRouteId(route.spec.id) },
      row: this.#row,
      logged: false,
      group: this.#group,
      gates: [],
      step: null,
      retry: { ...this.#group.spec.retry, attempts: 0 },
      hedge: null,
      timeoutUs: Math.min(route.timeoutUs, copyTimeoutUs),
    }
  }
}

function beginCopy(
  worker: WorkerContext,
  snapshot: CompiledSnapshot | null,
  route: CompiledRoute,
  client: NoClient,
  text: string,
  copy: CopiedRequest,
): void {
  worker.refresh()
  // The route's row may belong to somebody else when its snapshot has gone.
  if (worker.draining || worker.snapshot !== snapshot) {
    client.exchangeDone()
    return
  }
  const exchange = worker.takeExchange()
  exchange.head.reset(copyLimits)
  if (exchange.head.parse(text) > 0) exchange.beginCopy(client, route, copy)
  else {
    worker.giveExchange(exchange)
    client.exchangeDone()
  }
}
