// The PostgreSQL wire protocol, as others use it.

export * from './backend.ts'
export * from './frame.ts'
export * from './frontend.ts'
export * from './lsn.ts'
export * from './pgoutput.ts'
export * from './problem.ts'
export * from './rename.ts'
export * from './sqlstate.ts'
export * from './startup.ts'
export * from './types.ts'
export * from './write-backend.ts'
export * from './write-frontend.ts'
