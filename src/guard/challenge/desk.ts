// What a challenge's step and pages work with in one worker: keys, what was spent, paces, Turnstile. Decides how hard a
// challenge is, and hands out clearances. Made with the first snapshot; what may change with one is taken from the next.

import { randomBytes } from 'node:crypto'
import type { Clock } from '../../kit/clock.ts'
import { clientBinding } from '../binding.ts'
import { noteChallenge } from '../bots/deeds.ts'
import type { GuardSpec, GuardSurroundings } from '../part.ts'
import type { Passage } from '../passage.ts'
import type { GuardVisit } from '../visit.ts'
import type { Assets } from './assets.ts'
import {
  type Clearance,
  type ClearanceFailure,
  type ClearedBy,
  clearanceCookie,
  nameFor,
  readClearance,
  writeClearance,
} from './clearance.ts'
import { type ChallengeCount, ChallengeCounts } from './counts.ts'
import { costOf, waitOf } from './difficulty.ts'
import { type ChallengeKeys, challengeKeys } from './keys.ts'
import { memoryNames } from './memory.ts'
import { Pace } from './pace.ts'
import { Spent } from './spent.ts'
import { SpentTable } from './spent-table.ts'
import { Turnstile } from './turnstile.ts'

/** Who waited instead of computing is asked again sooner. */
const waitedLifeMsMax = 600_000
/** Later uses of a clearance are not looked at. */
const noticedForMs = 300_000

/** Of the main thread. */
export interface ChallengeToWorker {
  readonly kind: 'banned'
  readonly accounts: readonly string[]
  readonly atMs: number
}

/** Banned accounts whose former clearances are worth nothing; the oldest are forgotten. */
const bannedMax = 10_000

export class Desk {
  readonly clock: Clock
  readonly spent: Spent
  readonly assets: Assets
  readonly #surroundings: GuardSurroundings
  readonly #pace: Pace
  readonly #counts: ChallengeCounts
  readonly #maker: string
  /** When, by keyed name. */
  readonly #banned = new Map<string, number>()
  #spec: GuardSpec
  keys: ChallengeKeys
  turnstile: Turnstile | null = null

  constructor(surroundings: GuardSurroundings, spec: GuardSpec, assets: Assets) {
    const { memory, index } = surroundings
    this.#surroundings = surroundings
    this.clock = surroundings.clock
    this.assets = assets
    this.spent = new Spent(new SpentTable(memory[memoryNames.spent] as SharedArrayBuffer, index + 1))
    this.#pace = new Pace(memory[memoryNames.pace] as SharedArrayBuffer, index)
    this.#counts = new ChallengeCounts(memory[memoryNames.counts] as SharedArrayBuffer, index)
    this.#maker = Buffer.from(new Uint8Array(memory[memoryNames.maker] as SharedArrayBuffer)).toString(
      'base64url',
    )
    this.#spec = spec
    this.keys = challengeKeys(spec.secretKey)
    this.take(spec)
  }

  take(spec: GuardSpec): void {
    this.#spec = spec
    this.keys = challengeKeys(spec.secretKey)
    this.turnstile?.close()
    const { turnstile } = spec.challenge
    this.turnstile =
      turnstile === undefined
        ? null
        : new Turnstile(turnstile, reason =>
            this.#surroundings.tell(
              'guard',
              `Turnstile refuses our requests: ${reason}; visitors get the proof of work`,
            ),
          )
  }

  get spec(): GuardSpec['challenge'] {
    return this.#spec.challenge
  }

  get nowMs(): number {
    return this.clock.wall() / 1_000
  }

  /** Proofs are good at the edge process that asked for them; where edges share what is spent, at all of them. */
  get maker(): string {
    return this.spent.shared === null ? this.#maker : ''
  }

  count(name: ChallengeCount): void {
    this.#counts.add(name)
  }

  /** Expected number of keys, and one more challenge on the pace. @param another who failed before pays the most. */
  costFor(risk: number, another: boolean): number {
    const { nowMs } = this
    this.#pace.issued(nowMs)
    return costOf(this.spec.pow, another ? 100 : risk, this.#pace.perSecond(nowMs))
  }

  waitMsFor(risk: number): number {
    return waitOf(risk, this.#pace.perSecond(this.nowMs))
  }

  clearanceOf(passage: Passage, visit: GuardVisit | null): Clearance | ClearanceFailure {
    const found = readClearance(this.keys, passage, visit, this.nowMs)
    if (typeof found === 'string') return found
    if (this.#isOfBanned(found, visit)) return 'revoked'
    return this.spent.isFresh('clearance', found.id, found.expiresAtMs) ? found : 'revoked'
  }

  hear({ accounts, atMs }: ChallengeToWorker): void {
    for (const account of accounts) {
      const name = nameFor(this.keys, 'account', account)
      this.#banned.delete(name)
      this.#banned.set(name, atMs)
    }
    for (const name of this.#banned.keys()) {
      if (this.#banned.size <= bannedMax) break
      this.#banned.delete(name)
    }
  }

  /** Got before the account was banned: it has to be got anew after the ban. */
  #isOfBanned({ account, issuedAtMs }: Clearance, visit: GuardVisit | null): boolean {
    if (this.#banned.size === 0) return false
    const names = [account, nameFor(this.keys, 'account', visit?.account ?? '')]
    return names.some(name => (this.#banned.get(name) ?? Number.NEGATIVE_INFINITY) >= issuedAtMs)
  }

  /** `Set-Cookie`, and the token for clients that keep no cookies. */
  clear(
    passage: Passage,
    visit: GuardVisit,
    by: ClearedBy,
    risk: number,
  ): { cookie: string; token: string; lifeMs: number } {
    const { clearanceMs } = this.spec
    const lifeMs = by === 'wait' ? Math.min(waitedLifeMsMax, clearanceMs) : clearanceMs
    const now = Math.floor(this.nowMs)
    const token = writeClearance(this.keys, {
      id: randomBytes(12).toString('base64url'),
      by,
      binding: clientBinding(passage),
      account: nameFor(this.keys, 'account', visit.account),
      session: nameFor(this.keys, 'session', visit.session),
      risk,
      issuedAtMs: now,
      expiresAtMs: now + lifeMs,
    })
    this.count(`passed:${by}`)
    noteChallenge(passage, visit, 'passed')
    this.#surroundings.audit({
      event: 'challenge-passed',
      part: 'challenge',
      text: `passed by ${by} at risk ${risk}`,
      id: passage.requestId,
    })
    return { cookie: clearanceCookie(token, passage.client?.tls != null, lifeMs), token, lifeMs }
  }

  /**
   * Who logs in after the challenge: it counts for that account too, once. Farms solve for many; the account that collects
   * what they solve is seen by its number.
   */
  noticeUse(passage: Passage, visit: GuardVisit, clearance: Clearance): void {
    const { id, account, issuedAtMs } = clearance
    if (account !== '' || visit.account === '' || this.nowMs - issuedAtMs > noticedForMs) return
    if (this.spent.spendHere('used', id, issuedAtMs + noticedForMs, this.nowMs))
      noteChallenge(passage, visit, 'used')
  }

  close(): void {
    this.turnstile?.close()
  }
}
