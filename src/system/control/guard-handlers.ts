// What the control API needs of the guard of a running system: one function an operation. Types only.

import type { GuardExplanationView, GuardRulingWish, GuardView } from './guard-views.ts'
import type { AcceptedView } from './views.ts'

export interface GuardHandlers {
  status(): Promise<GuardView>
  explain(id: string): Promise<GuardExplanationView>
  rule(wish: GuardRulingWish): Promise<AcceptedView>
  unban(what: string): Promise<AcceptedView>
  ask(question: { readonly kind: string }): Promise<unknown>
}
