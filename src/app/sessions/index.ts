// What services import as `tenfold/sessions`.

export { sessionFailures } from './failures.ts'
export type { FastifyPlugin } from './fastify-adapter.ts'
export type { HonoMiddleware } from './hono-adapter.ts'
export type { ConnectMiddleware, NodeHandler } from './node-adapter.ts'
export type { SessionOptions } from './options.ts'
export type { Session, SessionState } from './session.ts'
export { createSessions, type Sessions } from './sessions.ts'
