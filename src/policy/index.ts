// What other layers use of the policies. Everything here is pure: no clock, no randomness of its own, no I/O.

export { backoffCeilingUs, backoffUs } from './backoff.ts'
export { createBalancer, usesKey } from './balance.ts'
export {
  belongsToCanary,
  type CanaryDecision,
  type CanaryObservation,
  type CanaryRollbackSettings,
  canaryText,
  chooseShare,
  decideCanary,
  type SideCounts,
} from './canary.ts'
export { CanaryWindow } from './canary-window.ts'
export { admission, isRefusal, memberRoom, retryAfterSeconds } from './circuit.ts'
export {
  type EvictionFactory,
  type EvictionKind,
  type EvictionOptions,
  type EvictionPolicy,
  evictionFactory,
  evictionKinds,
} from './evict/index.ts'
export { fadedEwma, peakEwma, ratePerSecond } from './ewma.ts'
export {
  afterStep,
  beginFailover,
  beginSwitchover,
  decideFailover,
  type StepResult,
} from './failover.ts'
export {
  type FailoverJournal,
  type FailoverMember,
  type FailoverPlan,
  type FailoverSettings,
  type FailoverState,
  type FailoverStep,
  failoverDefaults,
  newFailoverState,
  newJournal,
  type SeenServer,
  type ServerStanding,
} from './failover-model.ts'
export { type Verdict, verdictOf, watched as watchServers } from './failover-watch.ts'
export type { Balancer, Group } from './group.ts'
export { hashBytes, hashText, mix32, mixPair } from './hash.ts'
export {
  firstProbeAt,
  type HealthCells,
  HealthState,
  type HealthStateCode,
  healthLayout,
  healthReason,
  healthStateNames,
  mayServe,
  nextProbeAt,
  type ProbeVerdict,
  probeVerdict,
  recordProbe,
} from './health.ts'
export { decideHedge, hedgeDelayUs, hedgeSamplesMin } from './hedge.ts'
export { isIdempotentMethod, isSafeMethod } from './methods.ts'
export {
  ejected,
  ejectionUs,
  mayEject,
  type OutlierDecision,
  type OutlierObservation,
  outlierText,
  type Standing,
  shouldEjectNow,
  sweepOutliers,
} from './outlier.ts'
export { type Rotation, rotation, rotationText, type TierHealth } from './panic.ts'
export { Reason, type ReasonCode, type ReasonName, reasonLabel, reasonText } from './reason.ts'
export { afterExit, newRestartState, type RestartPlan, type RestartState } from './restart.ts'
export {
  AttemptEnd,
  type AttemptEndCode,
  type AttemptFailure,
  decideRetry,
  retryBudgetAllows,
  triesAgain,
} from './retry.ts'
export {
  decideRoll,
  newRollState,
  type RolledInstance,
  type RolledState,
  type RollPlan,
  type RollState,
  type RollStep,
  type RollWanted,
} from './roll.ts'
export * from './settings.ts'
export { warmth, warmthMin } from './slow-start.ts'
