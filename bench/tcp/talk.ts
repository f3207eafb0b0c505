// What the two ends of a measured connection say to each other. The client's first byte says what it wants; origin and
// load are programs of their own, on the core that the proxy does not have.

export const wish = {
  /** 100 bytes there, 200 bytes back, the client ends. */
  short: 1,
  /** Blocks of `tripBytes` come back as they are. */
  trips: 2,
  /** The origin sends as much as it can. */
  down: 3,
  /** The origin only reads. */
  up: 4,
} as const
export type Wish = keyof typeof wish

export const shortBytes = 100
export const shortAnswerBytes = 200
export const tripBytes = 65_536
export const blockBytes = 262_144

export interface LoadResult {
  /** Connections, round trips, or bytes. */
  readonly count: number
  readonly seconds: number
  readonly errors: number
}
