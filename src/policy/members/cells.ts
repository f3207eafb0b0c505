// What is counted and known of an upstream's members: the columns that `members.ts` decides from. The edge keeps them in
// shared memory (more columns beside them), the simulator in plain. A slot is a member's place while anybody may use it.

import { type Columns, type Layout, layoutOf } from '../../kit/cells.ts'
import { type HealthCells, healthLayout } from '../health.ts'

/** One row a member slot. Written by several threads where it says so: last writer wins, no sum depends on it. */
type MemberFields = {
  /** Several writers, by Atomics. */
  readonly consecutiveFailures: 'i32'
  readonly ejections: 'i32'
  /** 0 = in; set by whoever ejects (compare and exchange), cleared by who sweeps. */
  readonly ejected: 'i32'
  readonly ejectReason: 'i32'
  readonly ejectedUntilUs: 'f64'
  readonly changedUs: 'f64'
  readonly ejectA: 'f64'
  readonly ejectB: 'f64'
  /** Several writers: peak EWMA and when it was taken. */
  readonly latencyUs: 'f64'
  readonly latencyAtUs: 'f64'
  /** Utilisation + 1; 0 = unknown. */
  readonly utilisation: 'f64'
  /** When the member came, or came back: slow start counts from here. */
  readonly sinceUs: 'f64'
}
export const memberLayout: Layout<MemberFields> = layoutOf({
  consecutiveFailures: 'i32',
  ejections: 'i32',
  ejected: 'i32',
  ejectReason: 'i32',
  ejectedUntilUs: 'f64',
  changedUs: 'f64',
  ejectA: 'f64',
  ejectB: 'f64',
  latencyUs: 'f64',
  latencyAtUs: 'f64',
  utilisation: 'f64',
  sinceUs: 'f64',
})

/** One row a worker and member slot (`worker * slots + slot`); the worker alone writes it. */
type MemberWorkerFields = {
  readonly inFlight: 'i32'
  readonly connections: 'i32'
  readonly chosenBy: 'i32'
  readonly requests: 'f64'
  readonly failures: 'f64'
  readonly retries: 'f64'
  readonly latencySumUs: 'f64'
  readonly bytesRate: 'f64'
  readonly bytesRateAtUs: 'f64'
}
export const memberWorkerLayout: Layout<MemberWorkerFields> = layoutOf({
  inFlight: 'i32',
  connections: 'i32',
  chosenBy: 'i32',
  requests: 'f64',
  failures: 'f64',
  retries: 'f64',
  latencySumUs: 'f64',
  bytesRate: 'f64',
  bytesRateAtUs: 'f64',
})

export interface MemberCells {
  readonly workers: number
  /** Rows a worker of `memberWorker`. */
  readonly memberSlots: number
  readonly member: Columns<MemberFields>
  readonly health: HealthCells
  readonly memberWorker: Columns<MemberWorkerFields>
  /** `healthEpoch[0]` moves whenever a member's health or standing does. */
  readonly common: { readonly healthEpoch: Int32Array }
}

/** In plain memory: one process, `workers` views. */
export function createMemberCells(memberSlots: number, workers: number): MemberCells {
  return {
    workers,
    memberSlots,
    member: memberLayout.create(memberSlots).at,
    health: healthLayout.create(memberSlots),
    memberWorker: memberWorkerLayout.create(memberSlots * workers).at,
    common: { healthEpoch: new Int32Array(1) },
  }
}

/** Sum of a per-worker column over all workers. */
export function sumOver(
  column: Int32Array | Float64Array,
  workers: number,
  slots: number,
  slot: number,
): number {
  let sum = 0
  for (let row = slot, end = workers * slots; row < end; row += slots) sum += column[row] as number
  return sum
}
