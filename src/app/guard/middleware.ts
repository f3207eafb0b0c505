// Human checks as the frameworks' own middleware: who is none gets 403 (or 503 where it could not be found out) with a code,
// everybody else goes on. Types are declared by shape.

import type { HumanResult, HumanWish } from './humans.ts'
import type { HumanRequest } from './requests.ts'

export type Check = (request: HumanRequest, wish: HumanWish) => Promise<HumanResult>

interface Refusal {
  readonly error: { readonly code: 'HUMAN_REQUIRED'; readonly reason: string }
}

function refusalOf(result: Extract<HumanResult, { human: false }>): Refusal {
  return { error: { code: 'HUMAN_REQUIRED', reason: result.reason } }
}

interface ExpressResponse {
  status(code: number): { json(value: unknown): unknown }
}
/** What `app.use` and routes of Express take; `request.human` has the result. Behind what reads the body. */
export type ExpressHumans = (
  // biome-ignore lint/suspicious/noExplicitAny: Express' own type knows what the app has added
  request: any,
  response: ExpressResponse,
  next: (error?: unknown) => void,
) => void

export function expressHumans(check: Check, wish: HumanWish): ExpressHumans {
  return (request, response, next) => {
    check(request as HumanRequest, wish).then(result => {
      if (!result.human) {
        response.status(result.status).json(refusalOf(result))
        return
      }
      Object.assign(request as object, { human: result })
      next()
    }, next)
  }
}

interface FastifyReply {
  // biome-ignore lint/suspicious/noExplicitAny: Fastify narrows codes by route
  code(code: any): { send(value: any): unknown }
}
/** What `preHandler` of Fastify takes. */
export type FastifyHumans = (request: HumanRequest, reply: FastifyReply) => Promise<unknown>

export function fastifyHumans(check: Check, wish: HumanWish): FastifyHumans {
  return async (request, reply) => {
    const result = await check(request, wish)
    return result.human ? undefined : reply.code(result.status).send(refusalOf(result))
  }
}

interface HonoContext {
  readonly req: {
    readonly raw: Request
    // biome-ignore lint/suspicious/noExplicitAny: overloads of Hono's
    parseBody(): Promise<any>
    // biome-ignore lint/suspicious/noExplicitAny: the same
    json(): Promise<any>
  }
  // biome-ignore lint/suspicious/noExplicitAny: the same
  json(value: any, status: any): any
}
/** What `app.use` and routes of Hono take. */
export type HonoHumans = (context: HonoContext, next: () => Promise<void>) => Promise<Response | undefined>

export function honoHumans(check: Check, wish: HumanWish): HonoHumans {
  return async (context, next) => {
    const form = wish.form ?? (await formOf(context))
    const result = await check(context, { ...wish, form })
    if (!result.human) return context.json(refusalOf(result), result.status) as Response
    await next()
    return undefined
  }
}

/** Hono keeps what was read, so that handlers may read it again. */
async function formOf(context: HonoContext): Promise<unknown> {
  const type = context.req.raw.headers.get('content-type') ?? ''
  if (!/json|form/.test(type)) return undefined
  return await (type.includes('json') ? context.req.json() : context.req.parseBody()).catch(() => undefined)
}
