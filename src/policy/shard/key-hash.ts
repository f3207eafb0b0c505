// PostgreSQL's own hash of a key, as PARTITION BY HASH computes it (hashfn.c, partbounds.c of PostgreSQL 18), so that SQL can say
// which slot a row is in. 64 bits are kept as two halves; the last result is in `hashLow` and `hashHigh`, so that nothing is
// allocated.

/** HASH_PARTITION_SEED, 0x7A5B22367996DCFD. */
const seedHigh = 0x7a5b2236
const seedLow = 0x7996dcfd
/** Of hash_combine64. */
const combineHigh = 0x49a0f4dd
const combineLow = 0x15e5a8e3
const initial = (0x9e3779b9 + 3923095) | 0

/** Halves of the last hash, unsigned. */
export let hashLow = 0
export let hashHigh = 0

function rotated(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by))
}

/** The state after the seed was mixed in, by how many bytes follow: the same for all keys of that size. */
function seeded(length: number): Int32Array {
  const state = new Int32Array(3).fill((initial + length) | 0)
  const [a, b, c] = state as unknown as [number, number, number]
  return mixed(state, (a + seedHigh) | 0, (b + seedLow) | 0, c)
}

/** mix() of lookup3. */
function mixed(state: Int32Array, first: number, second: number, third: number): Int32Array {
  let a = first
  let b = second
  let c = third
  a = ((a - c) ^ rotated(c, 4)) | 0
  c = (c + b) | 0
  b = ((b - a) ^ rotated(a, 6)) | 0
  a = (a + c) | 0
  c = ((c - b) ^ rotated(b, 8)) | 0
  b = (b + a) | 0
  a = ((a - c) ^ rotated(c, 16)) | 0
  c = (c + b) | 0
  b = ((b - a) ^ rotated(a, 19)) | 0
  a = (a + c) | 0
  c = ((c - b) ^ rotated(b, 4)) | 0
  b = (b + a) | 0
  state[0] = a
  state[1] = b
  state[2] = c
  return state
}

/** final() of lookup3. */
function finish(first: number, second: number, third: number): void {
  let a = first
  let b = second
  let c = third
  c = ((c ^ b) - rotated(b, 14)) | 0
  a = ((a ^ c) - rotated(c, 11)) | 0
  b = ((b ^ a) - rotated(a, 25)) | 0
  c = ((c ^ b) - rotated(b, 16)) | 0
  a = ((a ^ c) - rotated(c, 4)) | 0
  b = ((b ^ a) - rotated(a, 14)) | 0
  c = ((c ^ b) - rotated(b, 24)) | 0
  hashHigh = b >>> 0
  hashLow = c >>> 0
}

const [fourA, fourB, fourC] = seeded(4) as unknown as [number, number, number]
const work = new Int32Array(3)

/** hash_uint32_extended: integers of 32 bits, dates, booleans. */
export function hashInt32(value: number): void {
  finish((fourA + value) | 0, fourB, fourC)
}

/** hashint8extended: the halves of a 64-bit integer, two's complement. Small values hash as their 32-bit form does. */
export function hashInt64(low: number, high: number): void {
  hashInt32(low ^ (high < 0 ? ~high : high))
}

/** hash_bytes_extended: texts (of deterministic collations), UUIDs. */
export function hashBytes(bytes: Uint8Array, length: number = bytes.length): void {
  work.fill((initial + length) | 0)
  mixed(work, ((work[0] as number) + seedHigh) | 0, ((work[1] as number) + seedLow) | 0, work[2] as number)
  let at = 0
  for (; length - at >= 12; at += 12)
    mixed(
      work,
      ((work[0] as number) + word(bytes, at)) | 0,
      ((work[1] as number) + word(bytes, at + 4)) | 0,
      ((work[2] as number) + word(bytes, at + 8)) | 0,
    )
  let a = work[0] as number
  let b = work[1] as number
  let c = work[2] as number
  // The lowest byte of c stands for the length.
  const left = length - at
  for (let index = 0; index < left; index++) {
    const byte = bytes[at + index] as number
    if (index < 4) a = (a + (byte << (8 * index))) | 0
    else if (index < 8) b = (b + (byte << (8 * (index - 4)))) | 0
    else c = (c + (byte << (8 * (index - 7)))) | 0
  }
  finish(a, b, c)
}

function word(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  )
}

/** hash_combine64 of the row's hash before it (`low`, `high`; zero for the first column) with the last column's. */
export function combineHash(low: number, high: number): void {
  const shiftedHigh = (low << 22) | 0
  const downLow = (low >>> 7) | (high << 25)
  const downHigh = high >>> 7
  let sum = hashLow + combineLow + (downLow >>> 0)
  const sumLow = sum >>> 0
  sum = hashHigh + combineHigh + (shiftedHigh >>> 0) + downHigh + Math.floor(sum / 0x1_0000_0000)
  hashLow = (low ^ sumLow) >>> 0
  hashHigh = (high ^ sum) >>> 0
}

/** The last hash as an unsigned 64-bit number, modulo `slots` (at most 65,536). */
export function slotOfHash(slots: number): number {
  if ((slots & (slots - 1)) === 0) return (hashLow | 0) & (slots - 1)
  return ((hashHigh % slots) * (0x1_0000_0000 % slots) + (hashLow % slots)) % slots
}
