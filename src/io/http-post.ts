// One HTTP request out of the control side of a process (a batch for a collector): POST, a whole small answer, a time
// limit over everything. Connections are kept for the next. Follows no redirects, never repeats anything by itself.

import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'
import { Agent as SecureAgent, request as secureRequest } from 'node:https'

export interface PostAnswer {
  readonly status: number
  /** Retry-After in milliseconds from now; null when it is absent or not understood. */
  readonly retryAfterMs: number | null
  /** At most 64 KB of it. */
  readonly body: string
}

const answerBytesMax = 65_536

export class HttpPoster {
  readonly #agent: Agent
  readonly #secureAgent: SecureAgent

  /** @param socketsMax connections at once to each host; what is beyond waits its turn, within its time limit. */
  constructor(socketsMax = 1) {
    this.#agent = new Agent({ keepAlive: true, maxSockets: socketsMax })
    this.#secureAgent = new SecureAgent({ keepAlive: true, maxSockets: socketsMax })
  }

  /** Rejects when no whole answer came in time. */
  post(
    url: string,
    fields: Readonly<Record<string, string>>,
    body: string,
    timeoutMs: number,
  ): Promise<PostAnswer> {
    return new Promise((resolve, reject) => {
      const bytes = Buffer.from(body)
      const options = {
        method: 'POST',
        headers: { ...fields, 'Content-Length': bytes.length },
        signal: AbortSignal.timeout(timeoutMs),
      }
      const taken = (answer: IncomingMessage): void => collect(answer, resolve, reject)
      const asked: ClientRequest = url.startsWith('https:')
        ? secureRequest(url, { ...options, agent: this.#secureAgent }, taken)
        : request(url, { ...options, agent: this.#agent }, taken)
      asked.on('error', reject)
      asked.end(bytes)
    })
  }

  close(): void {
    this.#agent.destroy()
    this.#secureAgent.destroy()
  }
}

function collect(
  answer: IncomingMessage,
  resolve: (answer: PostAnswer) => void,
  reject: (error: Error) => void,
): void {
  let body = ''
  answer.setEncoding('utf8')
  answer.on('data', (text: string) => {
    if (body.length < answerBytesMax) body += text.slice(0, answerBytesMax - body.length)
  })
  answer.on('error', reject)
  answer.on('end', () =>
    resolve({
      status: answer.statusCode ?? 0,
      retryAfterMs: retryAfterMs(answer.headers['retry-after'], Date.now()),
      body,
    }),
  )
}

/** RFC 9110 10.2.3: seconds or a date. */
export function retryAfterMs(value: string | undefined, nowMs: number): number | null {
  if (value === undefined) return null
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000
  const at = Date.parse(value)
  return Number.isNaN(at) ? null : Math.max(0, at - nowMs)
}
