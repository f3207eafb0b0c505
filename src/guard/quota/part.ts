// Quotas in one worker: before a request that changes something reaches an instance, what it asks for is reserved for all
// of its buyer's keys; its answer says what becomes of that. Requests that only read are not counted.

import type { CheckedGuardPolicy, CheckedQuota, CheckedQuotaSource } from '../../file/checked-guard.ts'
import type { QuotaAnswer, QuotaEnding, QuotaKey, QuotaWish } from '../../policy/quota/quota.ts'
import { Courier } from '../courier.ts'
import { deriveKey, nameOf } from '../keys.ts'
import type { GuardedRoute, GuardPart, GuardSpec, GuardStep, GuardSurroundings } from '../part.ts'
import { type Passage, verdict } from '../passage.ts'
import { sourceValue } from '../sources.ts'
import type { GuardVisit } from '../visit.ts'
import { type QuotaRefusal, quotaRefusals } from './failures.ts'
import type { QuotaFromWorker, QuotaQuestion, QuotaToWorker } from './messages.ts'
import { type Order, quantityAt, readOrder, textAt } from './order.ts'
import { awayAnswer } from './quota-store.ts'

/** Of an order whose fields are counted by. */
const orderBytesMax = 256 << 10
const reading = new Set(['GET', 'HEAD', 'OPTIONS'])
const idempotencyCharsMax = 256
const retryMs = 200

export class QuotaPart implements GuardPart {
  readonly name = 'quota'
  readonly #courier: Courier<QuotaQuestion, QuotaAnswer>

  constructor(surroundings: GuardSurroundings) {
    const send = (message: QuotaFromWorker): void => surroundings.send('quota', message)
    // Reserved for a request that was refused meanwhile, because the answer was late.
    this.#courier = new Courier(send, surroundings.clock, (question, answer) => {
      if (question.kind === 'reserve' && answer.state === 'held')
        endReservation(this.#courier, question.quota, answer.id, 'free')
    })
  }

  step(policy: CheckedGuardPolicy, _route: GuardedRoute, spec: GuardSpec): GuardStep | null {
    const quota = policy.quota === undefined ? undefined : spec.quotas[policy.quota]
    if (quota === undefined) return null
    const detectOnly = policy.detectOnly.includes('quota')
    const key = deriveKey(spec.secretKey, `quota ${quota.name}`)
    return new QuotaStep(quota, key, detectOnly, this.#courier)
  }

  hear(message: unknown): void {
    this.#courier.hear(message as QuotaToWorker)
  }

  async close(): Promise<void> {
    this.#courier.close()
  }
}

class QuotaStep implements GuardStep {
  readonly name = 'quota'
  readonly #quota: CheckedQuota
  readonly #key: Buffer
  readonly #detectOnly: boolean
  readonly #courier: Courier<QuotaQuestion, QuotaAnswer>
  readonly #readsBody: boolean
  readonly #held = new WeakMap<GuardVisit, number>()

  constructor(
    quota: CheckedQuota,
    key: Buffer,
    detectOnly: boolean,
    courier: Courier<QuotaQuestion, QuotaAnswer>,
  ) {
    this.#quota = quota
    this.#key = key
    this.#detectOnly = detectOnly
    this.#courier = courier
    this.#readsBody =
      quota.quantityField !== undefined ||
      quota.keys.some(({ by }) => by.some(source => source.by === 'field'))
  }

  enter(passage: Passage, visit: GuardVisit): number {
    if (reading.has(passage.head.method)) return verdict.pass
    const { serial } = passage
    if (!this.#readsBody) {
      this.#reserve(passage, visit, serial, null)
      return verdict.pending
    }
    if (passage.head.find('content-encoding') !== undefined)
      return this.#refuse(visit, 'body', 'it is encoded')
    passage.holdBody(orderBytesMax, body => {
      if (passage.serial !== serial) return
      const order = body === null ? null : readOrder(valuesOf(passage, 'content-type'), body, passage.target)
      if (order === null) visit.resume(serial, this.#refuse(visit, 'body', 'it is too long, or not clear'))
      else this.#reserve(passage, visit, serial, order)
    })
    return verdict.pending
  }

  #reserve(passage: Passage, visit: GuardVisit, serial: number, order: Order | null): void {
    const { quantityField } = this.#quota
    const quantity = quantityField === undefined ? 1 : quantityAt(order as Order, quantityField)
    if (quantity === null) {
      // Also from inside `enter`: the visit knows.
      visit.resume(serial, this.#refuse(visit, 'quantity', `no ${quantityField}`))
      return
    }
    const keys = this.#quota.keys.map(({ by, amount }, index) =>
      this.#keyOf(passage, visit, by, amount, index, order),
    )
    const wish: QuotaWish = { keys, quantity, idempotency: this.#idempotency(passage, keys) }
    this.#courier.ask({ kind: 'reserve', quota: this.#quota.name, wish }, answered => {
      const answer = answered ?? awayAnswer
      // Whoever asked is gone: nothing reached the instance.
      if (passage.serial !== serial) {
        if (answer.state === 'held') this.#end(answer.id, 'free')
        return
      }
      visit.resume(serial, this.#decide(visit, answer, keys))
    })
  }

  /** A part that is missing is replaced by the address, so that nobody has a quota to themselves by saying nothing. */
  #keyOf(
    passage: Passage,
    visit: GuardVisit,
    by: readonly CheckedQuotaSource[],
    amount: number,
    index: number,
    order: Order | null,
  ): QuotaKey {
    const values: string[] = []
    for (const source of by) {
      const value =
        source.by === 'field' ? textAt(order as Order, source.name) : sourceValue(source, passage, visit)
      values.push(value === undefined || value === null ? `missing\0${visit.addressKey}` : `is\0${value}`)
    }
    const text = values.map(value => `${value.length}:${value}`).join('')
    return { name: nameOf(this.#key, `${index} ${text}`), amount }
  }

  /** Of this buyer: another buyer's order with the same key is another order. */
  #idempotency(passage: Passage, keys: readonly QuotaKey[]): string {
    const given = passage.head.find('idempotency-key')
    if (given === undefined || given === '' || given.length > idempotencyCharsMax) return ''
    const { path, head } = passage
    const who = keys.map(({ name }) => name).join(' ')
    return nameOf(this.#key, `idempotency\0${head.method} ${path}\0${who}\0${given}`)
  }

  #decide(visit: GuardVisit, answer: QuotaAnswer, keys: readonly QuotaKey[]): number {
    switch (answer.state) {
      case 'held':
        this.#held.set(visit, answer.id)
        return verdict.pass
      case 'counted':
        return verdict.pass
      case 'over': {
        const amount = keys[answer.which]?.amount ?? 0
        return this.#refuse(visit, 'over', `key ${answer.which + 1} has ${answer.left} of ${amount} left`)
      }
      case 'sold-out':
        return this.#refuse(visit, 'soldOut', `${answer.left} are left`)
      case 'repeated':
        return this.#refuse(visit, 'repeated', 'the Idempotency-Key is known')
      default:
        return this.#refuse(
          visit,
          'away',
          answer.state === 'full' ? 'too many keys are counted' : 'nobody can count',
        )
    }
  }

  #refuse(visit: GuardVisit, why: QuotaRefusal, text: string): number {
    const refusal = quotaRefusals[why]
    const would = why === 'over' || why === 'soldOut' ? 'An order for no more than is left.' : refusal.text
    const finding = { step: this.name, rule: this.#quota.name, text: `${refusal.code}: ${text}`, would }
    return visit.refuse(finding, refusal, this.#detectOnly)
  }

  over(passage: Passage, visit: GuardVisit): void {
    const id = this.#held.get(visit)
    if (id === undefined) return
    this.#held.delete(visit)
    this.#end(id, endingOf(passage.status))
  }

  #end(id: number, ending: QuotaEnding): void {
    endReservation(this.#courier, this.#quota.name, id, ending)
  }
}

/** Told until it is heard: a message may be dropped when there are too many. */
function endReservation(
  courier: Courier<QuotaQuestion, QuotaAnswer>,
  quota: string,
  id: number,
  ending: QuotaEnding,
  tries = 100,
): void {
  courier.ask({ kind: 'end', quota, id, ending }, answer => {
    if (answer !== null || tries === 0) return
    setTimeout(() => endReservation(courier, quota, id, ending, tries - 1), retryMs).unref()
  })
}

/**
 * A form's success is a redirect. What the instance refused is free at once; where nobody heard its answer, or it failed in
 * the middle, the order may have gone through: that is kept for `holdMs`.
 */
export function endingOf(status: number): QuotaEnding {
  if ((status >= 200 && status < 300) || status === 302 || status === 303) return 'taken'
  return status >= 300 && status < 500 ? 'free' : 'unknown'
}

function valuesOf({ head }: Passage, name: string): string[] {
  const values: string[] = []
  for (let at = 0; at < head.count; at++)
    if (head.nameAt(at).toLowerCase() === name) values.push(head.valueAt(at))
  return values
}
