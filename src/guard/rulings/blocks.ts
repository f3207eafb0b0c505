// CIDR blocks with something said of each: a look-up costs one probe for each distinct prefix length, however many blocks
// there are. Text that is no block is left out; whoever makes the list has checked it.

import { addressBytes } from '../../kit/address.ts'
import { parseBlock } from '../../policy/address.ts'

export class BlockMap<T> {
  /** By prefix length in the 16-byte form, longest first: the masked address as Latin-1 text. */
  readonly #byBits: (readonly [bits: number, values: Map<string, T>])[] = []

  constructor(entries: Iterable<readonly [block: string, value: T]>) {
    const byBits = new Map<number, Map<string, T>>()
    for (const [text, value] of entries) {
      const block = parseBlock(text)
      if (block === null) continue
      let values = byBits.get(block.bits)
      if (values === undefined) {
        values = new Map()
        byBits.set(block.bits, values)
      }
      const key = masked(block.bytes, block.bits)
      if (!values.has(key)) values.set(key, value)
    }
    this.#byBits = [...byBits].sort((a, b) => b[0] - a[0])
  }

  get isEmpty(): boolean {
    return this.#byBits.length === 0
  }

  /** What is said of each block that holds the address, the smallest block first. */
  *find(address: string): Generator<T> {
    if (this.isEmpty) return
    const bytes = addressBytes(address)
    if (bytes === null) return
    for (const [bits, values] of this.#byBits) {
      const value = values.get(masked(bytes, bits))
      if (value !== undefined) yield value
    }
  }
}

function masked(bytes: Uint8Array, bits: number): string {
  const whole = bits >> 3
  let text = String.fromCharCode(...bytes.subarray(0, whole))
  const rest = bits & 7
  if (rest > 0) text += String.fromCharCode((bytes[whole] as number) & (255 << (8 - rest)) & 255)
  return text
}
