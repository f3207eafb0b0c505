// User names and passwords (RFC 7617). A check costs memory and time on purpose: few at once, and what was right lately is
// remembered by a keyed hash. A name that is not there takes as long as one that is.

import type { CheckedBasic } from '../../../file/checked-guard.ts'
import type { Clock } from '../../../kit/clock.ts'
import type { Passage } from '../../passage.ts'
import type { GuardVisit } from '../../visit.ts'
import type { IdentityAnswer, IdentityFault, IdentityVerifier, VerifiedIdentity } from '../contract.ts'
import { ofScheme, several } from '../credentials.ts'
import { nameOfPassword, Remembered } from '../remembered.ts'
import { WatchedFile } from '../watched-file.ts'
import { fits, nobodysPassword, parsePasswords, type StoredPassword } from './store.ts'

/** Of a worker: each holds up to 128 MB. */
const checksMax = 2
const waitingMax = 100
const rememberedMs = 60_000
const charsMax = 1_000

const wrong: IdentityFault = { reason: 'password', text: 'The user name or the password is wrong.' }
const malformed: IdentityFault = {
  reason: 'malformed',
  text: 'The field Authorization is no Basic of RFC 7617.',
}
const away: IdentityFault = { reason: 'outage', text: 'The file of passwords can not be read.', outage: true }
const busy: IdentityFault = { reason: 'busy', text: 'Too many passwords are being checked.', outage: true }

export class PasswordVerifier implements IdentityVerifier {
  readonly method = 'basic'
  readonly source: string
  readonly #realm: string
  readonly #clock: Clock
  readonly #file: WatchedFile<ReadonlyMap<string, StoredPassword>>
  readonly #remembered = new Remembered()
  readonly #waiting: (() => void)[] = []
  #checks = 0
  #users: ReadonlyMap<string, StoredPassword> | null = null

  constructor(source: string, { file, realm }: CheckedBasic, clock: Clock, tell: (text: string) => void) {
    this.source = source
    this.#realm = realm
    this.#clock = clock
    this.#file = new WatchedFile(file, parsePasswords, (users, problem) => {
      this.#users = users
      this.#remembered.clear()
      if (users === null) tell(`nobody is believed by a password of '${source}': ${problem}`)
    })
  }

  start(): Promise<void> {
    return this.#file.start()
  }

  verify(
    { head }: Passage,
    _visit: GuardVisit,
    done: (answer: IdentityAnswer) => void,
  ): IdentityAnswer | 'pending' {
    const text = ofScheme(head, 'basic')
    if (text === null) return null
    if (text === several || text.length > charsMax || !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return malformed
    if (this.#users === null) return away
    const decoded = Buffer.from(text, 'base64').toString('utf8')
    const colon = decoded.indexOf(':')
    if (colon < 0) return malformed
    const mark = nameOfPassword(decoded)
    const known = this.#remembered.get(mark, this.#nowMs())
    if (known !== null) return known
    if (this.#waiting.length >= waitingMax) return busy
    const users = this.#users
    const check = (): void => void this.#check(decoded, colon, mark, users, done)
    if (this.#checks < checksMax) check()
    else this.#waiting.push(check)
    return 'pending'
  }

  async #check(
    decoded: string,
    colon: number,
    mark: string,
    users: ReadonlyMap<string, StoredPassword>,
    done: (answer: IdentityAnswer) => void,
  ): Promise<void> {
    this.#checks++
    const name = decoded.slice(0, colon)
    const stored = users.get(name)
    const isRight = await fits(decoded.slice(colon + 1), stored ?? nobodysPassword).catch(() => false)
    this.#checks--
    const answer = isRight && stored !== undefined ? this.#somebody(name) : wrong
    // The file may have changed meanwhile.
    if (users === this.#users) this.#remembered.set(mark, answer, this.#nowMs() + rememberedMs)
    done(users === this.#users || answer === wrong ? answer : away)
    this.#waiting.shift()?.()
  }

  #somebody(name: string): VerifiedIdentity {
    const untilMs = Number.MAX_SAFE_INTEGER
    return { method: 'basic', source: this.source, subject: name, scopes: [], claims: { sub: name }, untilMs }
  }

  #nowMs(): number {
    return this.#clock.wall() / 1_000
  }

  challenge(): string {
    return `Basic realm="${this.#realm}", charset="UTF-8"`
  }

  async close(): Promise<void> {
    this.#file.close()
  }
}
