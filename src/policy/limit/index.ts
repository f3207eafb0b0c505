// What others use of the limits: rules from settings, decisions on states, keys of 64 bits, fields for answers.

export { limitItem, limitItemStart, policyItem, type QuotaUnit, secondsUp } from './fields.ts'
export { type HashStart, hashKey, hashStart, type KeyHash } from './key-hash.ts'
export { adaptiveShare, limitDebit, limitMirror, limitNext, limitRefund, limitResetUs } from './limit.ts'
export {
  type LimitAlgorithm,
  type LimitNumbers,
  type LimitOutcome,
  type LimitRule,
  limitEpochUs,
  limitOutcome,
  limitRule,
  limitStateMax,
  sharedNumbers,
} from './rule.ts'
