// One question to a process: does it answer yet? A TCP connection, or one HTTP request on a connection of its own. It
// never asks twice and never throws: the answer says why not.

import { request } from 'node:http'
import { connect } from 'node:net'

export interface ProbeTarget {
  readonly kind: 'http' | 'tcp'
  readonly host: string
  readonly port: number
  /** For `http`: the path, the Host header (default: host and port) and the statuses that count as an answer. */
  readonly path: string
  readonly hostHeader?: string
  readonly expectStatus: { readonly from: number; readonly to: number }
  readonly timeoutMs: number
  /** A response header whose value is handed on as `reported`. */
  readonly reportHeader?: string
}

/** `refused`: nobody listens on the port. `text` completes "it ...": `answered 503 to GET /healthz`. */
export interface ProbeAnswer {
  readonly ok: boolean
  readonly refused: boolean
  readonly text: string
  /** The value of `reportHeader`, where the answer had it. */
  readonly reported?: string
}

export function probe(target: ProbeTarget): Promise<ProbeAnswer> {
  return target.kind === 'tcp' ? probeTcp(target) : probeHttp(target)
}

function probeTcp(target: ProbeTarget): Promise<ProbeAnswer> {
  return new Promise(resolve => {
    const socket = connect({ host: target.host, port: target.port })
    const finish = (answer: ProbeAnswer): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(answer)
    }
    const timer = setTimeout(() => finish(slow(target, 'accept a connection')), target.timeoutMs)
    socket.once('connect', () => finish({ ok: true, refused: false, text: 'accepts connections' }))
    socket.once('error', error => finish(failed(target, error)))
  })
}

function probeHttp(target: ProbeTarget): Promise<ProbeAnswer> {
  const { host, port, path, hostHeader, expectStatus, timeoutMs } = target
  return new Promise(resolve => {
    const headers = { host: hostHeader ?? `${host}:${port}`, 'user-agent': 'tenfold-probe', accept: '*/*' }
    const attempt = request({ host, port, path, headers, agent: false, method: 'GET' })
    const finish = (answer: ProbeAnswer): void => {
      clearTimeout(timer)
      attempt.destroy()
      resolve(answer)
    }
    const timer = setTimeout(() => finish(slow(target, `answer GET ${path}`)), timeoutMs)
    attempt.once('response', response => {
      const status = response.statusCode ?? 0
      const ok = status >= expectStatus.from && status <= expectStatus.to
      const reported = target.reportHeader === undefined ? undefined : response.headers[target.reportHeader]
      finish({
        ok,
        refused: false,
        text: `answered ${status} to GET ${path}`,
        ...(typeof reported === 'string' ? { reported } : {}),
      })
    })
    // Destroying the request above may raise another error: it must find a listener.
    attempt.on('error', error => finish(failed(target, error)))
    attempt.end()
  })
}

function slow(target: ProbeTarget, what: string): ProbeAnswer {
  return { ok: false, refused: false, text: `did not ${what} within ${target.timeoutMs} ms` }
}

function failed(target: ProbeTarget, error: Error): ProbeAnswer {
  const refused = (error as NodeJS.ErrnoException).code === 'ECONNREFUSED'
  const text = refused
    ? `does not listen on ${target.host}:${target.port}`
    : `broke the connection (${error.message})`
  return { ok: false, refused, text }
}
