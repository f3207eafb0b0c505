// The libraries for inside a user's services, as the rest of the project may name them. Services import the parts:
// `tenfold/cache`, `tenfold/cache/redis`, `tenfold/sessions`, `tenfold/guard`.

export * from './cache/index.ts'
export * from './cache/shared/index.ts'
export * from './failures.ts'
export * from './guard/index.ts'
export * from './sessions/index.ts'
