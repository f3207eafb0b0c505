// The formulas of the estimator: pure functions of numbers, each with its source. README.md lists them.

export * from './answer.ts'
export * from './availability.ts'
export * from './caches.ts'
export * from './choices.ts'
export * from './erlang.ts'
export * from './popularity.ts'
export * from './queues.ts'
