// One request's view of one session: what it read, what it changed, and the cookie its answer has to carry. Knows no HTTP
// beyond that cookie's text. Made per request by `Sessions.open`; nothing is stored before `save`, but for `regenerate`
// and `end`, which take effect at once.
//
//   none     there is no session: nothing is stored and no cookie is sent until something is set.
//   found    it is in the store.
//   new      an id was made; the first `save` stores it.
//   rotated  another request of this browser logged in and got a new id. What this one sets is not kept, and it sends no
//            cookie: either would undo the login.
//   away     the store does not answer, and the service chose to go on without a user.

import { Failure } from '../../kit/failure.ts'
import { formToken, newId, setCookie, signedId, verifiedFormToken } from './cookie.ts'
import { sessionFailures } from './failures.ts'
import type { SessionSettings } from './options.ts'
import type { Opened, SessionStore } from './store.ts'

export type SessionState = 'none' | 'found' | 'new' | 'rotated' | 'away'

export interface SessionOrigin {
  /** Verified; null: the request brought none of ours. */
  readonly id: string | null
  /** Its signature is of an older secret: the cookie is sent again. */
  readonly oldSecret: boolean
  readonly opened: Opened | 'away'
}

const nameMax = 64
/** Where several servers keep sessions, a new id is drawn until it lies beside the old one: one in 256 at worst. */
const drawsMax = 10_000

export class Session<Data extends object = Record<string, unknown>> {
  readonly #settings: SessionSettings
  readonly #store: SessionStore
  #state: SessionState
  /** What the request brought while the store was away. */
  readonly #asked: string | null
  #id: string | null
  /** JSON as the store has it. */
  #stored: Map<string, string>
  /** Values handed out or set: one that was changed in place is stored too. */
  readonly #values = new Map<string, unknown>()
  readonly #removed = new Set<string>()
  #used = false
  #send: 'nothing' | 'id' | 'clear' = 'nothing'

  constructor(settings: SessionSettings, store: SessionStore, origin: SessionOrigin) {
    this.#settings = settings
    this.#store = store
    const { opened } = origin
    const kind = opened === 'away' ? 'away' : opened.kind
    this.#state = kind === 'ended' ? 'none' : kind
    this.#id = kind === 'found' ? origin.id : null
    this.#asked = kind === 'away' ? origin.id : null
    this.#stored = new Map(opened !== 'away' && opened.kind === 'found' ? opened.fields : [])
    const renew =
      opened !== 'away' && opened.kind === 'found' && opened.touched && settings.cookie.maxAgeSeconds
    if (kind === 'found' && (origin.oldSecret || renew)) this.#send = 'id'
  }

  get state(): SessionState {
    return this.#state
  }

  /** Null: there is none yet. Never the whole cookie: the signature is not in it. */
  get id(): string | null {
    return this.#id
  }

  /** Was anything of it read or changed? Then the answer is this user's, and no shared cache may keep it. */
  get used(): boolean {
    return this.#used || this.#send !== 'nothing'
  }

  get<Name extends keyof Data & string>(name: Name): Data[Name] | undefined {
    this.#used = true
    if (this.#values.has(name)) return this.#values.get(name) as Data[Name]
    const text = this.#removed.has(name) ? undefined : this.#stored.get(name)
    if (text === undefined) return undefined
    const value = JSON.parse(text) as Data[Name]
    this.#values.set(name, value)
    return value
  }

  has(name: keyof Data & string): boolean {
    return this.get(name) !== undefined
  }

  names(): readonly string[] {
    this.#used = true
    const kept = [...this.#stored.keys()].filter(name => !this.#removed.has(name))
    return [...new Set([...kept, ...this.#values.keys()])]
  }

  /** `undefined` removes. @throws Failure `valueWrong` */
  set<Name extends keyof Data & string>(name: Name, value: Data[Name]): void {
    if (value === undefined) {
      this.delete(name)
      return
    }
    if (name.length < 1 || name.length > nameMax) throw wrong(name, `its name has ${name.length} characters`)
    if (typeof value === 'function' || typeof value === 'symbol' || typeof value === 'bigint') {
      throw wrong(name, `a ${typeof value} has no JSON`)
    }
    this.#used = true
    this.#values.set(name, value)
    this.#removed.delete(name)
    this.#begin()
  }

  delete(name: keyof Data & string): void {
    this.#used = true
    this.#values.delete(name)
    if (this.#stored.has(name)) this.#removed.add(name)
  }

  /**
   * A new id for the same data: call it whenever rights change (login), or an id that somebody planted before would be
   * logged in too. Takes effect at once; the old id is dead.
   */
  async regenerate(): Promise<void> {
    this.#used = true
    const old = this.#state === 'found' ? this.#id : null
    const next = this.#newId(old)
    const followed = old !== null && (await this.#store.rotate(old, next))
    if (!followed) {
      // Whatever was read before belongs to a session that is over; what this request set goes into the new one.
      for (const [name, value] of this.#values) {
        if (this.#isStored(name, value)) this.#values.delete(name)
      }
      this.#stored = new Map()
      this.#removed.clear()
    }
    this.#id = next
    this.#state = followed ? 'found' : 'new'
    this.#send = 'id'
  }

  /** Logout: gone from the store at once; requests still under way can't bring it back. */
  async end(): Promise<void> {
    this.#used = true
    const id = this.#state === 'found' ? this.#id : this.#asked
    if (id !== null) await this.#store.end(id)
    this.#stored = new Map()
    this.#values.clear()
    this.#removed.clear()
    this.#id = null
    this.#send = 'clear'
    this.#state = 'none'
  }

  /** Would `save` write something? */
  get changed(): boolean {
    if (this.#state === 'new' || this.#removed.size > 0) return true
    for (const [name, value] of this.#values) if (!this.#isStored(name, value)) return true
    return false
  }

  /**
   * Stores the fields that changed, and only these. False: nothing was kept, as the session ended meanwhile.
   * @throws Failure `storeAway`, `tooBig`, `valueWrong`
   */
  async save(): Promise<boolean> {
    if (!this.changed) return true
    if (this.#state === 'rotated') return false
    // A new session now would take the place of the one that could not be read.
    if (this.#state === 'away') throw new Failure(sessionFailures.storeAway, 'The session could not be read.')
    const set = this.#changes()
    const id = this.#id ?? this.#newId(null)
    const removed = [...this.#removed]
    const saved = await this.#store.save(id, { set, removed, create: this.#state === 'new' })
    if (saved === 'too-big') throw tooBig(this.#settings)
    if (saved === 'gone') {
      this.#send = 'nothing'
      return false
    }
    for (const [name, text] of set) this.#stored.set(name, text)
    for (const name of removed) this.#stored.delete(name)
    this.#removed.clear()
    this.#state = 'found'
    return true
  }

  /** What `Set-Cookie` the answer has to carry, if any. Known before `save`, so that heads may go out first. */
  setCookie(): string | null {
    const { cookie, secrets } = this.#settings
    if (this.#send === 'clear') return setCookie(cookie, null)
    if (this.#send === 'nothing' || this.#id === null) return null
    return setCookie(cookie, signedId(secrets[0]!, this.#id))
  }

  /** For a hidden field or header of forms: cross-site requests can't know it. Begins a session where there is none. */
  formToken(): string {
    this.#used = true
    this.#begin()
    return formToken(this.#settings.secrets[0]!, this.#id ?? '')
  }

  /** Is it the token that this session gave? Without a session: no. */
  isFormToken(token: string | null | undefined): boolean {
    this.#used = true
    if (this.#id === null || typeof token !== 'string') return false
    return verifiedFormToken(this.#settings.secrets, this.#id, token)
  }

  #begin(): void {
    if (this.#state !== 'none') return
    this.#id = this.#newId(null)
    this.#state = 'new'
    this.#send = 'id'
  }

  #newId(beside: string | null): string {
    for (let draws = 0; draws < drawsMax; draws++) {
      const id = newId()
      if (beside === null || this.#store.together(beside, id)) return id
    }
    throw new Failure(sessionFailures.storeAway, 'No id could be drawn beside the old one.')
  }

  /** What has no JSON is not stored; `save` says so. */
  #isStored(name: string, value: unknown): boolean {
    try {
      return JSON.stringify(value) === this.#stored.get(name)
    } catch {
      return false
    }
  }

  #changes(): Map<string, string> {
    const set = new Map<string, string>()
    for (const [name, value] of this.#values) {
      const text: string | undefined = textOf(name, value)
      if (text === undefined) throw wrong(name, 'it has no JSON')
      if (text !== this.#stored.get(name)) set.set(name, text)
    }
    return set
  }
}

function textOf(name: string, value: unknown): string | undefined {
  try {
    return JSON.stringify(value)
  } catch (cause) {
    throw wrong(name, (cause as Error).message)
  }
}

function wrong(name: string, why: string): Failure {
  return new Failure(sessionFailures.valueWrong, `Field ${name.slice(0, nameMax)} of a session: ${why}.`)
}

function tooBig({ limits }: SessionSettings): Failure {
  const sentence = `A session holds at most ${limits.fieldsMax} fields and ${limits.bytesMax} bytes; this one would hold more.`
  return new Failure(sessionFailures.tooBig, sentence)
}
