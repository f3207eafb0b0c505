// Gives out runs of blocks and takes them back: two-level segregated fit (Masmano and others, 2004) with its size table
// beside the arena and the links of free runs in their own memory. Each call is O(1) and coalesces, so nothing is ever
// moved. Called under the lock. A run that a reader may still look at is not given back: `entries.ts` sees to that.

import { blockBytes, runClasses, type StoreViews } from './layout.ts'

const wordsOfBlock = blockBytes / 4
/** Sizes below it have a list each; above, each power of two has eight. */
const exactBelow = 16
const looksInClass = 8

function classOf(blocks: number): number {
  if (blocks < exactBelow) return blocks
  const power = 31 - Math.clz32(blocks)
  return exactBelow + (power - 4) * 8 + ((blocks >>> (power - 3)) & 7)
}

/** The class whose runs all fit. */
function classAbove(blocks: number): number {
  if (blocks < exactBelow) return blocks
  const power = 31 - Math.clz32(blocks)
  return classOf(blocks + (1 << (power - 3)) - 1)
}

export class Runs {
  readonly #views: StoreViews
  readonly #map: Int32Array

  constructor(views: StoreViews) {
    this.#views = views
    this.#map = views.freeRuns.subarray(runClasses)
  }

  /** Blocks of a run in use. */
  sizeOf(run: number): number {
    return -(this.#views.edges[run] as number)
  }

  /** A run of `wanted` blocks; if there is none, the largest of at least `least`; 0: none. */
  take(wanted: number, least: number = wanted): number {
    const run = this.#fitting(wanted) || this.#similar(wanted) || this.#largest(least)
    if (run === 0) return 0
    const has = this.#views.edges[run] as number
    this.#unlist(run, has)
    this.#mark(run, Math.min(has, wanted), -1)
    if (has > wanted) this.#list(run + wanted, has - wanted)
    this.#views.common.usedBlocks[0]! += Math.min(has, wanted)
    return run
  }

  give(run: number): void {
    const { edges, blocks, common } = this.#views
    let size = -(edges[run] as number)
    common.usedBlocks[0]! -= size
    const before = run > 1 ? (edges[run - 1] as number) : 0
    if (before > 0) {
      this.#unlist(run - before, before)
      run -= before
      size += before
    }
    const after = run + size < blocks ? (edges[run + size] as number) : 0
    if (after > 0) {
      this.#unlist(run + size, after)
      size += after
    }
    this.#list(run, size)
  }

  /** Keeps the first blocks of a run and gives back the rest. */
  trim(run: number, keep: number): void {
    const size = this.sizeOf(run)
    if (keep >= size) return
    this.#mark(run, keep, -1)
    this.#mark(run + keep, size - keep, -1)
    this.give(run + keep)
  }

  /** Everything is free but these runs: pairs of first block and size, by place, none twice. */
  rebuild(inUse: readonly (readonly [run: number, size: number])[]): void {
    const { freeRuns, blocks, common } = this.#views
    freeRuns.fill(0)
    let at = 1
    let used = 0
    for (const [run, size] of inUse) {
      if (run > at) this.#list(at, run - at)
      this.#mark(run, size, -1)
      used += size
      at = run + size
    }
    if (at < blocks) this.#list(at, blocks - at)
    common.usedBlocks[0] = used
  }

  #mark(run: number, size: number, sign: number): void {
    const { edges } = this.#views
    edges[run] = sign * size
    edges[run + size - 1] = sign * size
  }

  #list(run: number, size: number): void {
    const { freeRuns, words } = this.#views
    this.#mark(run, size, 1)
    const list = classOf(size)
    const first = freeRuns[list] as number
    words[run * wordsOfBlock] = first
    words[run * wordsOfBlock + 1] = 0
    if (first !== 0) words[first * wordsOfBlock + 1] = run
    freeRuns[list] = run
    this.#map[list >>> 5]! |= 1 << (list & 31)
  }

  #unlist(run: number, size: number): void {
    const { freeRuns, words } = this.#views
    const list = classOf(size)
    const next = words[run * wordsOfBlock] as number
    const before = words[run * wordsOfBlock + 1] as number
    if (next !== 0) words[next * wordsOfBlock + 1] = before
    if (before !== 0) words[before * wordsOfBlock] = next
    else {
      freeRuns[list] = next
      if (next === 0) this.#map[list >>> 5]! &= ~(1 << (list & 31))
    }
  }

  #fitting(wanted: number): number {
    const from = classAbove(wanted)
    for (let word = from >>> 5; word < this.#map.length; word++) {
      let bits = this.#map[word] as number
      if (word === from >>> 5) bits &= -1 << (from & 31)
      if (bits !== 0) return this.#views.freeRuns[word * 32 + lowest(bits)] as number
    }
    return 0
  }

  /** Of the class that holds smaller and larger ones. */
  #similar(wanted: number): number {
    const { freeRuns, edges, words } = this.#views
    let run = freeRuns[classOf(wanted)] as number
    for (let looks = 0; run !== 0 && looks < looksInClass; looks++) {
      if ((edges[run] as number) >= wanted) return run
      run = words[run * wordsOfBlock] as number
    }
    return 0
  }

  #largest(least: number): number {
    for (let word = this.#map.length - 1; word >= 0; word--) {
      const bits = this.#map[word] as number
      if (bits === 0) continue
      const run = this.#views.freeRuns[word * 32 + 31 - Math.clz32(bits)] as number
      return (this.#views.edges[run] as number) >= least ? run : 0
    }
    return 0
  }
}

function lowest(bits: number): number {
  return 31 - Math.clz32(bits & -bits)
}
