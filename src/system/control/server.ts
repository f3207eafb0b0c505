// The control API's server: contract and handlers made into HTTP. Owns its listener, the order of the checks (host,
// origin, token, parameters) and how failures become answers. What an operation does is the handlers' business.

import type { Server } from 'node:http'
import { createAdaptorServer } from '@hono/node-server'
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import type { z } from 'zod'
import { bytesText } from '../../kit/duration.ts'
import { Failure, type FailureKind } from '../../kit/failure.ts'
import { remedyOf, systemFailures } from '../failures.ts'
import { cacheAnswerers } from './cache-answers.ts'
import { contract, type Operation, type RouteContract } from './contract.ts'
import { databaseAnswerers } from './database-answers.ts'
import { refuseHost, refuseOrigin, refuseToken } from './guard.ts'
import { guardAnswerers } from './guard-answers.ts'
import type { ControlHandlers, OperationResult, Progress } from './handlers.ts'
import { lineStream } from './line-stream.ts'
import { openApiDocument } from './openapi.ts'
import type { Tokens } from './tokens.ts'
import type { FailureView, OperationLine } from './views.ts'

const bodyBytesMax = 64 * 1024
const connectionsMax = 256

export interface ControlServerOptions {
  readonly host: string
  readonly port: number
  readonly version: string
  readonly tokens: Pick<Tokens, 'scopeOf'>
  readonly handlers: ControlHandlers
  /** Called with what is no `Failure`: our own bugs. */
  readonly onFault: (fault: unknown) => void
}

export interface ControlServer {
  readonly url: string
  /** Ends streams and idle connections; answers under way get up to a second. */
  close(): Promise<void>
}

/** Rejects with SYSTEM_PORT_TAKEN when somebody else listens there. */
export async function startControlServer(options: ControlServerOptions): Promise<ControlServer> {
  const app = controlApp(options)
  const server = createAdaptorServer({
    fetch: app.fetch,
    serverOptions: { headersTimeout: 10_000, requestTimeout: 30_000, maxHeaderSize: 16_384 },
  }) as Server
  server.maxConnections = connectionsMax
  await listen(server, options)
  const address = server.address() as { port: number }
  const host = options.host.includes(':') ? `[${options.host}]` : options.host
  return {
    url: `http://${host}:${address.port}`,
    close: () => close(server),
  }
}

function listen(server: Server, { host, port }: ControlServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', cause => reject(listenFailure(cause as NodeJS.ErrnoException, host, port)))
    server.listen({ host, port }, resolve)
  })
}

function listenFailure(cause: NodeJS.ErrnoException, host: string, port: number): Error {
  if (cause.code === 'EADDRINUSE') {
    return new Failure(
      systemFailures.portTaken,
      `The control port ${host}:${port} is taken by another program.`,
      {
        cause,
        details: { remedy: `Give 'control.listen' another port in the file, or end what holds ${port}.` },
      },
    )
  }
  return new Failure(
    systemFailures.startFailed,
    `The control API cannot listen on ${host}:${port} (${cause.code}).`,
    {
      cause,
      details: {
        remedy: "Give 'control.listen' an address of this machine and a port that this user may use.",
      },
    },
  )
}

function close(server: Server): Promise<void> {
  return new Promise(resolve => {
    const limit = setTimeout(() => server.closeAllConnections(), 1_000)
    server.close(() => {
      clearTimeout(limit)
      resolve()
    })
    server.closeIdleConnections()
  })
}

type Answerer = (context: Context, input: Input) => Response | Promise<Response>
interface Input {
  readonly params: Record<string, string>
  readonly query: Record<string, unknown>
  readonly body: Record<string, unknown>
}

export function controlApp(options: ControlServerOptions): Hono {
  const app = new Hono()
  const answerers = answerersOf(options)
  app.use(async (context, next) => {
    const host = context.req.header('host')
    const refusal = refuseHost(host, options.host) ?? refuseOrigin(context.req.header('origin'), host)
    if (refusal !== null) return failureResponse(refusal)
    await next()
    context.res.headers.set('cache-control', 'no-store')
    context.res.headers.set('x-content-type-options', 'nosniff')
    return undefined
  })
  const limits = bodyLimits()
  app.use((context, next) => (limits.get(context.req.path) ?? limits.get(''))?.(context, next) ?? next())
  for (const [operation, route] of Object.entries(contract) as [Operation, RouteContract][]) {
    app.on(route.method.toUpperCase(), route.path.replace(/\{(\w+)\}/g, ':$1'), async context => {
      const refusal = refuseToken(context.req.header('authorization'), route.scope, options.tokens)
      if (refusal !== null) throw refusal
      return await answerers[operation](context, await inputOf(context, route))
    })
  }
  app.notFound(context => {
    const what = `${context.req.method} ${context.req.path}`
    return failureResponse(new Failure(systemFailures.notFound, `The control API has no ${what}.`))
  })
  app.onError(error => {
    if (error instanceof Failure) return failureResponse(error)
    options.onFault(error)
    return failureResponse(new Failure(systemFailures.internal, 'Something went wrong inside Tenfold.'))
  })
  return app
}

/** By path; '' for all others. */
function bodyLimits(): Map<string, MiddlewareHandler> {
  const limited = (maxSize: number): MiddlewareHandler =>
    bodyLimit({
      maxSize,
      onError: () => failureResponse(invalid(`The body is larger than ${bytesText(maxSize)}.`), 413),
    })
  const own = Object.values(contract).flatMap(({ path, bodyBytesMax: bytes }) =>
    bytes === undefined ? [] : [[path, limited(bytes)] as const],
  )
  return new Map([['', limited(bodyBytesMax)], ...own])
}

function answerersOf({ handlers, version, onFault }: ControlServerOptions): Record<Operation, Answerer> {
  const document = openApiDocument(version)
  const operation = (run: (progress: Progress) => Promise<OperationResult>): Promise<Response> =>
    operationResponse(run, onFault)
  return {
    livez: () => Response.json({ alive: true }),
    readyz: async () => {
      const ready = await handlers.ready()
      return Response.json({ ready }, { status: ready ? 200 : 503 })
    },
    openapi: () => Response.json(document),
    metrics: async () =>
      new Response(await handlers.metrics(), {
        headers: { 'content-type': (contract.metrics.answer as { contentType: string }).contentType },
      }),
    status: async () => Response.json(await handlers.status()),
    history: () => Response.json(handlers.history()),
    events: () => followed(push => handlers.followEvents(push)),
    logs: async (_, { query }) => logsResponse(handlers, query as unknown as LogQuery),
    scale: (_, { params, body }) =>
      operation(progress => handlers.scale(params.name as string, body.instances as number, progress)),
    restart: (_, { params }) => operation(progress => handlers.restart(params.name as string, progress)),
    drain: async (_, { params }) => Response.json(await handlers.drain(params.id as string)),
    undrain: async (_, { params }) => Response.json(await handlers.undrain(params.id as string)),
    reload: (_, { body }) =>
      operation(progress => handlers.reload({ dryRun: body.dryRun as boolean }, progress)),
    rollback: (_, { body }) =>
      operation(progress => handlers.rollback((body.number as number | undefined) ?? null, progress)),
    renew: (_, { body }) =>
      operation(progress => handlers.renew((body.host as string | undefined) ?? null, progress)),
    standDown: async (_, { body }) => Response.json(await handlers.standDown(body.reason as string)),
    standUp: async () => Response.json(await handlers.standUp()),
    maintenanceOn: async (_, { body }) => Response.json(await handlers.maintenanceOn(body)),
    maintenanceOff: async () => Response.json(await handlers.maintenanceOff()),
    canaries: async () => Response.json(await handlers.canaries()),
    canaryResume: async (_, { body }) => Response.json(await handlers.canary(body.route as string, 'resume')),
    canaryStop: async (_, { body }) => Response.json(await handlers.canary(body.route as string, 'stop')),
    stop: (_, { body }) => Response.json(handlers.stop({ now: body.now as boolean }), { status: 202 }),
    ...databaseAnswerers(handlers.databases, operation),
    ...cacheAnswerers(handlers.caches),
    ...guardAnswerers(handlers.guard),
  }
}

async function inputOf(context: Context, route: RouteContract): Promise<Input> {
  return {
    params: parse(route.params, context.req.param(), 'path') as Record<string, string>,
    query: parse(route.query, context.req.query(), 'query'),
    body: route.body === undefined ? {} : parse(route.body, await jsonBody(context), 'body'),
  }
}

/** An empty body means `{}`: every body here has defaults or says what is missing. */
async function jsonBody(context: Context): Promise<unknown> {
  const text = await context.req.text()
  if (text.trim() === '') return {}
  if (!/^application\/json\b/i.test(context.req.header('content-type') ?? '')) {
    throw invalid('A body must be sent as Content-Type: application/json.')
  }
  try {
    return JSON.parse(text)
  } catch {
    throw invalid('The body is not JSON.')
  }
}

function parse(schema: z.ZodObject | undefined, value: unknown, place: string): Record<string, unknown> {
  if (schema === undefined) return {}
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const problems = result.error.issues.map(issue => {
    const path = issue.path.join('.')
    return path === '' ? issue.message : `'${path}': ${issue.message}`
  })
  throw invalid(`The request's ${place} does not fit: ${problems.join('; ')}.`)
}

const invalid = (sentence: string): Failure => new Failure(systemFailures.requestInvalid, sentence)

export function failureView(failure: Failure): FailureView {
  return { error: { code: failure.code, message: failure.message, remedy: remedyOf(failure) } }
}

function failureResponse(failure: Failure, status: number = statusOf(failure.kind)): Response {
  const headers = status === 401 ? { 'www-authenticate': 'Bearer realm="tenfold"' } : undefined
  return Response.json(failureView(failure), headers === undefined ? { status } : { status, headers })
}

const statusOf = (kind: FailureKind): number => (kind.status >= 400 && kind.status <= 599 ? kind.status : 500)

/**
 * What fails before its first step (an unknown service) answers with its status; what goes on answers 200 and lines.
 * The operation itself goes on when its reader leaves.
 */
function operationResponse(
  run: (progress: Progress) => Promise<OperationResult>,
  onFault: (fault: unknown) => void,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const stream = lineStream()
    let begun = false
    const push = (line: OperationLine): void => {
      stream.push(line)
      if (begun) return
      begun = true
      resolve(ndjson(stream.body))
    }
    const now = (): string => new Date().toISOString()
    run((subject, text) => push({ kind: 'progress', at: now(), subject, text })).then(
      result => {
        push({ kind: 'done', at: now(), ...result })
        stream.end()
      },
      (error: unknown) => {
        if (!begun) return reject(error)
        if (!(error instanceof Failure)) onFault(error)
        const failure =
          error instanceof Failure ? error : new Failure(systemFailures.internal, 'Something went wrong.')
        push({ kind: 'failed', at: now(), ...failureView(failure) })
        stream.end()
      },
    )
  })
}

interface LogQuery {
  readonly service?: string
  readonly lines: number
  readonly follow: 'true' | 'false'
}

async function logsResponse(handlers: ControlHandlers, query: LogQuery): Promise<Response> {
  const latest = await handlers.latestLogs({ service: query.service, lines: query.lines })
  if (query.follow === 'false') {
    const stream = lineStream()
    for (const line of latest) stream.push(line)
    stream.end()
    return ndjson(stream.body)
  }
  return followed(push => {
    for (const line of latest) push(line)
    return handlers.followLogs({ service: query.service }, push)
  })
}

function followed<T>(follow: (push: (value: T) => void) => () => void): Response {
  let unfollow = (): void => {}
  const stream = lineStream({ onGone: () => unfollow() })
  unfollow = follow(value => stream.push(value))
  return ndjson(stream.body)
}

const ndjson = (body: ReadableStream<Uint8Array>): Response =>
  new Response(body, { headers: { 'content-type': 'application/x-ndjson; charset=utf-8' } })
