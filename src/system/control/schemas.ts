// The control API's shapes, checked at run time: one zod schema for each type of views.ts, which the compiler holds to
// it. /openapi.json is generated from these.

import { z } from 'zod'
import { cacheSummarySchema } from './cache-contract.ts'
import { databaseSchema, routerSchema } from './database-schemas.ts'
import type {
  AcceptedView,
  AcmeHostView,
  CanariesView,
  CanarySideView,
  CanaryView,
  CertificateView,
  ChangeView,
  EdgeView,
  FailureView,
  HistoryView,
  LogLine,
  MaintenanceView,
  MemberView,
  OperationLine,
  ServiceView,
  StandDownView,
  StatusView,
  SystemEvent,
} from './views.ts'

const timestamp = z.iso.datetime().describe('ISO 8601, UTC')

export const failureSchema: z.ZodType<FailureView> = z.strictObject({
  error: z.strictObject({
    code: z.string().describe('Stable, e.g. FLEET_SERVICE_UNKNOWN; listed in docs/reference/errors.md'),
    message: z.string(),
    remedy: z.string(),
  }),
})

const traffic = z.strictObject({
  state: z.enum(['healthy', 'unhealthy', 'ejected', 'draining', 'unchecked']),
  reason: z.string(),
  weight: z.number(),
  inFlight: z.number(),
  connections: z.number(),
  requests: z.number(),
  failures: z.number(),
  retries: z.number(),
  latencyMs: z.number(),
  chosenBy: z.string(),
})

export const memberSchema: z.ZodType<MemberView> = z.strictObject({
  id: z.string().describe('Unique within its service'),
  address: z.string(),
  state: z.string(),
  reason: z.string(),
  pid: z.int().nullable(),
  startedAt: timestamp.nullable(),
  restarts: z.int(),
  adopted: z.boolean().describe('Taken back from a supervisor that died'),
  cpuPercent: z.number().nullable(),
  residentBytes: z.number().nullable(),
  traffic: traffic.nullable().describe("The edge's view; null while the edge does not know the member"),
})

export const serviceSchema: z.ZodType<ServiceView> = z.strictObject({
  name: z.string(),
  kind: z.enum(['command', 'addresses']),
  balance: z.string(),
  mode: z.string().describe('normal, or why not: "panic: 2 of 5 healthy"'),
  instances: z.strictObject({ min: z.int(), max: z.int(), wanted: z.int(), ready: z.int() }).nullable(),
  scaling: z.string().nullable().describe('Why it has as many as it has; null: it does not follow its load'),
  pending: z.number().describe('Requests that wait for a place'),
  places: z
    .strictObject({
      limit: z.number().describe('Requests that may wait for an answer at once'),
      used: z.number().describe('Requests that wait for one'),
      reason: z.string().describe('Why the limit is what it is'),
      baselineMs: z.number().describe('Latency without a queue; 0 = not known yet'),
      recentMs: z.number(),
      waitMs: z.number().describe('What requests wait for a place, on average'),
      shed: z
        .strictObject({ sheddable: z.number(), normal: z.number(), critical: z.number() })
        .describe('Refused for want of a place, by class'),
    })
    .nullable()
    .describe('Null: the limit of the service is not adaptive'),
  trouble: z.string().describe('What hinders the service as a whole; empty when nothing does'),
  members: z.array(memberSchema),
})

const canarySideSchema: z.ZodType<CanarySideView> = z
  .strictObject({ requests: z.number(), errors: z.number(), p95Ms: z.number() })
  .describe("Within the canary's window")

export const canarySchema: z.ZodType<CanaryView> = z.strictObject({
  route: z.string(),
  upstream: z.string().describe('The service that is tried'),
  share: z.number(),
  state: z.enum(['running', 'taken-out', 'stopped']),
  reason: z.string().describe('What its requests show, or why it gets none'),
  outSince: timestamp.nullable().describe('Since when it gets none'),
  canary: canarySideSchema,
  others: canarySideSchema,
})

export const certificateSchema: z.ZodType<CertificateView> = z.strictObject({
  hosts: z.array(z.string()),
  file: z.string(),
  source: z.enum(['file', 'acme', 'self-signed']),
  issuer: z.string(),
  validUntil: timestamp,
  daysLeft: z.int().describe('Below 0: expired'),
  problem: z.string().describe('Why newer files are not in use; empty when they are'),
})

export const edgeSchema: z.ZodType<EdgeView> = z.strictObject({
  state: z.enum(['running', 'starting', 'restarting', 'stopped']),
  reason: z.string(),
  pid: z.int().nullable(),
  adopted: z.boolean(),
  restarts: z.int(),
  leaving: z.array(z.int()).describe('Pids of former edge processes that drain'),
  snapshotVersion: z.int(),
  listeners: z.array(z.strictObject({ id: z.string(), host: z.string(), port: z.int(), url: z.string() })),
  workers: z.array(
    z.strictObject({
      id: z.int(),
      state: z.enum(['running', 'starting']),
      restarts: z.int(),
      connections: z.number(),
      exchanges: z.number(),
    }),
  ),
  routes: z.array(
    z.strictObject({
      id: z.string(),
      requests: z.number(),
      errors: z.number(),
      p50Ms: z.number(),
      p99Ms: z.number(),
    }),
  ),
  canaries: z.array(canarySchema).describe('Of routes that have one'),
  certificates: z.array(certificateSchema).describe('The first is used where no other fits'),
  cache: cacheSummarySchema.nullable().describe('Null: no route keeps anything'),
})

export const canariesSchema: z.ZodType<CanariesView> = z.strictObject({ canaries: z.array(canarySchema) })

export const maintenanceSchema: z.ZodType<MaintenanceView> = z
  .strictObject({
    at: timestamp,
    allow: z.array(z.string()).nullable().describe('Who is let through; null: as the file says'),
    retryAfterSeconds: z.int().nullable(),
  })
  .describe('Every client but those who are let through gets a page')

export const acmeHostSchema: z.ZodType<AcmeHostView> = z.strictObject({
  host: z.string(),
  state: z
    .enum(['waiting', 'issuing', 'valid', 'failed'])
    .describe('waiting: none yet; failed: the last try failed, a valid one is served on'),
  text: z.string(),
  validUntil: timestamp.nullable(),
  nextTryAt: timestamp.describe('When the authority is asked next: a renewal, or another try'),
})

export const standDownSchema: z.ZodType<StandDownView> = z
  .strictObject({ at: timestamp, reason: z.string() })
  .describe('Traffic should go to another edge; this one still serves')

export const eventSchema: z.ZodType<SystemEvent> = z.strictObject({
  at: timestamp,
  kind: z.enum(['progress', 'decision', 'warning', 'ready', 'reload', 'stopping']),
  subject: z.string().describe('What it is about: `web/web-2`, `edge`, `file`'),
  text: z.string(),
})

export const statusSchema: z.ZodType<StatusView> = z.strictObject({
  name: z.string(),
  state: z.enum(['starting', 'running', 'stopping']),
  ready: z.boolean(),
  waitingFor: z.array(z.string()).describe('What is missing for ready, one sentence each'),
  tenfold: z.string().describe("Tenfold's version"),
  pid: z.int(),
  startedAt: timestamp,
  uptimeMs: z.number(),
  file: z.string(),
  environment: z.string().nullable(),
  stateDirectory: z.string(),
  controlUrl: z.string(),
  watching: z.boolean().describe('Is the file watched?'),
  runsAs: z.string().describe('The user that services run as'),
  lastReload: z
    .strictObject({
      at: timestamp,
      outcome: z.enum(['applied', 'refused', 'unchanged']),
      text: z.string(),
    })
    .nullable(),
  warnings: z.array(z.string()),
  edge: edgeSchema,
  acme: z.array(acmeHostSchema).describe('Automatic certificates, in the order of the file'),
  standDown: standDownSchema.nullable(),
  maintenance: maintenanceSchema.nullable(),
  services: z.array(serviceSchema),
  router: routerSchema.nullable().describe('Before the databases; null: there is no database'),
  databases: z.array(databaseSchema),
  decisions: z.array(eventSchema).max(50).describe('The latest, oldest first'),
})

const changeSchema: z.ZodType<ChangeView> = z.strictObject({
  path: z.string(),
  from: z.string().nullable(),
  to: z.string().nullable(),
  effect: z.enum(['live', 'rolls', 'starts', 'stops', 'refused']),
  note: z.string().describe('The service that rolls, starts or stops, or why the change is refused'),
})

export const operationSchema: z.ZodType<OperationLine> = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('progress'), at: timestamp, subject: z.string(), text: z.string() }),
  z.strictObject({
    kind: z.literal('done'),
    at: timestamp,
    text: z.string(),
    changes: z.array(changeSchema).exactOptional(),
    findings: z.array(z.string()).exactOptional().describe('What was found, a sentence each'),
  }),
  z.strictObject({
    kind: z.literal('failed'),
    at: timestamp,
    error: z.strictObject({ code: z.string(), message: z.string(), remedy: z.string() }),
  }),
])

export const historySchema: z.ZodType<HistoryView> = z.strictObject({
  entries: z
    .array(
      z.strictObject({
        number: z.int().describe('Grows with each system that was applied'),
        at: timestamp,
        text: z.string(),
        current: z.boolean().describe('The one that runs'),
        services: z.array(z.string()),
      }),
    )
    .describe('Newest first'),
})

export const logLineSchema: z.ZodType<LogLine> = z.strictObject({
  service: z.string(),
  instance: z.string(),
  at: timestamp.nullable().describe('When it was read; null for lines written before the request'),
  text: z.string(),
})

export const acceptedSchema: z.ZodType<AcceptedView> = z.strictObject({ text: z.string() })
