// The part of the control API's contract that is about the guard: every route with its scope, parameters and answer.

import { z } from 'zod'
import { parseBlock } from '../../policy/address.ts'
import type { RouteContract } from './contract.ts'
import type {
  GuardAuditView,
  GuardBanView,
  GuardExplanationView,
  GuardRulingView,
  GuardView,
} from './guard-views.ts'

export type GuardOperation = 'guard' | 'guardExplain' | 'guardRule' | 'guardUnban' | 'guardAsk'

const count = z.number()

const rulingSchema: z.ZodType<GuardRulingView> = z.strictObject({
  kind: z.enum(['ban', 'allow']),
  block: z.string(),
  until: z.string().nullable().describe('Null: until it is taken back'),
  reason: z.string(),
  by: z.string(),
})

const banSchema: z.ZodType<GuardBanView> = z.strictObject({
  key: z.string().describe('Address, or `account:NAME`, `session:NAME@ADDRESS`'),
  until: z.string(),
  strikes: count.describe('How often in a row'),
  reason: z.string(),
  by: z.string(),
})

const auditSchema: z.ZodType<GuardAuditView> = z.strictObject({
  file: z.string(),
  written: count,
  sampledOut: count,
  dropped: count,
  head: z
    .strictObject({ chain: z.string(), seq: count, hash: z.string() })
    .nullable()
    .describe('The last line that this edge process wrote'),
})

const guardSchema: z.ZodType<GuardView> = z.strictObject({
  policies: z.array(
    z.strictObject({ name: z.string(), passed: count, refused: count, answered: count, left: count }),
  ),
  rules: z.array(z.strictObject({ step: z.string(), rule: z.string(), refused: count, detected: count })),
  closed: z.strictObject({ banned: count, tooMany: count }).describe('Connections closed as they came'),
  rulings: z.array(rulingSchema).describe('By operators'),
  bans: z.strictObject({ count, last: z.array(banSchema) }).describe('By rules'),
  audit: auditSchema,
  messagesDropped: count,
  parts: z.record(z.string(), z.record(z.string(), z.unknown())),
})

const explanationSchema: z.ZodType<GuardExplanationView> = z.strictObject({
  id: z.string(),
  at: z.string(),
  outcome: z.enum(['refused', 'detected']),
  policy: z.string(),
  route: z.string(),
  method: z.string(),
  host: z.string(),
  path: z.string().describe('Parameters of the query by name only'),
  address: z.string(),
  account: z.string(),
  session: z.string(),
  key: z.string(),
  status: count,
  code: z.string(),
  risk: count,
  riskReasons: z.array(z.string()),
  findings: z.array(
    z.strictObject({
      step: z.string(),
      rule: z.string(),
      text: z.string(),
      would: z.string().optional().describe('What would have passed'),
      detected: z.boolean(),
    }),
  ),
})

const accepted = z.strictObject({ text: z.string() })

export const guardContract: Readonly<Record<GuardOperation, RouteContract>> = {
  guard: {
    method: 'get',
    path: '/v1/guard',
    scope: 'read',
    summary: 'The guard: requests by policy, findings by rule, bans, the audit log, figures of its parts.',
    answer: { kind: 'json', schema: guardSchema, statuses: [200] },
  },
  guardExplain: {
    method: 'get',
    path: '/v1/guard/explain',
    scope: 'read',
    summary: 'Why a request was refused, or would have been: rules, reasons, what would have passed.',
    query: z.strictObject({ id: z.string().min(1).max(200).describe('Id of the request') }),
    answer: { kind: 'json', schema: explanationSchema, statuses: [200] },
  },
  guardRule: {
    method: 'post',
    path: '/v1/guard/rulings',
    scope: 'admin',
    summary: 'Bans or allows an address or a block, in every edge process and for open connections too.',
    body: z.strictObject({
      kind: z.enum(['ban', 'allow']),
      block: z.string().max(64).refine(isBlockText, 'an address or a CIDR block'),
      forMs: z.int().min(1).max(315_360_000_000).optional().describe('Absent: until it is taken back'),
      reason: z.string().min(1).max(200).optional(),
      sure: z
        .boolean()
        .optional()
        .describe('Also a block that is wide, or holds this host, a proxy, the operator'),
      operatorAt: z.string().max(64).optional().describe('Address that the operator works from'),
    }),
    answer: { kind: 'json', schema: accepted, statuses: [200] },
  },
  guardUnban: {
    method: 'post',
    path: '/v1/guard/unban',
    scope: 'admin',
    summary:
      'Takes back what was said of a block by command, and ends the bans that rules gave inside of it.',
    body: z.strictObject({
      what: z.string().min(1).max(200).describe('An address, a block, or a key as the bans are shown with'),
    }),
    answer: { kind: 'json', schema: accepted, statuses: [200] },
  },
  guardAsk: {
    method: 'post',
    path: '/v1/guard/ask',
    scope: 'admin',
    summary: 'A question to a part of the guard (waiting rooms, quotas), which says what it is.',
    body: z.strictObject({ question: z.looseObject({ kind: z.string().min(1).max(100) }) }),
    answer: { kind: 'json', schema: z.strictObject({ answer: z.unknown() }), statuses: [200] },
  },
}

function isBlockText(text: string): boolean {
  return parseBlock(text) !== null
}
