// A limit as numbers that decisions can use: made once from what the file says, read for each request. Holds no state;
// what a client has used is one integer below 2^52, which the algorithms beside this file read and give back.
//
// Time is integer microseconds since an epoch that all who share a state agree upon. gcra counts in ticks, chosen so that a
// request costs a whole number of them: nothing is rounded when debts are added, so a rate does not drift, however odd.

export type LimitAlgorithm = 'gcra' | 'sliding' | 'fixed' | 'concurrency'

export interface LimitNumbers {
  readonly algorithm: LimitAlgorithm
  /** Requests or bytes in `perMs`; at once for `concurrency`. At least 1. */
  readonly amount: number
  /** Ignored by `concurrency`. */
  readonly perMs: number
  /** gcra: how many may come at once; at least 1. */
  readonly burst: number
}

export interface LimitRule {
  readonly algorithm: LimitAlgorithm
  readonly amount: number
  readonly perUs: number
  /** What is counted together: 1, or some bytes where an amount is too large for the state's bits. Costs are rounded up. */
  readonly unit: number
  /** gcra: what one unit costs. */
  readonly ticksPerUnit: number
  /** gcra: ticks in `perTicks` microseconds. */
  readonly ticks: number
  readonly perTicks: number
  /** gcra: the debt at which nothing more passes. */
  readonly ticksMax: number
}

/** Where time begins for states that outlive a process: 2025-01-01, UTC, microseconds since 1970. */
export const limitEpochUs = 1_735_689_600_000_000

/** States are integers below this: a sign and 52 bits fit a double, and 12 bits of a cell are left to whoever shares it. */
export const limitStateMax: number = 2 ** 52

/** So fine are gcra's ticks at most: 2^52 of them are 35 years. */
const ticksPerUsMax = 4
const slidingCountMax = 2 ** 20

export function limitRule({ algorithm, amount, perMs, burst }: LimitNumbers): LimitRule {
  const perUs = perMs * 1_000
  const unit =
    algorithm === 'gcra' ? unitOfRate(amount, perUs) : algorithm === 'sliding' ? unitOfWindow(amount) : 1
  const ticksPerUnit = algorithm === 'gcra' ? Math.max(1, Math.ceil(perUs / amount)) : 0
  return {
    algorithm,
    amount,
    perUs,
    unit,
    ticksPerUnit,
    ticks: amount * ticksPerUnit,
    perTicks: perUs * unit,
    ticksMax: Math.ceil(Math.max(1, burst) / unit) * ticksPerUnit,
  }
}

function unitOfRate(amount: number, perUs: number): number {
  return Math.max(1, Math.ceil(amount / (perUs * ticksPerUsMax)))
}

/** Half of the bits are left for what is debited afterwards. */
function unitOfWindow(amount: number): number {
  return Math.max(1, Math.ceil(amount / (slidingCountMax / 2)))
}

/** The same limit with a share (0..1) of its amount, at least 1: for keys with a missing part, or one of several edges. */
export function sharedNumbers(numbers: LimitNumbers, share: number): LimitNumbers {
  const part = (whole: number): number => Math.max(1, Math.floor(whole * share))
  return { ...numbers, amount: part(numbers.amount), burst: part(numbers.burst) }
}

/** What a decision says beside the new state; one object, written anew by each. */
export interface LimitOutcome {
  allowed: boolean
  /** What could still pass at once, in the amount's unit. */
  remaining: number
  /** Microseconds until the same request may pass; 0 when it passed. */
  retryAfterUs: number
  /** Microseconds until nothing of the past counts any more. */
  resetAfterUs: number
}

export function limitOutcome(): LimitOutcome {
  return { allowed: true, remaining: 0, retryAfterUs: 0, resetAfterUs: 0 }
}
