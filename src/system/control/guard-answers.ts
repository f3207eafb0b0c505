// Routes about the guard, answered by their handlers: parameters taken apart, nothing else.

import type { AnsweredInput } from './cache-answers.ts'
import type { GuardOperation } from './guard-contract.ts'
import type { GuardHandlers } from './guard-handlers.ts'
import type { GuardRulingWish } from './guard-views.ts'

type GuardAnswerer = (context: unknown, input: AnsweredInput) => Promise<Response>

export function guardAnswerers(handlers: GuardHandlers): Record<GuardOperation, GuardAnswerer> {
  return {
    guard: async () => Response.json(await handlers.status()),
    guardExplain: async (_, { query }) => Response.json(await handlers.explain(query.id as string)),
    guardRule: async (_, { body }) => Response.json(await handlers.rule(body as unknown as GuardRulingWish)),
    guardUnban: async (_, { body }) => Response.json(await handlers.unban(body.what as string)),
    guardAsk: async (_, { body }) => {
      const answer = await handlers.ask(body.question as { kind: string })
      return Response.json({ answer })
    },
  }
}
