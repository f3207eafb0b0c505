// Hashes for placing keys and members: fast, well mixed, stable over versions and machines. Not for secrets and not
// against an adversary who chooses keys. `hash.test.ts` measures avalanche, uniformity and collisions.

/**
 * Bijective mixer of 32 bits: the finaliser of MurmurHash3 (Appleby, 2011); every input bit flips each output bit
 * with a probability near one half.
 */
export function mix32(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return (x ^ (x >>> 16)) >>> 0
}

/** One uint32 from two; not symmetric: `mixPair(a, b)` differs from `mixPair(b, a)`. */
export function mixPair(a: number, b: number): number {
  return mix32(mix32(a ^ 0x9e3779b9) + Math.imul(b, 0x9e3779b1))
}

/** uint32 of a text's UTF-16 code units: FNV-1a, then `mix32` because FNV's high bits are weak on short keys. */
export function hashText(text: string, seed = 0): number {
  let h = 0x811c9dc5 ^ seed
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  return mix32(h)
}

/** uint32 of `bytes[from..to)`; equal to `hashText` of the same bytes read as latin1. */
export function hashBytes(bytes: Uint8Array, from = 0, to: number = bytes.length, seed = 0): number {
  let h = 0x811c9dc5 ^ seed
  for (let i = from; i < to; i++) h = Math.imul(h ^ bytes[i]!, 0x01000193)
  return mix32(h)
}
