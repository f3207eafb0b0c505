// Quotas in the edge's main thread: one store a quota, which answers all workers, and what is to be ended when one dies.

import { join } from 'node:path'
import type { CheckedQuota } from '../../file/checked-guard.ts'
import { Failure } from '../../kit/failure.ts'
import type { QuotaAnswer, QuotaEnding, QuotaRules, QuotaWish } from '../../policy/quota/quota.ts'
import type { GuardSpec, MainGuardPart, MainPartSurroundings } from '../part.ts'
import { tellStock } from '../stock.ts'
import { quotaFailures } from './failures.ts'
import { LocalQuota } from './local-quota.ts'
import type { QuotaFromWorker, QuotaQuestion, QuotaToWorker } from './messages.ts'
import { awayAnswer, type QuotaCounts, type QuotaStore } from './quota-store.ts'
import { SharedQuotas } from './shared-quotas.ts'

const endedAnswer: QuotaAnswer = { state: 'counted', id: 0, left: 0, which: -1 }

export interface QuotaStatus extends QuotaCounts {
  readonly name: string
  readonly stock: number
}

export class MainQuotas implements MainGuardPart {
  readonly name = 'quota'
  readonly #surroundings: MainPartSurroundings
  readonly #quotas = new Map<string, { readonly store: QuotaStore; stock: number }>()
  /** Reservations under way, by worker: `quota id`. */
  readonly #open = new Map<
    number,
    Map<string, { readonly quota: string; readonly id: number; uses: number }>
  >()
  #shared: SharedQuotas | null = null
  #sharedUrl = ''

  constructor(surroundings: MainPartSurroundings) {
    this.#surroundings = surroundings
    tellStock(surroundings.memory, quota => this.#isSoldOut(quota))
  }

  async #isSoldOut(name: string): Promise<boolean> {
    const quota = this.#quotas.get(name)
    return quota !== undefined && quota.stock > 0 && (await quota.store.counts()).taken >= quota.stock
  }

  async take(spec: GuardSpec): Promise<void> {
    const url =
      spec.shared === undefined ? '' : `${spec.shared.redis} ${spec.shared.prefix} ${spec.shared.edges}`
    const moved = url !== this.#sharedUrl
    for (const [name, { store }] of this.#quotas) {
      if (!moved && spec.quotas[name] !== undefined) continue
      store.close()
      this.#quotas.delete(name)
    }
    if (moved) {
      this.#shared?.close()
      this.#shared = spec.shared === undefined ? null : this.#openShared(spec.shared)
      this.#sharedUrl = url
    }
    for (const quota of Object.values(spec.quotas)) this.#takeQuota(quota)
  }

  #openShared(shared: NonNullable<GuardSpec['shared']>): SharedQuotas {
    const { clock, random, stateDirectory, tell } = this.#surroundings
    const folder = join(stateDirectory, 'guard', 'quotas')
    try {
      return new SharedQuotas(shared, { clock, random, folder, tell })
    } catch (cause) {
      const sentence = `The folder of quotas, ${folder}, can't be used: ${(cause as Error).message}.`
      throw new Failure(quotaFailures.journal, sentence, { cause })
    }
  }

  #takeQuota(quota: CheckedQuota): void {
    const held = this.#quotas.get(quota.name)
    if (held !== undefined) {
      held.store.setRules(rulesOf(quota))
      held.stock = quota.stock ?? 0
    } else this.#quotas.set(quota.name, { store: this.#storeOf(quota), stock: quota.stock ?? 0 })
  }

  #storeOf(quota: CheckedQuota): QuotaStore {
    const { clock, stateDirectory, tell } = this.#surroundings
    const { name } = quota
    const rules = rulesOf(quota)
    const path = join(stateDirectory, 'guard', 'quotas', `${encodeURIComponent(name)}.jsonl`)
    try {
      if (this.#shared !== null) return this.#shared.open(name, rules)
      return new LocalQuota({ path, rules, clock, tell: text => tell(`quota ${name}`, text) })
    } catch (cause) {
      const sentence = `The journal of the quota "${name}", ${path}, can't be used: ${(cause as Error).message}.`
      throw new Failure(quotaFailures.journal, sentence, { cause })
    }
  }

  heard(worker: number, message: unknown): void {
    const { first, asks } = message as QuotaFromWorker
    void this.#answer(worker, first, asks)
  }

  async #answer(worker: number, first: number, asks: readonly QuotaQuestion[]): Promise<void> {
    const answers = new Array<QuotaAnswer>(asks.length).fill(awayAnswer)
    const wishes = new Map<string, { readonly wish: QuotaWish; readonly index: number }[]>()
    for (const [index, ask] of asks.entries()) {
      if (ask.kind === 'end') answers[index] = this.#end(worker, ask.quota, ask.id, ask.ending)
      else wishes.set(ask.quota, [...(wishes.get(ask.quota) ?? []), { wish: ask.wish, index }])
    }
    for (const [quota, list] of wishes) {
      const store = this.#quotas.get(quota)?.store
      const some = await store?.reserve(list.map(({ wish }) => wish))
      for (const [at, { index }] of list.entries()) {
        const answer = some?.[at] ?? awayAnswer
        answers[index] = answer
        if (answer.state === 'held') this.#opened(worker, quota, answer.id)
      }
    }
    this.#surroundings.send({ kind: 'answers', first, answers } satisfies QuotaToWorker, worker)
  }

  #end(worker: number, quota: string, id: number, ending: QuotaEnding): QuotaAnswer {
    this.#closed(worker, quota, id)
    this.#quotas.get(quota)?.store.end(id, ending)
    return endedAnswer
  }

  #opened(worker: number, quota: string, id: number): void {
    const open = this.#open.get(worker) ?? new Map()
    this.#open.set(worker, open)
    const key = `${quota} ${id}`
    const one = open.get(key)
    if (one === undefined) open.set(key, { quota, id, uses: 1 })
    else one.uses++
  }

  #closed(worker: number, quota: string, id: number): void {
    const open = this.#open.get(worker)
    const one = open?.get(`${quota} ${id}`)
    if (one !== undefined && --one.uses <= 0) open?.delete(`${quota} ${id}`)
  }

  /** Nobody knows how its requests ended. */
  workerDied(worker: number): void {
    const open = this.#open.get(worker)
    this.#open.delete(worker)
    for (const { quota, id, uses } of open?.values() ?? [])
      for (let use = 0; use < uses; use++) this.#quotas.get(quota)?.store.end(id, 'unknown')
  }

  ask(question: { readonly kind: string }): Promise<unknown> | undefined {
    return question.kind === 'quotas' ? this.#statuses() : undefined
  }

  async #statuses(): Promise<readonly QuotaStatus[]> {
    const all: QuotaStatus[] = []
    for (const [name, { store, stock }] of this.#quotas) all.push({ name, stock, ...(await store.counts()) })
    return all
  }

  async close(): Promise<void> {
    for (const { store } of this.#quotas.values()) store.close()
    this.#shared?.close()
  }
}

export function rulesOf({ stock, holdMs, resetMs, idempotent }: CheckedQuota): QuotaRules {
  return { stock: stock ?? 0, holdMs, resetMs: resetMs ?? 0, idempotent }
}
