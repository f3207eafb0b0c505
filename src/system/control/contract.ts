// The control API's contract: every route with its scope, parameters and answer. The server is built from this table,
// /openapi.json is generated from it, and a test calls each entry. It holds no behaviour.

import { z } from 'zod'
import { parseBlock } from '../../policy/address.ts'
import { type CacheOperation, cacheContract } from './cache-contract.ts'
import { type DatabaseOperation, databaseContract } from './database-contract.ts'
import { type GuardOperation, guardContract } from './guard-contract.ts'
import {
  acceptedSchema,
  canariesSchema,
  canarySchema,
  eventSchema,
  historySchema,
  logLineSchema,
  operationSchema,
  statusSchema,
} from './schemas.ts'

/** Characters of a maintenance page: a body of the control API has at most 64 KB. */
export const maintenancePageMax = 32_768

/** What a token may do; each includes the ones before it. `none` needs no token. */
export type Scope = 'none' | 'metrics' | 'read' | 'admin'

export type Answer =
  | { readonly kind: 'json'; readonly schema: z.ZodType; readonly statuses: readonly number[] }
  /** One JSON value a line, as things happen. */
  | { readonly kind: 'ndjson'; readonly schema: z.ZodType }
  | { readonly kind: 'text'; readonly contentType: string }

export interface RouteContract {
  readonly method: 'get' | 'post'
  /** `/v1/services/{name}/scale`. */
  readonly path: string
  readonly scope: Scope
  readonly summary: string
  readonly params?: z.ZodObject
  readonly query?: z.ZodObject
  readonly body?: z.ZodObject
  /** Absent: 64 KB. */
  readonly bodyBytesMax?: number
  readonly answer: Answer
}

export type Operation =
  | 'livez'
  | 'readyz'
  | 'openapi'
  | 'metrics'
  | 'status'
  | 'events'
  | 'logs'
  | 'history'
  | 'scale'
  | 'restart'
  | 'drain'
  | 'undrain'
  | 'reload'
  | 'rollback'
  | 'renew'
  | 'standDown'
  | 'standUp'
  | 'maintenanceOn'
  | 'maintenanceOff'
  | 'canaries'
  | 'canaryResume'
  | 'canaryStop'
  | 'stop'
  | DatabaseOperation
  | CacheOperation
  | GuardOperation

const json = (schema: z.ZodType, ...statuses: number[]): Answer => ({
  kind: 'json',
  schema,
  statuses: statuses.length === 0 ? [200] : statuses,
})
const lines = (schema: z.ZodType): Answer => ({ kind: 'ndjson', schema })

const serviceParams = z.strictObject({ name: z.string().min(1).max(100).describe('Name of the service') })
const memberParams = z.strictObject({
  id: z
    .string()
    .min(1)
    .max(300)
    .describe('`web-1`, or `web/web-1` where several services have such a member'),
})
const flag = z.enum(['true', 'false']).default('false')
const noBody = z.strictObject({})
const routeBody = z.strictObject({
  route: z.string().min(1).max(1000).describe('Id of a route with a canary'),
})
const maintenanceBody = z.strictObject({
  page: z
    .strictObject({
      contentType: z
        .string()
        .regex(/^[!-~]+\/[!-~]+(?:; ?[!-~]+)*$/)
        .max(200),
      body: z.string().min(1).max(maintenancePageMax),
    })
    .optional()
    .describe('Absent: the file’s, else the edge’s own'),
  retryAfterSeconds: z.int().min(1).max(2_592_000).optional().describe('Absent: the file’s, else 300'),
  allow: z
    .array(z.string().refine(isBlock, 'an address or a CIDR block'))
    .max(1000)
    .optional()
    .describe('Who is let through. Absent: as the file says'),
})

/** An address, or a block of addresses in CIDR notation. */
export function isBlock(text: string): boolean {
  return parseBlock(text) !== null
}

export const contract: Readonly<Record<Operation, RouteContract>> = {
  livez: {
    method: 'get',
    path: '/livez',
    scope: 'none',
    summary: 'Answers 200 as long as the supervisor lives.',
    answer: json(z.strictObject({ alive: z.literal(true) })),
  },
  readyz: {
    method: 'get',
    path: '/readyz',
    scope: 'none',
    summary:
      '200 when every listener listens, every service has a ready member and every database takes writes, else 503.',
    answer: json(z.strictObject({ ready: z.boolean() }), 200, 503),
  },
  openapi: {
    method: 'get',
    path: '/openapi.json',
    scope: 'none',
    summary: 'This description.',
    answer: json(z.looseObject({ openapi: z.string() })),
  },
  metrics: {
    method: 'get',
    path: '/metrics',
    scope: 'metrics',
    summary: 'Prometheus text: the metrics of edge, router, databases, fleet and supervisor.',
    answer: { kind: 'text', contentType: 'text/plain; version=0.0.4; charset=utf-8' },
  },
  status: {
    method: 'get',
    path: '/v1/status',
    scope: 'read',
    summary: 'The whole system: listeners, services, members, and why each is in its state.',
    answer: json(statusSchema),
  },
  events: {
    method: 'get',
    path: '/v1/events',
    scope: 'read',
    summary: 'Decisions and changes from now on, as they happen.',
    answer: lines(eventSchema),
  },
  logs: {
    method: 'get',
    path: '/v1/logs',
    scope: 'read',
    summary: 'The latest output of instances, and with `follow` what comes.',
    query: z.strictObject({
      service: z.string().min(1).max(100).optional().describe('Only of this service'),
      lines: z.coerce
        .number()
        .int()
        .min(0)
        .max(10_000)
        .default(100)
        .describe('Latest lines of each instance'),
      follow: flag.describe('Go on with what comes'),
    }),
    answer: lines(logLineSchema),
  },
  history: {
    method: 'get',
    path: '/v1/history',
    scope: 'read',
    summary: 'The last systems that were applied, for rollback.',
    answer: json(historySchema),
  },
  scale: {
    method: 'post',
    path: '/v1/services/{name}/scale',
    scope: 'admin',
    summary: 'Sets the number of instances, within the file’s min and max.',
    params: serviceParams,
    body: z.strictObject({ instances: z.int().min(0).max(10_000) }),
    answer: lines(operationSchema),
  },
  restart: {
    method: 'post',
    path: '/v1/services/{name}/restart',
    scope: 'admin',
    summary: 'Replaces the instances one by one; each new one is ready before an old one drains.',
    params: serviceParams,
    body: noBody,
    answer: lines(operationSchema),
  },
  drain: {
    method: 'post',
    path: '/v1/members/{id}/drain',
    scope: 'admin',
    summary: 'No new requests to this member; those in flight finish.',
    params: memberParams,
    body: noBody,
    answer: json(acceptedSchema),
  },
  undrain: {
    method: 'post',
    path: '/v1/members/{id}/undrain',
    scope: 'admin',
    summary: 'Takes a drained member back.',
    params: memberParams,
    body: noBody,
    answer: json(acceptedSchema),
  },
  reload: {
    method: 'post',
    path: '/v1/reload',
    scope: 'admin',
    summary: 'Loads the file again, checks it and applies the difference; with `dryRun` only shows it.',
    body: z.strictObject({ dryRun: z.boolean().default(false) }),
    answer: lines(operationSchema),
  },
  rollback: {
    method: 'post',
    path: '/v1/rollback',
    scope: 'admin',
    summary: 'Applies an earlier system of the history: the one before the current, or the one named.',
    body: z.strictObject({ number: z.int().min(1).optional().describe('Entry of the history') }),
    answer: lines(operationSchema),
  },
  renew: {
    method: 'post',
    path: '/v1/certificates/renew',
    scope: 'admin',
    summary: 'Asks the authority for a new certificate now: for the named host, or for all automatic ones.',
    body: z.strictObject({ host: z.string().min(1).max(253).optional() }),
    answer: lines(operationSchema),
  },
  standDown: {
    method: 'post',
    path: '/v1/standdown',
    scope: 'admin',
    summary: 'Health listeners say 503, so that traffic goes to another edge; this one still serves.',
    body: z.strictObject({ reason: z.string().min(1).max(200).default('asked for by an operator') }),
    answer: json(acceptedSchema),
  },
  standUp: {
    method: 'post',
    path: '/v1/standup',
    scope: 'admin',
    summary: 'Ends a stand-down: health listeners say again how the edge is.',
    body: noBody,
    answer: json(acceptedSchema),
  },
  maintenanceOn: {
    method: 'post',
    path: '/v1/maintenance',
    scope: 'admin',
    summary: 'Every client but those who are let through gets 503 and a page, until it is ended.',
    body: maintenanceBody,
    answer: json(acceptedSchema),
  },
  maintenanceOff: {
    method: 'post',
    path: '/v1/maintenance/off',
    scope: 'admin',
    summary: 'Ends the maintenance.',
    body: noBody,
    answer: json(acceptedSchema),
  },
  canaries: {
    method: 'get',
    path: '/v1/canaries',
    scope: 'read',
    summary: 'The canaries of the routes: share, state, what their requests show, and why.',
    answer: json(canariesSchema),
  },
  canaryResume: {
    method: 'post',
    path: '/v1/canaries/resume',
    scope: 'admin',
    summary: 'Gives a canary that was taken out or stopped its share again.',
    body: routeBody,
    answer: json(canarySchema),
  },
  canaryStop: {
    method: 'post',
    path: '/v1/canaries/stop',
    scope: 'admin',
    summary: 'Takes a canary out: every request goes to the others.',
    body: routeBody,
    answer: json(canarySchema),
  },
  stop: {
    method: 'post',
    path: '/v1/stop',
    scope: 'admin',
    summary: 'Drains and stops the whole system; `now` does not wait for requests in flight.',
    body: z.strictObject({ now: z.boolean().default(false) }),
    answer: json(acceptedSchema, 202),
  },
  ...databaseContract,
  ...cacheContract,
  ...guardContract,
}
