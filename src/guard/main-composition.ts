// The guard of one edge process, once a snapshot asks for one: its parts' halves in the main thread, shared memory, bans by
// rules, the ring of what was refused, the audit log. The one writer of all of these.

import { randomBytes } from 'node:crypto'
import { hostClock } from '../io/clock.ts'
import { seededRandom } from '../kit/random.ts'
import { type AuditCounts, AuditLog } from './audit/audit-log.ts'
import type { GuardedSnapshot } from './composition.ts'
import { AddressCounts, createAddressCounts } from './connections/address-counts.ts'
import { connectionsMemory } from './connections/connections.ts'
import type { BanEntry, GuardFromWorker, GuardStart, GuardToWorker, RequestRecord } from './messages.ts'
import type { GuardEvent, GuardRuling, GuardSpec, MainGuardPart, MainPartSurroundings } from './part.ts'
import { wantedParts } from './parts.ts'
import { Recent } from './recent.ts'
import { matcherOf, RuleBans } from './rulings/rule-bans.ts'
import { verifiedAccounts } from './subjects.ts'
import { Tally } from './tally.ts'

export interface MainCompositionOptions {
  readonly stateDirectory: string
  readonly workers: number
  send(message: GuardToWorker, worker?: number): void
  tell(subject: string, text: string): void
}

export interface MainTally {
  readonly counts: Tally
  bans(): number
  audit(): AuditCounts
}

export class MainComposition {
  readonly #options: MainCompositionOptions
  readonly #parts = new Map<string, MainGuardPart>()
  readonly #loaded = new Set<string>()
  readonly #memory: Record<string, SharedArrayBuffer> = {}
  readonly #counts = new Tally()
  readonly #recent = new Recent()
  readonly #bans: RuleBans
  readonly #audit: AuditLog
  readonly #addresses: AddressCounts
  #spec: GuardSpec | null = null

  private constructor(options: MainCompositionOptions) {
    this.#options = options
    this.#memory[connectionsMemory] = createAddressCounts(options.workers, () => randomBytes(4).readInt32LE())
    this.#addresses = new AddressCounts(this.#memory[connectionsMemory], -1)
    options.send({ kind: 'memory', memory: { ...this.#memory } })
    this.#audit = new AuditLog(text => options.tell('guard', text))
    this.#bans = new RuleBans({
      clock: hostClock,
      folder: options.stateDirectory,
      failed: text => options.tell('guard', text),
      changed: bans => this.#bansChanged(bans),
      told: (event, text, id) => this.#event({ event, part: 'ban', text, ...(id === '' ? {} : { id }) }),
    })
  }

  #bansChanged(bans: readonly BanEntry[]): void {
    this.#options.send({ kind: 'bans', bans })
    const accounts = verifiedAccounts(bans.flatMap(({ key, untilMs }) => (untilMs > 0 ? [key] : [])))
    if (accounts.length === 0) return
    for (const part of this.#parts.values()) part.accountsBanned?.(accounts)
  }

  static async open(options: MainCompositionOptions): Promise<MainComposition> {
    return new MainComposition(options)
  }

  get tally(): MainTally {
    return { counts: this.#counts, bans: () => this.#bans.inForce, audit: () => this.#audit.counts }
  }

  start(): GuardStart {
    return { memory: { ...this.#memory }, bans: this.#bans.entries() }
  }

  async take(spec: GuardSpec, snapshot: GuardedSnapshot): Promise<void> {
    const { stateDirectory } = this.#options
    await this.#audit.take(spec.audit, stateDirectory)
    const policies = snapshot.routes.flatMap(route => route.guard ?? [])
    for (const loader of wantedParts(spec, policies)) {
      if (this.#loaded.has(loader.name)) continue
      const part = (await loader.load()).createMainPart?.(this.#surroundingsOf(loader.name))
      if (part !== undefined) this.#addPart(loader.name, part)
      this.#loaded.add(loader.name)
    }
    for (const part of this.#parts.values()) await part.take?.(spec)
    this.#bans.take(spec)
    this.#spec = spec
  }

  #surroundingsOf(part: string): MainPartSurroundings {
    const { stateDirectory, workers, send, tell } = this.#options
    return {
      clock: hostClock,
      random: seededRandom(randomBytes(4).readUInt32LE()),
      stateDirectory,
      workers,
      memory: this.#memory,
      send: (message, worker) => send({ kind: 'part', part, message }, worker),
      tell,
      audit: event => this.#event(event),
    }
  }

  #addPart(name: string, part: MainGuardPart): void {
    const memory = part.memory?.(this.#options.workers) ?? {}
    Object.assign(this.#memory, memory)
    this.#options.send({ kind: 'memory', memory })
    this.#parts.set(name, part)
  }

  // --- from workers -----------------------------------------------------------------------------------------------

  heard(worker: number, batch: readonly GuardFromWorker[]): void {
    for (const message of batch) this.#hear(worker, message)
  }

  #hear(worker: number, message: GuardFromWorker): void {
    if (message.kind === 'part') this.#parts.get(message.part)?.heard?.(worker, message.message)
    else if (message.kind === 'record') this.#record(message.record)
    else if (message.kind === 'event') this.#event(message.event)
    else if (message.kind === 'ban') this.#bans.wish(message.wish)
    else this.#counts.add(message.counts)
  }

  #record(record: RequestRecord): void {
    this.#recent.add(record)
    this.#audit.record(record)
  }

  #event(event: GuardEvent): void {
    this.#audit.event(event)
  }

  workerDied(worker: number): void {
    this.#addresses.workerDied(worker)
    for (const part of this.#parts.values()) part.workerDied?.(worker)
  }

  // --- questions of the supervisor ----------------------------------------------------------------------------------

  async ask(question: { readonly kind: string }): Promise<unknown> {
    for (const part of this.#parts.values()) {
      const answer = part.ask?.(question)
      if (answer !== undefined) return answer
    }
    return this.#own(question)
  }

  #own(question: { readonly kind: string; readonly [name: string]: unknown }): unknown {
    if (question.kind === 'status') return this.#status()
    if (question.kind === 'explain') return this.#recent.find(String(question.id))
    if (question.kind === 'unban') return { ended: this.#bans.end(matcherOf(String(question.what))) }
    if (question.kind === 'rulings') {
      this.#options.send({ kind: 'rulings', rulings: question.rulings as readonly GuardRuling[] })
      this.#event({ event: 'change', part: 'operator', text: String(question.text) })
      return {}
    }
    return null
  }

  #status(): unknown {
    const policies = Object.keys(this.#spec?.policies ?? {})
    return {
      policies: policies.map(name => ({
        name,
        ...(this.#counts.policies.get(name) ?? { passed: 0, refused: 0, answered: 0, left: 0 }),
      })),
      rules: [...this.#counts.rules.values()],
      closed: { banned: this.#counts.closedBanned, tooMany: this.#counts.closedTooMany },
      bans: this.#bans.status(),
      audit: this.#audit.status(),
      messagesDropped: this.#counts.dropped,
      parts: Object.fromEntries(
        [...this.#parts].flatMap(([name, part]) => {
          const status = part.status?.()
          return status === undefined ? [] : [[name, status]]
        }),
      ),
    }
  }

  async close(): Promise<void> {
    for (const part of this.#parts.values()) await part.close?.()
    this.#bans.close()
    await this.#audit.close()
  }
}
