// One document from a server of others (the public keys of an issuer): GET, a whole answer of status 200, bounded in size
// and time. Follows no redirect, never tries again, keeps no connection.

import { type IncomingMessage, request } from 'node:http'
import { request as secureRequest } from 'node:https'

export interface DocumentQuestion {
  readonly url: string
  /** Media types that are asked for. */
  readonly accept: string
  readonly timeoutMs: number
  readonly bytesMax: number
}

/** Rejects with a sentence that says what was wrong; the answer's text is never part of it. */
export function fetchDocument({ url, accept, timeoutMs, bytesMax }: DocumentQuestion): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { agent: false as const, headers: { accept } }
    const taken = (answer: IncomingMessage): void => {
      const parts: Buffer[] = []
      let bytes = 0
      answer.on('error', reject)
      if (answer.statusCode !== 200) {
        asked.destroy(new Error(`it answered with status ${answer.statusCode ?? 0}`))
        return
      }
      answer.on('data', (part: Buffer) => {
        bytes += part.byteLength
        if (bytes > bytesMax) asked.destroy(new Error(`its answer has more than ${bytesMax} bytes`))
        else parts.push(part)
      })
      answer.once('end', () =>
        answer.complete
          ? resolve(Buffer.concat(parts).toString('utf8'))
          : reject(new Error('its answer was cut')),
      )
    }
    const asked = url.startsWith('https:') ? secureRequest(url, options, taken) : request(url, options, taken)
    const limit = setTimeout(() => asked.destroy(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs)
    asked.once('close', () => clearTimeout(limit))
    asked.once('error', reject)
    asked.end()
  })
}
