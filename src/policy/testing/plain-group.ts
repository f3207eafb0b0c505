// A group over plain arrays: what tests, and the simulator, put behind the balancers' port. Every field may be set.

import type { Group } from '../group.ts'
import { hashText } from '../hash.ts'

export interface PlainMember {
  id: string
  weight: number
  eligible: boolean
  inFlight: number
  latencyUs: number
  bytesPerSecond: number
  utilisation: number
  warmth: number
}

export class PlainGroup implements Group {
  readonly members: PlainMember[]
  #hashes: number[]

  constructor(members: readonly Partial<PlainMember>[]) {
    this.members = members.map((given, i) => ({
      id: `member-${i + 1}`,
      weight: 1,
      eligible: true,
      inFlight: 0,
      latencyUs: 0,
      bytesPerSecond: 0,
      utilisation: -1,
      warmth: 1,
      ...given,
    }))
    this.#hashes = this.members.map(member => hashText(member.id))
  }

  get count(): number {
    return this.members.length
  }
  weight(i: number): number {
    return this.members[i]!.weight
  }
  eligible(i: number): boolean {
    return this.members[i]!.eligible
  }
  inFlight(i: number): number {
    return this.members[i]!.inFlight
  }
  latencyUs(i: number): number {
    return this.members[i]!.latencyUs
  }
  bytesPerSecond(i: number): number {
    return this.members[i]!.bytesPerSecond
  }
  utilisation(i: number): number {
    return this.members[i]!.utilisation
  }
  warmth(i: number): number {
    return this.members[i]!.warmth
  }
  hash(i: number): number {
    return this.#hashes[i]!
  }
}

/** `n` equal members, `member-1` to `member-n`. */
export function equalMembers(n: number): PlainGroup {
  return new PlainGroup(Array.from({ length: n }, () => ({})))
}
