// The few HTTPS requests that Tenfold makes itself, to services of others (an ACME authority): one connection each, a
// bounded answer, a time limit over all of it. Never follows a redirect, never tries again.

import { request } from 'node:https'

export interface HttpsQuestion {
  readonly url: string
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** PEM of the one authority that is trusted; null: the ones that Node brings. */
  readonly ca: string | null
  readonly timeoutMs: number
  readonly bytesMax: number
}

export interface HttpsAnswer {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
}

/** Rejects with the socket's or TLS's error, or with one that names the limit. */
export function httpsRequest(question: HttpsQuestion): Promise<HttpsAnswer> {
  const { url, method, headers, body, ca, timeoutMs, bytesMax } = question
  return new Promise((resolve, reject) => {
    const asked = request(url, {
      method,
      agent: false,
      headers: { ...headers, ...(body === '' ? {} : { 'content-length': Buffer.byteLength(body) }) },
      ...(ca === null ? {} : { ca }),
    })
    const limit = setTimeout(() => asked.destroy(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs)
    asked.once('close', () => clearTimeout(limit))
    asked.once('error', reject)
    asked.once('response', response => {
      const parts: Buffer[] = []
      let bytes = 0
      response.on('data', (part: Buffer) => {
        bytes += part.byteLength
        if (bytes > bytesMax) asked.destroy(new Error(`the answer has more than ${bytesMax} bytes`))
        else parts.push(part)
      })
      response.once('error', reject)
      response.once('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text: Buffer.concat(parts).toString('utf8'),
        }),
      )
    })
    asked.end(body)
  })
}
