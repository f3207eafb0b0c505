// The failures of all libraries for inside a user's services, for the reference page: each part owns its own.

export { cacheFailures } from './cache/failures.ts'
export { redisFailures } from './redis/failures.ts'
export { sessionFailures } from './sessions/failures.ts'
