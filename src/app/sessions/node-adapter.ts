// Sessions for node:http and for Express (and Connect): the head gets the cookie when it is written, and the end of the
// answer waits until the session is stored, so that the next request sees it. Types are declared by shape: nothing of a
// framework is pulled in.

import { type AnySession, asHttpError, headOf, type SessionOpener, statusOf } from './answer.ts'

export interface NodeRequest {
  readonly headers: { readonly cookie?: string | undefined }
}

export interface NodeResponse {
  statusCode: number
  readonly headersSent: boolean
  // biome-ignore lint/suspicious/noExplicitAny: overloads of Node that are only passed on
  writeHead(...args: any[]): any
  // biome-ignore lint/suspicious/noExplicitAny: the same
  write(...args: any[]): any
  // biome-ignore lint/suspicious/noExplicitAny: the same
  end(...args: any[]): any
  flushHeaders(): void
  getHeader(name: string): number | string | readonly string[] | undefined
  getHeaderNames(): readonly string[]
  setHeader(name: string, value: string | readonly string[]): unknown
  removeHeader(name: string): void
  destroy(error?: Error): unknown
}

export type NodeHandler<Session> = (request: never, response: never, session: Session) => void | Promise<void>
export type ConnectMiddleware = (
  request: NodeRequest,
  response: NodeResponse,
  next: (error?: unknown) => void,
) => void

export function nodeHandler(
  sessions: SessionOpener,
  handler: (request: NodeRequest, response: NodeResponse, session: AnySession) => void | Promise<void>,
): (request: NodeRequest, response: NodeResponse) => Promise<void> {
  return async (request, response) => {
    try {
      const session = await sessions.open(request.headers.cookie)
      bind(session, response)
      await handler(request, response, session)
    } catch (error) {
      refuse(response, error)
    }
  }
}

export function connectMiddleware(sessions: SessionOpener): ConnectMiddleware {
  return (request, response, next) => {
    sessions.open(request.headers.cookie).then(
      session => {
        Object.assign(request, { session })
        bind(session, response)
        next()
      },
      error => next(asHttpError(error)),
    )
  }
}

/**
 * A head that the service writes itself is held back while there is something to store, until the body begins or ends:
 * so that an answer whose session can't be stored is a refusal, not a promise.
 */
function bind(session: AnySession, response: NodeResponse): void {
  const { writeHead, write, end, flushHeaders } = response
  let held: readonly unknown[] | null = null
  let sent: string | null = null
  let began = false
  let ended = false
  const release = (): void => {
    const args = held ?? []
    held = null
    sent = session.setCookie()
    writeHead.apply(response, withHead(session, response, args))
  }
  response.writeHead = (...args: unknown[]) => {
    if (response.headersSent) return writeHead.apply(response, args)
    held = args
    if (began || !session.changed) release()
    return response
  }
  response.write = (...args: unknown[]) => {
    began = true
    if (held !== null) release()
    return write.apply(response, args)
  }
  response.flushHeaders = () => {
    began = true
    if (held !== null) release()
    flushHeaders.call(response)
  }
  const finish = (args: readonly unknown[]): void => {
    began = true
    if (held !== null) release()
    end.apply(response, args as unknown[])
  }
  response.end = (...args: unknown[]) => {
    if (ended) return response
    ended = true
    // Once the head is out without it, nobody would ever learn the id of a new session.
    const unknown = response.headersSent && session.state === 'new' && sent !== session.setCookie()
    if (!session.changed || unknown) finish(args)
    else {
      session.save().then(
        () => finish(args),
        error => {
          Object.assign(response, { writeHead, write, end, flushHeaders })
          refuse(response, error)
        },
      )
    }
    return response
  }
}

/** Our fields among those set before and those handed to `writeHead`, which would replace fields of the same name. */
function withHead(session: AnySession, response: NodeResponse, args: readonly unknown[]): unknown[] {
  const { setCookie, cacheControl } = headOf(session)
  const given = args.find(arg => typeof arg === 'object' && arg !== null) as
    | Record<string, unknown>
    | unknown[]
    | undefined
  if (given !== undefined) {
    for (const [name, value] of pairsOf(given)) response.setHeader(name, value as string)
  }
  if (setCookie !== null) {
    const before = response.getHeader('set-cookie')
    const list = before === undefined ? [] : Array.isArray(before) ? before : [String(before)]
    response.setHeader('set-cookie', [...list, setCookie])
  }
  if (cacheControl !== null && response.getHeader('cache-control') === undefined) {
    response.setHeader('cache-control', cacheControl)
  }
  return args.filter(arg => arg !== given)
}

/** Headers as `writeHead` takes them: an object, a flat list, or a list of pairs; fields of one name together. */
function pairsOf(given: Record<string, unknown> | unknown[]): Iterable<readonly [string, unknown]> {
  if (!Array.isArray(given)) return Object.entries(given)
  const flat = given.flatMap(item => (Array.isArray(item) ? [[item[0], item[1]]] : []))
  const pairs =
    flat.length > 0 ? flat : given.flatMap((_, i) => (i % 2 === 0 ? [[given[i], given[i + 1]]] : []))
  const fields = new Map<string, unknown[]>()
  for (const [name, value] of pairs) {
    const key = String(name).toLowerCase()
    fields.set(key, [...(fields.get(key) ?? []), value])
  }
  return [...fields].map(([name, values]) => [name, values.length === 1 ? values[0] : values] as const)
}

/** The answer that stands for one whose session could not be opened or stored. */
function refuse(response: NodeResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy(error as Error)
    return
  }
  const { status, code } = statusOf(error)
  for (const name of response.getHeaderNames()) response.removeHeader(name)
  response.statusCode = status
  response.setHeader('content-type', 'text/plain; charset=utf-8')
  response.setHeader('cache-control', 'no-store')
  response.end(`${code}\n`)
}
