// The guard of one worker, once a snapshot asks for one: its parts, the plan of each guarded route, the door that knows
// bans, the guard's own pages. Counts what becomes of requests. Knows nothing of what a part decides by.

import type { CheckedGuardPolicy, GuardPartName } from '../file/checked-guard.ts'
import type { AnswerStep } from './answer.ts'
import { Connections } from './connections/connections.ts'
import { Counts } from './counts.ts'
import { guardRefusals } from './failures.ts'
import { deriveKey } from './keys.ts'
import type { BanEntry } from './messages.ts'
import type { Outbox } from './outbox.ts'
import {
  type GuardedRoute,
  type GuardPart,
  type GuardRuling,
  type GuardSpec,
  type GuardSurroundings,
  guardPath,
} from './part.ts'
import { wantedParts } from './parts.ts'
import { type Passage, verdict } from './passage.ts'
import { recordOf } from './record.ts'
import { type PlannedStep, RequestVisit, type VisitPlan } from './request-visit.ts'
import { type Ban, isSubject, WorkerRulings } from './rulings/worker-rulings.ts'
import { subjectsOf, wishOf } from './subjects.ts'

/** As the edge's `Gate`. */
export interface GuardGate {
  readonly name: string
  enter(passage: Passage): number
}

export interface GuardedRouteSpec {
  readonly id: string
  readonly match: { readonly path: string }
  readonly guard?: string
}

export interface GuardedSnapshot {
  readonly routes: readonly GuardedRouteSpec[]
  readonly trustedProxies: readonly string[]
  readonly guard?: unknown
}

export type EndConnections = (holds: (address: string) => boolean) => void

const noIdentity = { account: [], session: [], key: [] } as const
const notFoundFields = 'Content-Length: 0\r\nCache-Control: no-store\r\n'

export class Composition {
  readonly #surroundings: GuardSurroundings
  readonly #outbox: Outbox
  readonly #parts = new Map<string, GuardPart>()
  readonly rulings: WorkerRulings
  readonly counts: Counts = new Counts()
  readonly connections: Connections
  readonly #endConnections: EndConnections
  #spec: GuardSpec | null = null
  #pagePlan: VisitPlan | null = null

  constructor(
    surroundings: GuardSurroundings,
    outbox: Outbox,
    bans: readonly BanEntry[],
    endConnections: EndConnections,
  ) {
    this.#surroundings = surroundings
    this.#outbox = outbox
    this.#endConnections = endConnections
    this.rulings = new WorkerRulings(() => surroundings.clock.wall() / 1000)
    this.rulings.change(bans)
    this.connections = new Connections(surroundings, this.rulings, this.counts)
  }

  takeBans(bans: readonly BanEntry[]): void {
    this.rulings.change(bans)
    // An account's or session's connections are not known as theirs: nothing to look for.
    if (bans.some(({ key, untilMs }) => untilMs > 0 && !isSubject(key))) this.#endBanned()
  }

  takeRulings(rulings: readonly GuardRuling[]): void {
    if (this.#spec === null) return
    this.#spec = { ...this.#spec, rulings }
    this.rulings.take(this.#spec)
    this.#endBanned()
  }

  /** Connections that are open when somebody is banned end too. */
  #endBanned(): void {
    if (!this.rulings.quiet) this.#endConnections(address => this.connections.isBanned(address))
  }

  /** The snapshot of now has no guard. */
  rest(): void {
    this.#spec = null
    this.rulings.take()
    this.connections.take(null, [])
  }

  // --- snapshots ------------------------------------------------------------------------------------------------

  async prepare(spec: GuardSpec, snapshot: GuardedSnapshot): Promise<void> {
    const policies = snapshot.routes.flatMap(route => route.guard ?? [])
    for (const loader of wantedParts(spec, policies)) {
      if (this.#parts.has(loader.name)) continue
      const part = (await loader.load()).createPart?.(this.#surroundings)
      if (part !== undefined) this.#parts.set(loader.name, part)
    }
    for (const part of this.#parts.values()) await part.prepare?.(spec)
    this.#spec = spec
    this.rulings.take(spec)
    this.connections.take(spec, snapshot.trustedProxies)
    this.#endBanned()
    this.#pagePlan = this.#planFor(spec, '', { id: '(guard)', path: guardPath }, [])
  }

  /** Before the routes, on every request. */
  door(): GuardGate {
    const { rulings } = this
    return {
      name: 'bans',
      enter: passage => {
        if (rulings.quiet) return verdict.pass
        const ban = rulings.banOf(passage.address)
        return ban === null ? verdict.pass : this.#refuseBanned(passage, ban)
      },
    }
  }

  #refuseBanned(passage: Passage, ban: Ban): number {
    const visit = new RequestVisit(this.#pagePlan as VisitPlan, passage)
    passage.visit = visit
    return visit.refuseBanned(banFinding(ban), guardRefusals.banned)
  }

  gate(spec: GuardSpec, route: GuardedRouteSpec): GuardGate | null {
    const policy = route.guard === undefined ? undefined : spec.policies[route.guard]
    if (policy === undefined) return null
    const guarded: GuardedRoute = { id: route.id, path: route.match.path }
    const plan = this.#planFor(spec, policy.name, guarded, this.#steps(policy, guarded, spec))
    return {
      name: `guard ${policy.name}`,
      enter: passage => {
        const visit = new RequestVisit(plan, passage)
        passage.visit = visit
        return visit.begin()
      },
    }
  }

  /** In the order of the loaders; bans of accounts behind what verifies them. */
  #steps(policy: CheckedGuardPolicy, route: GuardedRoute, spec: GuardSpec): readonly PlannedStep[] {
    const detects = (name: string): boolean => policy.detectOnly.includes(name as GuardPartName)
    const steps = wantedParts(spec, [policy.name]).flatMap(({ name }): (PlannedStep & { name: string })[] => {
      const step = this.#parts.get(name)?.step(policy, route, spec) ?? null
      return step === null ? [] : [{ name, step, detectOnly: detects(name) }]
    })
    const known = steps.findIndex(({ name }) => name !== 'identity')
    const own = { name: 'ban', step: this.#subjectStep(), detectOnly: detects('ban') }
    steps.splice(known < 0 ? steps.length : known, 0, own)
    return steps
  }

  /** Refuses accounts, sessions and keys that a rule has banned. */
  #subjectStep(): PlannedStep['step'] {
    const { rulings } = this
    return {
      name: 'ban',
      enter: (passage, visit) => {
        if (!rulings.hasSubjects) return verdict.pass
        for (const subject of subjectsOf(visit as RequestVisit)) {
          const ban = rulings.banOfSubject(subject, passage.address)
          if (ban !== null) return visit.refuse(banFinding(ban), guardRefusals.banned, false)
        }
        return verdict.pass
      },
    }
  }

  #planFor(spec: GuardSpec, policy: string, route: GuardedRoute, steps: readonly PlannedStep[]): VisitPlan {
    const { rulings, counts } = this
    return {
      policy,
      route,
      steps,
      identity: spec.identity ?? noIdentity,
      ipv6PrefixBits: spec.ipv6PrefixBits,
      nameKey: deriveKey(spec.secretKey, 'names of sessions and keys'),
      hooks: this.#surroundings.hooks,
      isAllowed: address => rulings.isAllowed(address),
      ban: (visit, rule, reason) => {
        const wish = wishOf(visit, rule, reason)
        if (wish !== null) this.#outbox.push({ kind: 'ban', wish })
      },
      ended: (visit, passage) => {
        counts.count(visit)
        if (visit.findings.length > 0)
          this.#outbox.push({ kind: 'record', record: recordOf(visit, passage, this.#surroundings.clock) })
      },
    }
  }

  /** Outermost: the last part that wants to stand there. */
  answer(spec: GuardSpec, route: GuardedRouteSpec, behind: AnswerStep | null): AnswerStep | null {
    const policy = route.guard === undefined ? undefined : spec.policies[route.guard]
    if (policy === undefined) return behind
    const guarded: GuardedRoute = { id: route.id, path: route.match.path }
    let step = behind
    for (const { name } of wantedParts(spec, [policy.name])) {
      const part = this.#parts.get(name)
      if (part?.answer !== undefined) step = part.answer(policy, guarded, spec, step)
    }
    return step
  }

  // --- the guard's own pages --------------------------------------------------------------------------------------

  page(passage: Passage): void {
    const [name = '', ...rest] = passage.path.slice(guardPath.length).split('/')
    const visit = new RequestVisit(this.#pagePlan as VisitPlan, passage)
    passage.visit = visit
    try {
      for (const part of this.#parts.values())
        if (part.page?.(passage, name, rest.join('/'), visit) === true) return
    } catch (error) {
      this.#surroundings.tell('guard', `a page of the guard failed: ${(error as Error).message}`)
      const { status, text } = guardRefusals.fault
      if (passage.status === 0) passage.respond(status, faultFields(text), text)
      return
    }
    passage.respond(404, notFoundFields + passage.extraFields, '')
  }

  hear(part: string, message: unknown): void {
    this.#parts.get(part)?.hear?.(message)
  }

  async close(): Promise<void> {
    for (const part of this.#parts.values()) await part.close?.()
  }
}

function faultFields(text: string): string {
  return `Content-Type: text/plain; charset=utf-8\r\nContent-Length: ${text.length}\r\nCache-Control: no-store\r\n`
}

function banFinding({ by, reason, untilMs }: Ban): {
  step: string
  rule: string
  text: string
  would: string
} {
  return {
    step: 'ban',
    rule: by,
    text: `Banned: ${reason}`,
    would:
      untilMs === 0
        ? 'Nothing, until the ban is taken back or an allowance is given.'
        : `The same request after ${new Date(untilMs).toISOString()}, or with an allowance.`,
  }
}
