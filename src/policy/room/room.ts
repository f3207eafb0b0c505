// One waiting room: who waits in which order, who is let in when, who is inside. Every decision about it is here; it holds
// values only, and `now` (monotonic) and `wall` come as arguments, in integer microseconds. What must survive a restart
// leaves as `RoomChange`s, and comes back through `restore`. Never signs, never writes, never sends.
//
// A place is in one of these states:
//   pool      waits for a lottery that is not drawn yet         -> line (opening), gone (grace, leave)
//   line      waits in line                                     -> absent, granted, active, suspect, gone
//   absent    was silent when it was its turn; still has it     -> line (asks again: goes before the line), gone (grace)
//   granted   may enter; counts as inside                       -> active (once), gone (grant not used)
//   active    is inside                                         -> gone (time is over, done, moved too often, revoked)
//   suspect   waits for ever; counts nowhere                    -> line (no longer suspected: at its end), gone (grace)

import { lateOrder } from '../lottery/lottery.ts'
import { type AdmissionBucket, admitOne, emptyBucket, fullBucket } from './admission.ts'
import {
  awakeMs,
  movesMax,
  type RoomAnswer,
  type RoomAsk,
  type RoomCounts,
  type RoomMode,
  type RoomRules,
  type RoomState,
  tokenKind,
} from './contract.ts'
import { estimateMs, recordStay, type StayRecord } from './estimate.ts'
import { Line } from './line.ts'

type PlaceState = 'pool' | 'line' | 'absent' | 'granted' | 'active' | 'suspect' | 'gone'

interface Place {
  readonly id: number
  code: number
  state: PlaceState
  order: number
  at: number
  /** Last sign of life, milliseconds. */
  beat: number
  /** When granted or active: since when inside, and until when at most. */
  since: number
  until: number
  nonce: number
  binding: number
  moves: number
}

/** What must survive: appended to a journal before the answer leaves. */
export type RoomChange =
  | { readonly t: 'join'; readonly id: number; readonly code: number; readonly order: number }
  | { readonly t: 'line'; readonly id: number; readonly order: number }
  | { readonly t: 'suspect'; readonly id: number }
  | { readonly t: 'grant'; readonly id: number; readonly nonce: number }
  | {
      readonly t: 'in'
      readonly id: number
      readonly nonce: number
      readonly binding: number
      readonly moves: number
    }
  | { readonly t: 'gone'; readonly id: number }
  | { readonly t: 'mode'; readonly mode: RoomMode }
  | { readonly t: 'code'; readonly id: number; readonly code: number }
  | { readonly t: 'drawn'; readonly opensAtMs: number; readonly codes: readonly number[] }
  | { readonly t: 'edition'; readonly opensAtMs: number }
  /** The last numbers that were given, also to places that are gone: tickets of those are still about. */
  | { readonly t: 'given'; readonly ids: number; readonly nonces: number }

const toMs = (us: number): number => Math.floor(us / 1_000)

export class Room {
  rules: RoomRules
  mode: RoomMode = 'open'
  /** Changes since they were last taken. */
  changes: RoomChange[] = []
  /** The opening that seeds and draws belong to: as planned when the first place was given. */
  edition: number
  /** The pre-queue of this edition has become a line. */
  drawn: boolean
  /** Codes in the order of the draw. */
  places: readonly number[] = []
  /** The opening for which it was drawn: a later one begins anew. */
  #openedAtMs = 0
  #bucket: AdmissionBucket
  readonly #line = new Line<Place>()
  /** Who was absent at their turn and has come back: before the line, in order. Short. */
  #front: Place[] = []
  readonly #byId = new Map<number, Place>()
  readonly #byCode = new Map<number, Place>()
  #pool = 0
  #granted = 0
  #active = 0
  #suspects = 0
  #absent = 0
  #ids = 0
  #nonces = 0
  #admittedTotal = 0
  #sinceSumMs = 0
  readonly #stays: StayRecord = { goneMs: 0, gone: 0 }
  #sweptMs = Number.NEGATIVE_INFINITY

  /** @param ids Numbers of places go on from here: above all that a former room may have given. */
  constructor(rules: RoomRules, now: number, ids = 0) {
    this.rules = rules
    this.#ids = ids
    this.edition = rules.opensAtMs
    this.drawn = rules.opensAtMs === 0
    this.#bucket = fullBucket(now, rules.perMinute)
  }

  // --- what is asked --------------------------------------------------------------------------------------------

  ask(now: number, wall: number, ask: RoomAsk): RoomAnswer {
    const ms = toMs(now)
    this.advance(now, wall)
    const place = this.#find(ask, ms)
    if (ask.kind === 'leave' || ask.kind === 'done') return this.#ends(place, ask, ms)
    if (place === undefined) return ask.kind === 'look' ? none('gone') : this.#joins(now, wall, ask)
    place.beat = ms
    if (place.state === 'active') return this.#inside(place, ask, ms)
    if (place.state === 'granted') return this.#mayEnter(place, ask, ms)
    if (ask.token === tokenKind.grant) return none('used')
    this.#suspect(place, ask)
    if (place.state === 'absent') this.#returns(place)
    this.advance(now, wall)
    return this.#waitingAnswer(place, ask, ms, wall)
  }

  #waitingAnswer(place: Place, ask: RoomAsk, ms: number, wall: number): RoomAnswer {
    // `advance` may have let this one in just now.
    const state = place.state as PlaceState
    if (state === 'granted') return this.#mayEnter(place, ask, ms)
    return this.#waits(place, ms, wall)
  }

  /** Opens, forgets, admits: whatever is due. Also called a few times a second when nobody asks. */
  advance(now: number, wall: number): void {
    const ms = toMs(now)
    if (ms - this.#sweptMs >= 1_000) this.#sweep(ms)
    if (this.mode !== 'open' || toMs(wall) < this.rules.opensAtMs) return
    if (!this.drawn) this.#draw()
    while (this.#granted + this.#active < this.rules.activeMax) {
      const next = this.#next(ms)
      if (next === undefined || !admitOne(this.#bucket, now, this.rules.perMinute)) return
      this.#grant(next, ms)
    }
  }

  counts(now: number): RoomCounts {
    return {
      mode: this.mode,
      estimateMs: this.#estimate(this.waiting, toMs(now)),
      waiting: this.waiting,
      granted: this.#granted,
      active: this.#active,
      suspects: this.#suspects,
      admittedTotal: this.#admittedTotal,
    }
  }

  get waiting(): number {
    return this.#line.length + this.#front.length + this.#absent + this.#pool
  }

  setMode(mode: RoomMode): void {
    if (mode === this.mode) return
    this.mode = mode
    this.changes.push({ t: 'mode', mode })
  }

  /** New rules; places stay. After a drawn opening another one begins anew, with nobody in line. */
  setRules(rules: RoomRules): void {
    this.rules = rules
    const another = this.drawn ? rules.opensAtMs > this.#openedAtMs : this.#byId.size === 0
    if (another && rules.opensAtMs !== this.edition) this.#begin(rules.opensAtMs)
  }

  /** An operator ends one's admission or place. */
  revoke(id: number, now: number): boolean {
    const place = this.#byId.get(id)
    if (place === undefined) return false
    this.#remove(place, toMs(now))
    return true
  }

  /** The place of a person, whatever it is. */
  revokePerson(code: number, now: number): boolean {
    const place = this.#byCode.get(code)
    return place !== undefined && this.revoke(place.id, now)
  }

  // --- places ---------------------------------------------------------------------------------------------------

  /** The place that a request may speak for: by its token, else by its person. */
  #find(ask: RoomAsk, ms: number): Place | undefined {
    const place = this.#byTokenOf(ask) ?? (ask.code === 0 ? undefined : this.#byCode.get(ask.code))
    if (place === undefined || !this.#isOver(place, ms)) return place
    this.#remove(place, ms)
    return undefined
  }

  /** Own pages do not know who somebody is; guarded routes do, and there a token of somebody else counts for nothing. */
  #byTokenOf(ask: RoomAsk): Place | undefined {
    const place = ask.token === tokenKind.none ? undefined : this.#byId.get(ask.id)
    if (place === undefined || ask.kind === 'look' || place.code === ask.code) return place
    // Who joined as nobody and has logged in since keeps the place, unless that account has one.
    if (place.code !== 0 || this.#byCode.has(ask.code)) return undefined
    place.code = ask.code
    this.#byCode.set(ask.code, place)
    this.changes.push({ t: 'code', id: place.id, code: ask.code })
    return place
  }

  #joins(now: number, wall: number, ask: RoomAsk): RoomAnswer {
    const { rules } = this
    const ms = toMs(now)
    if (ask.token === tokenKind.grant) return none('used')
    if (this.mode === 'closed' || this.mode === 'sold-out') return none(this.mode)
    if (toMs(wall) < rules.preQueueFromMs && toMs(wall) < rules.opensAtMs) return none('before')
    if (rules.lottery && ask.code === 0) return none('person')
    const suspects = ask.forever ? this.#suspects : this.waiting
    if (suspects >= rules.placesMax) return none('full')
    const place = this.#newPlace(ask, ms, !this.drawn && rules.lottery)
    this.advance(now, wall)
    return this.#waitingAnswer(place, ask, ms, wall)
  }

  #newPlace(ask: RoomAsk, ms: number, drawnLater: boolean): Place {
    const id = ++this.#ids
    const place: Place = {
      id,
      code: ask.code,
      state: 'gone',
      order: drawnLater ? ask.draw : lateOrder + id,
      at: -1,
      beat: ms,
      since: 0,
      until: 0,
      nonce: 0,
      binding: 0,
      moves: 0,
    }
    this.changes.push({ t: 'join', id, code: place.code, order: place.order })
    this.#known(place)
    if (ask.forever) {
      this.changes.push({ t: 'suspect', id })
      this.#enterState(place, 'suspect')
    } else this.#enterState(place, drawnLater ? 'pool' : 'line')
    return place
  }

  #known(place: Place): void {
    this.#byId.set(place.id, place)
    if (place.code !== 0) this.#byCode.set(place.code, place)
    if (place.id > this.#ids) this.#ids = place.id
  }

  /** The one way in which a place changes its state. */
  #enterState(place: Place, state: PlaceState): void {
    this.#leaveState(place)
    place.state = state
    if (state === 'pool') this.#pool++
    else if (state === 'line') this.#line.push(place)
    else if (state === 'absent') this.#absent++
    else if (state === 'granted') this.#granted++
    else if (state === 'active') this.#active++
    else if (state === 'suspect') this.#suspects++
  }

  #leaveState(place: Place): void {
    if (place.state === 'pool') this.#pool--
    else if (place.state === 'line') {
      if (place.at >= 0) this.#line.remove(place)
      else this.#front = this.#front.filter(one => one !== place)
    } else if (place.state === 'absent') this.#absent--
    else if (place.state === 'granted') this.#granted--
    else if (place.state === 'active') this.#active--
    else if (place.state === 'suspect') this.#suspects--
  }

  #remove(place: Place, ms: number): void {
    if (place.state === 'granted' || place.state === 'active') {
      this.#sinceSumMs -= place.since
      recordStay(this.#stays, Math.max(0, Math.min(ms, place.until) - place.since))
    }
    this.#forget(place)
    this.changes.push({ t: 'gone', id: place.id })
  }

  #forget(place: Place): void {
    this.#enterState(place, 'gone')
    this.#byId.delete(place.id)
    if (this.#byCode.get(place.code) === place) this.#byCode.delete(place.code)
  }

  #isOver(place: Place, ms: number): boolean {
    if (place.state === 'granted' || place.state === 'active') return ms >= place.until
    return ms - place.beat > this.rules.graceMs
  }

  #sweep(ms: number): void {
    this.#sweptMs = ms
    for (const place of this.#byId.values()) if (this.#isOver(place, ms)) this.#remove(place, ms)
  }

  // --- the order ------------------------------------------------------------------------------------------------

  #draw(): void {
    this.drawn = true
    this.#openedAtMs = this.rules.opensAtMs
    const pool = [...this.#byId.values()].filter(place => place.state === 'pool')
    pool.sort(byOrder)
    this.places = pool.map(place => place.code)
    for (const place of pool) this.#enterState(place, 'line')
    this.changes.push({ t: 'drawn', opensAtMs: this.#openedAtMs, codes: this.places })
  }

  #begin(opensAtMs: number): void {
    for (const place of [...this.#byId.values()]) this.#forget(place)
    this.#sinceSumMs = 0
    this.edition = opensAtMs
    this.drawn = opensAtMs === 0
    this.places = []
    this.changes.push({ t: 'edition', opensAtMs })
  }

  /** Whose turn it is; who is silent at their turn steps aside. */
  #next(ms: number): Place | undefined {
    for (;;) {
      const place = this.#front[0] ?? this.#line.first()
      if (place === undefined || ms - place.beat <= Math.min(awakeMs, this.rules.graceMs)) return place
      this.#enterState(place, 'absent')
    }
  }

  #returns(place: Place): void {
    this.#absent--
    place.state = 'line'
    place.at = -1
    const after = this.#front.findIndex(one => one.order > place.order)
    this.#front.splice(after < 0 ? this.#front.length : after, 0, place)
  }

  #suspect(place: Place, ask: RoomAsk): void {
    if (ask.kind !== 'enter') return
    if (ask.forever && place.state !== 'suspect') {
      this.changes.push({ t: 'suspect', id: place.id })
      this.#enterState(place, 'suspect')
    } else if (!ask.forever && place.state === 'suspect') {
      place.order = lateOrder + ++this.#ids
      this.changes.push({ t: 'line', id: place.id, order: place.order })
      this.#enterState(place, 'line')
    }
  }

  #waits(place: Place, ms: number, wall: number): RoomAnswer {
    const { id, code } = place
    if (this.mode === 'closed' || this.mode === 'sold-out') return { ...none(this.mode), id, code }
    if (toMs(wall) < this.rules.opensAtMs) return { ...none('early'), id, code }
    const ahead = this.#ahead(place)
    return { state: 'waiting', id, nonce: 0, ahead, estimateMs: this.#estimate(ahead, ms), code }
  }

  #ahead(place: Place): number {
    if (place.state === 'suspect') {
      const honest = this.#front.length + this.#line.aheadWhile(one => one.order < place.order)
      // It moves on like everybody's, and then hangs.
      return Math.max(honest, 3 + (place.id % 17))
    }
    return place.at < 0 ? this.#front.indexOf(place) : this.#front.length + this.#line.ahead(place)
  }

  #estimate(ahead: number, ms: number): number {
    if (this.mode !== 'open') return -1
    const inside = this.#granted + this.#active
    return estimateMs({
      ahead,
      perMinute: this.rules.perMinute,
      activeMax: this.rules.activeMax,
      active: inside,
      insideMs: Math.max(0, inside * ms - this.#sinceSumMs),
      stays: this.#stays,
      sessionMs: this.rules.sessionMs,
    })
  }

  // --- admission ------------------------------------------------------------------------------------------------

  #grant(place: Place, ms: number): void {
    place.nonce = ++this.#nonces
    place.since = ms
    place.until = ms + this.rules.grantMs
    this.#sinceSumMs += ms
    this.#admittedTotal++
    this.#enterState(place, 'granted')
    this.changes.push({ t: 'grant', id: place.id, nonce: place.nonce })
  }

  /** Granted: goes in with the grant itself, or by a request that reads and shows its ticket. */
  #mayEnter(place: Place, ask: RoomAsk, ms: number): RoomAnswer {
    const { id, code } = place
    if (ask.token === tokenKind.grant && ask.nonce !== place.nonce) return none('used')
    if (ask.token === tokenKind.session) return none('gone')
    const uses = ask.kind === 'enter' && (ask.token === tokenKind.grant || ask.direct)
    if (!uses) return { state: 'granted', id, nonce: place.nonce, ahead: 0, estimateMs: 0, code }
    place.nonce = ++this.#nonces
    place.binding = ask.binding
    this.#enterState(place, 'active')
    place.until = ms + this.rules.sessionMs
    this.#saveInside(place)
    return { state: 'in', id, nonce: place.nonce, ahead: 0, estimateMs: 0, code }
  }

  #inside(place: Place, ask: RoomAsk, ms: number): RoomAnswer {
    // Once: what else is shown must be the session itself, or come from where the admission was used.
    if (ask.token === tokenKind.grant) return none('used')
    if (ask.token === tokenKind.session && ask.nonce !== place.nonce) return none('moved')
    const sameClient = ask.binding === place.binding
    if (!sameClient && !this.#moves(place, ask, ms)) return none('moved')
    return { state: 'in', id: place.id, nonce: place.nonce, ahead: 0, estimateMs: 0, code: place.code }
  }

  /** To another client of the same person: a few times, and without the session itself the old one is out. */
  #moves(place: Place, ask: RoomAsk, ms: number): boolean {
    if (ask.kind !== 'enter') return false
    if (place.moves >= movesMax) {
      this.#remove(place, ms)
      return false
    }
    place.moves++
    place.binding = ask.binding
    if (ask.token !== tokenKind.session) place.nonce = ++this.#nonces
    this.#saveInside(place)
    return true
  }

  #saveInside(place: Place): void {
    const { id, nonce, binding, moves } = place
    this.changes.push({ t: 'in', id, nonce, binding, moves })
  }

  #ends(place: Place | undefined, ask: RoomAsk, ms: number): RoomAnswer {
    if (place === undefined) return none('gone')
    // Only who is inside can be done; a place is given up by its own ticket.
    const may = ask.kind === 'done' ? place.state === 'active' : ask.token !== tokenKind.none
    if (may) this.#remove(place, ms)
    return none('gone')
  }

  // --- restarts -------------------------------------------------------------------------------------------------

  /** As few changes as make this room out of a new one. */
  *snapshot(): Generator<RoomChange> {
    yield { t: 'edition', opensAtMs: this.edition }
    yield { t: 'given', ids: this.#ids, nonces: this.#nonces }
    if (this.drawn) yield { t: 'drawn', opensAtMs: this.#openedAtMs, codes: this.places }
    yield { t: 'mode', mode: this.mode }
    for (const { id, code, order, state, nonce, binding, moves } of this.#byId.values()) {
      yield { t: 'join', id, code, order }
      if (state === 'suspect') yield { t: 'suspect', id }
      if (state === 'granted') yield { t: 'grant', id, nonce }
      if (state === 'active') yield { t: 'in', id, nonce, binding, moves }
    }
  }

  /**
   * Plays changes back, in order. Everybody has the whole grace, grant or session again: time that nobody could ask in is
   * not held against them. The bucket begins empty: nobody knows what was spent of it.
   */
  restore(changes: Iterable<RoomChange>, now: number): void {
    const ms = toMs(now)
    this.#bucket = emptyBucket(now)
    const known = new Map<number, Place>()
    for (const change of changes) this.#replay(change, known, ms)
    const waiting = [...known.values()].filter(one => one.state === 'line').sort(byOrder)
    for (const place of waiting) place.state = 'gone'
    for (const place of waiting) this.#enterState(place, this.drawn || !this.rules.lottery ? 'line' : 'pool')
    this.changes = []
    this.setRules(this.rules)
  }

  #replay(change: RoomChange, known: Map<number, Place>, ms: number): void {
    switch (change.t) {
      case 'mode':
        this.mode = change.mode
        return
      case 'drawn':
        this.drawn = true
        this.#openedAtMs = change.opensAtMs
        this.places = change.codes
        return
      case 'edition':
        for (const place of [...known.values()]) this.#dropped(place, known)
        this.edition = change.opensAtMs
        this.drawn = change.opensAtMs === 0
        this.#openedAtMs = 0
        this.places = []
        return
      case 'given':
        this.#ids = Math.max(this.#ids, change.ids)
        this.#nonces = Math.max(this.#nonces, change.nonces)
        return
      case 'join': {
        const { id, code, order } = change
        if (known.has(id)) return
        const place: Place = {
          ...{ id, code, order, state: 'gone', at: -1, beat: ms },
          ...{ since: ms, until: 0, nonce: 0, binding: 0, moves: 0 },
        } as Place
        known.set(id, place)
        this.#known(place)
        // In no list yet: lists are made when all is known.
        place.state = 'line'
        return
      }
      default:
        this.#replayPlace(change, known, ms)
    }
  }

  #replayPlace(
    change: Exclude<RoomChange, { t: 'mode' | 'drawn' | 'edition' | 'given' | 'join' }>,
    known: Map<number, Place>,
    ms: number,
  ): void {
    const place = known.get(change.id)
    if (place === undefined) return
    if (change.t === 'gone') {
      this.#dropped(place, known)
      return
    }
    if (change.t === 'code') {
      place.code = change.code
      this.#byCode.set(change.code, place)
      return
    }
    if (place.state === 'line') place.state = 'gone'
    if (change.t === 'line') {
      place.order = change.order
      if (place.order - lateOrder > this.#ids) this.#ids = place.order - lateOrder
      this.#enterState(place, 'gone')
      place.state = 'line'
      return
    }
    if (change.t === 'suspect') {
      this.#enterState(place, 'suspect')
      return
    }
    if (place.state !== 'granted' && place.state !== 'active') this.#sinceSumMs += ms
    place.nonce = change.nonce
    if (change.nonce > this.#nonces) this.#nonces = change.nonce
    place.until = ms + (change.t === 'grant' ? this.rules.grantMs : this.rules.sessionMs)
    if (change.t === 'in') {
      place.binding = change.binding
      place.moves = change.moves
    }
    this.#enterState(place, change.t === 'grant' ? 'granted' : 'active')
  }

  #dropped(place: Place, known: Map<number, Place>): void {
    if (place.state === 'granted' || place.state === 'active') this.#sinceSumMs -= place.since
    if (place.state === 'line') place.state = 'gone'
    known.delete(place.id)
    this.#forget(place)
  }
}

const byOrder = (one: Place, other: Place): number => one.order - other.order || one.id - other.id

function none(state: RoomState): RoomAnswer {
  return { state, id: 0, nonce: 0, ahead: -1, estimateMs: -1, code: 0 }
}
