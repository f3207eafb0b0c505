// Quotas that several edges share: each decision is one script in Redis (quota-script.ts). While Redis is away nothing is
// sold: a quota that nobody can count is not kept. Endings that could not be told are told again until they are.

import { RedisLink } from '../../io/redis/link.ts'
import type { Clock } from '../../kit/clock.ts'
import type { Random } from '../../kit/random.ts'
import type { QuotaAnswer, QuotaEnding, QuotaRules, QuotaState, QuotaWish } from '../../policy/quota/quota.ts'
import type { GuardSpec } from '../part.ts'
import { quotaScript } from './quota-script.ts'
import { awayAnswer, type QuotaCounts, type QuotaStore } from './quota-store.ts'

const keyNames = ['n', 'h', 't', 's', 'r', 'u', 'i', 'd'] as const
const againMs = 1_000
/** Endings that wait for Redis, and wishes that may be asked for by their id; the oldest go first. */
const keptMax = 100_000

export class SharedQuotas {
  readonly #link: RedisLink
  readonly #prefix: string

  constructor(
    shared: NonNullable<GuardSpec['shared']>,
    { clock, random }: { readonly clock: Clock; readonly random: Random },
  ) {
    this.#prefix = shared.prefix
    const settings = { timeoutMs: shared.timeoutMs }
    this.#link = new RedisLink({ url: shared.redis, clock, random, settings })
  }

  open(name: string, rules: QuotaRules): QuotaStore {
    return new SharedQuota(this.#link, `${this.#prefix}{quota:${encodeURIComponent(name)}}:`, rules)
  }

  close(): void {
    this.#link.close()
  }
}

class SharedQuota implements QuotaStore {
  readonly #link: RedisLink
  readonly #keys: readonly string[]
  readonly #wishes = new Map<number, QuotaWish>()
  readonly #untold: { readonly id: number; readonly ending: QuotaEnding; readonly wish?: QuotaWish }[] = []
  readonly #timer: NodeJS.Timeout
  #rules: QuotaRules

  constructor(link: RedisLink, prefix: string, rules: QuotaRules) {
    this.#link = link
    this.#keys = keyNames.map(name => prefix + name)
    this.#rules = rules
    this.#timer = setInterval(() => this.#tellAgain(), againMs).unref()
  }

  reserve(wishes: readonly QuotaWish[]): Promise<readonly QuotaAnswer[]> {
    return Promise.all(wishes.map(wish => this.#reserve(wish).catch(() => awayAnswer)))
  }

  async #reserve(wish: QuotaWish): Promise<QuotaAnswer> {
    const keys = wish.keys.flatMap(({ name, amount }) => [name, String(amount)])
    const [state = '', id, left, which] = await this.#run('reserve', [
      String(wish.quantity),
      wish.idempotency,
      ...keys,
    ])
    const answer = { state: state as QuotaState, id: Number(id), left: Number(left), which: Number(which) }
    if (answer.state === 'held') this.#keep(answer.id, wish)
    return answer
  }

  #keep(id: number, wish: QuotaWish): void {
    this.#wishes.set(id, wish)
    if (this.#wishes.size <= keptMax) return
    const [oldest] = this.#wishes.keys()
    if (oldest !== undefined) this.#wishes.delete(oldest)
  }

  end(id: number, ending: QuotaEnding): void {
    const wish = this.#wishes.get(id)
    this.#wishes.delete(id)
    const told = wish === undefined ? { id, ending } : { id, ending, wish }
    this.#tell(told).catch(() => {
      if (this.#untold.length < keptMax) this.#untold.push(told)
    })
  }

  #tell({
    id,
    ending,
    wish,
  }: {
    readonly id: number
    readonly ending: QuotaEnding
    readonly wish?: QuotaWish
  }): Promise<unknown> {
    const names = JSON.stringify(wish?.keys.map(({ name }) => name) ?? [])
    return this.#run('end', [String(id), ending, names, String(wish?.quantity ?? 0), wish?.idempotency ?? ''])
  }

  #tellAgain(): void {
    if (!this.#link.ready) return
    for (const one of this.#untold.splice(0, 1_000)) {
      this.#tell(one).catch(() => {
        this.#untold.push(one)
      })
    }
  }

  async #run(kind: string, args: readonly string[]): Promise<string[]> {
    const { stock, holdMs, resetMs, idempotent } = this.#rules
    const rules = [String(stock), String(holdMs), String(resetMs), idempotent ? '1' : '0']
    const reply = await this.#link.run<Buffer>(quotaScript, this.#keys, [kind, ...rules, ...args])
    return reply.toString('latin1').split('|')
  }

  setRules(rules: QuotaRules): void {
    this.#rules = rules
  }

  async counts(): Promise<QuotaCounts> {
    const [, held, taken, keys] = await this.#run('counts', [])
    return { held: Number(held), taken: Number(taken), keys: Number(keys) }
  }

  close(): void {
    clearInterval(this.#timer)
  }
}
