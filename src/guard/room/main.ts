// Waiting rooms in the edge's main thread: one store a room, which answers all workers; commands of operators; what workers
// tell of lotteries.

import { join } from 'node:path'
import type { CheckedRoom } from '../../file/checked-guard.ts'
import { Failure } from '../../kit/failure.ts'
import type { RoomAnswer, RoomCounts, RoomMode, RoomRules } from '../../policy/room/index.ts'
import type { GuardSpec, MainGuardPart, MainPartSurroundings } from '../part.ts'
import { isSoldOut } from '../stock.ts'
import { roomFailures } from './failures.ts'
import { LocalRoom } from './local-room.ts'
import type { RoomFromWorker, RoomInfo, RoomQuestion, RoomToWorker } from './messages.ts'
import { pageText } from './page-file.ts'
import { awayAnswer, type RoomStore } from './room-store.ts'
import { codeOfPerson, commitmentOf, drawOf, lotterySeed, roomSecrets } from './secrets.ts'
import { SharedRooms } from './shared-rooms.ts'

const stockEveryMs = 1_000

interface Held {
  readonly store: RoomStore
  room: CheckedRoom
  counts: RoomCounts | null
}

/** What `tenfold guard rooms` shows. */
export interface RoomStatus extends RoomCounts {
  readonly name: string
  readonly title: string
  readonly shared: boolean
  readonly activeMax: number
  readonly perMinute: number
  readonly opensAtMs: number
  readonly drawn: boolean
  readonly commitment: string
}

export class MainRooms implements MainGuardPart {
  readonly name = 'room'
  readonly #surroundings: MainPartSurroundings
  readonly #rooms = new Map<string, Held>()
  /** Quotas of the policies that lead into a room. */
  #sales: ReadonlyMap<string, readonly string[]> = new Map()
  /** Rooms whose quotas were sold out when last looked at. */
  readonly #soldOut = new Set<string>()
  readonly #timer: NodeJS.Timeout
  #secretKey = ''
  #shared: SharedRooms | null = null
  #sharedUrl = ''

  constructor(surroundings: MainPartSurroundings) {
    this.#surroundings = surroundings
    this.#timer = setInterval(() => void this.#lookAtStock(), stockEveryMs).unref()
  }

  async take(spec: GuardSpec): Promise<void> {
    const url = spec.shared === undefined ? '' : `${spec.shared.redis} ${spec.shared.prefix}`
    const all = url !== this.#sharedUrl || spec.secretKey !== this.#secretKey
    for (const [name, held] of this.#rooms) {
      if (!all && spec.rooms[name] !== undefined) continue
      held.store.close()
      this.#rooms.delete(name)
    }
    if (url !== this.#sharedUrl) {
      this.#shared?.close()
      this.#shared = spec.shared === undefined ? null : new SharedRooms(spec.shared, this.#surroundings)
      this.#sharedUrl = url
    }
    this.#secretKey = spec.secretKey
    // A worker that can't read a page would end: what is wrong with it is said here, and the snapshot refused.
    for (const { page, name } of Object.values(spec.rooms)) if (page !== undefined) pageText(page, name)
    for (const room of Object.values(spec.rooms)) this.#takeRoom(room)
    this.#sales = salesOf(spec)
    this.#tellInfo()
  }

  #takeRoom(room: CheckedRoom): void {
    const held = this.#rooms.get(room.name)
    if (held !== undefined) {
      held.room = room
      held.store.setRules(rulesOf(room))
      return
    }
    this.#rooms.set(room.name, { room, store: this.#open(room), counts: null })
  }

  #open(room: CheckedRoom): RoomStore {
    const { clock, stateDirectory, tell } = this.#surroundings
    const shape = {
      rules: rulesOf(room),
      clock,
      draw: (edition: number, code: number) => drawOf(lotterySeed(this.#secretKey, room.name, edition), code),
      tell: (text: string) => tell(`room ${room.name}`, text),
      changed: () => this.#tellInfo(),
    }
    if (this.#shared !== null) return this.#shared.open(room.name, shape)
    const path = join(stateDirectory, 'guard', 'rooms', `${encodeURIComponent(room.name)}.jsonl`)
    try {
      return new LocalRoom({ ...shape, path })
    } catch (cause) {
      const sentence = `The journal of the waiting room "${room.name}", ${path}, can't be used: ${(cause as Error).message}.`
      throw new Failure(roomFailures.journal, sentence, { cause })
    }
  }

  // --- workers --------------------------------------------------------------------------------------------------

  heard(worker: number, message: unknown): void {
    const heard = message as RoomFromWorker
    if (heard.kind === 'info') this.#tellInfo(worker)
    else void this.#answer(worker, heard.first, heard.asks)
  }

  async #answer(worker: number, first: number, asks: readonly RoomQuestion[]): Promise<void> {
    const byRoom = new Map<string, number[]>()
    for (const [index, { room }] of asks.entries()) {
      const list = byRoom.get(room)
      if (list === undefined) byRoom.set(room, [index])
      else list.push(index)
    }
    const answers = new Array<RoomAnswer>(asks.length).fill(awayAnswer)
    for (const [room, indexes] of byRoom) {
      const store = this.#rooms.get(room)?.store
      const some = await store?.ask(indexes.map(index => (asks[index] as RoomQuestion).ask))
      for (const [at, index] of indexes.entries()) answers[index] = some?.[at] ?? awayAnswer
    }
    this.#surroundings.send({ kind: 'answers', first, answers } satisfies RoomToWorker, worker)
  }

  #tellInfo(worker?: number): void {
    const rooms = [...this.#rooms.values()].map(held => this.#infoOf(held))
    this.#surroundings.send({ kind: 'info', rooms } satisfies RoomToWorker, worker)
    for (const { room, store } of this.#rooms.values())
      if (room.order === 'lottery' && store.drawn) this.#tellPlaces(room.name, store, worker)
  }

  #tellPlaces(room: string, store: RoomStore, worker?: number): void {
    store.places().then(
      codes => this.#surroundings.send({ kind: 'places', room, codes } satisfies RoomToWorker, worker),
      // Redis is away: told when a worker asks again, or the next snapshot comes.
      () => {},
    )
  }

  #infoOf({ room, store }: Held): RoomInfo {
    if (room.order !== 'lottery') return { room: room.name, commitment: '', seed: '' }
    const seed = lotterySeed(this.#secretKey, room.name, store.edition)
    return {
      room: room.name,
      commitment: commitmentOf(seed),
      seed: store.drawn ? seed.toString('hex') : '',
    }
  }

  /** Nobody waits for what is sold: once everything is, the room says so; when there is more, it opens again. */
  async #lookAtStock(): Promise<void> {
    for (const [name, quotas] of this.#sales)
      try {
        const sold = await Promise.all(quotas.map(quota => isSoldOut(this.#surroundings.memory, quota)))
        await this.#followStock(name, !sold.includes(false))
      } catch {
        // Redis is away, or the room is gone: looked at again.
      }
  }

  async #followStock(name: string, sold: boolean): Promise<void> {
    if (sold === this.#soldOut.has(name)) return
    const { mode } = await this.#heldOf(name).store.counts()
    // What an operator has said stays.
    if (sold && mode === 'open') await this.#setMode(name, 'sold-out')
    if (!sold && mode === 'sold-out') await this.#setMode(name, 'open')
    if (sold) this.#soldOut.add(name)
    else this.#soldOut.delete(name)
  }

  /** Their places and admissions end, where a person is an account. */
  accountsBanned(accounts: readonly string[]): void {
    for (const held of this.#rooms.values()) {
      const { name, person } = held.room
      if (person.length !== 1 || person[0]?.by !== 'account') continue
      const { people } = roomSecrets(this.#secretKey, name)
      for (const account of accounts)
        held.store.revokePerson(codeOfPerson(people, [account])).then(
          revoked => {
            if (revoked)
              this.#surroundings.audit({
                event: 'room-revoked',
                part: 'room',
                text: `${name}: a banned account`,
              })
          },
          // Redis is away: nobody is let in then, and the ban itself holds.
          () => {},
        )
    }
  }

  // --- operators ------------------------------------------------------------------------------------------------

  ask(question: { readonly kind: string; readonly [key: string]: unknown }): Promise<unknown> | undefined {
    if (question.kind === 'rooms') return this.#statuses()
    if (question.kind === 'room-mode') return this.#setMode(String(question.room), question.mode as RoomMode)
    if (question.kind === 'room-revoke') return this.#revoke(String(question.room), Number(question.id))
    if (question.kind === 'room-places') return this.#places(String(question.room))
    return undefined
  }

  status(): Readonly<Record<string, unknown>> {
    const entries = [...this.#rooms].map(([name, { counts }]) => [name, counts])
    // For the next look; while Redis is away the last figures stay.
    this.#statuses().catch(() => {})
    return Object.fromEntries(entries)
  }

  async #statuses(): Promise<readonly RoomStatus[]> {
    const all: RoomStatus[] = []
    for (const held of this.#rooms.values()) all.push(await this.#statusOf(held))
    return all
  }

  async #statusOf(held: Held): Promise<RoomStatus> {
    const { room, store } = held
    const counts = await store.counts()
    held.counts = counts
    const { name, title, activeMax, perMinute, opensAt } = room
    const { drawn } = store
    const { commitment } = this.#infoOf(held)
    const shared = this.#shared !== null
    return {
      ...counts,
      name,
      title,
      shared,
      activeMax,
      perMinute,
      opensAtMs: opensAt ?? 0,
      drawn,
      commitment,
    }
  }

  #heldOf(name: string): Held {
    const held = this.#rooms.get(name)
    if (held !== undefined) return held
    const known = [...this.#rooms.keys()].join(', ')
    throw new Failure(roomFailures.unknown, `There is no waiting room "${name}" in use; there is: ${known}.`)
  }

  async #setMode(name: string, mode: RoomMode): Promise<RoomStatus> {
    const held = this.#heldOf(name)
    await held.store.setMode(mode)
    this.#surroundings.audit({ event: 'room-mode', part: 'room', text: `${name} is ${mode}` })
    return this.#statusOf(held)
  }

  async #revoke(name: string, id: number): Promise<{ readonly revoked: boolean }> {
    const revoked = await this.#heldOf(name).store.revoke(id)
    if (revoked)
      this.#surroundings.audit({ event: 'room-revoked', part: 'room', text: `${name}: place ${id}` })
    return { revoked }
  }

  async #places(name: string): Promise<readonly number[]> {
    return this.#heldOf(name).store.places()
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    for (const { store } of this.#rooms.values()) store.close()
    this.#shared?.close()
  }
}

function salesOf({ policies, quotas }: GuardSpec): Map<string, readonly string[]> {
  const sales = new Map<string, readonly string[]>()
  for (const { room, quota } of Object.values(policies))
    if (room !== undefined && quota !== undefined && quotas[quota]?.stock !== undefined)
      sales.set(room, [...(sales.get(room) ?? []), quota])
  return sales
}

export function rulesOf(room: CheckedRoom): RoomRules {
  return {
    activeMax: room.activeMax,
    perMinute: room.perMinute,
    opensAtMs: room.opensAt ?? 0,
    preQueueFromMs: room.preQueueFrom ?? 0,
    lottery: room.order === 'lottery',
    sessionMs: room.sessionMs,
    graceMs: room.graceMs,
    grantMs: room.grantMs,
    placesMax: room.placesMax,
  }
}
