// People in a line, in order: in at the end, out anywhere, and how many are ahead of one, each in O(log n). A growing array
// with holes and a Fenwick tree that counts who is there; rebuilt without holes when it is full.

export interface InLine {
  /** Owned by the line: the index, -1 = in none. */
  at: number
}

const capacityLeast = 64

export class Line<T extends InLine> {
  length = 0
  #items: (T | undefined)[] = []
  #counts = new Int32Array(capacityLeast + 1)
  #head = 0

  push(item: T): void {
    if (this.#items.length === this.#counts.length - 1) this.#rebuild()
    item.at = this.#items.length
    this.#items.push(item)
    this.#count(item.at, 1)
    this.length++
  }

  remove(item: T): void {
    if (item.at < 0 || this.#items[item.at] !== item) return
    this.#items[item.at] = undefined
    this.#count(item.at, -1)
    this.length--
    item.at = -1
  }

  first(): T | undefined {
    while (this.#head < this.#items.length && this.#items[this.#head] === undefined) this.#head++
    return this.#items[this.#head]
  }

  /** How many are before it. */
  ahead(item: T): number {
    return this.#before(item.at)
  }

  /** How many of those in line a test holds for, which holds for a first part of the line only. */
  aheadWhile(holds: (item: T) => boolean): number {
    let low = this.#head
    let high = this.#items.length
    while (low < high) {
      const middle = (low + high) >>> 1
      let at = middle
      while (at < high && this.#items[at] === undefined) at++
      const item = at < high ? this.#items[at] : undefined
      if (item === undefined) high = middle
      else if (holds(item)) low = at + 1
      else high = middle
    }
    return this.#before(low)
  }

  forEach(look: (item: T) => void): void {
    for (let at = this.#head; at < this.#items.length; at++) {
      const item = this.#items[at]
      if (item !== undefined) look(item)
    }
  }

  #rebuild(): void {
    const items = this.#items.filter(item => item !== undefined)
    let capacity = capacityLeast
    while (capacity < items.length * 2) capacity *= 2
    this.#items = []
    this.#head = 0
    this.#counts = new Int32Array(capacity + 1)
    this.length = 0
    for (const item of items) this.push(item)
  }

  #count(at: number, change: number): void {
    const counts = this.#counts
    for (let node = at + 1; node < counts.length; node += node & -node) counts[node]! += change
  }

  #before(at: number): number {
    let sum = 0
    for (let node = at; node > 0; node -= node & -node) sum += this.#counts[node]!
    return sum
  }
}
