// Short bans that rules gave, in the edge's main thread, the one writer: each next ban of the same one lasts for the next
// step. Bounded; kept in a file so that another process of this edge knows them. Workers hear of each change at once.
//
// Who is known (an account, a session) is banned alone, because a whole office may have one address. But when many of an
// address have been banned in a short time, names are being made up there, and the address is banned.

import { join } from 'node:path'
import { RecordFolder } from '../../io/record-file.ts'
import type { Clock } from '../../kit/clock.ts'
import { isInBlocks, parseBlock } from '../../policy/address.ts'
import type { BanEntry, BanWish } from '../messages.ts'
import type { GuardSpec } from '../part.ts'
import { isSubject } from './worker-rulings.ts'

const bansMax = 20_000
/** Of one address, before the address itself is banned. */
const subjectsMax = 8
const subjectsWindowMs = 600_000
const subjectsTracked = 10_000
/** How long after its end a ban makes the next one longer; at least this, else as long as the last step. */
const forgetMs = 3_600_000
const saveMs = 1_000

interface Kept {
  readonly key: string
  untilMs: number
  /** When it was last given. */
  atMs: number
  strikes: number
  reason: string
  by: string
}

export interface RuleBansOptions {
  readonly clock: Clock
  /** State directory. */
  readonly folder: string
  changed(bans: readonly BanEntry[]): void
  told(event: 'ban' | 'unban', text: string, id: string): void
  /** To the operators. */
  failed(text: string): void
}

export interface BanStatus {
  readonly key: string
  readonly untilMs: number
  readonly strikes: number
  readonly reason: string
  readonly by: string
}

const shownMax = 200

export class RuleBans {
  readonly #options: RuleBansOptions
  readonly #bans = new Map<string, Kept>()
  /** By address: subjects that were banned there, with when. */
  readonly #subjects = new Map<string, Map<string, number>>()
  readonly #ended = new Map<string, number>()
  readonly #file: BanFile
  #stepsMs: readonly number[] = []
  #timer: NodeJS.Timeout | null = null
  #saveFailed = false

  constructor(options: RuleBansOptions) {
    this.#options = options
    this.#file = new BanFile(join(options.folder, 'guard'))
    for (const kept of this.#file.read()) this.#bans.set(kept.key, kept)
  }

  take({ banStepsMs }: Pick<GuardSpec, 'banStepsMs'>): void {
    this.#stepsMs = banStepsMs
  }

  get #nowMs(): number {
    return Math.round(this.#options.clock.wall() / 1000)
  }

  wish({ address, subject, rule, reason, id }: BanWish): void {
    if (subject === '') this.#ban(address, rule, reason, id)
    else {
      this.#ban(subject, rule, reason, id)
      if (this.#tooManyAt(address, subject))
        this.#ban(address, rule, `${subjectsMax} names of this address were banned within minutes`, id)
    }
  }

  #tooManyAt(address: string, subject: string): boolean {
    if (address === 'unknown') return false
    const now = this.#nowMs
    let seen = this.#subjects.get(address)
    if (seen === undefined) {
      if (this.#subjects.size >= subjectsTracked)
        this.#subjects.delete(this.#subjects.keys().next().value as string)
      seen = new Map()
      this.#subjects.set(address, seen)
    }
    for (const [one, atMs] of seen) if (atMs < now - subjectsWindowMs) seen.delete(one)
    seen.set(subject, now)
    if (seen.size < subjectsMax) return false
    this.#subjects.delete(address)
    return true
  }

  #ban(key: string, by: string, reason: string, id: string): void {
    const now = this.#nowMs
    if (this.#stepsMs.length === 0 || key === 'unknown') return
    const before = this.#bans.get(key)
    // What was on its way when the ban began asks for no second one.
    if (before !== undefined && before.untilMs > now) return
    const remembered = before !== undefined && before.untilMs + this.#forgetMs > now
    const strikes = remembered ? before.strikes + 1 : 1
    const forMs = this.#stepsMs[Math.min(strikes, this.#stepsMs.length) - 1] as number
    const kept: Kept = { key, untilMs: now + forMs, atMs: now, strikes, reason, by }
    this.#keep(kept)
    this.#options.changed([entryOf(kept)])
    this.#options.told('ban', `${key} until ${new Date(kept.untilMs).toISOString()} (${by}): ${reason}`, id)
    this.#saveSoon()
  }

  get #forgetMs(): number {
    return Math.max(forgetMs, this.#stepsMs.at(-1) ?? 0)
  }

  #keep(kept: Kept): void {
    this.#bans.delete(kept.key)
    this.#bans.set(kept.key, kept)
    if (this.#bans.size > bansMax) this.#dropOldest()
  }

  /** Those that are over first, else whoever was banned longest ago. */
  #dropOldest(): void {
    const now = this.#nowMs
    for (const [key, { untilMs }] of this.#bans) if (untilMs <= now) this.#bans.delete(key)
    if (this.#bans.size <= bansMax) return
    const oldest = this.#bans.values().next().value as Kept
    this.#bans.delete(oldest.key)
    this.#options.changed([{ ...entryOf(oldest), untilMs: 0 }])
  }

  /** By an operator: whatever the block's text names exactly, or lies in it as an address key. Gives what was ended. */
  end(matches: (key: string) => boolean): string[] {
    const now = this.#nowMs
    const ended = [...this.#bans.values()].filter(({ key }) => matches(key))
    for (const { key } of ended) {
      this.#bans.delete(key)
      this.#ended.set(key, now)
    }
    if (ended.length === 0) return []
    this.#options.changed(ended.map(kept => ({ ...entryOf(kept), untilMs: 0 })))
    this.#saveSoon()
    return ended.filter(({ untilMs }) => untilMs > now).map(({ key }) => key)
  }

  entries(): readonly BanEntry[] {
    const now = this.#nowMs
    return [...this.#bans.values()].filter(({ untilMs }) => untilMs > now).map(entryOf)
  }

  get inForce(): number {
    return this.entries().length
  }

  status(): { readonly count: number; readonly last: readonly BanStatus[] } {
    const now = this.#nowMs
    const all = [...this.#bans.values()].filter(({ untilMs }) => untilMs > now)
    return { count: all.length, last: all.slice(-shownMax).map(({ atMs: _at, ...shown }) => shown) }
  }

  // --- the file -----------------------------------------------------------------------------------------------------

  #saveSoon(): void {
    this.#timer ??= setTimeout(() => this.#trySave(), saveMs)
  }

  /** A disk that is full or gone ends no ban: what is known here counts. */
  #trySave(): void {
    try {
      this.#save()
      this.#saveFailed = false
    } catch (error) {
      if (!this.#saveFailed) this.#options.failed(`bans can't be kept: ${(error as Error).message}`)
      this.#saveFailed = true
    }
  }

  /** Two processes of one edge write it while one takes over: what either knows stays, but for what was ended here. */
  #save(): void {
    this.#timer = null
    const now = this.#nowMs
    const merged = new Map(this.#bans)
    for (const other of this.#file.read()) {
      const own = merged.get(other.key)
      if (own !== undefined && own.atMs >= other.atMs) continue
      if (own === undefined && (this.#ended.get(other.key) ?? -1) >= other.atMs) continue
      merged.set(other.key, other)
    }
    const lasting = [...merged.values()].filter(({ untilMs }) => untilMs + this.#forgetMs > now)
    this.#file.write(lasting.slice(-bansMax))
  }

  close(): void {
    if (this.#timer === null) return
    clearTimeout(this.#timer)
    this.#trySave()
  }
}

/** Bans that a command names: an address or a block (with every address key in it), or a subject as it is shown. */
export function matcherOf(what: string): (key: string) => boolean {
  const block = parseBlock(what)
  if (block === null) return key => key === what
  return key => key === what || (!isSubject(key) && isInBlocks(key.split('/')[0] as string, [block]))
}

function entryOf({ key, untilMs, reason, by }: Kept): BanEntry {
  return { key, untilMs, reason, by }
}

/** In pieces, because a record is bounded. */
class BanFile {
  readonly #folder: RecordFolder
  static readonly #perRecord = 200

  constructor(folder: string) {
    this.#folder = new RecordFolder(folder)
  }

  read(): Kept[] {
    return this.#folder
      .list()
      .filter(({ name }) => name.startsWith('bans-'))
      .flatMap(({ value }) => (Array.isArray(value) ? (value as Kept[]) : []))
  }

  write(bans: readonly Kept[]): void {
    const pieces = Math.ceil(bans.length / BanFile.#perRecord)
    for (let at = 0; at < pieces; at++)
      this.#folder.write(`bans-${at}`, bans.slice(at * BanFile.#perRecord, (at + 1) * BanFile.#perRecord))
    for (const { name } of this.#folder.list())
      if (name.startsWith('bans-') && Number(name.slice(5)) >= pieces) this.#folder.remove(name)
  }
}
