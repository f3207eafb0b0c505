// Who may ask, as the frameworks' own middleware: nobody gets 401, who may not 403, each with a code and a reason; others
// go on with `request.identity` (Hono: `context.get('identity')`). Types are declared by shape.

import type { Identities, IdentityResult, IdentityWish } from './identity.ts'
import type { HumanRequest } from './requests.ts'

const refusalOf = (result: Extract<IdentityResult, { known: false }>): object => ({
  error: {
    code: result.status === 401 ? 'IDENTITY_REQUIRED' : 'IDENTITY_REFUSED',
    reason: result.reason,
  },
})

interface ExpressResponse {
  status(code: number): { json(value: unknown): unknown }
}
/** What `app.use` and routes of Express take; `request.identity` has who it is. */
export type ExpressIdentity = (
  // biome-ignore lint/suspicious/noExplicitAny: Express' own type knows what the app has added
  request: any,
  response: ExpressResponse,
  next: (error?: unknown) => void,
) => void

export function expressIdentity(identities: Identities, wish: IdentityWish): ExpressIdentity {
  return (request, response, next) => {
    const result = identities.verify(request as HumanRequest, wish)
    if (result.known) {
      Object.assign(request as object, { identity: result.identity })
      next()
    } else response.status(result.status).json(refusalOf(result))
  }
}

interface FastifyReply {
  // biome-ignore lint/suspicious/noExplicitAny: Fastify narrows codes by route
  code(code: any): { send(value: any): unknown }
}
/** What `preHandler` of Fastify takes; `request.identity` has who it is. */
export type FastifyIdentity = (request: HumanRequest, reply: FastifyReply) => Promise<unknown>

export function fastifyIdentity(identities: Identities, wish: IdentityWish): FastifyIdentity {
  return async (request, reply) => {
    const result = identities.verify(request, wish)
    if (!result.known) return reply.code(result.status).send(refusalOf(result))
    Object.assign(request, { identity: result.identity })
    return undefined
  }
}

interface HonoContext {
  readonly req: { readonly raw: Request }
  // biome-ignore lint/suspicious/noExplicitAny: overloads of Hono's
  json(value: any, status: any): any
  // biome-ignore lint/suspicious/noExplicitAny: the same
  set(name: any, value: any): void
}
/** What `app.use` and routes of Hono take; `context.get('identity')` has who it is. */
export type HonoIdentity = (context: HonoContext, next: () => Promise<void>) => Promise<Response | undefined>

export function honoIdentity(identities: Identities, wish: IdentityWish): HonoIdentity {
  return async (context, next) => {
    const result = identities.verify(context, wish)
    if (!result.known) return context.json(refusalOf(result), result.status) as Response
    context.set('identity', result.identity)
    await next()
    return undefined
  }
}
