// Sessions for Hono: opened before the handlers, stored before the answer goes out. Types are declared by shape.

import { asHttpError, headOf, type SessionOpener } from './answer.ts'

interface HonoContext {
  readonly req: { header(name: string): string | undefined }
  // biome-ignore lint/suspicious/noExplicitAny: Hono's own type knows the variables of the app
  set(name: any, value: any): void
  readonly res: Response
}
/** What `app.use` takes. */
export type HonoMiddleware = (context: HonoContext, next: () => Promise<void>) => Promise<void>

export function honoMiddleware(sessions: SessionOpener): HonoMiddleware {
  return async (context, next) => {
    try {
      const session = await sessions.open(context.req.header('cookie'))
      context.set('session', session)
      await next()
      await session.save()
      const { setCookie, cacheControl } = headOf(session)
      const { headers } = context.res
      if (setCookie !== null) headers.append('set-cookie', setCookie)
      if (cacheControl !== null && !headers.has('cache-control')) headers.set('cache-control', cacheControl)
    } catch (error) {
      throw asHttpError(error)
    }
  }
}
