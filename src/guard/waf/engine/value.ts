// One byte string that rules look at, with what was computed of it: its bytes, what transformations make of it, and
// which phrases occur in it. Made once a request and text, so that a hundred rules pay for one computation.

import type { Phrases } from '../matcher/phrases.ts'
import type { Work } from '../matcher/work.ts'
import { type Transformation, transformations } from '../transformations/index.ts'

/** A list of transformations, as a step after another list. Equal lists are one object. */
export interface Chain {
  readonly index: number
  readonly before: Chain | null
  readonly step: Step
}

/** One transformation; `index` is where a value keeps what it makes of it. */
interface Step {
  readonly index: number
  readonly apply: Transformation
}

const steps: ReadonlyMap<string, Step> = new Map(
  Object.entries(transformations).map(([name, apply], index) => [name, { index, apply }]),
)

/** All lists of a rule set. */
export class Chains {
  readonly #known: Map<string, Chain> = new Map()

  /** Null: nothing is transformed. */
  get(names: readonly string[]): Chain | null {
    let chain: Chain | null = null
    for (const name of names) {
      const key = `${chain === null ? '' : chain.index}>${name}`
      let next = this.#known.get(key)
      if (next === undefined) {
        next = { index: this.#known.size, before: chain, step: steps.get(name)! }
        this.#known.set(key, next)
      }
      chain = next
    }
    return chain
  }
}

export class Value {
  readonly text: string
  #bytes: Uint8Array | null = null
  /** By list of transformations, and by single one. */
  #made: (Value | undefined)[] | null = null
  #steps: (Value | undefined)[] | null = null
  #phrases: Uint32Array | null = null

  constructor(text: string) {
    this.text = text
  }

  get bytes(): Uint8Array {
    this.#bytes ??= Buffer.from(this.text, 'latin1')
    return this.#bytes
  }

  get length(): number {
    return this.text.length
  }

  transformed(chain: Chain | null, work: Work): Value {
    if (chain === null || this.text === '') return this
    const known = this.#made?.[chain.index]
    if (known !== undefined) return known
    const made = this.transformed(chain.before, work).#stepped(chain.step, work)
    this.#made ??= []
    this.#made[chain.index] = made
    return made
  }

  /** Most texts stay what they are; what was found out about them stays too. */
  #stepped(step: Step, work: Work): Value {
    const known = this.#steps?.[step.index]
    if (known !== undefined) return known
    work.spend(this.text.length * 2)
    const text = step.apply(this.text)
    const made = text === this.text ? this : new Value(text)
    this.#steps ??= []
    this.#steps[step.index] = made
    return made
  }

  /** Does a phrase of list `id` occur, whatever its case? */
  holds(phrases: Phrases, id: number, work: Work): boolean {
    if (this.#phrases === null) {
      this.#phrases = new Uint32Array(phrases.words)
      phrases.scan(this.bytes, this.text.length, this.#phrases, work)
    }
    return (this.#phrases[id >>> 5]! & (1 << (id & 31))) !== 0
  }
}
