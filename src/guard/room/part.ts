// Waiting rooms in one worker: the step that every route of a policy with a room has, whatever the method, protocol or
// path below it, and the room's own answers (status, events, leave, lottery) below `/.tenfold/guard/room/NAME/`.

import type { CheckedGuardPolicy } from '../../file/checked-guard.ts'
import { codeText } from '../../policy/lottery/lottery.ts'
import { type RoomAnswer, tokenKind } from '../../policy/room/index.ts'
import { compileRoutes, type RouteTable } from '../../policy/route.ts'
import { AddressBudget } from '../address-budget.ts'
import { Courier } from '../courier.ts'
import type { GuardedRoute, GuardPart, GuardSpec, GuardStep, GuardSurroundings } from '../part.ts'
import { type Passage, verdict } from '../passage.ts'
import type { GuardVisit } from '../visit.ts'
import { RoomEvents } from './events.ts'
import { roomWords } from './failures.ts'
import type { RoomFromWorker, RoomQuestion, RoomToWorker } from './messages.ts'
import { awayAnswer } from './room-store.ts'
import { noToken, type RoomToken } from './tokens.ts'
import { type Told, WorkerRoom, wantsPage } from './worker-room.ts'

/** Statuses of an answer that say that what was asked for was done; forms answer with a redirect. */
export function succeeded(status: number): boolean {
  return (status >= 200 && status < 300) || status === 302 || status === 303
}

/** Questions of one worker in 10 s: of a place that is signed for, and of an address without one (and of lotteries). */
const perPlace = 30
const perStranger = 60

export class RoomPart implements GuardPart {
  readonly name = 'room'
  readonly #surroundings: GuardSurroundings
  readonly #courier: Courier<RoomQuestion, RoomAnswer>
  readonly #events: RoomEvents
  readonly #rooms = new Map<string, WorkerRoom>()
  readonly #places = new AddressBudget(perPlace)
  readonly #strangers = new AddressBudget(perStranger)

  constructor(surroundings: GuardSurroundings) {
    this.#surroundings = surroundings
    const { clock, random } = surroundings
    const send = (message: RoomFromWorker): void => surroundings.send('room', message)
    this.#courier = new Courier(send, clock)
    this.#events = new RoomEvents({
      clock,
      random,
      look: (question, done) => this.#courier.ask(question, answer => done(answer ?? awayAnswer)),
    })
  }

  async prepare(spec: GuardSpec): Promise<void> {
    const { clock, random } = this.#surroundings
    const before = new Map(this.#rooms)
    this.#rooms.clear()
    for (const room of Object.values(spec.rooms)) {
      const made = new WorkerRoom({ room, secretKey: spec.secretKey, clock, random })
      const former = before.get(room.name)
      if (former !== undefined) {
        made.info = former.info
        made.places = former.places
      }
      this.#rooms.set(room.name, made)
    }
    this.#surroundings.send('room', { kind: 'info' } satisfies RoomFromWorker)
  }

  hear(message: unknown): void {
    const heard = message as RoomToWorker
    if (heard.kind === 'answers') this.#courier.hear(heard)
    else if (heard.kind === 'places') {
      const room = this.#rooms.get(heard.room)
      if (room !== undefined)
        room.places = Buffer.from(heard.codes.map(code => `${codeText(code)}\n`).join(''), 'latin1')
    } else
      for (const info of heard.rooms) {
        const room = this.#rooms.get(info.room)
        if (room !== undefined) room.info = info
      }
  }

  // --- guarded routes -------------------------------------------------------------------------------------------

  step(policy: CheckedGuardPolicy, _route: GuardedRoute, spec: GuardSpec): GuardStep | null {
    const checked = policy.room === undefined ? undefined : spec.rooms[policy.room]
    if (checked === undefined) return null
    const room = this.#rooms.get(checked.name) as WorkerRoom
    const detectOnly = policy.detectOnly.includes('room')
    const ends: RouteTable = compileRoutes(
      checked.revokeAfter.map(({ method, path }) => ({ path, methods: [method] })),
    )
    const inside = new WeakMap<GuardVisit, { readonly code: number; readonly token: RoomToken }>()
    return {
      name: 'room',
      enter: (passage, visit) => {
        const token = room.tokens.of(passage)
        const code = room.codeOf(passage, visit)
        const ask = room.askOf('enter', passage, code, token, visit.queueForEver && !visit.cleared)
        const { serial } = passage
        this.#courier.ask({ room: checked.name, ask }, answered => {
          if (passage.serial !== serial) return
          const answer = answered ?? awayAnswer
          const stays = answer.state === 'away' && isOwnSession(token, code, ask.binding)
          if (answer.state !== 'in' && !stays) {
            this.#refuse(room, passage, visit, answer as Told, detectOnly)
            return
          }
          visit.room = checked.name
          if (!stays) this.#letIn(room, passage, answer, token, ask.binding)
          if (checked.revokeAfter.length > 0 && ends.match('', passage.path, passage.head) >= 0) {
            const held = stays
              ? token
              : { ...token, kind: tokenKind.session, id: answer.id, nonce: answer.nonce }
            inside.set(visit, { code, token: held })
          }
          visit.resume(serial, verdict.pass)
        })
        return verdict.pending
      },
      over: (passage, visit) => {
        const held = inside.get(visit)
        if (held === undefined || !succeeded(passage.status)) return
        inside.delete(visit)
        const { kind: token, id, nonce } = held.token
        const ask = { kind: 'done', token, id, nonce, code: held.code, draw: 1, binding: 0 } as const
        this.#courier.ask({ room: checked.name, ask: { ...ask, direct: false, forever: false } }, () => {})
      },
    }
  }

  #letIn(room: WorkerRoom, passage: Passage, answer: RoomAnswer, shown: RoomToken, binding: number): void {
    const session = room.sessionOf(answer, shown, binding)
    if (session === '') return
    // A browser has it in its cookie, where scripts can't read it.
    const field = wantsPage(passage) ? '' : `Tenfold-Room: ${session}\r\n`
    passage.extraFields += field + room.tokens.cookie(passage, session, room.room.sessionMs)
  }

  #refuse(room: WorkerRoom, passage: Passage, visit: GuardVisit, answer: Told, detectOnly: boolean): void {
    const { serial } = passage
    const { code, status, text, would } = roomWords[answer.state]
    const finding = { step: 'room', rule: room.room.name, text: `${code}: ${text}`, would }
    // Who waits is not refused, and asks again and again: pages of the line are not recorded.
    const waits = answer.state === 'waiting' || answer.state === 'early' || answer.state === 'granted'
    if (detectOnly || !waits) {
      if (visit.refuse(finding, { code, status, text }, detectOnly) === verdict.pass) {
        visit.resume(serial, verdict.pass)
        return
      }
    }
    visit.resume(serial, verdict.taken)
    room.respond(passage, visit, answer)
  }

  // --- own answers ----------------------------------------------------------------------------------------------

  page(passage: Passage, name: string, rest: string, visit: GuardVisit): boolean {
    if (name !== 'room') return false
    const [text = '', ...below] = rest.split('/')
    const room = this.#rooms.get(decodedName(text))
    if (room === undefined) return false
    const what = below.join('/')
    if (this.#isWithinBudget(room, passage, what, visit)) return this.#answerOwn(room, passage, what)
    room.respondBusy(passage)
    return true
  }

  /** Many people wait behind one address: who shows a ticket is counted by its place. */
  #isWithinBudget(room: WorkerRoom, passage: Passage, what: string, visit: GuardVisit): boolean {
    const nowMs = this.#surroundings.clock.wall() / 1_000
    const { id } = what.startsWith('lottery') ? noToken : room.tokens.of(passage)
    if (id === 0) return this.#strangers.take(visit.addressKey, nowMs)
    return this.#places.take(`${room.room.name} ${id}`, nowMs)
  }

  #answerOwn(room: WorkerRoom, passage: Passage, what: string): boolean {
    const reads = passage.head.method === 'GET' || passage.head.method === 'HEAD'
    if (what === 'lottery' && reads) room.respondLottery(passage)
    else if (what === 'lottery/places' && reads) room.respondPlaces(passage)
    else if (what === 'status' && reads) this.#look(room, passage)
    else if (what === 'events' && reads) this.#events.begin(room, passage)
    else if (what === 'leave' && passage.head.method === 'POST') this.#leave(room, passage)
    else return false
    return true
  }

  #look(room: WorkerRoom, passage: Passage): void {
    const token = room.tokens.of(passage)
    const { serial } = passage
    const ask = room.askOf('look', passage, 0, token)
    this.#courier.ask({ room: room.room.name, ask }, answered => {
      if (passage.serial === serial) room.respondJson(passage, answered ?? awayAnswer, 200)
    })
  }

  #leave(room: WorkerRoom, passage: Passage): void {
    const token = room.tokens.of(passage)
    const { serial } = passage
    const ask = room.askOf('leave', passage, token.code, token)
    this.#courier.ask({ room: room.room.name, ask }, answered => {
      if (passage.serial === serial) room.respondJson(passage, answered ?? awayAnswer, 200)
    })
  }

  async close(): Promise<void> {
    this.#events.close()
    this.#courier.close()
  }
}

/** While nobody can say, who was let in stays, by what was signed: the same person and client, within the session's time. */
function isOwnSession(token: RoomToken, code: number, binding: number): boolean {
  return token.kind === tokenKind.session && token.code === code && token.binding === binding
}

function decodedName(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return ''
  }
}
