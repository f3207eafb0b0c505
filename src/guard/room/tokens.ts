// What a client holds of a room: one signed token, a ticket that becomes a grant and then a session. In a cookie for
// browsers, in the field `Tenfold-Room` for apps. Says who signed it, never that it is still good: that knows the room.

import type { Clock } from '../../kit/clock.ts'
import { hashText } from '../../policy/hash.ts'
import { tokenKind } from '../../policy/room/index.ts'
import { signToken, verifyToken } from '../keys.ts'
import type { Passage } from '../passage.ts'
import { cookieValue, headerValue } from '../sources.ts'

export interface RoomToken {
  /** One of `tokenKind`. */
  readonly kind: number
  readonly id: number
  readonly nonce: number
  readonly code: number
  /** Of the client that a session belongs to; 0 for others. */
  readonly binding: number
}

export const noToken: RoomToken = { kind: tokenKind.none, id: 0, nonce: 0, code: 0, binding: 0 }
export const tokenField = 'tenfold-room'

export class RoomTokens {
  readonly #key: Buffer
  readonly #purpose: string
  readonly #clock: Clock
  readonly #name: string

  constructor(room: string, key: Buffer, clock: Clock) {
    this.#key = key
    this.#purpose = `room ${room}`
    this.#clock = clock
    this.#name = `tenfold-room-${encodeURIComponent(room)}`
  }

  sign(token: RoomToken, forMs: number): string {
    const { kind, id, nonce, code, binding } = token
    const claims = { k: kind, i: id, n: nonce, c: code, b: binding }
    return signToken(this.#key, this.#purpose, claims, this.#nowMs() + forMs)
  }

  /** The field before the cookie; what is not ours, changed or too old is as none. */
  of(passage: Passage): RoomToken {
    const given =
      headerValue(passage.head, tokenField) ?? cookieValue(passage.head, this.#cookieName(passage))
    if (given === undefined) return noToken
    const claims = verifyToken(this.#key, this.#purpose, given, this.#nowMs())
    if (claims === null) return noToken
    const { k, i, n, c, b } = claims as Record<'k' | 'i' | 'n' | 'c' | 'b', number>
    return { kind: k, id: i, nonce: n, code: c, binding: b }
  }

  /** A field line. */
  cookie(passage: Passage, token: string, forMs: number): string {
    const secure = passage.client?.tls ? '; Secure' : ''
    const age = Math.max(0, Math.ceil(forMs / 1_000))
    return `Set-Cookie: ${this.#cookieName(passage)}=${token}; Path=/; Max-Age=${age}; HttpOnly; SameSite=Lax${secure}\r\n`
  }

  #cookieName(passage: Passage): string {
    return passage.client?.tls ? `__Host-${this.#name}` : this.#name
  }

  #nowMs(): number {
    return Math.floor(this.#clock.wall() / 1_000)
  }
}

/** A client's binding as a room keeps it: 32 bits, never 0. */
export function bindingNumber(binding: string): number {
  return hashText(binding) || 1
}
