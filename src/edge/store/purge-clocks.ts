// Which purges concern an entry. Each purge has a number; it sets the clocks of the names it purges to it, an entry
// remembers the number that was current when its origin was asked, and is dead when a clock of one of its names is later.
// A name has two clocks and both must be later, so that a collision of hashes forgets too much once in a long while, and
// never too little. Lock-free; seen by all threads at once.
//
// `begun` counts purges that set clocks, `ended` those that have set them all: an entry that was looked at is not looked at
// again until `ended` changes.

import { hashText } from '../../policy/hash.ts'
import type { Purge } from './contract.ts'
import { clockSlots, type StoreViews } from './layout.ts'

/** Prefixes are compared up to this depth: a deeper one purges what is below its first 32 segments. */
const segmentsMax = 32
/** What a name is: part of its hash. */
const kind = { all: 1, target: 2, prefix: 3, tag: 4, key: 5 } as const
const secondSeed = 0x5bd1e995
const everything = '*'

interface KeyParts {
  /** As asked; without its port. */
  readonly hosts: readonly string[]
  readonly target: string
}

/** `https:` is of the key only: purges name hosts. */
export function keyParts(key: string): KeyParts {
  const hostEnd = key.indexOf(' ')
  const end = key.indexOf(' ', hostEnd + 1)
  const host = key.slice(key.startsWith('https:') ? 6 : 0, Math.max(0, hostEnd))
  const bare = host.replace(/:\d+$/, '')
  const target = key.slice(hostEnd + 1, end < 0 ? key.length : end)
  return { hosts: bare === host ? ['', host] : ['', host, bare], target }
}

/** The folder-like beginnings of a path: `/a/b?c` has `/` and `/a/`. */
function prefixesOf(target: string): string[] {
  const query = target.indexOf('?')
  const pathEnd = query < 0 ? target.length : query
  const found: string[] = []
  for (let at = target.indexOf('/'); at >= 0 && at < pathEnd; at = target.indexOf('/', at + 1)) {
    found.push(target.slice(0, at + 1))
    if (found.length > segmentsMax) break
  }
  return found
}

/** Cut to the depth that entries are compared with. */
function prefixOf(text: string): string {
  const slash = text.indexOf('/')
  const path = text.slice(slash < 0 ? text.length : slash)
  const whole = path.endsWith('/') ? path : `${path}/`
  return text.slice(0, text.length - path.length) + (prefixesOf(whole).at(-1) ?? '/')
}

export class PurgeClocks {
  readonly #views: StoreViews
  readonly #seed: number
  readonly #seedTwo: number

  constructor(views: StoreViews) {
    this.#views = views
    this.#seed = views.seed
    this.#seedTwo = views.seed ^ secondSeed
  }

  /** What a fill that is led now remembers. */
  get begun(): number {
    return Atomics.load(this.#views.common.purgesBegun, 0)
  }

  get ended(): number {
    return Atomics.load(this.#views.common.purgesEnded, 0)
  }

  tagHash(tag: string): number {
    return hashText(tag, this.#seed + kind.tag) | 0
  }

  tagHashTwo(tag: string): number {
    return hashText(tag, this.#seedTwo + kind.tag) | 0
  }

  purge(what: Purge): void {
    const { common, hardClocks, softClocks } = this.#views
    const clocks = what.soft === true ? softClocks : hardClocks
    const serial = Atomics.add(common.purgesBegun, 0, 1) + 1
    if (what.all === true) this.#set(clocks, kind.all, everything, serial)
    for (const target of what.targets ?? []) this.#set(clocks, kind.target, target, serial)
    for (const prefix of what.prefixes ?? []) {
      const whole = prefixOf(prefix)
      this.#set(clocks, kind.prefix, whole, serial)
      this.#set(clocks, kind.target, whole.slice(0, -1), serial)
    }
    for (const tag of what.tags ?? []) this.#set(clocks, kind.tag, tag, serial)
    Atomics.add(common.purges, 0, 1)
    Atomics.add(common.purgesEnded, 0, 1)
  }

  purgeKey(key: string): void {
    const { common, hardClocks } = this.#views
    const serial = Atomics.add(common.purgesBegun, 0, 1) + 1
    this.#set(hardClocks, kind.key, key, serial)
    Atomics.add(common.purgesEnded, 0, 1)
  }

  /** Purged since `serial`, softly or not. `tagWords`: where its pairs of tag hashes lie in the arena's words. */
  isPurged(soft: boolean, key: string, serial: number, tagWords: number, tags: number): boolean {
    const clocks = soft ? this.#views.softClocks : this.#views.hardClocks
    if (this.#passed(clocks, kind.all, everything, serial)) return true
    const { words } = this.#views
    for (let i = 0; i < tags; i++) {
      const at = tagWords + i * 2
      if (this.#passedHashes(clocks, words[at] as number, words[at + 1] as number, serial)) return true
    }
    if (!soft && this.#passed(clocks, kind.key, key, serial)) return true
    const { hosts, target } = keyParts(key)
    const prefixes = prefixesOf(target)
    for (const host of hosts) {
      if (this.#passed(clocks, kind.target, host + target, serial)) return true
      for (const prefix of prefixes) if (this.#passed(clocks, kind.prefix, host + prefix, serial)) return true
    }
    return false
  }

  #passed(clocks: Int32Array, what: number, name: string, serial: number): boolean {
    return this.#passedHashes(
      clocks,
      hashText(name, this.#seed + what),
      hashText(name, this.#seedTwo + what),
      serial,
    )
  }

  #passedHashes(clocks: Int32Array, one: number, two: number, serial: number): boolean {
    return (
      Atomics.load(clocks, one & (clockSlots - 1)) > serial &&
      Atomics.load(clocks, two & (clockSlots - 1)) > serial
    )
  }

  #set(clocks: Int32Array, what: number, name: string, serial: number): void {
    raise(clocks, hashText(name, this.#seed + what) & (clockSlots - 1), serial)
    raise(clocks, hashText(name, this.#seedTwo + what) & (clockSlots - 1), serial)
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
