// The control API's client: what every command but `up` uses. Owns the requests and turns the API's failures back into
// `Failure`s. Light to load on purpose: no schema library, no server.

import type { ClientRequest, IncomingMessage } from 'node:http'
import { Failure } from '../../kit/failure.ts'
import { systemFailures } from '../failures.ts'
import type { MaintenanceWish } from '../maintenance.ts'
import { type CacheClient, cacheClient } from './cache-client.ts'
import { type DatabaseClient, databaseClient } from './database-client.ts'
import { type GuardClient, guardClient } from './guard-client.ts'
import type {
  AcceptedView,
  CanariesView,
  CanaryView,
  FailureView,
  HistoryView,
  LogLine,
  OperationLine,
  StatusView,
  SystemEvent,
} from './views.ts'

export interface ControlAddress {
  readonly url: string
  readonly token: string
}

export type DoneLine = Extract<OperationLine, { kind: 'done' }>
export type ProgressLine = Extract<OperationLine, { kind: 'progress' }>
export type OnProgress = (line: ProgressLine) => void

/** Every call rejects with a `Failure`: the API's own, or SYSTEM_CONTROL_UNREACHABLE. */
export interface ControlClient {
  readonly url: string
  status(): Promise<StatusView>
  history(): Promise<HistoryView>
  metrics(): Promise<string>
  scale(service: string, instances: number, onProgress?: OnProgress): Promise<DoneLine>
  restart(service: string, onProgress?: OnProgress): Promise<DoneLine>
  reload(options?: { dryRun?: boolean }, onProgress?: OnProgress): Promise<DoneLine>
  rollback(number?: number, onProgress?: OnProgress): Promise<DoneLine>
  drain(member: string): Promise<AcceptedView>
  undrain(member: string): Promise<AcceptedView>
  /** Absent: all automatic certificates. */
  renew(host?: string, onProgress?: OnProgress): Promise<DoneLine>
  standDown(reason?: string): Promise<AcceptedView>
  standUp(): Promise<AcceptedView>
  maintenanceOn(wish: MaintenanceWish): Promise<AcceptedView>
  maintenanceOff(): Promise<AcceptedView>
  readonly databases: DatabaseClient
  readonly caches: CacheClient
  readonly guard: GuardClient
  canaries(): Promise<CanariesView>
  canaryResume(route: string): Promise<CanaryView>
  canaryStop(route: string): Promise<CanaryView>
  stop(options?: { now?: boolean }): Promise<AcceptedView>
  /** Ends when the latest lines are told, or with `follow` when the signal aborts or the system stops. */
  logs(
    query: { service?: string; lines?: number; follow?: boolean; signal?: AbortSignal },
    onLine: (line: LogLine) => void,
  ): Promise<void>
  events(query: { signal?: AbortSignal }, onEvent: (event: SystemEvent) => void): Promise<void>
}

/** Longer than any answer takes that is not a stream. */
const answerTimeoutMs = 30_000
const answerBytesMax = 64 * 1024 * 1024

export function controlClient(address: ControlAddress): ControlClient {
  const json = async <T>(
    method: 'GET' | 'POST',
    path: string,
    body?: object,
    timeoutMs = answerTimeoutMs,
  ): Promise<T> => JSON.parse(await wholeText(await send(address, { method, path, body, timeoutMs }))) as T
  const operate = async (path: string, body: object, onProgress?: OnProgress): Promise<DoneLine> =>
    outcome(await send(address, { method: 'POST', path, body }), onProgress)
  const name = encodeURIComponent
  return {
    url: address.url,
    status: () => json('GET', '/v1/status'),
    history: () => json('GET', '/v1/history'),
    metrics: async () =>
      wholeText(await send(address, { method: 'GET', path: '/metrics', timeoutMs: answerTimeoutMs })),
    scale: (service, instances, onProgress) =>
      operate(`/v1/services/${name(service)}/scale`, { instances }, onProgress),
    restart: (service, onProgress) => operate(`/v1/services/${name(service)}/restart`, {}, onProgress),
    reload: (options = {}, onProgress) => operate('/v1/reload', options, onProgress),
    rollback: (number, onProgress) =>
      operate('/v1/rollback', number === undefined ? {} : { number }, onProgress),
    drain: member => json('POST', `/v1/members/${name(member)}/drain`),
    undrain: member => json('POST', `/v1/members/${name(member)}/undrain`),
    renew: (host, onProgress) =>
      operate('/v1/certificates/renew', host === undefined ? {} : { host }, onProgress),
    standDown: reason => json('POST', '/v1/standdown', reason === undefined ? {} : { reason }),
    standUp: () => json('POST', '/v1/standup'),
    maintenanceOn: wish => json('POST', '/v1/maintenance', wish),
    maintenanceOff: () => json('POST', '/v1/maintenance/off'),
    databases: databaseClient({ json, operate }),
    caches: cacheClient(json),
    guard: guardClient(json),
    canaries: () => json('GET', '/v1/canaries'),
    canaryResume: route => json('POST', '/v1/canaries/resume', { route }),
    canaryStop: route => json('POST', '/v1/canaries/stop', { route }),
    stop: (options = {}) => json('POST', '/v1/stop', options),
    logs: async ({ service, lines = 100, follow = false, signal }, onLine) => {
      const query = new URLSearchParams({ lines: String(lines), follow: String(follow) })
      if (service !== undefined) query.set('service', service)
      await eachLine(
        await send(address, { method: 'GET', path: `/v1/logs?${query}`, signal }),
        onLine,
        signal,
      )
    },
    events: async ({ signal }, onEvent) =>
      eachLine(await send(address, { method: 'GET', path: '/v1/events', signal }), onEvent, signal),
  }
}

interface Sent {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body?: object | undefined
  /** Absent: the answer may take as long as it takes. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal | undefined
}

function send(address: ControlAddress, sent: Sent): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const body = sent.body === undefined ? '' : JSON.stringify(sent.body)
    // An `import` of node:http evaluates its getters, one of which loads Node's whole fetch: 80 ms for nothing.
    const { protocol } = new URL(address.url)
    const http = process.getBuiltinModule(protocol === 'https:' ? 'node:https' : 'node:http')
    const request: ClientRequest = http.request(new URL(sent.path, address.url), {
      method: sent.method,
      agent: false,
      headers: {
        authorization: `Bearer ${address.token}`,
        ...(body === '' ? {} : { 'content-type': 'application/json' }),
        'content-length': Buffer.byteLength(body),
      },
      ...(sent.signal === undefined ? {} : { signal: sent.signal }),
    })
    if (sent.timeoutMs !== undefined) {
      request.setTimeout(sent.timeoutMs, () =>
        request.destroy(new Error(`no answer in ${sent.timeoutMs} ms`)),
      )
    }
    request.once('error', cause => reject(unreachable(address, cause)))
    request.once('response', response => {
      if ((response.statusCode ?? 500) < 400) return resolve(response)
      wholeText(response).then(text => reject(failureFrom(text, response.statusCode ?? 500)), reject)
    })
    request.end(body)
  })
}

function unreachable(address: ControlAddress, cause: Error): Failure {
  return new Failure(
    systemFailures.controlUnreachable,
    `The control API at ${address.url} does not answer (${cause.message}).`,
    { cause },
  )
}

async function wholeText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength
    if (bytes > answerBytesMax)
      throw new Failure(systemFailures.controlUnreachable, 'The answer is too large.')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** The API's failure as it was thrown there; its remedy travels as the kind's advice. */
function failureFrom(text: string, status: number): Failure {
  try {
    const { code, message, remedy } = (JSON.parse(text) as FailureView).error
    return rebuilt({ code, message, remedy }, status)
  } catch {
    return new Failure(
      systemFailures.controlUnreachable,
      `The control API answered ${status} without a reason.`,
    )
  }
}

function rebuilt(error: FailureView['error'], status: number): Failure {
  return new Failure(
    { code: error.code, when: '', advice: error.remedy, status, retry: false },
    error.message,
  )
}

async function outcome(response: IncomingMessage, onProgress: OnProgress | undefined): Promise<DoneLine> {
  let last: OperationLine | undefined
  await eachLine<OperationLine>(response, line => {
    last = line
    if (line.kind === 'progress') onProgress?.(line)
  })
  if (last?.kind === 'done') return last
  if (last?.kind === 'failed') throw rebuilt(last.error, 409)
  throw new Failure(
    systemFailures.controlUnreachable,
    'The connection to the control API ended before the operation did; it may still be under way.',
    { details: { remedy: 'Look at `tenfold status`.' } },
  )
}

async function eachLine<T>(
  response: IncomingMessage,
  onLine: (line: T) => void,
  signal?: AbortSignal,
): Promise<void> {
  response.setEncoding('utf8')
  let rest = ''
  try {
    for await (const chunk of response as AsyncIterable<string>) {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() as string
      for (const line of lines) onLine(JSON.parse(line) as T)
    }
  } catch (cause) {
    if (signal?.aborted || isCut(cause)) return
    throw cause
  }
}

/** The system stopped while we followed it: the stream's end, not a failure of the reader's. */
function isCut(cause: unknown): boolean {
  const code = (cause as NodeJS.ErrnoException).code
  return code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE'
}
