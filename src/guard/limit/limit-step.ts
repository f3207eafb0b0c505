// The step of one policy: asks its limits in order, and lets a request pass when all do. What an earlier limit counted is
// given back when a later one refuses. Limits that edges share are asked of Redis together, in one round trip, after this
// edge's own table has had nothing against the request.

import {
  hashKey,
  type KeyHash,
  type LimitOutcome,
  limitItem,
  limitOutcome,
} from '../../policy/limit/index.ts'
import type { GuardStep } from '../part.ts'
import { type Passage, verdict } from '../passage.ts'
import type { GuardVisit } from '../visit.ts'
import { type CountedLimit, type CountedRule, costOf, ruleFor, shareOf } from './counted-limit.ts'
import type { LimitCells } from './memory.ts'
import { findingOf, limitRefusals, refusalOf } from './refusals.ts'
import type { SharedLimits } from './shared-limits.ts'

/** What one limit was asked for one request. */
export interface Asked {
  readonly limit: CountedLimit
  rule: CountedRule
  readonly key: KeyHash
  cost: number
  share: number
  nowUs: number
  /** Counted in the table: to be given back when another limit refuses. */
  taken: boolean
  skipped: boolean
  readonly out: LimitOutcome
}

/** What has to be settled when the request is over. */
interface Open {
  readonly rows: number[]
  readonly bytes: { readonly asked: Asked; readonly shared: boolean }[]
}

export interface LimitShell {
  readonly cells: LimitCells
  readonly worker: number
  /** Of the service behind the route, 0..1. Absent: not known. */
  readonly serviceLoad?: () => number
  /** Null: this edge counts alone. */
  readonly shared: SharedLimits | null
}

export class LimitStep implements GuardStep {
  readonly name = 'limit'
  readonly #limits: readonly CountedLimit[]
  readonly #shell: LimitShell
  /** RateLimit-Policy of a request that all of them count. */
  readonly #policies: string
  readonly #open = new Map<GuardVisit, Open>()
  /** Reused by requests that are decided at once; a request that waits takes it with it. */
  #spare: Asked[] | null = null

  constructor(limits: readonly CountedLimit[], shell: LimitShell) {
    this.#limits = limits
    this.#shell = shell
    this.#policies = limits
      .filter(({ soft }) => !soft)
      .map(({ whole }) => whole.policyItem)
      .join(', ')
  }

  enter(passage: Passage, visit: GuardVisit): number {
    const list = this.#ask(passage, visit)
    let waits = false
    for (const asked of list) {
      if (asked.skipped) continue
      if (asked.limit.shared && this.#shell.shared !== null) {
        waits = true
        if (this.#look(asked)) continue
      } else if (this.#take(asked, 1, visit)) continue
      const answer = this.#refuse(asked, list, passage, visit)
      if (answer !== verdict.pass) return answer
    }
    return waits ? this.#askShared(list, passage, visit) : this.#passed(list, passage, visit)
  }

  #ask(passage: Passage, visit: GuardVisit): Asked[] {
    const list = this.#spare ?? this.#limits.map(newAsked)
    this.#spare = null
    const nowUs = this.#shell.cells.now()
    for (const asked of list) this.#prepare(asked, passage, visit, nowUs)
    return list
  }

  #prepare(asked: Asked, passage: Passage, visit: GuardVisit, nowUs: number): void {
    const { limit } = asked
    const { checked } = limit
    asked.taken = false
    asked.nowUs = nowUs
    asked.rule = ruleFor(limit, passage, visit, asked.key)
    asked.skipped = (limit.byAddress || asked.rule === limit.missing) && visit.allowed
    asked.cost = checked.kind === 'bytes' ? 1 : costOf(checked, passage.head.method)
    asked.share = checked.adaptiveShare < 1 ? shareOf(checked, visit.risk, this.#load()) : 1
    if (asked.cost === 0) asked.skipped = true
  }

  #load(): number {
    const { cells, worker, serviceLoad } = this.#shell
    return Math.max(cells.load.read(worker), serviceLoad?.() ?? 0)
  }

  // --- this edge's own tables -----------------------------------------------------------------------------------------

  /** @param edges how many edges count alone at the moment, each as if it saw all of that many times its own requests */
  #take(asked: Asked, edges: number, visit: GuardVisit): boolean {
    const { cells } = this.#shell
    const { rule, key, nowUs, share, out } = asked
    const { kind } = asked.limit.checked
    if (kind === 'concurrency') return this.#acquire(asked, visit)
    // What a request will transfer is not known yet: it passes when anything is left, and is counted when it is over.
    if (kind === 'bytes') {
      if (!cells.table.look(rule, key, nowUs, edges, share, out)) return false
      if (!asked.limit.shared) this.#openOf(visit).bytes.push({ asked, shared: false })
      return true
    }
    asked.taken = cells.table.take(rule, key, nowUs, asked.cost * edges, share, out)
    if (asked.taken) asked.cost *= edges
    return asked.taken
  }

  #acquire(asked: Asked, visit: GuardVisit): boolean {
    const { rule, key, cost, share, out } = asked
    const { concurrency } = this.#shell.cells
    const limit = Math.floor(rule.amount * share)
    const row = concurrency.acquire(key, Math.min(cost, Math.max(1, limit)), limit)
    if (row >= 0) this.#openOf(visit).rows.push(row)
    out.allowed = row >= 0
    out.remaining = Math.max(0, limit - concurrency.inUse)
    out.retryAfterUs = out.allowed ? 0 : 1_000_000
    out.resetAfterUs = 0
    return out.allowed
  }

  #look({ rule, key, nowUs, cost, share, out }: Asked): boolean {
    return this.#shell.cells.table.look(rule, key, nowUs, cost, share, out)
  }

  // --- the limits of all edges ----------------------------------------------------------------------------------------

  #askShared(list: Asked[], passage: Passage, visit: GuardVisit): number {
    const shared = this.#shell.shared as SharedLimits
    const { serial } = passage
    const wanted = list.filter(asked => asked.limit.shared && !asked.skipped)
    for (const asked of wanted)
      if (asked.limit.checked.kind === 'bytes') this.#openOf(visit).bytes.push({ asked, shared: true })
    const waiting = shared.ask(wanted, answered => {
      // The request is over, and what it held was given back then.
      if (passage.serial !== serial) return
      const answer = answered
        ? this.#decided(wanted, list, passage, visit)
        : this.#decideAlone(wanted, list, passage, visit)
      visit.resume(serial, answer)
    })
    // Redis is away: nobody waits for it.
    return waiting ? verdict.pending : this.#decideAlone(wanted, list, passage, visit)
  }

  #decided(wanted: readonly Asked[], list: Asked[], passage: Passage, visit: GuardVisit): number {
    for (const asked of wanted) {
      if (asked.out.allowed) continue
      const answer = this.#refuse(asked, list, passage, visit)
      if (answer !== verdict.pass) return answer
    }
    return this.#passed(list, passage, visit)
  }

  #decideAlone(wanted: readonly Asked[], list: Asked[], passage: Passage, visit: GuardVisit): number {
    const { whenAway, edges } = (this.#shell.shared as SharedLimits).settings
    for (const asked of wanted) {
      if (whenAway === 'local' && this.#take(asked, edges, visit)) continue
      const answer =
        whenAway === 'local'
          ? this.#refuse(asked, list, passage, visit)
          : this.#refuseAway(asked, list, visit)
      if (answer !== verdict.pass) return answer
    }
    return this.#passed(list, passage, visit)
  }

  // --- answers --------------------------------------------------------------------------------------------------------

  #passed(list: Asked[], passage: Passage, visit: GuardVisit): number {
    for (const asked of list) {
      if (asked.limit.strikes !== null && !asked.skipped && asked.out.allowed) this.#forgive(asked, visit)
    }
    passage.extraFields += fieldsOf(list, this.#policies)
    if (!this.#open.has(visit)) this.#spare = list
    return verdict.pass
  }

  #refuse(asked: Asked, list: Asked[], passage: Passage, visit: GuardVisit): number {
    const { limit, rule, share } = asked
    const { soft } = limit
    const wait = asked.out.retryAfterUs
    const answer = visit.refuse(findingOf(limit, rule, wait, share), refusalOf(limit, wait), soft)
    if (!soft && limit.strikes !== null) this.#strike(asked, visit)
    if (answer !== verdict.pass) {
      this.#giveBack(list, visit)
      passage.extraFields += fieldsOf([asked], '')
    }
    return answer
  }

  #refuseAway(asked: Asked, list: Asked[], visit: GuardVisit): number {
    const { limit } = asked
    const finding = {
      step: 'limit',
      rule: limit.finding,
      text: 'The Redis that all edges count in is away, and this limit may not be decided without it.',
      would: 'The same request when Redis answers again.',
    }
    const answer = visit.refuse(finding, limitRefusals.away, limit.soft)
    if (answer !== verdict.pass) this.#giveBack(list, visit)
    return answer
  }

  #giveBack(list: readonly Asked[], visit: GuardVisit): void {
    const { table, concurrency } = this.#shell.cells
    for (const asked of list) {
      if (asked.taken) table.refund(asked.rule, asked.key, asked.nowUs, asked.cost, asked.share)
      asked.taken = false
    }
    for (const row of this.#open.get(visit)?.rows ?? []) concurrency.release(row)
    this.#open.delete(visit)
  }

  // --- bans ------------------------------------------------------------------------------------------------------------

  #strike({ limit, nowUs }: Asked, visit: GuardVisit): void {
    const strikes = limit.strikes as CountedRule
    const { table } = this.#shell.cells
    strikeOut.remaining = 0
    hashOf(strikes, visit, strikeKey)
    table.take(strikes, strikeKey, nowUs, 1, 1, strikeOut)
    if (strikeOut.remaining > 0) return
    table.forget(strikes, strikeKey, nowUs)
    visit.ban(limit.finding, `${limit.checked.banAfter} refusals in a row by the limit ${limit.checked.name}`)
  }

  #forgive({ limit, nowUs }: Asked, visit: GuardVisit): void {
    const strikes = limit.strikes as CountedRule
    hashOf(strikes, visit, strikeKey)
    this.#shell.cells.table.forget(strikes, strikeKey, nowUs)
  }

  // --- the end ---------------------------------------------------------------------------------------------------------

  #openOf(visit: GuardVisit): Open {
    let open = this.#open.get(visit)
    if (open === undefined) {
      open = { rows: [], bytes: [] }
      this.#open.set(visit, open)
    }
    return open
  }

  over(passage: Passage, visit: GuardVisit): void {
    const open = this.#open.get(visit)
    if (open === undefined) return
    this.#open.delete(visit)
    const { cells, shared } = this.#shell
    for (const row of open.rows) cells.concurrency.release(row)
    const bytes = passage.bytesIn + passage.bytesOut
    if (bytes === 0) return
    for (const { asked, shared: together } of open.bytes) {
      if (together && shared !== null) shared.debit(asked, bytes)
      else cells.table.debit(asked.rule, asked.key, cells.now(), bytes)
    }
  }
}

const strikeKey: KeyHash = { low: 0, high: 0 }
const strikeOut: LimitOutcome = limitOutcome()

function hashOf(rule: CountedRule, visit: GuardVisit, key: KeyHash): void {
  hashKey(rule.start, visit.addressKey, key)
}

function newAsked(limit: CountedLimit): Asked {
  return {
    limit,
    rule: limit.whole,
    key: { low: 0, high: 0 },
    cost: 1,
    share: 1,
    nowUs: 0,
    taken: false,
    skipped: false,
    out: limitOutcome(),
  }
}

/**
 * RateLimit-Policy and RateLimit of those that counted and are enforced.
 * @param usual what RateLimit-Policy says where all of them counted by their whole keys
 */
function fieldsOf(list: readonly Asked[], usual: string): string {
  let isUsual = usual !== ''
  let limits = ''
  for (const { skipped, limit, rule, out } of list) {
    if (limit.soft) continue
    if (skipped || rule !== limit.whole) isUsual = false
    if (!skipped) limits += `${limits === '' ? '' : ', '}${limitItem(rule.limitItemStart, out)}`
  }
  if (limits === '') return ''
  return `RateLimit-Policy: ${isUsual ? usual : policiesOf(list)}\r\nRateLimit: ${limits}\r\n`
}

function policiesOf(list: readonly Asked[]): string {
  return list
    .filter(({ skipped, limit }) => !skipped && !limit.soft)
    .map(({ rule }) => rule.policyItem)
    .join(', ')
}
