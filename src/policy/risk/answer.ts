// What is done with a score: the strictest answer whose threshold it has reached.

export interface RiskThresholds {
  /** 0-100; 101: never. */
  readonly slowAt: number
  readonly challengeAt: number
  readonly queueAt: number
  readonly refuseAt: number
}

export const riskAnswer = { allow: 0, slow: 1, challenge: 2, queue: 3, refuse: 4 } as const

/** One of `riskAnswer`. Risk 0 is always allowed. */
export function riskAnswerOf(score: number, at: RiskThresholds): number {
  if (score <= 0) return riskAnswer.allow
  if (score >= at.refuseAt) return riskAnswer.refuse
  if (score >= at.queueAt) return riskAnswer.queue
  if (score >= at.challengeAt) return riskAnswer.challenge
  return score >= at.slowAt ? riskAnswer.slow : riskAnswer.allow
}
