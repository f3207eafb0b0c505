// Rooms that several edges share: each decision is one script in Redis (room-script.ts). While Redis is away nobody new is
// let in and nobody loses a place: asks are answered `away`, and who holds a session stays (part.ts).

import { RedisLink } from '../../io/redis/link.ts'
import type { Clock } from '../../kit/clock.ts'
import type { Random } from '../../kit/random.ts'
import type {
  RoomAnswer,
  RoomAsk,
  RoomCounts,
  RoomMode,
  RoomRules,
  RoomState,
} from '../../policy/room/index.ts'
import { estimateMs } from '../../policy/room/index.ts'
import type { GuardSpec } from '../part.ts'
import { roomScript } from './room-script.ts'
import { awayAnswer, type RoomStore } from './room-store.ts'

/** Each edge moves the line on so often, when nobody asks. */
const tickMs = 250
const keyNames = ['h', 'l', 'b', 'i', 'e', 'c', 'p', 'a'] as const

export interface SharedRoomOptions {
  readonly rules: RoomRules
  draw(edition: number, code: number): number
  tell(text: string): void
  changed(): void
}

/** One connection for all rooms of an edge. */
export class SharedRooms {
  readonly #link: RedisLink
  readonly #prefix: string

  constructor(
    shared: NonNullable<GuardSpec['shared']>,
    { clock, random, tell }: { clock: Clock; random: Random; tell(subject: string, text: string): void },
  ) {
    this.#prefix = shared.prefix
    this.#link = new RedisLink({
      url: shared.redis,
      clock,
      random,
      settings: { timeoutMs: shared.timeoutMs },
      events: {
        onAway: (cause, wasReady) => {
          if (wasReady) tell('rooms', `Redis is away (${cause.message}): nobody new is let in`)
        },
        onReady: () => tell('rooms', 'Redis answers: the rooms go on'),
      },
    })
  }

  open(name: string, options: SharedRoomOptions): RoomStore {
    return new SharedRoom(this.#link, `${this.#prefix}{room:${encodeURIComponent(name)}}:`, options)
  }

  close(): void {
    this.#link.close()
  }
}

/** What the script answers beside the place. */
interface Said extends RoomAnswer {
  readonly counts: RoomCounts
}

type Question = Partial<Omit<RoomAsk, 'kind'>> & { readonly kind: string }

class SharedRoom implements RoomStore {
  readonly #link: RedisLink
  readonly #keys: readonly string[]
  readonly #options: SharedRoomOptions
  readonly #timer: NodeJS.Timeout
  #rules: RoomRules
  /** As last heard: a server that comes back empty does not open what an operator has closed. */
  #mode: RoomMode = 'open'
  edition: number
  drawn: boolean

  constructor(link: RedisLink, prefix: string, options: SharedRoomOptions) {
    this.#link = link
    this.#keys = keyNames.map(name => prefix + name)
    this.#options = options
    this.#rules = options.rules
    this.edition = options.rules.opensAtMs
    this.drawn = options.rules.opensAtMs === 0
    this.#timer = setInterval(() => this.#tick(), tickMs).unref()
  }

  #tick(): void {
    if (this.#link.ready) this.#run({ kind: 'counts' }).catch(() => {})
  }

  ask(asks: readonly RoomAsk[]): Promise<readonly RoomAnswer[]> {
    return Promise.all(asks.map(one => this.#askOne(one).catch(() => awayAnswer)))
  }

  async #askOne(ask: RoomAsk): Promise<RoomAnswer> {
    const said = await this.#run(ask)
    // Another edge knew another opening: drawn again with what is true.
    if ((said.state as string) !== 'edition') return said
    const again = await this.#run(ask)
    return (again.state as string) === 'edition' ? awayAnswer : again
  }

  async #run(ask: Question, argument = ''): Promise<Said> {
    const { edition } = this
    const reply = await this.#link.run<Buffer>(
      roomScript,
      this.#keys,
      this.#arguments(ask, edition, argument),
    )
    return this.#read(reply.toString('latin1'))
  }

  #arguments(ask: Question, edition: number, argument: string): string[] {
    const { code = 0 } = ask
    const rules = this.#rules
    // Also once it is drawn: of people who come back to an emptied server.
    const draws = rules.lottery && code !== 0
    const flag = (value: boolean | undefined): string => (value === true ? '1' : '0')
    const numbers = [
      ...[ask.token ?? 0, ask.id ?? 0, ask.nonce ?? 0, code],
      ...[draws ? this.#options.draw(edition, code) : 1, ask.binding ?? 0],
    ]
    const { activeMax, perMinute, opensAtMs, preQueueFromMs, sessionMs, graceMs, grantMs, placesMax } = rules
    return [
      ...[ask.kind, ...numbers.map(String), flag(ask.direct), flag(ask.forever)],
      ...[activeMax, perMinute, opensAtMs, preQueueFromMs].map(String),
      flag(rules.lottery),
      ...[sessionMs, graceMs, grantMs, placesMax, edition].map(String),
      argument,
      String(ask.heldCode ?? 0),
      this.#mode,
    ]
  }

  #read(text: string): Said {
    const [state = '', ...rest] = text.split('|')
    const mode = rest.splice(10, 1)[0] as RoomMode
    this.#mode = mode
    const [id, nonce, ahead, code, active, insideMs, goneMs, gone, edition, drawn, ...counted] = rest.map(
      Number,
    ) as [number, number, number, number, number, number, number, number, number, number, ...number[]]
    const [waiting = 0, granted = 0, suspects = 0, admittedTotal = 0] = counted
    this.#learn(edition, drawn === 1)
    const { perMinute, activeMax, sessionMs } = this.#rules
    const estimate = (before: number): number =>
      mode === 'open'
        ? estimateMs({
            ahead: before,
            perMinute,
            activeMax,
            active,
            insideMs,
            stays: { goneMs, gone },
            sessionMs,
          })
        : -1
    const counts = {
      mode,
      waiting,
      granted,
      active: active - granted,
      suspects,
      admittedTotal,
      estimateMs: estimate(waiting),
    }
    const estimateOwn = state === 'waiting' ? estimate(ahead) : state === 'in' || state === 'granted' ? 0 : -1
    return { state: state as RoomState, id, nonce, ahead, code, estimateMs: estimateOwn, counts }
  }

  #learn(edition: number, drawn: boolean): void {
    if (edition === this.edition && drawn === this.drawn) return
    this.edition = edition
    this.drawn = drawn
    this.#options.changed()
  }

  setRules(rules: RoomRules): void {
    this.#rules = rules
    this.#tick()
  }

  async setMode(mode: RoomMode): Promise<void> {
    await this.#run({ kind: 'mode' }, mode)
  }

  async revoke(id: number): Promise<boolean> {
    return ((await this.#run({ kind: 'revoke', id })).state as string) === 'revoked'
  }

  async revokePerson(code: number): Promise<boolean> {
    return ((await this.#run({ kind: 'revoke', code })).state as string) === 'revoked'
  }

  async counts(): Promise<RoomCounts> {
    return (await this.#run({ kind: 'counts' })).counts
  }

  async places(): Promise<readonly number[]> {
    const codes = await this.#link.ask<readonly Buffer[]>(['ZRANGE', this.#keys[6]!, '0', '-1'])
    return codes.map(code => Number(code.toString('latin1')))
  }

  close(): void {
    clearInterval(this.#timer)
  }
}
