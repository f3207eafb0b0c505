// One byte string that rules look at, with what was computed of it: its bytes, what transformations make of it, and
// which phrases occur in it. Made once a request and text, so that a hundred rules pay for one computation.

import type { Phrases } from '../matcher/phrases.ts'
import type { Work } from '../matcher/work.ts'
import {
  isSame,
  type Transformation,
  traitsOf,
  transformations,
  transformed,
} from '../transformations/index.ts'

/** A list of transformations, as a step after another list. Equal lists are one object. */
export interface Chain {
  readonly index: number
  readonly before: Chain | null
  readonly step: Step
}

/** One transformation; `index` is where a value keeps what it makes of it. */
interface Step {
  readonly index: number
  readonly transformation: Transformation
  readonly changesCase: boolean
}

const steps: ReadonlyMap<string, Step> = new Map(
  Object.entries(transformations).map(([name, transformation], index) => [
    name,
    { index, transformation, changesCase: name === 'lowercase' || name === 'uppercase' },
  ]),
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

/** Results of one text that equal ones are looked for among. */
const kinMax = 48

export class Value {
  #text: string | null
  #bytes: Buffer | null
  readonly length: number
  #traits = -1
  /** By list of transformations, and by single one. */
  #made: (Value | undefined)[] | null = null
  #steps: (Value | undefined)[] | null = null
  /** All that was made of the same text: different ways often lead to the same. */
  #kin: Value[]
  #phrases: Uint32Array | null = null
  #answers: Map<string, string> | null = null
  /** Phrases are found whatever their case: what this one holds, that one has found out. */
  #sameButCase: Value | null = null

  constructor(text: string) {
    this.#text = text
    this.#bytes = null
    this.length = text.length
    this.#kin = [this]
  }

  static #of(bytes: Buffer, kin: Value[]): Value {
    const value = new Value('')
    value.#text = null
    value.#bytes = bytes
    ;(value as { length: number }).length = bytes.length
    value.#kin = kin
    if (kin.length < kinMax) kin.push(value)
    return value
  }

  get text(): string {
    this.#text ??= this.#bytes!.latin1Slice()
    return this.#text
  }

  get bytes(): Buffer {
    this.#bytes ??= Buffer.from(this.#text!, 'latin1')
    return this.#bytes
  }

  transformed(chain: Chain | null, work: Work): Value {
    if (chain === null || this.length === 0) return this
    const known = this.#made?.[chain.index]
    if (known !== undefined) return known
    const made = this.transformed(chain.before, work).#stepped(chain.step, work)
    this.#made ??= []
    this.#made[chain.index] = made
    return made
  }

  /** Most texts stay what they are; what was found out about them stays too. */
  #stepped(step: Step, work: Work): Value {
    const before = this.#steps?.[step.index]
    if (before !== undefined) return before
    const { transformation } = step
    let made: Value = this
    if (transformation.needs === 0 || (this.#kinds(work) & transformation.needs) !== 0) {
      work.spend(this.length * 2)
      const bytes = transformed(transformation, this.bytes, this.length)
      if (bytes !== null) {
        const known = this.#kin.find(one => one.#is(bytes))
        made = known ?? Value.#of(bytes, this.#kin)
        if (known === undefined && step.changesCase) made.#sameButCase = this
      }
    }
    this.#steps ??= []
    this.#steps[step.index] = made
    return made
  }

  #kinds(work: Work): number {
    if (this.#traits < 0) {
      work.spend(this.length)
      this.#traits = traitsOf(this.bytes, this.length)
    }
    return this.#traits
  }

  #is(bytes: Uint8Array): boolean {
    return this.length === bytes.length && isSame(this.bytes, bytes, bytes.length)
  }

  /** What an operator without a parameter found out about it: asked once. */
  remembered(operator: string, ask: (text: string) => string): string {
    const known = this.#answers?.get(operator)
    if (known !== undefined) return known
    const answer = ask(this.text)
    this.#answers ??= new Map()
    this.#answers.set(operator, answer)
    return answer
  }

  /** Does a phrase of list `id` occur, whatever its case? */
  holds(phrases: Phrases, id: number, work: Work): boolean {
    if (this.#sameButCase !== null) return this.#sameButCase.holds(phrases, id, work)
    if (this.#phrases === null) {
      this.#phrases = new Uint32Array(phrases.words)
      phrases.scan(this.bytes, this.length, this.#phrases, work)
    }
    return (this.#phrases[id >>> 5]! & (1 << (id & 31))) !== 0
  }

  holdsAll(phrases: Phrases, ids: readonly number[], work: Work): boolean {
    for (let at = 0; at < ids.length; at += 1) if (!this.holds(phrases, ids[at]!, work)) return false
    return true
  }
}
