// What became of each route's canary: counted by the workers in the shared cells, judged here once a second
// (policy/canary), and taken out for all workers at once by one cell. Runs on the edge's main thread, so that the death
// of a worker changes nothing; what is out is also kept on disk, so that an edge that starts anew leaves it out. Only a
// changed canary in the snapshot, or an operator, brings it back.

import { createHash } from 'node:crypto'
import { RecordFolder } from '../io/record-file.ts'
import type { Clock } from '../kit/clock.ts'
import { Failure } from '../kit/failure.ts'
import type { Distribution } from '../kit/histogram.ts'
import {
  type CanaryDecision,
  type CanaryObservation,
  canaryText,
  decideCanary,
  type SideCounts,
} from '../policy/canary.ts'
import { CanaryWindow } from '../policy/canary-window.ts'
import { Reason } from '../policy/reason.ts'
import { canaryKey, canaryOf } from './canary-key.ts'
import { canaryRow, canarySide, type EdgeCells } from './cells.ts'
import type { CanarySideStatus, CanaryStatus } from './control-protocol.ts'
import { edgeFailures } from './failures.ts'
import type { SnapshotSlots } from './slots.ts'
import type { CanarySpec, EdgeSnapshot, RouteSpec } from './snapshot.ts'

/** Window of the counts that are shown for a canary that is never judged. */
const shownWindowMs = 60_000

/** Why a canary gets nothing. Plain data: it is kept on disk. */
interface Out extends Omit<CanaryDecision, 'kind'> {
  /** Wall clock, milliseconds. */
  readonly atMs: number
}

interface Standing {
  readonly slot: number
  readonly window: CanaryWindow
  seen: CanaryObservation | null
  last: Omit<CanaryDecision, 'kind'>
  out: Out | null
}

export class Canaries {
  readonly #cells: EdgeCells
  readonly #clock: Clock
  readonly #tell: (subject: string, text: string) => void
  readonly #path: string
  /** Opened for the first canary; null: none yet, or it can't be had. */
  #folder: RecordFolder | null = null
  readonly #standings = new Map<string, Standing>()

  /** `folder`: where what is out is kept. */
  constructor(cells: EdgeCells, clock: Clock, tell: (subject: string, text: string) => void, folder: string) {
    this.#cells = cells
    this.#clock = clock
    this.#tell = tell
    this.#path = folder
  }

  /** Another snapshot: canaries that it does not have, or has otherwise, are forgotten. */
  take(snapshot: EdgeSnapshot, slots: SnapshotSlots): void {
    if (this.#folder === null && slots.canaries.size > 0)
      this.#attempt(() => {
        this.#folder = new RecordFolder(this.#path)
      })
    const kept = this.#kept()
    for (const [key, { slot }] of this.#standings)
      if (slots.canaries.get(key) !== slot) this.#standings.delete(key)
    for (const route of snapshot.routes) {
      const spec = canaryOf(route)
      const key = canaryKey(route)
      if (spec === undefined || this.#standings.has(key)) continue
      const standing: Standing = {
        slot: slots.canaries.get(key) as number,
        window: new CanaryWindow(spec.rollback?.windowMs ?? shownWindowMs),
        seen: null,
        last: { reason: Reason.none, a: 0, b: 0, requests: 0 },
        out: kept.get(key) ?? null,
      }
      this.#standings.set(key, standing)
      this.#write(standing)
    }
    for (const key of kept.keys()) if (!this.#standings.has(key)) this.#forget(key)
  }

  #kept(): Map<string, Out> {
    const kept = new Map<string, Out>()
    for (const { value } of this.#folder?.list() ?? []) {
      const record = value as { key: string; out: Out } | undefined
      if (record !== undefined) kept.set(record.key, record.out)
    }
    return kept
  }

  judge(snapshot: EdgeSnapshot): void {
    const now = this.#clock.monotonic()
    for (const route of snapshot.routes) {
      const spec = canaryOf(route)
      const standing = spec === undefined ? undefined : this.#standings.get(canaryKey(route))
      if (spec === undefined || standing === undefined) continue
      standing.seen = standing.window.observe(now, this.#sums(standing.slot))
      if (standing.out !== null) continue
      if (spec.rollback === null) {
        standing.last = { reason: Reason.canaryUnjudged, a: 0, b: 0, requests: 0 }
        continue
      }
      const decision = decideCanary(standing.seen, spec.rollback)
      standing.last = decision
      if (decision.kind === 'rollback') this.#takeOut(route, standing, decision)
    }
  }

  #takeOut(route: RouteSpec, standing: Standing, { reason, a, b, requests }: CanaryDecision | Out): void {
    const atMs = Math.round(this.#clock.wall() / 1_000)
    standing.out = { reason, a, b, requests, atMs }
    this.#write(standing)
    const key = canaryKey(route)
    this.#attempt(() => this.#folder?.write(nameOf(key), { key, out: standing.out }))
    this.#tell(route.id, `canary ${canaryOf(route)?.upstream} ${canaryText(standing.out)}`)
  }

  #forget(key: string): void {
    this.#attempt(() => this.#folder?.remove(nameOf(key)))
  }

  /** A disk that fails costs the memory over a restart, nothing else. */
  #attempt(change: () => void): void {
    try {
      change()
    } catch (cause) {
      this.#tell('canaries', `which are out cannot be kept over a restart: ${(cause as Error).message}`)
    }
  }

  #write({ slot, out }: Standing): void {
    Atomics.store(this.#cells.canary.outReason, slot, out?.reason ?? Reason.none)
  }

  /** By an operator. */
  stop(snapshot: EdgeSnapshot, id: string): CanaryStatus {
    const { route, standing } = this.#find(snapshot, id)
    if (standing.out === null)
      this.#takeOut(route, standing, { reason: Reason.canaryStopped, a: 0, b: 0, requests: 0, atMs: 0 })
    return this.#status(route, standing)
  }

  /** The canary gets its share again; what was seen of it before is not held against it. */
  resume(snapshot: EdgeSnapshot, id: string): CanaryStatus {
    const { route, standing } = this.#find(snapshot, id)
    if (standing.out !== null) {
      standing.out = null
      standing.window.restart()
      standing.seen = null
      standing.last = { reason: Reason.none, a: 0, b: 0, requests: 0 }
      this.#write(standing)
      this.#forget(canaryKey(route))
      this.#tell(route.id, `canary ${canaryOf(route)?.upstream} resumed by an operator`)
    }
    return this.#status(route, standing)
  }

  #find(snapshot: EdgeSnapshot, id: string): { route: RouteSpec; standing: Standing } {
    const route = snapshot.routes.find(one => one.id === id)
    const standing = route === undefined ? undefined : this.#standings.get(canaryKey(route))
    if (route !== undefined && standing !== undefined) return { route, standing }
    const known = snapshot.routes.filter(one => canaryOf(one) !== undefined).map(one => `'${one.id}'`)
    const what = route === undefined ? `There is no route '${id}'` : `The route '${id}' has no canary`
    const others = known.length === 0 ? 'No route has a canary' : `Routes with a canary: ${known.join(', ')}`
    throw new Failure(edgeFailures.canaryUnknown, `${what}. ${others}.`)
  }

  status(snapshot: EdgeSnapshot): CanaryStatus[] {
    return snapshot.routes.flatMap(route => {
      const standing = canaryOf(route) === undefined ? undefined : this.#standings.get(canaryKey(route))
      return standing === undefined ? [] : [this.#status(route, standing)]
    })
  }

  #status(route: RouteSpec, { out, last, seen }: Standing): CanaryStatus {
    const { upstream, share } = canaryOf(route) as CanarySpec
    const stopped = out?.reason === Reason.canaryStopped
    return {
      route: route.id,
      upstream,
      share,
      state: out === null ? 'running' : stopped ? 'stopped' : 'taken-out',
      reason: canaryText(out ?? last),
      outSinceMs: out?.atMs ?? null,
      canary: sideStatus(seen?.canary),
      others: sideStatus(seen?.others),
    }
  }

  #sums(slot: number): CanaryObservation {
    return { canary: this.#side(slot, canarySide.canary), others: this.#side(slot, canarySide.others) }
  }

  #side(slot: number, side: number): SideCounts {
    const { workers, canaryWorker, canaryLatency } = this.#cells
    const rows = Array.from({ length: workers }, (_, worker) => canaryRow(worker, slot, side))
    const sum = (column: Float64Array): number =>
      rows.reduce((total, row) => total + (column[row] as number), 0)
    const latency: Distribution = canaryLatency.read(rows)
    return { requests: sum(canaryWorker.requests), errors: sum(canaryWorker.errors), latency }
  }
}

function sideStatus(side: SideCounts | undefined): CanarySideStatus {
  return {
    requests: side?.requests ?? 0,
    errors: side?.errors ?? 0,
    p95Ms: (side?.latency.quantile(0.95) ?? 0) / 1_000,
  }
}

function nameOf(key: string): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 32)
}
