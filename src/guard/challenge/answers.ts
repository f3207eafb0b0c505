// How the challenge's own answers look on the wire: never stored by anybody, never in a search index, and pages that may load
// from this host only (and Turnstile's, where that is used).

import type { Passage, PassageRefusal } from '../passage.ts'

/** Marks what a person or a program has to answer: `pow`, `turnstile`, `wait`. */
export const challengeField = 'Tenfold-Challenge'

const common =
  'Cache-Control: no-store, private\r\nX-Robots-Tag: noindex\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: same-origin\r\nVary: Cookie\r\n'

export function pagePolicy(turnstileScript: string | null): string {
  const host = turnstileScript === null ? '' : ` ${new URL(turnstileScript).origin}`
  return `default-src 'none'; script-src 'self'${host}; style-src 'self'${host === '' ? '' : " 'unsafe-inline'"}; worker-src 'self' blob:; connect-src 'self'${host}; img-src 'self' data:; frame-src ${host === '' ? "'none'" : host.trim()}; form-action 'self'; base-uri 'none'; frame-ancestors 'self'`
}

export function answerPage(
  passage: Passage,
  status: number,
  language: string,
  html: string,
  turnstileScript: string | null,
  more = '',
): void {
  const body = Buffer.from(html).latin1Slice()
  const policy = `Content-Security-Policy: ${pagePolicy(turnstileScript)}\r\n`
  answer(
    passage,
    status,
    `Content-Type: text/html; charset=utf-8\r\nContent-Language: ${language}\r\n${policy}${more}`,
    body,
  )
}

export function answerJson(passage: Passage, status: number, value: unknown, more = ''): void {
  const body = Buffer.from(`${JSON.stringify(value)}\n`).latin1Slice()
  answer(passage, status, `Content-Type: application/json\r\n${more}`, body)
}

export function answerRefusal(passage: Passage, refusal: PassageRefusal, reason?: string, more = ''): void {
  const { status, code, text } = refusal
  const error = {
    status,
    code,
    message: text,
    requestId: passage.requestId,
    ...(reason === undefined ? {} : { reason }),
  }
  answerJson(passage, status, { error }, more)
}

export function redirect(passage: Passage, to: string, more = ''): void {
  answer(passage, 303, `Location: ${to}\r\n${more}`, '')
}

function answer(passage: Passage, status: number, fields: string, body: string): void {
  const id = `X-Request-Id: ${passage.requestId}\r\n`
  passage.respond(
    status,
    `${fields}Content-Length: ${body.length}\r\n${common}${id}${passage.extraFields}`,
    body,
  )
}

/** A person sees the answer as a page: what the browser says it is for, else what it would rather have. */
export function wantsPage(passage: Passage): boolean {
  const { head } = passage
  if (head.find('upgrade') !== undefined) return false
  const destination = head.find('sec-fetch-dest')
  if (destination !== undefined) return /^(?:document|iframe|frame)$/.test(destination)
  if (head.find('x-requested-with') !== undefined) return false
  return /\btext\/html\b|\bapplication\/xhtml\+xml\b/i.test(head.find('accept') ?? '')
}
