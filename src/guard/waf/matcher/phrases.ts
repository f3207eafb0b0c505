// Which of many phrases occur in these bytes, whatever their case. One walk over a value answers for every list of
// phrases and for the filters of all patterns: at each place small sets of the first bytes of all phrases say whether
// one may begin here; only then a tree of the phrases is followed. Most places cost three looks into 24 KB.
//
// The sets are hashed, so they say `maybe` too often, never too rarely; the tree is exact.

import type { Work } from './work.ts'

/** Nodes of the tree; phrases beyond are an error at load. */
const nodesMax = 400_000
/** Of phrases of four bytes and more, how many bytes a set looks at; shorter ones are in sets of their own. */
const longBytes = 4
const shortBytes = 3
/** Bits of a set, as a power of two. */
const setBits = 16

/** Collects phrases; `id` says which list they belong to. */
export class PhraseBuilder {
  readonly #children: Map<number, number>[] = [new Map()]
  readonly #ids: number[][] = [[]]
  readonly #texts: Set<string> = new Set()

  add(phrase: string, id: number): void {
    let node = 0
    let text = ''
    for (let index = 0; index < phrase.length; index += 1) {
      const byte = lower(phrase.charCodeAt(index) & 0xff)
      text += String.fromCharCode(byte)
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
    this.#texts.add(text.slice(0, longBytes))
  }

  build(idCount: number): Phrases {
    return new Phrases(this.#children, this.#ids, [...this.#texts], idCount)
  }
}

export class Phrases {
  /** Words of a result: bit `id` of it says that a phrase of that list occurs. */
  readonly words: number
  /** A bit for each four bytes with which a longer phrase begins. */
  readonly #longs: Uint32Array = new Uint32Array(1 << (setBits - 5))
  /** For each phrase of three bytes. */
  readonly #shorts: Uint32Array = new Uint32Array(1 << (setBits - 5))
  /** For each two bytes that are a phrase: exact. */
  readonly #pairs: Uint32Array = new Uint32Array(1 << 11)
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

  constructor(
    children: readonly Map<number, number>[],
    ids: readonly number[][],
    beginnings: readonly string[],
    idCount: number,
  ) {
    this.words = (idCount + 31) >>> 5
    for (const text of beginnings) this.#addBeginning(text)
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
    this.#singles = [...children[0]!].filter(([, node]) => ids[node]!.length > 0)
  }

  /** Sets bits in `found`, which is not cleared before. */
  scan(bytes: Uint8Array, length: number, found: Uint32Array, work: Work): void {
    this.#walk += 1
    const longs = this.#longs
    const shorts = this.#shorts
    const pairs = this.#pairs
    const seen = this.#seen.fill(0)
    let four = 0
    let walked = 0
    for (let at = 0; at < length; at += 1) {
      const byte = lowered[bytes[at]!]!
      seen[byte] = 1
      four = (four << 8) | byte
      const long = Math.imul(four, spread) >>> (32 - setBits)
      if ((longs[long >>> 5]! & (1 << (long & 31))) !== 0 && at > 2) {
        walked += this.#follow(bytes, at - 3, length, found)
      }
      const short = Math.imul(four << 8, spread) >>> (32 - setBits)
      if ((shorts[short >>> 5]! & (1 << (short & 31))) !== 0) {
        if (at > 1) walked += this.#follow(bytes, at - 2, length, found)
      }
      const pair = four & 0xffff
      if ((pairs[pair >>> 5]! & (1 << (pair & 31))) !== 0 && at > 0) {
        walked += this.#follow(bytes, at - 1, length, found)
      }
    }
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

  /** Gives the steps it made. */
  #follow(bytes: Uint8Array, from: number, length: number, found: Uint32Array): number {
    let node = 0
    let at = from
    for (; at < length; at += 1) {
      node = this.#next(node, lowered[bytes[at]!]!)
      if (node < 0) break
      if (this.#begins[node] !== this.#begins[node + 1]) this.#tell(node, found)
    }
    return at - from
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

  #addBeginning(text: string): void {
    const bytes = Buffer.from(text, 'latin1')
    if (bytes.length >= longBytes) mark(this.#longs, bytes.readInt32BE(0))
    else if (bytes.length === shortBytes) mark(this.#shorts, bytes.readUIntBE(0, 3) << 8)
    else if (bytes.length === 2) {
      const pair = bytes.readUInt16BE(0)
      this.#pairs[pair >>> 5]! |= 1 << (pair & 31)
    }
  }
}

const spread = 0x9e3779b1 | 0
const lowered: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) => lower(byte))

function mark(set: Uint32Array, bytes: number): void {
  const place = Math.imul(bytes, spread) >>> (32 - setBits)
  set[place >>> 5]! |= 1 << (place & 31)
}

function scattered(edge: number): number {
  const mixed = Math.imul(edge ^ (edge >>> 15), 0x2c1b3c6d)
  return mixed ^ (mixed >>> 13)
}

function lower(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte
}
