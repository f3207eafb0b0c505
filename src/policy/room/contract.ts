// What is asked of a waiting room, and what it answers. The same for the room in one edge's memory (room.ts) and the one
// that several edges share in Redis. Tokens are signed by whoever asks: a room believes their numbers.

export interface RoomRules {
  /** Admitted people at once. */
  readonly activeMax: number
  readonly perMinute: number
  /** Wall clock, milliseconds; 0 = at once. */
  readonly opensAtMs: number
  /** Nobody gets a place before; 0 = no bound. */
  readonly preQueueFromMs: number
  readonly lottery: boolean
  /** From the first request inside: silence or use change nothing about it. */
  readonly sessionMs: number
  readonly graceMs: number
  readonly grantMs: number
  readonly placesMax: number
}

/** Who has been silent for so long is passed over; the place stays until `graceMs`, and comes next on return. */
export const awakeMs = 90_000
/** Times that an admission may move to another client (another network, another device of the account). */
export const movesMax = 4

export const tokenKind = { none: 0, ticket: 1, grant: 2, session: 3 } as const

export interface RoomAsk {
  /** `enter`: a request of a guarded route. `look`: how is it going? `leave`: gives up. `done`: has what they came for. */
  readonly kind: 'enter' | 'look' | 'leave' | 'done'
  /** One of `tokenKind`; with `none` `id` and `nonce` are 0. */
  readonly token: number
  readonly id: number
  readonly nonce: number
  /** The person, 52 bits; 0: not known. */
  readonly code: number
  /** The person that the token was signed for; 0, or left out: nobody. Only a room that was lost asks. */
  readonly heldCode?: number
  /** The code's place in the lottery: below `lateOrder`. */
  readonly draw: number
  /** Of the client, 32 bits. */
  readonly binding: number
  /** May be let in by this very request: it only reads. */
  readonly direct: boolean
  /** A suspect: waits for ever, and sees no difference. */
  readonly forever: boolean
}

/**
 * `in`: passes. `granted`: may enter with the grant. `waiting`: in line. `early`: waits for the opening. `before`: the
 * pre-queue has not begun. `full`: no place is left in the line. `closed`, `sold-out`: nobody gets a place. `person`:
 * needs an account. `used`: that grant was spent before. `moved`: this admission has gone round too many clients.
 * `gone`: there is no such place (any more). `away`: nobody can say.
 */
export type RoomState =
  | 'in'
  | 'granted'
  | 'waiting'
  | 'early'
  | 'before'
  | 'full'
  | 'closed'
  | 'sold-out'
  | 'person'
  | 'used'
  | 'moved'
  | 'gone'
  | 'away'

export interface RoomAnswer {
  readonly state: RoomState
  /** Of the place; 0: none. */
  readonly id: number
  /** Of the grant or session. */
  readonly nonce: number
  /** People ahead; -1: not known. */
  readonly ahead: number
  /** -1: nobody can say (paused). */
  readonly estimateMs: number
  /** Of the place; 0 = none: then its order can't be drawn. */
  readonly code: number
}

/** `paused`: places are given, nobody is admitted. `closed`, `sold-out`: neither; who is inside stays. */
export type RoomMode = 'open' | 'paused' | 'closed' | 'sold-out'

export interface RoomCounts {
  readonly mode: RoomMode
  /** Of the place of one more. */
  readonly estimateMs: number
  readonly waiting: number
  /** Granted and not used yet. */
  readonly granted: number
  readonly active: number
  readonly suspects: number
  readonly admittedTotal: number
}
