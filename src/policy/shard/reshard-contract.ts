// What resharding is made of: what an operator wants, what it means for the map and the rows, and the journal that says how far
// it has come. Plain JSON.

import type { ShardMap } from './contract.ts'
import type { RuleSpec } from './map.ts'

/** What an operator wants. Shards by their ids. */
export type ReshardIntent =
  /** Every slot of every family spread evenly over these shards, with as few moves as it takes. */
  | { readonly kind: 'even'; readonly shards: readonly string[] }
  /** Half of what `from` has goes to `into`. */
  | { readonly kind: 'split'; readonly from: string; readonly into: string }
  /** All of what `from` has goes to `into`. */
  | { readonly kind: 'merge'; readonly from: string; readonly into: string }
  /** These slots of one family (both ends included). */
  | {
      readonly kind: 'slots'
      readonly family: string
      readonly first: number
      readonly last: number
      readonly into: string
    }
  /** One key gets a shard of its own, or leaves a hot one. */
  | {
      readonly kind: 'isolate'
      readonly family: string
      readonly key: readonly string[]
      readonly into: string
    }
  /** Another rule for a family: what a changed file says. */
  | { readonly kind: 'rule'; readonly family: string; readonly rule: RuleSpec }

/** Rows of one family that go from one shard to another: those at `from` whose place by the next map is `into`. */
export interface ShardMove {
  readonly family: string
  readonly from: string
  readonly into: string
  /** Slots that go, for people; null: the rule has none. */
  readonly slots: readonly number[] | null
}

export type ReshardPlan =
  | {
      readonly kind: 'change'
      /** Version one higher. */
      readonly next: ShardMap
      readonly moves: readonly ShardMove[]
      /** Shards of the next map that the map before does not have: they get the schema, and the tables that are everywhere. */
      readonly joining: readonly string[]
      /** Of the rows of hash and consistent families, as far as slots tell: 0 to 1. */
      readonly share: number
    }
  | { readonly kind: 'refused'; readonly why: string; readonly remedy: string }

/** In their order. Up to `ready` everything can be cancelled; from `switching` on it goes forward only. */
export const reshardSteps = [
  /** Checks that change nothing. */
  'checking',
  /** Schema of joining shards; identities, publications, slots; the filter of what a shard holds, in every router. */
  'preparing',
  /** Initial copy of every table, one after another, at snapshots of the sources. */
  'copying',
  /** Changes since are applied. */
  'catching-up',
  /** Row by row, both sides at one position. */
  'comparing',
  /** Nothing new begins; what is open ends; the last changes are applied; sequences. */
  'holding',
  /** The next map is kept: from here on it holds. Filters on servers, then routers, then clients go on. */
  'switching',
  /** What is written now is applied to the sources, too, so that everything can go back. */
  'reversible',
  /** The rows that moved are deleted where they were; slots, publications and filters go. */
  'cleaning',
  'done',
  /** What was made is taken back. */
  'cancelling',
  'cancelled',
  /** Back to the map before: as `holding` and `switching`, the other way. */
  'rolling-back',
  'rolled-back',
] as const
export type ReshardStep = (typeof reshardSteps)[number]

/** What an operator may wish meanwhile: be done, go back, end it, or copy anew what was found to differ. */
export const reshardWishes = ['cancel', 'finish', 'rollBack', 'recopy'] as const
export type OperatorWish = (typeof reshardWishes)[number]

/** What a comparison has found. */
export interface ReshardDifferences {
  readonly count: number
  /** By stream (`1>3`): tables with rows that differ, `schema.table`. */
  readonly tables: Readonly<Record<string, readonly string[]>>
  /** The first of them. */
  readonly rows: readonly {
    readonly stream: string
    readonly table: string
    /** Values of the primary key. */
    readonly key: readonly (string | null)[]
    /** At the target. */
    readonly kind: 'missing' | 'extra' | 'different'
  }[]
}

/** Written before what it says is begun; who comes next goes on from here. */
export interface ReshardJournal {
  readonly format: 1
  /** Names slots, publications and origins: `tenfold_reshard_ID_...`. Letters and digits, at most 12. */
  readonly id: string
  readonly database: string
  readonly intent: ReshardIntent
  readonly step: ReshardStep
  /** The map that holds until the switch. */
  readonly before: ShardMap
  readonly next: ShardMap
  readonly moves: readonly ShardMove[]
  readonly joining: readonly string[]
  /** By stream (`1>3`): tables whose copy is whole, with the source's position of its snapshot (changes up to it are in the copy). */
  readonly copied: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** Epochs of the groups when streams began: slots of another primary are not relied on. */
  readonly epochs: Readonly<Record<string, number>>
  /** An operator's word: go on to `cleaning` by itself; wait before `holding`; ... */
  readonly wishes: Readonly<Record<OperatorWish, boolean>>
  /** Nothing is switched while there are any; null: none, or not compared. */
  readonly differences: ReshardDifferences | null
  /** All rows are where they belong; servers have functions that routers may still ask for. '': not so far. */
  readonly ending: '' | 'done' | 'cancelled' | 'rolled-back'
  /** By shard and `schema.table`: the replica identity that is put back in the end, as SQL. */
  readonly identities: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** Why there is no way back any more; '': there is one, or not yet. */
  readonly backLost: string
  /** For how long clients were held at the switch; -1: not switched yet. */
  readonly pauseMs: number
  /** Why it stopped, when it did; it is tried again. */
  readonly trouble: string
  /** Microseconds since 1970. */
  readonly begunAt: number
}
