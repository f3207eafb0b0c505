// What the composition root uses of verify.

export { type ReplicaReport, type VerifyOptions, type VerifyReport, verifyDatabase } from './verify.ts'
