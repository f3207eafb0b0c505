// The guard's entry: its two hosts, which the system plugs into the edge. Light: what a policy needs is loaded with the
// first snapshot that has one. Others use its contracts (`part.ts`, `messages.ts`, `audit/`) and this.

export { guardFailures } from './failures.ts'
export { MainGuardHost } from './main.ts'
export { WorkerGuardHost } from './worker.ts'
