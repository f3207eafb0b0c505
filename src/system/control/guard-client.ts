// The control API's client for the guard: a part of client.ts, which gives it its way of asking.

import type { GuardExplanationView, GuardRulingWish, GuardView } from './guard-views.ts'
import type { AcceptedView } from './views.ts'

export interface GuardClient {
  status(): Promise<GuardView>
  explain(id: string): Promise<GuardExplanationView>
  rule(wish: GuardRulingWish): Promise<AcceptedView>
  unban(what: string): Promise<AcceptedView>
  /** To a part: what it answers is between it and its command. */
  ask(question: { readonly kind: string; readonly [name: string]: unknown }): Promise<unknown>
}

type Json = <T>(method: 'GET' | 'POST', path: string, body?: object, timeoutMs?: number) => Promise<T>

export function guardClient(json: Json): GuardClient {
  return {
    status: () => json('GET', '/v1/guard'),
    explain: id => json('GET', `/v1/guard/explain?${new URLSearchParams({ id })}`),
    rule: wish => json('POST', '/v1/guard/rulings', wish),
    unban: what => json('POST', '/v1/guard/unban', { what }),
    ask: async question => (await json<{ answer: unknown }>('POST', '/v1/guard/ask', { question })).answer,
  }
}
