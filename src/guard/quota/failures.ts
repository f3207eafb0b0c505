// What can go wrong with quotas: to operators as failures, to clients as refusals.

import { type Catalogue, defineFailures } from '../../kit/failure.ts'
import type { PassageRefusal } from '../passage.ts'

export const quotaFailures: Catalogue<'journal'> = defineFailures('quota', {
  journal: {
    when: "A quota's journal in the state directory can't be read or written.",
    advice:
      'Let the user that Tenfold runs as write to guard/quotas in the state directory, and look whether the disk is full.',
  },
})

export type QuotaRefusal = 'over' | 'soldOut' | 'repeated' | 'away' | 'quantity' | 'body'

export const quotaRefusals: Readonly<Record<QuotaRefusal, PassageRefusal>> = {
  over: {
    code: 'QUOTA_OVER',
    status: 409,
    text: 'With this order you would have more of these than one may have. What you have ordered is yours; nothing was added.',
  },
  soldOut: {
    code: 'QUOTA_SOLD_OUT',
    status: 409,
    text: 'There are not so many left. Nothing was ordered; fewer may still be there.',
  },
  repeated: {
    code: 'QUOTA_REPEATED',
    status: 409,
    text: 'An order with this Idempotency-Key was made before, or is under way.',
  },
  away: {
    code: 'QUOTA_AWAY',
    status: 503,
    text: 'Orders can not be taken at the moment. Please try again.',
    fields: 'Retry-After: 5\r\n',
  },
  quantity: {
    code: 'QUOTA_QUANTITY',
    status: 400,
    text: 'The order does not say how many are wanted, as one whole number.',
  },
  body: { code: 'QUOTA_BODY', status: 400, text: 'The order could not be read.' },
}
