// What others use of adaptive concurrency.

export {
  LimitPhase,
  type LimitSample,
  type LimitSettings,
  type LimitState,
  moveLimit,
  newLimitState,
} from './limit.ts'
