// How the load of a sharded database is spread: what a router counts by shard, slot and key, and what follows from it. Counts
// fade by half each minute: they say how it is now. Plain JSON.

export interface HeatReport {
  readonly format: 1
  /** Milliseconds of load, as it is now, that the counts stand for: count / overMs * 1000 is a rate. */
  readonly overMs: number
  readonly shards: readonly ShardHeat[]
  readonly families: Readonly<Record<string, FamilyHeat>>
}

/** Statements that went to a shard; each place of a key in a statement counts, and each shard of one without keys. */
export interface ShardHeat {
  /** Its id. */
  readonly shard: string
  readonly reads: number
  readonly writes: number
}

export interface FamilyHeat {
  readonly reads: number
  readonly writes: number
  /** Those with any heat, by their numbers; null: the rule has no slots. */
  readonly slots: readonly SlotHeat[] | null
  /** The hottest first; few. */
  readonly keys: readonly KeyHeat[]
}

export interface SlotHeat {
  readonly slot: number
  /** The id of its shard. */
  readonly shard: string
  readonly reads: number
  readonly writes: number
}

export interface KeyHeat {
  /** In the one form that each value has (dates as days, and so on). */
  readonly key: readonly string[]
  /** The id of its shard. */
  readonly shard: string
  /** At most so often, and at least `count - error`. */
  readonly count: number
  readonly error: number
  /** Of `count`, about. */
  readonly writes: number
}

/** Servers that there are, whether the map has them or not. */
export interface ShardServers {
  /** Its id. */
  readonly shard: string
}

/** Share of the load of the hottest shard, 0 to 1: as it is, and as it would be after it. */
export interface HeatEffect {
  readonly is: number
  readonly would: number
}

export type ShardAdvice =
  /** Nothing to do; why not. */
  | { readonly kind: 'enough'; readonly why: string }
  | {
      readonly kind: 'split' | 'move-slots' | 'isolate' | 'replicas'
      readonly why: string
      /** Arguments of `tenfold db` behind the database's name, or what to write in the file. */
      readonly command: readonly string[] | null
      readonly file: string | null
      /** What it would do to the share of the hottest shard; null: it spreads reads over servers, not shards. */
      readonly effect: HeatEffect | null
    }
