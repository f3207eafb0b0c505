// Slots: fixed pieces of a table's key space, and who owns them. Changing the number of shards moves as few as can be:
// who has too many gives, who has too few takes. Also which slots a ring of virtual nodes would give to whom.

import { hashText, mix32, mixPair } from '../hash.ts'

/** Slots of a hashed table: enough for a thousand shards that are even to some percent, few enough to count heat by. */
export const slotsDefault = 4096
export const slotsMax = 65_536
export const shardsMax = 1024

/** `owners[slot]` = index of a shard; evenly, in runs. */
export function evenSlots(slots: number, shards: number): Uint16Array {
  return Uint16Array.from({ length: slots }, (_, slot) => Math.floor((slot * shards) / slots))
}

/**
 * The same slots over other shards: `shares[shard]` (any unit; 0 = it gets none). Only slots of who has more than its
 * share move, so that shard n+1 of equal ones takes 1/(n+1) of all slots, and no slot moves between two that stay.
 */
export function rebalanced(owners: Uint16Array, shares: readonly number[]): Uint16Array {
  const wanted = apportioned(owners.length, shares)
  const have = new Uint32Array(shares.length)
  const moved = Uint16Array.from(owners)
  const homeless: number[] = []
  for (let slot = 0; slot < owners.length; slot++) {
    const owner = owners[slot]!
    if (owner < shares.length && have[owner]! < wanted[owner]!) have[owner]! += 1
    else homeless.push(slot)
  }
  let taker = 0
  for (const slot of homeless) {
    while (have[taker]! >= wanted[taker]!) taker++
    moved[slot] = taker
    have[taker]! += 1
  }
  return moved
}

/** Largest remainders: whole numbers that add up to `total`. */
function apportioned(total: number, shares: readonly number[]): number[] {
  const sum = shares.reduce((all, one) => all + one, 0)
  const exact = shares.map(one => (one * total) / sum)
  const whole = exact.map(Math.floor)
  const left = total - whole.reduce((all, one) => all + one, 0)
  const order = exact.map((value, i) => ({ i, rest: value - Math.floor(value) }))
  order.sort((x, y) => y.rest - x.rest || x.i - y.i)
  for (const { i } of order.slice(0, left)) whole[i]! += 1
  return whole
}

/**
 * Consistent hashing (Karger et al., 1997): each shard has `points` places on a ring of 2^32 by its name alone, and a slot
 * belongs to the first place at or behind its own. Nothing needs to be stored but the names.
 */
export function ringSlots(slots: number, shards: readonly string[], points: number): Uint16Array {
  const ring: { place: number; shard: number }[] = []
  shards.forEach((name, shard) => {
    for (let point = 0; point < points; point++) ring.push({ place: mixPair(hashText(name), point), shard })
  })
  // Two at one place: the name decides, not the order of the list.
  ring.sort((x, y) => x.place - y.place || (shards[x.shard]! < shards[y.shard]! ? -1 : 1))
  const places = Uint32Array.from(ring, ({ place }) => place)
  return Uint16Array.from({ length: slots }, (_, slot) => {
    const at = firstAtOrAfter(places, mix32(slot + 1))
    return ring[at]!.shard
  })
}

function firstAtOrAfter(places: Uint32Array, place: number): number {
  let low = 0
  let high = places.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (places[middle]! < place) low = middle + 1
    else high = middle
  }
  return low === places.length ? 0 : low
}

/** Slots whose owner differs. */
export function movedSlots(before: Uint16Array, after: Uint16Array): number[] {
  const moved: number[] = []
  for (let slot = 0; slot < before.length; slot++) if (before[slot] !== after[slot]) moved.push(slot)
  return moved
}

/** `[owner, count, owner, count, ...]`: how a map is written down. */
export function runsOf(owners: Uint16Array): number[] {
  const runs: number[] = []
  for (const owner of owners) {
    if (runs.at(-2) === owner) runs[runs.length - 1]! += 1
    else runs.push(owner, 1)
  }
  return runs
}

/** Null: they are no runs of `slots` slots. */
export function slotsOfRuns(runs: readonly number[], slots: number): Uint16Array | null {
  const owners = new Uint16Array(slots)
  let at = 0
  for (let i = 0; i + 1 < runs.length; i += 2) {
    const count = runs[i + 1]!
    if (!Number.isInteger(count) || count < 1 || at + count > slots) return null
    owners.fill(runs[i]!, at, at + count)
    at += count
  }
  return at === slots && runs.length % 2 === 0 ? owners : null
}
