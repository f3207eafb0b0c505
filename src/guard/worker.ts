// The guard in one worker thread, as the edge asks for it. Small: what it is made of is loaded with the first snapshot that
// has a guard. A connection's address is counted and judged here; requests go through the composition's gates.

import type { Clock } from '../kit/clock.ts'
import type { Random } from '../kit/random.ts'
import type { AnswerStep } from './answer.ts'
import type { Composition, GuardedRouteSpec, GuardedSnapshot, GuardGate } from './composition.ts'
import type { BanEntry, GuardStart, GuardToWorker, WorkerBatch } from './messages.ts'
import { Outbox } from './outbox.ts'
import type { GuardSpec, GuardSurroundings } from './part.ts'
import type { Passage } from './passage.ts'
import type { SourceHooks } from './sources.ts'

/** What the guard needs of the edge's worker. */
export interface GuardedWorker {
  readonly index: number
  readonly clock: Clock
  readonly random: Random
  /** Of those who wait for a place at a service. */
  readonly pending?: { loadOf(routeId: string): number }
  endConnections(holds: (address: string) => boolean): void
  tell(subject: string, text: string): void
}

const countsMs = 500

export class WorkerGuardHost {
  readonly #worker: GuardedWorker
  readonly #outbox: Outbox
  /** Heard before there is anybody to know them. */
  readonly #bans: BanEntry[]
  readonly #memory: Record<string, SharedArrayBuffer>
  readonly #hooks: SourceHooks = { country: null, asn: null }
  #composition: Composition | null = null
  #timer: NodeJS.Timeout | null = null
  wantsHello = false

  constructor(worker: GuardedWorker, start: unknown, send: (batch: WorkerBatch) => void) {
    this.#worker = worker
    const { memory, bans } = start as GuardStart
    this.#memory = { ...memory }
    this.#bans = [...bans]
    this.#outbox = new Outbox(send)
  }

  async prepare(snapshot: GuardedSnapshot): Promise<void> {
    const spec = specOf(snapshot)
    if (spec === null) {
      this.wantsHello = false
      this.#composition?.rest()
      return
    }
    this.#composition ??= await this.#compose()
    await this.#composition.prepare(spec, snapshot)
    this.wantsHello = wantsHello(spec)
  }

  async #compose(): Promise<Composition> {
    const { Composition } = await import('./composition.ts')
    const { index, clock, random } = this.#worker
    const surroundings: GuardSurroundings = {
      index,
      clock,
      random,
      memory: this.#memory,
      hooks: this.#hooks,
      routeLoad: routeId => this.#worker.pending?.loadOf(routeId) ?? 0,
      send: (part, message) => void this.#outbox.push({ kind: 'part', part, message }),
      tell: (subject, text) => this.#worker.tell(subject, text),
      audit: event => void this.#outbox.push({ kind: 'event', event }),
    }
    this.#timer = setInterval(() => this.#tellCounts(), countsMs).unref()
    const endConnections = (holds: (address: string) => boolean): void => this.#worker.endConnections(holds)
    return new Composition(surroundings, this.#outbox, this.#bans.splice(0), endConnections)
  }

  #tellCounts(): void {
    const counts = this.#composition?.counts.take(this.#outbox.takeDropped()) ?? null
    if (counts !== null) this.#outbox.push({ kind: 'counts', counts })
  }

  // --- connections ------------------------------------------------------------------------------------------------

  get looksAtConnections(): boolean {
    return this.#composition !== null
  }

  connectionOpened(address: string): number {
    return this.#composition?.connections.opened(address) ?? 0
  }

  connectionClosed(token: number): void {
    this.#composition?.connections.closed(token)
  }

  // --- requests ---------------------------------------------------------------------------------------------------

  doors(snapshot: GuardedSnapshot): readonly GuardGate[] {
    const composition = this.#composition
    return composition === null || specOf(snapshot) === null ? [] : [composition.door()]
  }

  gates(route: GuardedRouteSpec, snapshot: GuardedSnapshot): readonly GuardGate[] {
    const spec = specOf(snapshot)
    const gate = spec === null ? null : (this.#composition?.gate(spec, route) ?? null)
    return gate === null ? [] : [gate]
  }

  step(route: GuardedRouteSpec, snapshot: GuardedSnapshot, behind: AnswerStep | null): AnswerStep | null {
    const spec = specOf(snapshot)
    return spec === null || this.#composition === null
      ? behind
      : this.#composition.answer(spec, route, behind)
  }

  action(): { run(passage: Passage): void } {
    return { run: passage => (this.#composition as Composition).page(passage) }
  }

  hear(message: unknown): void {
    const heard = message as GuardToWorker
    if (heard.kind === 'took') this.#outbox.took(heard.count)
    else if (heard.kind === 'memory') Object.assign(this.#memory, heard.memory)
    else if (heard.kind === 'bans' && this.#composition === null) this.#bans.push(...heard.bans)
    else if (heard.kind === 'bans') this.#composition?.takeBans(heard.bans)
    else if (heard.kind === 'rulings') this.#composition?.takeRulings(heard.rulings)
    else this.#composition?.hear(heard.part, heard.message)
  }

  async close(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer)
    await this.#composition?.close()
    this.#tellCounts()
    this.#outbox.flush()
  }
}

function specOf(snapshot: GuardedSnapshot): GuardSpec | null {
  return (snapshot.guard as GuardSpec | undefined) ?? null
}

/** Who scores risk, or counts by fingerprint, looks at how clients begin TLS. */
function wantsHello({ policies }: GuardSpec): boolean {
  return Object.values(policies).some(
    policy =>
      policy.risk !== undefined ||
      policy.challenge !== undefined ||
      policy.limits.some(limit => limit.by.some(source => source.by === 'fingerprint')),
  )
}
