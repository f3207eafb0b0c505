// The policies that look at every eligible member and take the lowest score: connections, response time, bandwidth,
// utilisation. Each divides by weight x warmth; equal scores are drawn by lot, so that equal members share evenly.
// O(n) a pick: above some hundred members prefer `two-choices`.

import type { Random } from '../../kit/random.ts'
import type { Balancer, Group } from '../group.ts'
import { Reason } from '../reason.ts'

abstract class LowestScore implements Balancer {
  reason: number = Reason.none

  protected abstract score(group: Group, i: number, now: number): number
  /** After the last score of a pick: averages for the next one, and the reason. */
  protected abstract finish(group: Group, chosen: number, now: number): number

  rebuild(_group: Group): void {}

  pick(group: Group, now: number, _key: number, random: Random): number {
    let chosen = -1
    let lowest = 0
    let ties = 0
    for (let i = 0; i < group.count; i++) {
      if (!group.eligible(i, now)) continue
      const score = this.score(group, i, now)
      if (chosen < 0 || score < lowest) {
        chosen = i
        lowest = score
        ties = 1
      } else if (score === lowest && random.below(++ties) === 0) chosen = i
    }
    this.reason = chosen < 0 ? Reason.noneEligible : this.finish(group, chosen, now)
    return chosen
  }
}

/** Fewest requests in flight: (in flight + 1) / (weight x warmth). */
export class LeastConnections extends LowestScore {
  protected score(group: Group, i: number, now: number): number {
    return (group.inFlight(i) + 1) / (group.weight(i) * group.warmth(i, now))
  }

  protected finish(): number {
    return Reason.leastConnections
  }
}

/**
 * Lowest peak-EWMA latency x (in flight + 1) / (weight x warmth) (Finagle). An idle member of unknown latency is
 * tried first; while it has not answered it counts as average, so it is never stampeded.
 */
export class LeastResponseTime extends LowestScore {
  /** Mean of the known latencies at the last pick, microseconds. */
  #typicalUs = 1
  #knownSum = 0
  #known = 0

  protected score(group: Group, i: number, now: number): number {
    const inFlight = group.inFlight(i)
    let latency = group.latencyUs(i, now)
    if (latency > 0) {
      this.#knownSum += latency
      this.#known++
    } else if (inFlight > 0) latency = this.#typicalUs
    return (latency * (inFlight + 1)) / (group.weight(i) * group.warmth(i, now))
  }

  protected finish(group: Group, chosen: number, now: number): number {
    if (this.#known > 0) this.#typicalUs = this.#knownSum / this.#known
    this.#knownSum = this.#known = 0
    return group.latencyUs(chosen, now) > 0 ? Reason.leastResponseTime : Reason.latencyUnknown
  }
}

/**
 * Lowest outgoing bytes a second / (weight x warmth). The measured rate lags behind what was just assigned, so a
 * member counts at least what its requests in flight may be expected to draw: the group's mean a request.
 */
export class LeastBandwidth extends LowestScore {
  /** Bytes a second of a typical request in flight at the last pick; at least 1, so that requests break ties. */
  #perRequest = 1
  #rateSum = 0
  #inFlightSum = 0

  protected score(group: Group, i: number, now: number): number {
    const inFlight = group.inFlight(i)
    const rate = group.bytesPerSecond(i, now)
    this.#rateSum += rate
    this.#inFlightSum += inFlight
    return Math.max(rate, inFlight * this.#perRequest) / (group.weight(i) * group.warmth(i, now))
  }

  protected finish(): number {
    this.#perRequest = Math.max(1, this.#rateSum / Math.max(1, this.#inFlightSum))
    this.#rateSum = this.#inFlightSum = 0
    return Reason.leastBandwidth
  }
}

/** Below this a utilisation counts as this: an idle machine is not infinitely attractive. */
const utilisationFloor = 0.01

/**
 * Lowest utilisation x (in flight + 1) / (weight x warmth). Reports are a second old or more; the requests in flight
 * correct for what was assigned since. A member that reports nothing counts as the group's mean.
 */
export class LeastUtilised extends LowestScore {
  #mean = 0.5
  #knownSum = 0
  #known = 0

  protected score(group: Group, i: number, now: number): number {
    let used = group.utilisation(i)
    if (used >= 0) {
      this.#knownSum += used
      this.#known++
    } else used = this.#mean
    return (
      (Math.max(used, utilisationFloor) * (group.inFlight(i) + 1)) / (group.weight(i) * group.warmth(i, now))
    )
  }

  protected finish(): number {
    if (this.#known > 0) this.#mean = this.#knownSum / this.#known
    this.#knownSum = this.#known = 0
    return Reason.resource
  }
}
