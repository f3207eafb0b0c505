// All sessions of a service: opens the one that a request's cookie names, and hands out adapters for frameworks. Stateless
// itself: any instance serves any user.

import { systemClock } from '../../kit/clock.ts'
import { Failure } from '../../kit/failure.ts'
import { cookieValues, verifiedId } from './cookie.ts'
import { sessionFailures } from './failures.ts'
import { type FastifyPlugin, fastifyPlugin } from './fastify-adapter.ts'
import { type HonoMiddleware, honoMiddleware } from './hono-adapter.ts'
import { type ConnectMiddleware, connectMiddleware, type NodeHandler, nodeHandler } from './node-adapter.ts'
import { type SessionOptions, type SessionSettings, sessionSettings } from './options.ts'
import { Session } from './session.ts'
import type { Opened, SessionStore } from './store.ts'
import { MemoryStore } from './store-memory.ts'
import { RedisStore } from './store-redis.ts'

export class Sessions<Data extends object = Record<string, unknown>> {
  readonly settings: SessionSettings
  readonly #store: SessionStore

  constructor(options: SessionOptions) {
    this.settings = sessionSettings(options)
    this.#store = storeOf(options, this.settings)
  }

  /** @param cookieHeader the request's `Cookie`, as it came @throws Failure `storeAway` */
  async open(cookieHeader: string | null | undefined): Promise<Session<Data>> {
    const { secrets, cookie } = this.settings
    for (const value of cookieValues(cookieHeader, cookie.name)) {
      const verified = verifiedId(secrets, value)
      if (verified === null) continue
      const opened = await this.#opened(verified.id)
      return new Session<Data>(this.settings, this.#store, {
        id: verified.id,
        oldSecret: !verified.newest,
        opened,
      })
    }
    return new Session<Data>(this.settings, this.#store, {
      id: null,
      oldSecret: false,
      opened: { kind: 'none' },
    })
  }

  /** Ends a session from outside of its own requests (an administrator, a changed password). */
  end(id: string): Promise<void> {
    return this.#store.end(id)
  }

  /** For node:http and what is like it. The handler gets the session as its third argument. */
  node(handler: NodeHandler<Session<Data>>): ReturnType<typeof nodeHandler> {
    return nodeHandler(this as never, handler as never)
  }

  /** `app.use(sessions.express())`: then `request.session`. */
  express(): ConnectMiddleware {
    return connectMiddleware(this as never)
  }

  /** `await app.register(sessions.fastify())`: then `request.session`. */
  fastify(): FastifyPlugin {
    return fastifyPlugin(this as never)
  }

  /** `app.use(sessions.hono())`: then `context.get('session')`. */
  hono(): HonoMiddleware {
    return honoMiddleware(this as never)
  }

  async close(): Promise<void> {
    await this.#store.close()
  }

  async #opened(id: string): Promise<Opened | 'away'> {
    try {
      return await this.#store.open(id)
    } catch (error) {
      const away = error instanceof Failure && error.kind === sessionFailures.storeAway
      if (away && this.settings.whenAway === 'anonymous') return 'away'
      throw error
    }
  }
}

function storeOf(options: SessionOptions, settings: SessionSettings): SessionStore {
  if (options.redis === 'memory') return new MemoryStore(settings.limits, options.clock ?? systemClock)
  const { name = 'sessions', redis, cluster, link, clock } = options
  return new RedisStore(
    {
      name,
      redis,
      ...(cluster !== undefined && { cluster }),
      ...(link !== undefined && { link }),
      ...(clock !== undefined && { clock }),
    },
    settings.limits,
  )
}

/** `createSessions<{ user: string; cart: Cart }>({ secrets, redis })` */
export function createSessions<Data extends object = Record<string, unknown>>(
  options: SessionOptions,
): Sessions<Data> {
  return new Sessions<Data>(options)
}
