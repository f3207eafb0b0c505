// Which purges concern an entry. Each purge has a number; it sets the clocks of the names it purges to it, an entry
// remembers the number that was current when its origin was asked, and is dead when a clock of one of its names is later.
// A name has two clocks and both must be later, so that a collision of hashes forgets too much once in a long while, and
// never too little. Lock-free; seen by all threads at once.
//
// `begun` counts purges that set clocks, `ended` those that have set them all: an entry that was looked at is not looked at
// again until `ended` changes.

import { hashText, mix32 } from '../../policy/hash.ts'
import type { Purge } from './contract.ts'
import { clockSlots, type StoreViews } from './layout.ts'

/** Prefixes are compared up to this depth: a deeper one purges what is below its first 32 segments. */
const segmentsMax = 32
/** What a name is: part of its hash. */
const kind = { all: 1, target: 2, prefix: 3, tag: 4, key: 5 } as const
const secondSeed = 0x5bd1e995
const slash = 47
const query = 63
const space = 32
/** Of an IPv6 address without a port. */
const closingBracket = 93
const scheme = 'https:'

/** FNV-1a over `text[from..to)`: of one name the states on the way are those of its prefixes. */
function run(state: number, text: string, from: number, to: number): number {
  for (let i = from; i < to; i++) state = Math.imul(state ^ text.charCodeAt(i), 0x01000193)
  return state
}

/** A prefix with its last slash, cut to the depth that entries are compared with. */
function wholePrefix(text: string): string {
  const whole = text.endsWith('/') ? text : `${text}/`
  let at = -1
  for (let depth = 0; depth < segmentsMax; depth++) {
    const next = whole.indexOf('/', at + 1)
    if (next < 0) break
    at = next
  }
  return whole.slice(0, at + 1)
}

export class PurgeClocks {
  readonly #views: StoreViews
  /** Where every hash begins. */
  readonly #start: number

  constructor(views: StoreViews) {
    this.#views = views
    this.#start = (0x811c9dc5 ^ views.seed) | 0
  }

  /** What a fill that is led now remembers. Read after `ended`: who was found untouched by those that ended is so by these. */
  get begun(): number {
    return Atomics.load(this.#views.common.purgesBegun, 0)
  }

  get ended(): number {
    return Atomics.load(this.#views.common.purgesEnded, 0)
  }

  tagHash(tag: string): number {
    return this.#hash(kind.tag, run(this.#start, tag, 0, tag.length))
  }

  #hash(what: number, state: number): number {
    return mix32(state + Math.imul(what, 0x9e3779b1)) | 0
  }

  /** Its number. */
  purge(what: Purge): number {
    Atomics.add(this.#views.common.purges, 0, 1)
    return this.#count(serial => this.restore(what, serial))
  }

  /** Sets the clocks of what was purged by that number: now, or before a restart. */
  restore(what: Purge, serial: number): void {
    const clocks = what.soft === true ? this.#views.softClocks : this.#views.hardClocks
    const set = (of: number, name: string): void =>
      this.#set(clocks, this.#hash(of, run(this.#start, name, 0, name.length)), serial)
    if (what.all === true) set(kind.all, '')
    for (const target of what.targets ?? []) set(kind.target, target)
    for (const prefix of what.prefixes ?? []) {
      const whole = wholePrefix(prefix)
      set(kind.prefix, whole)
      set(kind.target, whole.slice(0, -1))
    }
    for (const tag of what.tags ?? []) set(kind.tag, tag)
    for (const key of what.keys ?? [])
      this.#set(clocks, this.#hash(kind.key, hashText(key, this.#views.seed)), serial)
  }

  #count(set: (serial: number) => void): number {
    const { common } = this.#views
    const serial = Atomics.add(common.purgesBegun, 0, 1) + 1
    set(serial)
    Atomics.add(common.purgesEnded, 0, 1)
    return serial
  }

  /** Numbers go on above that one. */
  raiseTo(serial: number): void {
    raise(this.#views.common.purgesBegun, 0, serial)
  }

  #set(clocks: Int32Array, hash: number, serial: number): void {
    raise(clocks, hash & (clockSlots - 1), serial)
    raise(clocks, mix32(hash ^ secondSeed) & (clockSlots - 1), serial)
  }

  /** Purged since `serial`, softly or not. Its tag hashes are `tags` words from `tagsAt` on. */
  isPurged(
    soft: boolean,
    key: string,
    keyHash: number,
    serial: number,
    words: Int32Array,
    tagsAt: number,
    tags: number,
  ): boolean {
    const clocks = soft ? this.#views.softClocks : this.#views.hardClocks
    if (this.#passed(clocks, this.#hash(kind.all, this.#start), serial)) return true
    for (let i = 0; i < tags; i++) if (this.#passed(clocks, words[tagsAt + i] as number, serial)) return true
    if (this.#passed(clocks, this.#hash(kind.key, keyHash), serial)) return true
    return this.#isNamePurged(clocks, key, serial)
  }

  /** As every host's, as its host's, and as its host's without the port. */
  #isNamePurged(clocks: Int32Array, key: string, serial: number): boolean {
    const hostAt = key.startsWith(scheme) ? scheme.length : 0
    const hostEnd = key.indexOf(' ')
    if (hostEnd < 0) return false
    const port = key.lastIndexOf(':', hostEnd)
    if (this.#isPathPurged(clocks, key, hostEnd + 1, this.#start, serial)) return true
    const host = run(this.#start, key, hostAt, hostEnd)
    if (this.#isPathPurged(clocks, key, hostEnd + 1, host, serial)) return true
    if (port <= hostAt || key.charCodeAt(hostEnd - 1) === closingBracket) return false
    const bare = run(this.#start, key, hostAt, port)
    return this.#isPathPurged(clocks, key, hostEnd + 1, bare, serial)
  }

  #isPathPurged(clocks: Int32Array, key: string, from: number, state: number, serial: number): boolean {
    let depth = 0
    for (let i = from; i < key.length; i++) {
      const char = key.charCodeAt(i)
      if (char === space) break
      // `/films?page=2` is below the prefix `/films/`, as `/films` is.
      if (char === query && depth < segmentsMax) {
        const below = Math.imul(state ^ slash, 0x01000193)
        if (this.#passed(clocks, this.#hash(kind.prefix, below), serial)) return true
      }
      state = Math.imul(state ^ char, 0x01000193)
      if (char === query) depth = segmentsMax
      else if (char === slash && depth++ < segmentsMax)
        if (this.#passed(clocks, this.#hash(kind.prefix, state), serial)) return true
    }
    return this.#passed(clocks, this.#hash(kind.target, state), serial)
  }

  #passed(clocks: Int32Array, hash: number, serial: number): boolean {
    return (
      Atomics.load(clocks, hash & (clockSlots - 1)) > serial &&
      Atomics.load(clocks, mix32(hash ^ secondSeed) & (clockSlots - 1)) > serial
    )
  }
}

/** Never back, whoever else writes. */
function raise(clocks: Int32Array, at: number, serial: number): void {
  for (let old = Atomics.load(clocks, at); old < serial; ) {
    const found = Atomics.compareExchange(clocks, at, old, serial)
    if (found === old) return
    old = found
  }
}
