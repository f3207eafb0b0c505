// Which of many phrases occur in these bytes, whatever their case: Aho and Corasick's automaton (1975) over all phrases
// of a rule set at once. One walk over a value answers for every list of phrases and for the filters of all patterns.

import { membersOf } from './bytes.ts'
import type { Work } from './work.ts'

/** Nodes of the tree; phrases beyond are an error at load. */
const nodesMax = 400_000

/** Collects phrases; `id` says which list they belong to. */
export class PhraseBuilder {
  readonly #children: Map<number, number>[] = [new Map()]
  readonly #ids: number[][] = [[]]

  add(phrase: string, id: number): void {
    let node = 0
    for (let index = 0; index < phrase.length; index += 1) {
      const byte = lower(phrase.charCodeAt(index) & 0xff)
      let next = this.#children[node]!.get(byte)
      if (next === undefined) {
        if (this.#children.length >= nodesMax) throw new Error(`more than ${nodesMax} bytes of phrases`)
        next = this.#children.length
        this.#children.push(new Map())
        this.#ids.push([])
        this.#children[node]!.set(byte, next)
      }
      node = next
    }
    if (node !== 0 && !this.#ids[node]!.includes(id)) this.#ids[node]!.push(id)
  }

  /** Nodes near the root, which walks visit most, get the lowest numbers: they lie side by side. */
  build(idCount: number): Phrases {
    const order: number[] = [0]
    for (const node of order) for (const child of this.#children[node]!.values()) order.push(child)
    const places = new Int32Array(order.length)
    for (const [place, node] of order.entries()) places[node] = place
    const children = order.map(
      node => new Map([...this.#children[node]!].map(([byte, child]) => [byte, places[child]!])),
    )
    return new Phrases(
      children,
      order.map(node => this.#ids[node]!),
      idCount,
    )
  }
}

export class Phrases {
  /** Words of a result: bit `id` of it says that a phrase of that list occurs. */
  readonly words: number
  readonly #classes: Uint8Array = new Uint8Array(256)
  readonly #width: number
  readonly #table: Int32Array
  /** Of each node: where its lists begin in `#lists`; equal to the next one's: none. */
  readonly #begins: Int32Array
  readonly #lists: Int32Array
  readonly #told: Int32Array
  #walk = 0

  constructor(children: readonly Map<number, number>[], ids: readonly number[][], idCount: number) {
    this.words = (idCount + 31) >>> 5
    const bytes = new Uint8Array(256)
    for (const map of children) for (const byte of map.keys()) bytes[byte] = 1
    const used = membersOf(bytes)
    // Class 0: no phrase has this byte.
    for (const [index, byte] of used.entries()) this.#classes[byte] = index + 1
    for (let upper = 0x41; upper <= 0x5a; upper += 1) this.#classes[upper] = this.#classes[upper + 0x20]!
    this.#width = used.length + 1
    this.#table = new Int32Array(children.length * this.#width)
    const lists = this.#link(children, ids)
    this.#begins = new Int32Array(children.length + 1)
    for (let node = 0; node < children.length; node += 1) {
      this.#begins[node + 1] = this.#begins[node]! + lists[node]!.length
    }
    this.#lists = Int32Array.from(lists.flat())
    this.#told = new Int32Array(children.length)
  }

  /** Sets bits in `found`, which is not cleared before. */
  scan(bytes: Uint8Array, length: number, found: Uint32Array, work: Work): void {
    work.spend(length)
    this.#walk += 1
    const walk = this.#walk
    const classes = this.#classes
    const table = this.#table
    const begins = this.#begins
    const told = this.#told
    const width = this.#width
    let node = 0
    for (let index = 0; index < length; index += 1) {
      node = table[node * width + classes[bytes[index]!]!]!
      if (begins[node] === begins[node + 1] || told[node] === walk) continue
      told[node] = walk
      for (let at = begins[node]!; at < begins[node + 1]!; at += 1) {
        const id = this.#lists[at]!
        found[id >>> 5]! |= 1 << (id & 31)
      }
    }
  }

  /** Fills the table breadth first, failures followed; gives each node's lists with those of its suffixes. */
  #link(children: readonly Map<number, number>[], ids: readonly number[][]): number[][] {
    const fail = new Int32Array(children.length)
    const lists = ids.map(list => [...list])
    const queue: number[] = [0]
    for (const node of queue) {
      const parent = fail[node]!
      const row = node * this.#width
      if (node !== 0) {
        this.#table.copyWithin(row, parent * this.#width, (parent + 1) * this.#width)
        for (const id of lists[parent]!) if (!lists[node]!.includes(id)) lists[node]!.push(id)
      }
      for (const [byte, child] of children[node]!) {
        const kind = this.#classes[byte]!
        fail[child] = node === 0 ? 0 : this.#table[parent * this.#width + kind]!
        this.#table[row + kind] = child
        queue.push(child)
      }
    }
    return lists
  }
}

function lower(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte
}
