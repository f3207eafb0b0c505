// Where a quota is counted: in this edge's memory (local-quota.ts), or in Redis for several edges (shared-quotas.ts).

import type { QuotaAnswer, QuotaEnding, QuotaRules, QuotaWish } from '../../policy/quota/quota.ts'

export interface QuotaCounts {
  readonly held: number
  readonly taken: number
  readonly keys: number
}

export interface QuotaStore {
  /** When this resolves, what was reserved survives the end of this process. Never rejects: `away`. */
  reserve(wishes: readonly QuotaWish[]): Promise<readonly QuotaAnswer[]> | readonly QuotaAnswer[]
  end(id: number, ending: QuotaEnding): void
  setRules(rules: QuotaRules): void
  counts(): Promise<QuotaCounts>
  close(): void
}

export const awayAnswer: QuotaAnswer = { state: 'away', id: 0, left: 0, which: -1 }
