// The port between sessions and where they are kept. A store works on fields: two requests that change different fields
// of a session at once lose nothing. Types only.

/** Fields of a session, each the JSON of its value. */
export type Fields = ReadonlyMap<string, string>

/**
 * - `found`: its fields; `touched`: its idle time began anew, as that was due.
 * - `none`: unknown or expired.
 * - `ended`: it was logged out a short while ago. `rotated`: it has another id since a short while ago (a login).
 */
export type Opened =
  | { readonly kind: 'found'; readonly fields: Fields; readonly touched: boolean }
  | { readonly kind: 'none' | 'ended' | 'rotated' }

/** `gone`: the session ended, got another id or expired meanwhile; nothing was stored, and nothing brought back. */
export type Saved = 'saved' | 'gone' | 'too-big'

export interface SessionChange {
  readonly set: Fields
  readonly removed: readonly string[]
  /** The session is new: make it. False: it must be there. */
  readonly create: boolean
}

export interface SessionStore {
  open(id: string): Promise<Opened>
  /** All or nothing. */
  save(id: string, change: SessionChange): Promise<Saved>
  /** All fields under another id; the old one is dead for good. False: it was gone. */
  rotate(id: string, to: string): Promise<boolean>
  /** Logout: nothing with this id is stored any more. */
  end(id: string): Promise<void>
  /** May `to` follow `id`? Where several servers keep sessions, both must be on one. */
  together(id: string, to: string): boolean
  close(): Promise<void>
}

export interface StoreLimits {
  /** Without a request for so long, a session ends. */
  readonly idleMs: number
  /** So long after it was made, or after login, it ends whatever happens. */
  readonly absoluteMs: number
  /** The idle time begins anew at most so often: reads stay reads. */
  readonly touchMs: number
  /** How long a dead id is remembered: longer than the longest request. */
  readonly tombstoneMs: number
  /** Names and values of all fields of a session, in bytes of UTF-8. */
  readonly bytesMax: number
  readonly fieldsMax: number
}
