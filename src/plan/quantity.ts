// What the estimator gives: figures that know how they came about. Types only.

export type Unit =
  | 'requests/day'
  | 'requests/s'
  | 'statements/s'
  | 'bytes'
  | 'bytes/day'
  | 'bits/s'
  | 'count'
  | 'cores'
  | 'seconds'
  | 'share'
  | 'availability'
  | 'years'
  | 'money'
  | 'times'

export const sections = [
  'load',
  'storage',
  'bandwidth',
  'caches',
  'tiers',
  'databases',
  'latency',
  'availability',
  'durability',
  'cost',
  'limits',
  'growth',
] as const
export type Section = (typeof sections)[number]

/** Where the value of an input comes from. */
export type Origin =
  /** A key that the file has. */
  | { readonly kind: 'file'; readonly path: string }
  /** A key that it could have: what is taken is the default. */
  | { readonly kind: 'assumed'; readonly path: string }
  | { readonly kind: 'price'; readonly path: string }
  | { readonly kind: 'option'; readonly path: string }
  /** Another figure, by id. */
  | { readonly kind: 'figure'; readonly path: string }

export interface Input {
  readonly name: string
  /** Null: the figure that it comes from has none. */
  readonly value: number | null
  readonly unit: Unit
  readonly from: Origin
}

export interface Quantity {
  /** `load.peak`, `services.api.instances`. */
  readonly id: string
  readonly section: Section
  readonly label: string
  /** Null: there is none; `why` says so. */
  readonly value: number | null
  readonly unit: Unit
  /** The text that was evaluated, over the names of `inputs`. */
  readonly formula: string
  readonly inputs: readonly Input[]
  readonly source: string | null
  readonly why: string | null
  /** The range that the uncertainty of the inputs leaves; null: nothing uncertain goes in. */
  readonly low: number | null
  readonly high: number | null
}
