// Which of many phrases occur in these bytes, whatever their case. One walk over a value answers for every list of
// phrases and for the filters of all patterns: at each place two bytes choose a word, and the third one a bit of it, which
// says whether a phrase may begin here; only then a tree of the phrases is followed. Most places cost one look.
//
// The bit is one of 32 for 256 third bytes, so it says `maybe` too often, never too rarely; the tree is exact.

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
    if (node === 0) return
    if (!this.#ids[node]!.includes(id)) this.#ids[node]!.push(id)
  }

  build(idCount: number): Phrases {
    return new Phrases(this.#children, this.#ids, idCount)
  }
}

export class Phrases {
  /** Words of a result: bit `id` of it says that a phrase of that list occurs. */
  readonly words: number
  /** By the first two bytes of phrases: a bit for each third one, modulo 32; all of them where two are a phrase. */
  readonly #thirds: Int32Array = new Int32Array(1 << 16)
  /** By two bytes: the node they lead to. */
  readonly #pairNodes: Int32Array = new Int32Array(1 << 16).fill(-1)
  /** Bytes that are phrases by themselves, and their nodes. */
  readonly #singles: readonly (readonly [byte: number, node: number])[]
  readonly #seen: Uint8Array = new Uint8Array(256)
  /** Edges of the tree by open addressing: node and byte, and where it leads. */
  readonly #edges: Int32Array
  readonly #targets: Int32Array
  readonly #edgeMask: number
  /** Of each node: where its lists begin in `#lists`; equal to the next one's: none. */
  readonly #begins: Int32Array
  readonly #lists: Int32Array
  readonly #told: Int32Array
  #walk = 0

  constructor(children: readonly Map<number, number>[], ids: readonly number[][], idCount: number) {
    this.words = (idCount + 31) >>> 5
    const size = 1 << (33 - Math.clz32(children.length))
    this.#edges = new Int32Array(size).fill(-1)
    this.#targets = new Int32Array(size)
    this.#edgeMask = size - 1
    this.#begins = new Int32Array(children.length + 1)
    for (const [node, map] of children.entries()) {
      for (const [byte, child] of map) this.#addEdge(node, byte, child)
      this.#begins[node + 1] = this.#begins[node]! + ids[node]!.length
    }
    this.#lists = Int32Array.from(ids.flat())
    this.#told = new Int32Array(children.length)
    this.#addBeginnings(children, ids)
    this.#singles = [...children[0]!].filter(([, node]) => ids[node]!.length > 0)
  }

  /** Sets bits in `found`, which is not cleared before. */
  scan(bytes: Uint8Array, length: number, found: Uint32Array, work: Work): void {
    this.#walk += 1
    const thirds = this.#thirds
    const seen = this.#seen.fill(0)
    let pair = 0
    let walked = 0
    for (let at = 0; at < length; at += 1) {
      const byte = lowered[bytes[at]!]!
      seen[byte] = 1
      if (((thirds[pair]! >>> (byte & 31)) & 1) !== 0 && at > 1) {
        walked += this.#follow(this.#pairNodes[pair]!, bytes, at, length, found)
      }
      pair = ((pair << 8) | byte) & 0xffff
    }
    const last = this.#pairNodes[pair]!
    if (last >= 0 && length > 1) this.#follow(last, bytes, length, length, found)
    for (const [byte, node] of this.#singles) if (seen[byte] === 1) this.#tell(node, found)
    work.spend(length + walked)
  }

  /** Where the first phrase of list `id` is: begin and end; null: nowhere. */
  first(bytes: Uint8Array, length: number, id: number): readonly [begin: number, end: number] | null {
    for (let begin = 0; begin < length; begin += 1) {
      let node = 0
      for (let at = begin; at < length; at += 1) {
        node = this.#next(node, lowered[bytes[at]!]!)
        if (node < 0) break
        if (this.#lists.subarray(this.#begins[node], this.#begins[node + 1]).includes(id))
          return [begin, at + 1]
      }
    }
    return null
  }

  /** From the node of the two bytes before `from`. Gives the steps it made. */
  #follow(begin: number, bytes: Uint8Array, from: number, length: number, found: Uint32Array): number {
    let node = begin
    let at = from
    for (;;) {
      if (this.#begins[node] !== this.#begins[node + 1]) this.#tell(node, found)
      if (at >= length) break
      node = this.#next(node, lowered[bytes[at]!]!)
      at += 1
      if (node < 0) break
    }
    return at - from + 1
  }

  #tell(node: number, found: Uint32Array): void {
    if (this.#told[node] === this.#walk) return
    this.#told[node] = this.#walk
    for (let at = this.#begins[node]!; at < this.#begins[node + 1]!; at += 1) {
      const id = this.#lists[at]!
      found[id >>> 5]! |= 1 << (id & 31)
    }
  }

  #next(node: number, byte: number): number {
    const edge = (node << 8) | byte
    for (let place = scattered(edge) & this.#edgeMask; ; place = (place + 1) & this.#edgeMask) {
      const known = this.#edges[place]!
      if (known === edge) return this.#targets[place]!
      if (known < 0) return -1
    }
  }

  #addEdge(node: number, byte: number, child: number): void {
    const edge = (node << 8) | byte
    let place = scattered(edge) & this.#edgeMask
    while (this.#edges[place]! >= 0) place = (place + 1) & this.#edgeMask
    this.#edges[place] = edge
    this.#targets[place] = child
  }

  #addBeginnings(children: readonly Map<number, number>[], ids: readonly number[][]): void {
    for (const [first, afterFirst] of children[0]!) {
      for (const [second, node] of children[afterFirst]!) {
        const pair = (first << 8) | second
        this.#pairNodes[pair] = node
        if (ids[node]!.length > 0) this.#thirds[pair] = -1
        else for (const third of children[node]!.keys()) this.#thirds[pair]! |= 1 << (third & 31)
      }
    }
  }
}

const lowered: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) => lower(byte))

function scattered(edge: number): number {
  const mixed = Math.imul(edge ^ (edge >>> 15), 0x2c1b3c6d)
  return mixed ^ (mixed >>> 13)
}

function lower(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte
}
