// Quotas that several edges share: each decision is one script in Redis (quota-script.ts). While Redis is away nothing is
// sold: a quota that nobody can count is not kept. Endings that could not be told are told again until they are.
//
// Each edge writes down what it reserved and took itself, in a journal of its own (`NAME.shared.jsonl`): before the order goes
// on, and before Redis hears how it ended. A Redis that began anew is told that; until then it sells nothing.

import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { JournalFile } from '../../io/journal-file.ts'
import { RedisLink } from '../../io/redis/link.ts'
import type { Clock } from '../../kit/clock.ts'
import type { Random } from '../../kit/random.ts'
import type { QuotaAnswer, QuotaEnding, QuotaRules, QuotaState, QuotaWish } from '../../policy/quota/quota.ts'
import type { GuardSpec } from '../part.ts'
import { LocalQuota } from './local-quota.ts'
import { quotaScript } from './quota-script.ts'
import { awayAnswer, type QuotaCounts, type QuotaStore } from './quota-store.ts'

const keyNames = ['n', 'h', 't', 's', 'r', 'u', 'i', 'd', 'o', 'g'] as const
const againMs = 1_000
/** Endings that wait for Redis, and wishes that may be asked for by their id; the oldest go first. */
const keptMax = 100_000
/** Told to Redis with one call. */
const pieceMax = 1_000

export interface SharedQuotasOptions {
  readonly clock: Clock
  readonly random: Random
  /** Of this edge's ledgers. */
  readonly folder: string
  /** What is open is renewed so often, well below the time after which Redis takes an edge for dead; 60 s when left out. */
  readonly renewMs?: number
  tell(subject: string, text: string): void
}

export class SharedQuotas {
  readonly #link: RedisLink
  readonly #options: SharedQuotasOptions
  readonly #prefix: string
  readonly #edge: string
  readonly #edges: number

  constructor(shared: NonNullable<GuardSpec['shared']>, options: SharedQuotasOptions) {
    const { clock, random, folder } = options
    this.#options = options
    this.#prefix = shared.prefix
    this.#edges = shared.edges
    this.#edge = edgeName(join(folder, 'edge'))
    const settings = { timeoutMs: shared.timeoutMs }
    this.#link = new RedisLink({ url: shared.redis, clock, random, settings })
  }

  /** Throws when its ledger can't be used. */
  open(name: string, rules: QuotaRules): QuotaStore {
    const { clock, folder } = this.#options
    const file = encodeURIComponent(name)
    const tell = (text: string): void => this.#options.tell(`quota ${name}`, text)
    return new SharedQuota({
      link: this.#link,
      prefix: `${this.#prefix}{quota:${file}}:`,
      rules,
      edge: this.#edge,
      edges: this.#edges,
      ledger: new LocalQuota({ path: join(folder, `${file}.shared.jsonl`), rules, clock, tell }),
      clock,
      renewMs: this.#options.renewMs ?? 60_000,
      tell,
    })
  }

  close(): void {
    this.#link.close()
  }
}

/** Of this state directory, for good: what an edge has told is known as its. */
function edgeName(path: string): string {
  let name = ''
  const journal = JournalFile.takeOver(path, lines => {
    name = lines[0] ?? randomBytes(9).toString('base64url')
    return [name]
  })
  journal.close()
  return name
}

interface SharedQuotaOptions {
  readonly link: RedisLink
  readonly prefix: string
  readonly rules: QuotaRules
  readonly edge: string
  readonly edges: number
  readonly ledger: LocalQuota
  readonly clock: Clock
  readonly renewMs: number
  tell(text: string): void
}

interface Ending {
  readonly id: number
  readonly ending: QuotaEnding
  readonly wish: QuotaWish | null
  /** What the ledger says since then is told with it. */
  readonly round: number
}

class SharedQuota implements QuotaStore {
  readonly #options: SharedQuotaOptions
  readonly #keys: readonly string[]
  readonly #wishes = new Map<number, QuotaWish>()
  readonly #untold: Ending[] = []
  readonly #timer: NodeJS.Timeout
  #rules: QuotaRules
  #round = 0
  #telling = false
  #renewedAtUs: number

  constructor(options: SharedQuotaOptions) {
    this.#options = options
    this.#keys = keyNames.map(name => options.prefix + name)
    this.#rules = options.rules
    this.#renewedAtUs = options.clock.monotonic()
    this.#timer = setInterval(() => this.#tick(), againMs).unref()
    // Redis is asked as soon as it is there, not at the first order.
    options.link.attempted.then(
      () => this.#tick(),
      () => {},
    )
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
    if (state === 'lost') {
      void this.#tellAll()
      return awayAnswer
    }
    const answer = { state: state as QuotaState, id: Number(id), left: Number(left), which: Number(which) }
    if (answer.state !== 'held') return answer
    this.#keep(answer.id, wish)
    if (this.#options.ledger.adopt(answer.id, wish)) return answer
    // Nobody goes on with what is not written down.
    this.end(answer.id, 'free')
    return awayAnswer
  }

  #keep(id: number, wish: QuotaWish): void {
    this.#wishes.set(id, wish)
    if (this.#wishes.size <= keptMax) return
    const [oldest] = this.#wishes.keys()
    if (oldest !== undefined) this.#wishes.delete(oldest)
  }

  end(id: number, ending: QuotaEnding): void {
    const wish = this.#wishes.get(id) ?? null
    this.#wishes.delete(id)
    this.#options.ledger.end(id, ending)
    this.#tellEnding({ id, ending, wish, round: this.#round })
  }

  #tellEnding(one: Ending): void {
    const { id, ending, wish } = one
    const names = JSON.stringify(wish?.keys.map(({ name }) => name) ?? [])
    const args = [String(id), ending, names, String(wish?.quantity ?? 0), wish?.idempotency ?? '']
    this.#run('end', args).catch(() => {
      if (one.round === this.#round && this.#untold.length < keptMax) this.#untold.push(one)
    })
  }

  #tick(): void {
    if (!this.#options.link.ready) return
    for (const one of this.#untold.splice(0, pieceMax)) this.#tellEnding(one)
    this.#run('counts', []).then(
      ([state]) => {
        if (state === 'lost') void this.#tellAll()
      },
      () => {},
    )
    const now = this.#options.clock.monotonic()
    if (now - this.#renewedAtUs < this.#options.renewMs * 1_000) return
    this.#renewedAtUs = now
    this.#renew()
  }

  /** As long as its request is under way, a reservation holds. */
  #renew(): void {
    const open = [...this.#options.ledger.known().held].filter(({ leftMs }) => leftMs === Infinity)
    for (let at = 0; at < open.length; at += pieceMax) {
      const ids = open.slice(at, at + pieceMax).map(({ id }) => String(id))
      this.#run('renew', ids).catch(() => {})
    }
  }

  // --- a Redis that began anew ------------------------------------------------------------------------------------

  /** What this edge reserved and took, as its ledger has it now; what was not told yet is in it. */
  async #tellAll(): Promise<void> {
    if (this.#telling) return
    this.#telling = true
    this.#options.tell('Redis began anew: it is told what this edge has sold, and sells nothing before that')
    const round = String(this.#options.clock.wall())
    const { stock, pieces } = this.#pieces()
    this.#round++
    this.#untold.length = 0
    try {
      // In order on one connection: endings that come meanwhile are behind it.
      const sent = pieces.map(([kind, list]) => this.#run(kind, [JSON.stringify(list), round]))
      await Promise.all([...sent, this.#run('all', [String(stock), round])])
    } catch {
      // Away again: the next tick begins anew.
    } finally {
      this.#telling = false
    }
  }

  #pieces(): { stock: number; pieces: (readonly [string, readonly unknown[]])[] } {
    const { changes, held } = this.#options.ledger.known()
    const keys: unknown[] = []
    const done: unknown[] = []
    let stock = 0
    for (const change of changes) {
      if (change.t === 'stock') stock = change.n
      else if (change.t === 'key') keys.push([change.k, change.n, change.at])
      else if (change.t === 'done') done.push([change.i, change.q])
    }
    const holds = [...held].map(({ id, keys: k, quantity: q, idempotency: i, uses: n, leftMs }) => {
      return { id: String(id), k, q, i, n, ms: leftMs === Infinity ? -1 : leftMs }
    })
    const pieces = (['keys', 'done', 'holds'] as const).flatMap(kind => {
      const list = { keys, done, holds }[kind]
      const count = Math.ceil(list.length / pieceMax)
      return Array.from({ length: count }, (_, at) => {
        return [kind, list.slice(at * pieceMax, (at + 1) * pieceMax)] as const
      })
    })
    return { stock, pieces }
  }

  async #run(kind: string, args: readonly string[]): Promise<string[]> {
    const { stock, holdMs, resetMs, idempotent } = this.#rules
    const { link, edge, edges } = this.#options
    const rules = [String(stock), String(holdMs), String(resetMs), idempotent ? '1' : '0']
    const all = [kind, ...rules, edge, String(edges), ...args]
    const reply = await link.run<Buffer>(quotaScript, this.#keys, all)
    return reply.toString('latin1').split('|')
  }

  setRules(rules: QuotaRules): void {
    this.#rules = rules
    this.#options.ledger.setRules(rules)
  }

  async counts(): Promise<QuotaCounts> {
    const [, held, taken, keys] = await this.#run('counts', [])
    return { held: Number(held), taken: Number(taken), keys: Number(keys) }
  }

  close(): void {
    clearInterval(this.#timer)
    this.#options.ledger.close()
  }
}
