// The whole crowd of a drop, in one process: who comes when from which address, until the house is sold out and everybody
// has heard of it, or time is up. Counts what became of them. Starts no shop, and knows nothing of how it is guarded.

import { type Bot, type KindOfBot, kindsOfBots } from './bots.ts'
import { type Answer, Client, type ClientOptions, Lane } from './client.ts'
import type { Life } from './line.ts'
import { live } from './people.ts'
import { Solver } from './solver.ts'

export interface CrowdOptions {
  readonly url: string
  readonly people: number
  readonly bots: number
  /** Wall clock, milliseconds. */
  readonly opensAt: number
  /** A room stands before the form. */
  readonly lined: boolean
  readonly seed: number
  /** After the opening. */
  readonly endAfterMs: number
  /** After the last seat was sold, everybody is told within this time. */
  readonly tellingMs: number
  /** The house is sold out: what an operator does then. */
  readonly onSoldOut: () => Promise<void>
  readonly onProgress?: (text: string) => void
  readonly progressMs?: number
}

export interface Group {
  readonly name: string
  readonly what: string
  readonly clients: number
  readonly accounts: number
  readonly seats: number
  /** How many of them got any. */
  readonly winners: number
  /** Answers that refused something, by what they were called. */
  readonly refusals: Readonly<Record<string, number>>
}

export interface Outcome {
  readonly people: Group
  readonly bots: readonly Group[]
  /** Of people who came to the form, in milliseconds, sorted. */
  readonly waitsMs: readonly number[]
  /** From the opening until the last seat was sold; null: some were left. */
  readonly soldOutAfterMs: number | null
  readonly requests: number
  /** Proofs of work. */
  readonly solved: number
  /** Request ids of refusals by the guard, some of each kind. */
  readonly refusalIds: Readonly<Record<string, readonly string[]>>
}

const lateShare = 0.2
const lateMs = 15_000
/** Of people who share an address with others: a household, an office, a carrier. */
const shareOfHouseholds = 0.2
const perHousehold = 3
const peopleAtOnce = 150
const botsAtOnce = 250
const idsMax = 20

/** Mulberry32: good enough to draw who comes when. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** People live in 127.16.0.0/12, bots of kind n (from 0) in 127.(64 + n).0.0/16. Never 127.0.0.1, which is the shop's. */
const addressOf = (block: number, index: number): string =>
  `127.${block + Math.floor(index / 64_000)}.${Math.floor(index / 250) % 256}.${(index % 250) + 1}`

/** Not refused: told to wait, or to come in. */
const waits = new Set(['ROOM_WAITING', 'ROOM_EARLY', 'ROOM_BEFORE', 'ROOM_GRANTED'])

interface Counting {
  seats: number
  winners: number
  refusals: Record<string, number>
}
const nothing = (): Counting => ({ seats: 0, winners: 0, refusals: {} })

export class Crowd {
  readonly #options: CrowdOptions
  readonly #random: () => number
  readonly #ended = new AbortController()
  readonly #lanes = { people: new Lane(peopleAtOnce), bots: new Lane(botsAtOnce) }
  readonly #solver = new Solver()
  readonly #waitsMs: number[] = []
  readonly #ids: Record<string, string[]> = {}
  #requests = 0
  #soldOutAfterMs: number | null = null

  constructor(options: CrowdOptions) {
    this.#options = options
    this.#random = randomOf(options.seed)
  }

  async run(): Promise<Outcome> {
    const beganAt = Date.now()
    const counts = new Map<string, Counting>()
    const of = (name: string): Counting =>
      counts.get(name) ?? (counts.set(name, nothing()).get(name) as Counting)
    const everybody = [...this.#people(beganAt, of('people')), ...this.#bots(beganAt, of)]
    const watching = this.#watch(() => [
      of('people').seats,
      [...counts.values()].reduce((a, b) => a + b.seats, 0),
    ])
    await Promise.all(everybody)
    this.#ended.abort()
    await watching
    return this.#outcome(of)
  }

  #outcome(of: (name: string) => Counting): Outcome {
    const { people, bots } = this.#options
    const group = (name: string, what: string, clients: number, accounts: number): Group => ({
      name,
      what,
      clients,
      accounts,
      ...of(name),
    })
    return {
      people: group('people', 'an account each, most an address each', people, people),
      bots: kindsOfBots.map(kind => {
        const clients = countOf(kind, bots)
        return group(kind.name, kind.what, clients, Math.ceil(clients / kind.perAccount))
      }),
      waitsMs: this.#waitsMs.sort((a, b) => a - b),
      soldOutAfterMs: this.#soldOutAfterMs,
      requests: this.#requests,
      solved: this.#solver.solved,
      refusalIds: this.#ids,
    }
  }

  *#people(beganAt: number, counting: Counting): Generator<Promise<void>> {
    const { people, opensAt, lined } = this.#options
    for (let index = 0; index < people; index++) {
      const shares = index < people * shareOfHouseholds
      const client = this.#client('people', {
        address: addressOf(16, shares ? Math.floor(index / perHousehold) : index),
        agent: this.#random() < 0.7 ? 'chrome' : 'firefox',
      })
      const life = this.#life(counting, true)
      const wants = this.#random() < 0.6 ? 2 : 1
      const late = this.#random() < lateShare
      const at = late ? opensAt + this.#random() * lateMs : beganAt + this.#random() * (opensAt - beganAt)
      yield this.#from(at, async () => {
        const fate = await live({ client, life, name: `person-${index}`, wants, opensAt, lined })
        if (fate.waitedMs !== null) this.#waitsMs.push(fate.waitedMs)
        count(counting, fate.seats)
      })
    }
  }

  *#bots(beganAt: number, of: (name: string) => Counting): Generator<Promise<void>> {
    const { bots, opensAt, lined } = this.#options
    for (const [number, kind] of kindsOfBots.entries()) {
      const { agent, solves, perAccount, perAddress, run } = kind
      const counting = of(kind.name)
      for (let index = 0; index < countOf(kind, bots); index++) {
        const client = this.#client('bots', {
          address: addressOf(64 + number, Math.floor(index / perAddress)),
          agent,
        })
        let others = 0
        const bot: Bot = {
          client,
          life: this.#life(counting, solves),
          name: `${kind.name}-${Math.floor(index / perAccount)}`,
          opensAt,
          lined,
          another: () =>
            this.#client('bots', { address: addressOf(100 + number, index * 10 + others++), agent }),
        }
        // Early, as all of them know when it opens.
        const at = beganAt + this.#random() * (opensAt - beganAt) * 0.9
        yield this.#from(at, async () => count(counting, await run(bot)))
      }
    }
  }

  #client(lane: 'people' | 'bots', who: Pick<ClientOptions, 'address' | 'agent'>): Client {
    const url = new URL(this.#options.url)
    const version =
      who.agent === 'firefox' ? 128 + Math.floor(this.#random() * 6) : 126 + Math.floor(this.#random() * 6)
    const client = new Client({ url, lane: this.#lanes[lane], version, ...who })
    client.onAsk = () => {
      this.#requests++
    }
    return client
  }

  #life(counting: Counting, solves: boolean): Life {
    const random = randomOf(Math.floor(this.#random() * 2 ** 32))
    return {
      solves,
      random,
      over: () => this.#ended.signal.aborted,
      sleep: ms => this.#sleep(ms),
      solve: challenge => this.#solver.solve(challenge),
      refused: answer => this.#refused(counting, answer),
    }
  }

  /** Ends early, and without a word, when it is all over. */
  async #sleep(ms: number): Promise<void> {
    const { signal } = this.#ended
    if (ms <= 0 || signal.aborted) return
    await new Promise<void>(resolve => {
      const wake = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      const timer = setTimeout(wake, ms)
      signal.addEventListener('abort', wake)
    })
  }

  async #from(at: number, begin: () => Promise<void>): Promise<void> {
    await this.#sleep(at - Date.now())
    if (!this.#ended.signal.aborted) await begin()
  }

  #refused(counting: Counting, { status, code, head }: Answer): void {
    const name = code === '' ? `HTTP_${status}` : code
    counting.refusals[name] = (counting.refusals[name] ?? 0) + 1
    const id = head['x-request-id']
    // What the shop answered itself names the instance; who waits in line is not refused.
    if (typeof id !== 'string' || head['x-served-by'] !== undefined || waits.has(code)) return
    const ids = (this.#ids[name] ??= [])
    if (ids.length < idsMax) ids.push(id)
  }

  /** Until the last seat is gone and everybody was told, or time is up. */
  async #watch(sold: () => readonly [number, number]): Promise<void> {
    const { opensAt, endAfterMs, tellingMs, onSoldOut, onProgress, progressMs = 1_000 } = this.#options
    let toldAt = 0
    const watcher = new Client({
      url: new URL(this.#options.url),
      address: '127.0.0.1',
      agent: 'python',
      lane: new Lane(1),
      version: 1,
    })
    while (!this.#ended.signal.aborted && Date.now() < opensAt + endAfterMs) {
      const { text } = await watcher.ask('/premiere')
      const free = /"free":(\d+)/.exec(text)?.[1]
      const [people, all] = sold()
      const at = Math.round((Date.now() - opensAt) / 1_000)
      if (Date.now() >= toldAt + progressMs || free === '0') {
        toldAt = Date.now()
        onProgress?.(
          `${at} s: ${free ?? '?'} seats free, people have ${people} of ${all}, ${this.#requests} requests`,
        )
      }
      if (free === '0') {
        this.#soldOutAfterMs = Date.now() - opensAt
        await onSoldOut()
        await this.#sleep(tellingMs)
        break
      }
      await this.#sleep(1_000)
    }
    this.#ended.abort()
    await this.#solver.end()
  }
}

function count(counting: Counting, seats: number): void {
  counting.seats += seats
  if (seats > 0) counting.winners++
}

const countOf = (kind: KindOfBot, bots: number): number => Math.round((bots * kind.share) / 1_000)
