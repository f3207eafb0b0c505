// The failures of all libraries for inside a user's services, for the reference page: each part owns its own.

export { redisFailures } from '../io/redis/failures.ts'
export { cacheFailures } from './cache/failures.ts'
export { humanFailures } from './guard/failures.ts'
export { sessionFailures } from './sessions/failures.ts'
