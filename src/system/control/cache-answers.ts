// Routes about caches, answered by their handlers: parameters taken apart, nothing else.

import type { CacheOperation } from './cache-contract.ts'
import type { CacheHandlers } from './cache-handlers.ts'
import type { PurgeWish, PushWish, SharedPurgeWish } from './cache-views.ts'

export interface AnsweredInput {
  readonly params: Readonly<Record<string, string>>
  readonly query: Readonly<Record<string, unknown>>
  readonly body: Readonly<Record<string, unknown>>
}

type CacheAnswerer = (context: unknown, input: AnsweredInput) => Promise<Response>

/** Some did, some did not (RFC 4918 11.1): the body says who. */
const statusOf = ({ complete }: { complete: boolean }): ResponseInit => ({ status: complete ? 200 : 207 })

export function cacheAnswerers(handlers: CacheHandlers): Record<CacheOperation, CacheAnswerer> {
  return {
    purge: async (_, { body }) => {
      const { peers, ...wish } = body as unknown as PurgeWish & { peers: boolean }
      const view = await handlers.purge(wish, peers)
      return Response.json(view, statusOf(view))
    },
    push: async (_, { body }) => {
      const view = await handlers.push(body as unknown as PushWish)
      return Response.json(view, statusOf(view))
    },
    cache: async () => Response.json(await handlers.status()),
    cacheLook: async (_, { query }) => Response.json(await handlers.look(query.url as string)),
    sharedCache: async (_, { params, query }) =>
      Response.json(await handlers.sharedStatus(params.name as string, query.of as string)),
    sharedEntry: async (_, { params, query }) =>
      Response.json(
        await handlers.sharedEntry(params.name as string, query.of as string, query.key as string),
      ),
    sharedPurge: async (_, { params, body }) =>
      Response.json(await handlers.sharedPurge(params.name as string, body as unknown as SharedPurgeWish)),
  }
}
