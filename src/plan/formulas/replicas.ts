// Read replicas: how many a read load needs, since each also replays every write, and how far they lag behind.

import { type Answer, firstWrong, given, inside, notNegative, positive, unstable } from './answer.ts'
import { mg1 } from './queues.ts'

/** Of one server, in operations per second alike for reads and replayed writes. */
export interface ReplicaCapacity {
  readonly perSecond: number
  /** Share of it to be used, above 0, at most 1. */
  readonly utilisation: number
}

/**
 * Replicas for `reads` while each replays all `writes`: n >= R / (u·c − W), rounded up. Unstable when the writes alone fill a
 * replica: then no number of them helps.
 */
export function readReplicas(reads: number, writes: number, capacity: ReplicaCapacity): Answer<number> {
  const wrong = firstWrong(
    notNegative('reads per second', reads),
    notNegative('writes per second', writes),
    positive('capacity', capacity.perSecond),
    positive('utilisation', capacity.utilisation),
    capacity.utilisation > 1 ? `utilisation is ${capacity.utilisation}; it must be at most 1` : null,
  )
  if (wrong) return wrong
  const usable = capacity.utilisation * capacity.perSecond
  const left = usable - writes
  return left <= 0 ? unstable(writes / usable) : given(Math.ceil((reads / left) * (1 - 1e-12)))
}

export interface LagFigures {
  readonly utilisation: number
  /** From the commit on the primary until it can be read on the replica: shipping, wait and apply. */
  readonly lagMean: number
  readonly waitMean: number
}

/**
 * Lag of a replica whose single thread applies writes in order: M/G/1 on that thread plus half a round trip. Without bound
 * once it is full. Times in the unit of `applyMean`.
 */
export function replicaLag(
  writeRate: number,
  applyMean: number,
  squaredVariation: number,
  roundTrip: number,
): Answer<LagFigures> {
  const wrong = firstWrong(notNegative('round trip', roundTrip))
  if (wrong) return wrong
  const queue = mg1(writeRate, applyMean, squaredVariation)
  if (!queue.ok) return queue
  const { utilisation, waitMean, sojournMean } = queue.value
  return given({ utilisation, waitMean, lagMean: sojournMean + roundTrip / 2 })
}

/** How long after a stop of `stopSeconds` a replica has caught up: stop · ρ / (1 − ρ), applying at most 1/`applyMean`. */
export function catchUpTime(stopSeconds: number, utilisation: number): Answer<number> {
  const wrong = firstWrong(notNegative('stop', stopSeconds), notNegative('utilisation', utilisation))
  if (wrong) return wrong
  return utilisation >= 1 ? unstable(utilisation) : given((stopSeconds * utilisation) / (1 - utilisation))
}

/** Share of reads that find what was written `since` ago, if the lag is exponential with this mean: 1 − e^(−since/lag). */
export function freshShare(since: number, lagMean: number): Answer<number> {
  const wrong = firstWrong(notNegative('time since the write', since), positive('mean lag', lagMean))
  return wrong ?? given(-Math.expm1(-since / lagMean))
}

/** The time after a write from which the share `fresh` of reads sees it: −ln(1 − fresh) · lag. */
export function freshAfter(fresh: number, lagMean: number): Answer<number> {
  const wrong = firstWrong(inside('share of fresh reads', fresh), positive('mean lag', lagMean))
  return wrong ?? given(-Math.log1p(-fresh) * lagMean)
}
