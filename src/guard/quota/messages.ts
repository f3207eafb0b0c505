// What the two halves of the quotas say to each other: plain data.

import type { QuotaAnswer, QuotaEnding, QuotaWish } from '../../policy/quota/quota.ts'
import type { CourierAnswers, CourierAsks } from '../courier.ts'

export type QuotaQuestion =
  | { readonly kind: 'reserve'; readonly quota: string; readonly wish: QuotaWish }
  | { readonly kind: 'end'; readonly quota: string; readonly id: number; readonly ending: QuotaEnding }

export type QuotaFromWorker = CourierAsks<QuotaQuestion>

export type QuotaToWorker = CourierAnswers<QuotaAnswer>
