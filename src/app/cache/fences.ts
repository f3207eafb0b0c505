// Writers at work, as this process knows them: while a fence stands on a key or a tag, nothing that carries it is stored.
// A fence ends when its writer says so; where the outcome of a write is unknown it stands until a time. Knows no tier.

import type { FenceNames } from './contract.ts'

interface Fence {
  /** Writers at work now. */
  holders: number
  /** How many ever came: who fills a value must have been alone from his coming on. */
  comings: number
  /** Microseconds: stands until then even without holders. */
  untilAt: number
}

/** Beyond so many, those that nobody holds and whose time is over are swept out. */
const sweepAbove = 1_024

export class Fences {
  readonly #keys = new Map<string, Fence>()
  readonly #tags = new Map<string, Fence>()

  get size(): number {
    return this.#keys.size + this.#tags.size
  }

  /** Returns the writer's place at the last key: `aloneSince` takes it. */
  hold(names: FenceNames, now: number): number {
    let place = 0
    for (const key of names.keys) place = this.#hold(this.#keys, key, now)
    for (const tag of names.tags) this.#hold(this.#tags, tag, now)
    return place
  }

  /** @param untilAt stands on until then; 0: ends now, if no other holds it */
  free(names: FenceNames, untilAt: number): void {
    for (const key of names.keys) this.#free(this.#keys, key, untilAt)
    for (const tag of names.tags) this.#free(this.#tags, tag, untilAt)
  }

  onKey(key: string, now: number): boolean {
    return this.#keys.size > 0 && stands(this.#keys.get(key), now)
  }

  onTags(tags: readonly string[], now: number): boolean {
    return this.#tags.size > 0 && tags.some(tag => stands(this.#tags.get(tag), now))
  }

  /** Has nobody else fenced the key since the writer with this place came, and is nobody else there? */
  aloneSince(key: string, place: number, now: number): boolean {
    const fence = this.#keys.get(key)
    return fence !== undefined && fence.holders === 1 && fence.comings === place && fence.untilAt <= now
  }

  #hold(map: Map<string, Fence>, name: string, now: number): number {
    if (map.size > sweepAbove) sweep(map, now)
    const fence = map.get(name) ?? { holders: 0, comings: 0, untilAt: 0 }
    const alone = !stands(fence, now)
    fence.holders++
    fence.comings++
    map.set(name, fence)
    return alone ? fence.comings : -1
  }

  #free(map: Map<string, Fence>, name: string, untilAt: number): void {
    const fence = map.get(name)
    if (fence === undefined) return
    fence.holders--
    fence.untilAt = Math.max(fence.untilAt, untilAt)
    if (fence.holders === 0 && fence.untilAt === 0) map.delete(name)
  }
}

function stands(fence: Fence | undefined, now: number): boolean {
  return fence !== undefined && (fence.holders > 0 || now < fence.untilAt)
}

function sweep(map: Map<string, Fence>, now: number): void {
  for (const [name, fence] of map) if (!stands(fence, now)) map.delete(name)
}
