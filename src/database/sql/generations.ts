// A memory of the most recent: two maps, of which the older is given up when the younger is full. A hit in the younger one
// writes nothing, unlike a list of the least recently used. Holds at most twice its bounds.

export interface GenerationBounds {
  readonly entriesMax: number
  readonly charactersMax: number
}

export class Generations<Value> {
  readonly #bounds: GenerationBounds
  #young: Map<string, Value> = new Map()
  #old: Map<string, Value> = new Map()
  #characters = 0

  constructor(bounds: GenerationBounds) {
    this.#bounds = bounds
  }

  get(key: string): Value | undefined {
    const value = this.#young.get(key)
    if (value !== undefined) return value
    const old = this.#old.get(key)
    if (old !== undefined) this.set(key, old)
    return old
  }

  set(key: string, value: Value): void {
    const { entriesMax, charactersMax } = this.#bounds
    if (key.length > charactersMax) return
    if (this.#young.size >= entriesMax || this.#characters + key.length > charactersMax) {
      this.#old = this.#young
      this.#young = new Map()
      this.#characters = 0
    }
    this.#young.set(key, value)
    this.#characters += key.length
  }

  get size(): number {
    return this.#young.size + this.#old.size
  }
}
