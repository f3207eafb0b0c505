// ARC (Megiddo & Modha, FAST 2003): one list of slots seen once, one of slots seen again, and a list of ghosts behind each.
// A key that comes back while its ghost is there says which of the two lists is too small, and moves the target between
// them. Sizes stand where the paper counts pages. What the paper does in one step comes here in two or three: `miss` moves
// the target, `evict` is its REPLACE, `insert` places the key and drops the ghosts beyond the bounds.

import type { EvictionKind, EvictionOptions } from './contract.ts'
import { Ghosts } from './ghost.ts'
import { Links } from './links.ts'
import type { Memory } from './memory.ts'
import { SlotPolicy } from './slot-policy.ts'

/** T1 and T2 of the paper; their ghosts are B1 and B2. */
const recent = 1
const frequent = 2

export class Arc extends SlotPolicy {
  readonly kind: EvictionKind = 'arc'
  readonly hitIsLockFree: boolean = false
  override readonly usesHashes: boolean = true
  readonly #capacity: number
  readonly #links: Links
  readonly #hashes: Int32Array
  readonly #recentGhosts: Ghosts
  readonly #frequentGhosts: Ghosts
  /** Ghosts that have moved the target: a second miss on them, or the insert that follows, moves it no more. */
  readonly #recentHeard: Uint8Array
  readonly #frequentHeard: Uint8Array
  /** [0] size of the recent list, [1] its target (p of the paper), [2] 1: the key missed last has a ghost of a frequent one. */
  readonly #state: Float64Array

  constructor(memory: Memory, { slots, capacity }: EvictionOptions) {
    super(memory, slots)
    // One more than slots: `evict` adds a ghost before `insert` takes one.
    const ghosts = slots + 1
    this.#capacity = capacity
    this.#state = memory.f64(3)
    this.#links = new Links(memory, slots, 2)
    this.#hashes = memory.i32(slots + 1)
    this.#recentGhosts = new Ghosts(memory, ghosts)
    this.#frequentGhosts = new Ghosts(memory, ghosts)
    this.#recentHeard = memory.u8(ghosts + 1)
    this.#frequentHeard = memory.u8(ghosts + 1)
  }

  override miss(hash: number): void {
    const frequentGhost = this.#frequentGhosts.find(hash | 0)
    this.#state[2] = frequentGhost === 0 ? 0 : 1
    if (frequentGhost !== 0) this.#wantFrequent(frequentGhost)
    else this.#wantRecent(this.#recentGhosts.find(hash | 0))
  }

  insert(slot: number, hash: number, size: number): void {
    this.miss(hash)
    this.#state[2] = 0
    const known = this.#recentGhosts.take(hash | 0) || this.#frequentGhosts.take(hash | 0)
    const list = known ? frequent : recent
    const node = this.enter(slot, size, list)
    this.#hashes[node] = hash
    this.#links.push(list, node)
    if (list === recent) this.#state[0]! += size
    this.#forgetGhosts()
  }

  hit(slot: number): void {
    const node = slot + 1
    const list = this.place[node]!
    if (list === 0) return
    this.countUse(node)
    this.#links.unlink(list, node)
    this.#links.push(frequent, node)
    if (list === frequent) return
    this.place[node] = frequent
    this.#state[0]! -= this.sizes[node]!
  }

  evict(): number {
    if (this.count === 0) return -1
    const list = this.#listToShrink()
    const node = this.#links.tail[list]!
    const ghosts = list === recent ? this.#recentGhosts : this.#frequentGhosts
    const ghost = ghosts.add(this.#hashes[node]!, this.sizes[node]!, this.#capacity * 2)
    ;(list === recent ? this.#recentHeard : this.#frequentHeard)[ghost] = 0
    return this.#takeOut(node)
  }

  remove(slot: number): void {
    if (this.place[slot + 1] !== 0) this.#takeOut(slot + 1)
  }

  override clear(): void {
    super.clear()
    this.#links.clear()
    this.#recentGhosts.clear()
    this.#frequentGhosts.clear()
    this.#state.fill(0)
  }

  #listToShrink(): number {
    if (this.#links.tail[recent] === 0) return frequent
    if (this.#links.tail[frequent] === 0) return recent
    const size = this.#state[0]!
    const target = this.#state[1]!
    return size > target || (size === target && this.#state[2] === 1) ? recent : frequent
  }

  #wantRecent(ghost: number): void {
    if (ghost === 0 || this.#recentHeard[ghost] === 1) return
    this.#recentHeard[ghost] = 1
    const step = stepOf(this.#frequentGhosts.size, this.#recentGhosts.size) * this.#recentGhosts.sizeOf(ghost)
    this.#state[1] = Math.min(this.#capacity, this.#state[1]! + step)
  }

  #wantFrequent(ghost: number): void {
    if (this.#frequentHeard[ghost] === 1) return
    this.#frequentHeard[ghost] = 1
    const step =
      stepOf(this.#recentGhosts.size, this.#frequentGhosts.size) * this.#frequentGhosts.sizeOf(ghost)
    this.#state[1] = Math.max(0, this.#state[1]! - step)
  }

  /** The recent list and its ghosts hold at most one capacity, all four lists two. */
  #forgetGhosts(): void {
    const older = this.#recentGhosts
    const hot = this.#frequentGhosts
    while (older.count > 0 && this.#state[0]! + older.size > this.#capacity) older.dropOldest()
    while (hot.count > 0 && this.size + older.size + hot.size > 2 * this.#capacity) hot.dropOldest()
  }

  #takeOut(node: number): number {
    const list = this.place[node]!
    if (list === recent) this.#state[0]! -= this.sizes[node]!
    this.#links.unlink(list, node)
    return this.leave(node)
  }
}

/** How far one ghost moves the target: further, the fewer ghosts its list has beside the other's. */
function stepOf(other: number, own: number): number {
  return Math.max(1, other / Math.max(1, own))
}
