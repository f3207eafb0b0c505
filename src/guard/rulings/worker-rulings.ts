// Who is banned and who is allowed, as one worker knows it: lists of the file, rulings of operators, short bans that rules
// gave. An allowance is asked before every ban. Where nobody is banned a look-up is one comparison.

import { addressKey } from '../address-key.ts'
import type { BanEntry } from '../messages.ts'
import type { GuardRuling, GuardSpec } from '../part.ts'
import { BlockMap } from './blocks.ts'

/** Why somebody is banned. */
export interface Ban {
  /** `operator`, `file`, or the rule. */
  readonly by: string
  readonly reason: string
  /** Wall clock, milliseconds; 0 = for ever. */
  readonly untilMs: number
}

type ListSpec = Pick<GuardSpec, 'allow' | 'ban' | 'rulings' | 'ipv6PrefixBits'>

/** Short bans that are kept before those that are over are looked for. */
const sweepAtMin = 1_000

const noList: ListSpec = { allow: [], ban: [], rulings: [], ipv6PrefixBits: 64 }

export class WorkerRulings {
  readonly #nowMs: () => number
  #allowed: BlockMap<Ban> = new BlockMap<Ban>([])
  #banned: BlockMap<Ban> = new BlockMap<Ban>([])
  #ipv6PrefixBits = 64
  /** By address key, and by subject. */
  readonly #bans = new Map<string, Ban>()
  #subjects = 0
  #sweepAt = sweepAtMin
  #quiet = true

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  take(spec: ListSpec = noList): void {
    const of = (kind: GuardRuling['kind']): (readonly [string, Ban])[] =>
      spec.rulings
        .filter(ruling => ruling.kind === kind)
        .map(ruling => [ruling.block, { by: ruling.by, reason: ruling.reason, untilMs: ruling.untilMs }])
    const listed = (blocks: readonly string[], reason: string): (readonly [string, Ban])[] =>
      blocks.map(block => [block, { by: 'file', reason, untilMs: 0 }])
    this.#allowed = new BlockMap([...listed(spec.allow, 'guard.allow'), ...of('allow')])
    this.#banned = new BlockMap([...listed(spec.ban, 'guard.ban'), ...of('ban')])
    this.#ipv6PrefixBits = spec.ipv6PrefixBits
    this.#settle()
  }

  /** From the main thread: short bans, and ends of them (`untilMs` 0). */
  change(bans: readonly BanEntry[]): void {
    for (const { key, untilMs, reason, by } of bans) {
      this.#forget(key)
      if (untilMs === 0) continue
      this.#bans.set(key, { untilMs, reason, by })
      if (isSubject(key)) this.#subjects++
    }
    if (this.#bans.size > this.#sweepAt) this.#sweep()
    this.#settle()
  }

  #forget(key: string): void {
    if (this.#bans.delete(key) && isSubject(key)) this.#subjects--
  }

  /** Bans that are over: nobody says so. Each time as many may come anew as were left. */
  #sweep(): void {
    const now = this.#nowMs()
    for (const [key, { untilMs }] of this.#bans) if (untilMs <= now) this.#forget(key)
    this.#sweepAt = Math.max(sweepAtMin, 2 * this.#bans.size)
  }

  #settle(): void {
    this.#quiet = this.#banned.isEmpty && this.#bans.size === 0
  }

  /** Nobody is banned. */
  get quiet(): boolean {
    return this.#quiet
  }

  isAllowed(address: string): boolean {
    return this.#inForce(this.#allowed, address) !== null
  }

  /** Null: may pass. */
  banOf(address: string): Ban | null {
    if (this.#quiet) return null
    const ban = this.#inForce(this.#banned, address) ?? this.#shortBan(address)
    return ban === null || this.isAllowed(address) ? null : ban
  }

  #shortBan(address: string): Ban | null {
    if (this.#bans.size === this.#subjects) return null
    return this.#banAt(addressKey(address, 32, this.#ipv6PrefixBits))
  }

  /** Of an account, a session or a key; `address` is asked for allowances. */
  banOfSubject(subject: string, address: string): Ban | null {
    const ban = this.#banAt(subject)
    return ban === null || this.isAllowed(address) ? null : ban
  }

  /** Short bans that are known here, also some that are over. */
  get kept(): number {
    return this.#bans.size
  }

  get hasSubjects(): boolean {
    return this.#subjects > 0
  }

  #banAt(key: string): Ban | null {
    const ban = this.#bans.get(key)
    return ban !== undefined && ban.untilMs > this.#nowMs() ? ban : null
  }

  #inForce(blocks: BlockMap<Ban>, address: string): Ban | null {
    if (blocks.isEmpty) return null
    for (const ban of blocks.find(address)) if (ban.untilMs === 0 || ban.untilMs > this.#nowMs()) return ban
    return null
  }
}

/** Address keys hold no letter before a colon but those of IPv6; subjects begin with their kind. */
export function isSubject(key: string): boolean {
  return key.startsWith('account:') || key.startsWith('session:') || key.startsWith('key:')
}
