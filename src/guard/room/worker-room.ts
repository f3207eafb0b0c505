// One room as a worker sees it: what a request shows, whom it speaks for, and what it is answered. Decides nothing: asks
// the room through the main thread, and turns its answer into a page, JSON, or the way on.

import type { CheckedRoom, CheckedSource } from '../../file/checked-guard.ts'
import type { Clock } from '../../kit/clock.ts'
import type { Random } from '../../kit/random.ts'
import { codeText } from '../../policy/lottery/lottery.ts'
import { nextAskMs, type RoomAnswer, type RoomAsk, tokenKind } from '../../policy/room/index.ts'
import { fieldId } from '../../wire/fields.ts'
import { clientBinding } from '../binding.ts'
import { guardPath } from '../part.ts'
import type { Passage } from '../passage.ts'
import { respondWithBytes } from '../pieces.ts'
import { sourceValue } from '../sources.ts'
import { refererTarget } from '../targets.ts'
import type { GuardVisit } from '../visit.ts'
import { roomBusy, roomWords } from './failures.ts'
import type { RoomInfo } from './messages.ts'
import { pageText } from './page-file.ts'
import { codeOfPerson, roomSecrets } from './secrets.ts'
import { bindingNumber, noToken, type RoomToken, RoomTokens } from './tokens.ts'
import {
  bodyOf,
  estimateText,
  nextText,
  ownPage,
  type PageFacts,
  positionText,
  waitingPage,
} from './waiting-page.ts'

/** A ticket is good as long as the room knows its place: longer than any line. */
const ticketMs = 7 * 86_400_000
/** So near the front people are told at once, over an event stream. */
const streamAhead = 200

export type Told = Omit<RoomAnswer, 'state'> & { readonly state: Exclude<RoomAnswer['state'], 'in'> }

export interface WorkerRoomOptions {
  readonly room: CheckedRoom
  readonly secretKey: string
  readonly clock: Clock
  readonly random: Random
}

export class WorkerRoom {
  readonly room: CheckedRoom
  readonly tokens: RoomTokens
  readonly base: string
  info: RoomInfo
  /** Of the draw, in order; what is asked for it is text. */
  places: Buffer = Buffer.alloc(0)
  readonly #people: Buffer
  readonly #clock: Clock
  readonly #random: Random
  readonly #page: string | null

  constructor({ room, secretKey, clock, random }: WorkerRoomOptions) {
    const secrets = roomSecrets(secretKey, room.name)
    this.room = room
    this.tokens = new RoomTokens(room.name, secrets.tokens, clock)
    this.base = `${guardPath}room/${encodeURIComponent(room.name)}`
    this.info = { room: room.name, commitment: '', seed: '' }
    this.#people = secrets.people
    this.#clock = clock
    this.#random = random
    this.#page = room.page === undefined ? null : pageText(room.page, room.name)
  }

  // --- what is asked --------------------------------------------------------------------------------------------

  askOf(kind: RoomAsk['kind'], passage: Passage, code: number, token: RoomToken, forever = false): RoomAsk {
    return {
      kind,
      token: token.kind,
      id: token.id,
      nonce: token.nonce,
      code,
      heldCode: token.code,
      draw: 1,
      binding: bindingNumber(clientBinding(passage)),
      direct: passage.head.method === 'GET' && !upgrades(passage),
      forever,
    }
  }

  /** 0: not known; when a part of who one is is missing, nobody is anybody. */
  codeOf(passage: Passage, visit: GuardVisit): number {
    const values: string[] = []
    for (const source of this.room.person) {
      const value = sourceValue(source as CheckedSource, passage, visit)
      if (value === undefined) return 0
      values.push(value)
    }
    return values.length === 0 ? 0 : codeOfPerson(this.#people, values)
  }

  // --- what is answered -----------------------------------------------------------------------------------------

  /** The session of somebody who is in; '' when the client has it already. */
  sessionOf(answer: RoomAnswer, shown: RoomToken, binding: number): string {
    if (shown.kind === tokenKind.session && shown.nonce === answer.nonce && shown.id === answer.id) return ''
    const { id, nonce, code } = answer
    return this.tokens.sign({ kind: tokenKind.session, id, nonce, code, binding }, this.room.sessionMs)
  }

  #tokenOf(passage: Passage, answer: RoomAnswer): string {
    const { id, nonce, code, state } = answer
    if (id === 0) return ''
    const { grantMs, sessionMs } = this.room
    if (state === 'granted')
      return this.tokens.sign({ kind: tokenKind.grant, id, nonce, code, binding: 0 }, grantMs)
    if (state !== 'in')
      return this.tokens.sign({ kind: tokenKind.ticket, id, nonce: 0, code, binding: 0 }, ticketMs)
    const binding = bindingNumber(clientBinding(passage))
    return this.tokens.sign({ kind: tokenKind.session, id, nonce, code, binding }, sessionMs)
  }

  /** Browsers keep their ticket until they are in: a grant is for apps. */
  #cookieOf(passage: Passage, answer: RoomAnswer): string {
    const { id, code, state } = answer
    if (state === 'moved' || state === 'used' || state === 'gone') return this.tokens.cookie(passage, '', 0)
    if (id === 0) return ''
    const ticket = this.tokens.sign({ ...noToken, kind: tokenKind.ticket, id, code }, ticketMs)
    return this.tokens.cookie(passage, ticket, ticketMs)
  }

  /** A whole answer to a request that does not pass. */
  respond(passage: Passage, visit: GuardVisit, answer: Told): void {
    if (wantsPage(passage)) this.#respondPage(passage, visit, answer)
    else this.respondJson(passage, answer, roomWords[answer.state].status)
  }

  #respondPage(passage: Passage, visit: GuardVisit, answer: Told): void {
    const facts = this.facts(passage, answer, visit.nonce)
    const words = roomWords[answer.state]
    const status = reads(passage) ? words.pageStatus : words.status
    const own = this.#page
    const body = bodyOf(own === null ? waitingPage(facts) : ownPage(own, facts))
    const seconds = Math.max(1, Math.ceil(facts.askAgainMs / 1_000))
    const policy =
      own === null
        ? `Content-Security-Policy: default-src 'none'; style-src 'nonce-${facts.nonce}'; script-src 'nonce-${facts.nonce}'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n`
        : `Refresh: ${seconds}${facts.to === '' ? '' : `; url=${facts.to}`}\r\n`
    const after = status >= 400 ? `Retry-After: ${seconds}\r\n` : ''
    passage.respond(
      status,
      `Content-Type: text/html; charset=utf-8\r\nContent-Length: ${body.length}\r\n${policy}${after}${this.#fields(passage, answer)}`,
      body,
    )
  }

  /** @param status of the room's own answers 200. */
  respondJson(passage: Passage, answer: RoomAnswer, status: number): void {
    const view = this.view(passage, answer)
    const words = answer.state === 'in' ? null : roomWords[answer.state]
    const error =
      status < 400 || words === null
        ? {}
        : { error: { code: words.code, message: words.text, requestId: passage.requestId } }
    const body = bodyOf(JSON.stringify({ ...error, room: view }))
    const after = status >= 400 ? `Retry-After: ${Math.ceil(view.retryAfterMs / 1_000)}\r\n` : ''
    passage.respond(
      status,
      `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n${after}${this.#fields(passage, answer)}`,
      body,
    )
  }

  /** Of one of the room's own answers, asked for too often. */
  respondBusy(passage: Passage): void {
    const { code, status, text } = roomBusy
    const body = bodyOf(JSON.stringify({ error: { code, message: text, requestId: passage.requestId } }))
    passage.respond(
      status,
      `Content-Type: application/json\r\nContent-Length: ${body.length}\r\nRetry-After: 10\r\nCache-Control: no-store\r\nX-Request-Id: ${passage.requestId}\r\n${passage.extraFields}`,
      body,
    )
  }

  /** Before the draw what was promised; after it what proves that it was kept. */
  respondLottery(passage: Passage): void {
    const { commitment, seed } = this.info
    const body = JSON.stringify({ room: this.room.name, commitment, seed: seed === '' ? null : seed })
    passage.respond(
      200,
      `Content-Type: application/json\r\nContent-Length: ${body.length}\r\nCache-Control: no-store\r\n${passage.extraFields}`,
      body,
    )
  }

  /** Codes in the order of the line, one a line: megabytes, and anybody may ask. */
  respondPlaces(passage: Passage): void {
    respondWithBytes(passage, 'Content-Type: text/plain\r\nCache-Control: no-store\r\n', this.places)
  }

  #fields(passage: Passage, answer: RoomAnswer): string {
    const cookie = answer.state === 'in' ? '' : this.#cookieOf(passage, answer)
    return `Cache-Control: no-store\r\nTenfold-Room: ${answer.state}\r\nX-Request-Id: ${passage.requestId}\r\n${cookie}${passage.extraFields}`
  }

  /** What an app, or the page's script, is told. */
  view(passage: Passage, answer: RoomAnswer): RoomView {
    const facts = this.facts(passage, answer as Told, '')
    const { ahead, estimateMs, state } = answer
    return {
      name: this.room.name,
      state,
      place: ahead < 0 ? null : ahead + 1,
      estimateSeconds: estimateMs < 0 ? null : Math.ceil(estimateMs / 1_000),
      retryAfterMs: facts.askAgainMs,
      opensAt: this.room.opensAt === undefined ? null : new Date(this.room.opensAt).toISOString(),
      title: this.room.title,
      message: state === 'in' ? 'You are in.' : roomWords[state].text,
      positionText: positionText(answer),
      estimateText: estimateText(facts),
      nextText: nextText(facts),
      token: this.#tokenOf(passage, answer),
      events: state === 'waiting' && ahead >= 0 && ahead < streamAhead,
      statusUrl: `${this.base}/status`,
      eventsUrl: `${this.base}/events`,
      ...(this.info.commitment === ''
        ? {}
        : { lottery: { commitment: this.info.commitment, code: facts.code } }),
    }
  }

  facts(passage: Passage, answer: RoomAnswer, nonce: string): PageFacts {
    const { room } = this
    const nowMs = Math.floor(this.#clock.wall() / 1_000)
    const opensAtMs = room.opensAt ?? 0
    // Until the opening the room's own time is what is left; then a crowd comes back within a few seconds of it.
    const leftMs = answer.state === 'waiting' ? answer.estimateMs : Math.max(0, opensAtMs - nowMs) * 4
    const waits = answer.state === 'waiting' || answer.state === 'early' || answer.state === 'before'
    return {
      title: room.title,
      answer,
      opensAtMs,
      nowMs,
      askAgainMs:
        answer.state === 'granted'
          ? 0
          : nextAskMs(waits && leftMs >= 0 ? leftMs : 20_000, room, this.#random.float()),
      base: this.base,
      nonce,
      requestId: passage.requestId,
      graceMs: room.graceMs,
      commitment: this.info.commitment,
      code: answer.code === 0 ? '' : codeText(answer.code),
      to: reads(passage) ? '' : refererTarget(passage.head.find('referer'), passage.head.authority),
      signIn: room.signIn ?? '',
    }
  }
}

export interface RoomView {
  readonly name: string
  readonly state: string
  readonly place: number | null
  readonly estimateSeconds: number | null
  readonly retryAfterMs: number
  readonly opensAt: string | null
  readonly title: string
  readonly message: string
  readonly positionText: string
  readonly estimateText: string
  readonly nextText: string
  /** To be shown in the field `Tenfold-Room`; '' when there is none to show. */
  readonly token: string
  /** The event stream is worth it: it is soon. */
  readonly events: boolean
  readonly statusUrl: string
  readonly eventsUrl: string
  readonly lottery?: { readonly commitment: string; readonly code: string }
}

const reads = ({ head }: Passage): boolean => head.method === 'GET' || head.method === 'HEAD'

export function upgrades(passage: Passage): boolean {
  return passage.head.firstOf(fieldId.upgrade) >= 0
}

/** A person looks at the answer: it is a page's load, not a script's. */
export function wantsPage(passage: Passage): boolean {
  const { head } = passage
  if (upgrades(passage) || head.find('x-requested-with') !== undefined) return false
  const mode = head.find('sec-fetch-mode')
  if (mode !== undefined && mode !== 'navigate') return false
  return (head.find('accept') ?? '').includes('text/html')
}
