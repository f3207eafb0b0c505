// Sessions for Fastify 5: opened before routing's hooks, stored before the answer is sent. Types are declared by shape.

import { type AnySession, asHttpError, headOf, type SessionOpener } from './answer.ts'

interface FastifyRequest {
  readonly headers: { readonly cookie?: string | undefined }
}
interface FastifyReply {
  // biome-ignore lint/suspicious/noExplicitAny: Fastify's own types narrow names and values
  header(name: any, value: any): unknown
  // biome-ignore lint/suspicious/noExplicitAny: the same
  hasHeader(name: any): boolean
}
interface FastifyInstance {
  // biome-ignore lint/suspicious/noExplicitAny: its overloads differ by the hook's name
  addHook(name: any, hook: any): unknown
  // biome-ignore lint/suspicious/noExplicitAny: the same
  decorateRequest(name: any, value?: any): unknown
}
/** What `app.register` takes. */
export type FastifyPlugin = (app: FastifyInstance) => Promise<void>

export function fastifyPlugin(sessions: SessionOpener): FastifyPlugin {
  const plugin: FastifyPlugin = async app => {
    const open = new WeakMap<object, AnySession>()
    app.decorateRequest('session', null)
    app.addHook('onRequest', async (request: FastifyRequest) => {
      const session = await sessions.open(request.headers.cookie).catch(error => {
        throw asHttpError(error)
      })
      open.set(request, session)
      Object.assign(request, { session })
    })
    app.addHook('onSend', async (request: FastifyRequest, reply: FastifyReply, payload: unknown) => {
      const session = open.get(request)
      // Once: an answer that stands for a failed save is sent through this hook too.
      open.delete(request)
      if (session !== undefined) await store(session, reply)
      return payload
    })
  }
  // Fastify's word for "not only for the routes of this plugin".
  return Object.assign(plugin, { [Symbol.for('skip-override')]: true })
}

async function store(session: AnySession, reply: FastifyReply): Promise<void> {
  await session.save().catch(error => {
    throw asHttpError(error)
  })
  const { setCookie, cacheControl } = headOf(session)
  if (setCookie !== null) reply.header('set-cookie', setCookie)
  if (cacheControl !== null && !reply.hasHeader('cache-control')) reply.header('cache-control', cacheControl)
}
