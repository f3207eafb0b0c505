// Turnstile's siteverify and its script, for tests, as Cloudflare's documents describe them: form or JSON in, JSON out, a token
// is good for 300 s and once, an idempotency key repeats the answer it got, secrets and tokens are told apart by error codes.

import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Siteverify {
  readonly url: string
  readonly scriptUrl: string
  readonly secret: string
  /** Fields of each question, in order. */
  readonly asked: Record<string, string>[]
  /** A token as the widget would give it. */
  token(change?: { hostname?: string; action?: string; ageMs?: number }): string
  /** What is said from now on, whatever is asked: a JSON value, or a handler for other misbehaviour. Null: the truth. */
  answerWith(answer: object | ((request: IncomingMessage, response: ServerResponse) => void) | null): void
}

interface Token {
  readonly hostname: string
  readonly action: string
  readonly atMs: number
  redeemedBy: string | null
}

const tokenLifeMs = 300_000

export async function startSiteverify(context: {
  after(end: () => Promise<void>): void
}): Promise<Siteverify> {
  const secret = '0x4AAAAAAAtrialtrialtrialtrialtrialtr'
  const tokens = new Map<string, Token>()
  const asked: Record<string, string>[] = []
  let other: Parameters<Siteverify['answerWith']>[0] = null

  const token: Siteverify['token'] = (change = {}) => {
    const text = `0.${randomUUID()}`
    const { hostname = 'localhost', action = 'tenfold-page', ageMs = 0 } = change
    tokens.set(text, { hostname, action, atMs: Date.now() - ageMs, redeemedBy: null })
    return text
  }
  const failed = (...codes: string[]): object => ({ success: false, 'error-codes': codes, messages: [] })
  const truth = (fields: Record<string, string>): object => {
    if (!fields.secret) return failed('missing-input-secret')
    if (fields.secret !== secret) return failed('invalid-input-secret')
    if (!fields.response) return failed('missing-input-response')
    const found = tokens.get(fields.response)
    if (found === undefined) return failed('invalid-input-response')
    const key = fields.idempotency_key ?? randomUUID()
    if (!/^[0-9a-f-]{36}$/.test(key)) return failed('bad-request')
    if (Date.now() - found.atMs > tokenLifeMs) return failed('timeout-or-duplicate')
    if (found.redeemedBy !== null && found.redeemedBy !== key) return failed('timeout-or-duplicate')
    found.redeemedBy = key
    return {
      success: true,
      'error-codes': [],
      challenge_ts: new Date(found.atMs).toISOString(),
      hostname: found.hostname,
      action: found.action,
      cdata: '',
      metadata: { interactive: false },
    }
  }

  const server = createServer((request, response) => {
    if (request.method === 'GET') {
      // The widget: it gets a token and calls back.
      response.setHeader('content-type', 'text/javascript')
      response.end(widget(request.url === '/token.js' ? '' : token()))
      return
    }
    let body = ''
    request.setEncoding('utf8').on('data', (text: string) => {
      body += text
    })
    request.on('end', () => {
      const json = request.headers['content-type'] === 'application/json'
      const fields = json
        ? (JSON.parse(body) as Record<string, string>)
        : Object.fromEntries(new URLSearchParams(body))
      asked.push(fields)
      if (typeof other === 'function') {
        other(request, response)
        return
      }
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(other ?? truth(fields)))
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  context.after(async () => {
    server.closeAllConnections()
    await new Promise<void>(resolve => server.close(() => resolve()))
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/turnstile/v0/siteverify`,
    scriptUrl: `http://localhost:${port}/turnstile/v0/api.js`,
    secret,
    asked,
    token,
    answerWith: answer => {
      other = answer
    },
  }
}

/** Finds its places as the real one does, adds the hidden field, and calls the callback that they name. */
function widget(token: string): string {
  return `(() => {
  const run = () => {
    for (const place of document.querySelectorAll('.cf-turnstile')) {
      const field = document.createElement('input')
      field.type = 'hidden'
      field.name = 'cf-turnstile-response'
      field.value = ${JSON.stringify(token)}
      place.append(field)
      const callback = place.dataset.callback
      if (callback && globalThis[callback]) globalThis[callback](field.value)
    }
  }
  if (document.readyState === 'complete') run()
  else addEventListener('load', run)
})()
`
}
