// What running one statement on several shards needs, and the ports that give it: where keys are, how much may be held.

import type { Placed } from '../../../policy/shard/contract.ts'
import type { AcrossPlan, KeySource } from '../../sql/shards/contract.ts'
import type { SeatRequest, ShardAnswer, ShardSeats } from '../contract.ts'

export interface GatherPlaces {
  /**
   * Shards of keys whose values are literals or the statement's parameters: one list for each alternative, in their order.
   * An alternative with an array parameter may be on several shards.
   */
  ofSources(
    family: string,
    keys: readonly (readonly KeySource[])[],
  ): readonly PlacedKey[] | Promise<readonly PlacedKey[]>
  /** Where a row with these values of the key's columns belongs; a format is 0 (text) or 1 (binary). */
  ofValues(family: string, values: readonly (Buffer | null)[], format: 0 | 1): Placed | Promise<Placed>
}

export type PlacedKey = readonly number[] | Extract<Placed, { refused: unknown }>

export interface GatherLimits {
  /** Rows of the parts of one combined statement, or of rows that move. */
  readonly rowsMax: number
  /** Their bytes; also of rows that must be kept before they can be passed on. */
  readonly bytesMax: number
  /** Rows of a shard that a merge holds before that shard is paused. */
  readonly pageRows: number
  /** One row of COPY FROM. */
  readonly copyRowBytes: number
}

export const gatherLimits: GatherLimits = {
  rowsMax: 1_000_000,
  bytesMax: 256 << 20,
  pageRows: 256,
  copyRowBytes: 64 << 20,
}

export interface GatherInput<Plan = AcrossPlan> {
  readonly plan: Plan
  /** The client's statement, its parameters and the formats that it wants; `types` best as the server found them at Parse. */
  readonly request: SeatRequest
  /** Indexes of the shards that it is for, each once. */
  readonly targets: readonly number[]
  /** Of a plan by keys: the family and the keys, for statements whose rows go to different shards. */
  readonly keyed?: { readonly family: string; readonly keys: readonly (readonly KeySource[])[] }
  /** Of a plan that moves rows: the family of the table. */
  readonly family?: string
  readonly seats: ShardSeats
  readonly places: GatherPlaces
  readonly answer: ShardAnswer
  readonly limits: GatherLimits
  /** Where combined rows meet; the first target if nothing is said. */
  readonly scratchShard?: number
}
