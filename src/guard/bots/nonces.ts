// Nonces of signatures that were taken, in memory that all workers share, until they would be worth nothing anyway. One
// word a nonce, written at once, so that of two workers one is told that it was there before. A set that is full of living
// ones takes no more: a signature that can't be remembered does not count.

import { type HashStart, hashKey, hashStart, type KeyHash } from '../../policy/limit/key-hash.ts'
import type { NonceBook } from './signature.ts'

const ways = 8
const wordBytes = 8
/** 32,768 nonces. */
export const nonceBytes: number = 32_768 * wordBytes
/** A word: 32 bits of the hash, then the last second of its life. */
const hashShift = 32n

export class SharedNonces implements NonceBook {
  readonly #words: BigInt64Array
  readonly #start: HashStart
  readonly #sets: number
  readonly #hash: KeyHash = { low: 0, high: 0 }

  constructor(memory: ArrayBufferLike, secret: readonly [number, number]) {
    this.#words = new BigInt64Array(memory)
    this.#start = hashStart(secret, 'nonce')
    this.#sets = Math.floor(this.#words.length / ways)
  }

  add(keyId: string, nonce: string, untilSeconds: number, nowSeconds: number): boolean {
    hashKey(this.#start, `${keyId}\n${nonce}`, this.#hash)
    const { low, high } = this.#hash
    const words = this.#words
    const from = ((high >>> 0) % this.#sets) * ways
    let free = -1
    let freeWord = 0n
    for (let at = from; at < from + ways; at++) {
      const word = Atomics.load(words, at)
      if (secondOf(word) >= nowSeconds) {
        if (Number(word >> hashShift) === low) return false
      } else if (free < 0) {
        free = at
        freeWord = word
      }
    }
    if (free < 0) return false
    const word = (BigInt(low) << hashShift) | BigInt(untilSeconds >>> 0)
    return Atomics.compareExchange(words, free, freeWord, word) === freeWord
  }
}

function secondOf(word: bigint): number {
  return Number(word & 0xffff_ffffn)
}
