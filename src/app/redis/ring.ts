// Which of several plain Redis servers owns a key: consistent hashing with virtual nodes, and bounded loads. Every process
// that knows the same servers places every key alike: it depends on the servers' names and the key only, never on what a
// process measures, because a delete must reach the one place where the entry is. Pure; servers are indexes of the list.
//
// The keys' space is cut into partitions. A partition belongs to the first server at or after it on the ring (Karger et
// al., 1997) that has not reached its bound (Mirrokni et al., 2016): no server owns more than `loadFactor` times the mean.

import { hashText, mix32, mixPair } from '../../policy/hash.ts'

/** A power of two; a look-up is one hash and one read of a 16 KB table. */
const partitionCount = 8_192
const pointsPerServer = 160
/** A tenth above the mean: little moves for it when a server goes, and no server is worth more than its part of memory. */
const loadFactorDefault = 1.1

export const ringServersMax = 256

export interface Ring {
  /** Index of the server that owns the key. */
  ownerOf(key: string): number
  /** Share of the partitions that a server owns, 0..1. */
  shareOf(server: number): number
}

/** @param names of the servers: what stays the same when a server is replaced (host:port), each once. */
export function createRing(names: readonly string[], loadFactor: number = loadFactorDefault): Ring {
  const table = partitionsOf(names, loadFactor)
  const mask = partitionCount - 1
  return {
    ownerOf: key => table[hashText(key) & mask]!,
    shareOf: server => {
      let owned = 0
      for (const owner of table) if (owner === server) owned++
      return owned / partitionCount
    },
  }
}

function partitionsOf(names: readonly string[], loadFactor: number): Uint16Array {
  const { places, owners } = pointsOf(names)
  const bound = Math.ceil((loadFactor * partitionCount) / names.length)
  const owned = new Uint32Array(names.length)
  const table = new Uint16Array(partitionCount)
  for (let partition = 0; partition < partitionCount; partition++) {
    let at = firstAtOrAfter(places, mix32(partition ^ 0x5bd1e995))
    while (owned[owners[at]!]! >= bound) at = at + 1 === owners.length ? 0 : at + 1
    const owner = owners[at]!
    table[partition] = owner
    owned[owner] = owned[owner]! + 1
  }
  return table
}

/** All servers' points in ascending order; equal places go to the smaller name, whatever the order of the list. */
function pointsOf(names: readonly string[]): { places: Uint32Array; owners: Uint16Array } {
  const points = names.flatMap((name, owner) => {
    const seed = hashText(name)
    return Array.from({ length: pointsPerServer }, (_, point) => ({
      place: mixPair(seed, point),
      owner,
      name,
    }))
  })
  points.sort((a, b) => a.place - b.place || (a.name < b.name ? -1 : 1))
  return {
    places: Uint32Array.from(points, point => point.place),
    owners: Uint16Array.from(points, point => point.owner),
  }
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
