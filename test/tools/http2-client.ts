// Node's own HTTP/2 client for tests: one session, whole answers, ends with its test.

import http2 from 'node:http2'

export interface Http2Answer {
  readonly status: number
  readonly headers: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader
  readonly body: Buffer
  readonly trailers: http2.IncomingHttpHeaders
  readonly interim: readonly number[]
  /** END_STREAM came; else `code` says how the stream ended. */
  readonly whole: boolean
  readonly code: number
}

export interface Http2Peer {
  readonly session: http2.ClientHttp2Session
  /** Codes of the GOAWAY frames that came. */
  readonly goaways: number[]
  ask(headers: http2.OutgoingHttpHeaders, body?: Buffer | string): Promise<Http2Answer>
  open(
    headers: http2.OutgoingHttpHeaders,
    options?: http2.ClientSessionRequestOptions,
  ): http2.ClientHttp2Stream
  closed(): Promise<void>
}

export async function openHttp2(
  context: { after(end: () => Promise<void> | void): void },
  url: string,
  options: http2.ClientSessionOptions | http2.SecureClientSessionOptions = {},
): Promise<Http2Peer> {
  const session = http2.connect(url, options)
  const goaways: number[] = []
  session.on('goaway', code => goaways.push(code))
  session.on('error', () => {})
  const closed = new Promise<void>(resolve => session.once('close', () => resolve()))
  context.after(() => session.destroy())
  await new Promise<void>((resolve, reject) => {
    session.once('remoteSettings', () => resolve())
    session.once('error', reject)
    session.once('close', () => reject(new Error('the session ended before its settings came')))
  })
  const open: Http2Peer['open'] = (headers, request) => {
    const stream = session.request(headers, request)
    stream.on('error', () => {})
    return stream
  }
  return {
    session,
    goaways,
    open,
    closed: () => closed,
    ask: (headers, body) => {
      const stream = open(headers, { endStream: body === undefined })
      if (body !== undefined) stream.end(body)
      return answerOf(stream)
    },
  }
}

/** The answer on a stream, however it ends. */
export function answerOf(stream: http2.ClientHttp2Stream): Promise<Http2Answer> {
  return new Promise(resolve => {
    let headers: Http2Answer['headers'] = {}
    let trailers: http2.IncomingHttpHeaders = {}
    const interim: number[] = []
    const parts: Buffer[] = []
    let whole = false
    stream.on('headers', fields => interim.push(fields[':status'] as number))
    stream.on('response', fields => {
      headers = fields
    })
    stream.on('trailers', fields => {
      trailers = fields
    })
    stream.on('data', (bytes: Buffer) => parts.push(bytes))
    stream.on('end', () => {
      whole = true
    })
    stream.on('close', () => {
      const body = Buffer.concat(parts)
      const code = stream.rstCode ?? 0
      resolve({
        status: headers[':status'] ?? 0,
        headers,
        body,
        trailers,
        interim,
        whole: whole && code === 0,
        code,
      })
    })
  })
}
