// How a login's own answers look: pages for people, JSON for programs, never stored by anybody, never in a frame, and with
// nothing in them that came from outside.

import { wantsPage } from '../../challenge/answers.ts'
import type { Passage } from '../../passage.ts'

export interface LoginWords {
  readonly status: number
  readonly code: string
  readonly title: string
  readonly text: string
}

const words = (status: number, code: string, title: string, text: string): LoginWords => ({
  status,
  code,
  title,
  text,
})

/** To clients. */
export const loginWords: Readonly<
  Record<'unknown' | 'busy' | 'insecure' | 'away' | 'stale' | 'refused' | 'tooLarge' | 'foreign', LoginWords>
> = {
  unknown: words(404, 'LOGIN_UNKNOWN', 'Nothing here', 'There is nothing at this address.'),
  busy: words(
    429,
    'LOGIN_BUSY',
    'Too many logins',
    'Too many logins begin from here. Try again in a moment.',
  ),
  insecure: words(400, 'LOGIN_INSECURE', 'Not safe', 'Nobody can log in here in the clear. Use https://.'),
  away: words(
    503,
    'LOGIN_AWAY',
    'Logging in does not work right now',
    'The service that knows the accounts does not answer. Who is logged in stays so. Try again in a moment.',
  ),
  stale: words(
    400,
    'LOGIN_STALE',
    'This login is over',
    'It was begun too long ago, in another browser, or has been used. Cookies must be allowed.',
  ),
  refused: words(403, 'LOGIN_REFUSED', 'Not logged in', 'The login was refused or given up.'),
  tooLarge: words(
    502,
    'LOGIN_CLAIMS_TOO_LARGE',
    'Not logged in',
    'What is known of this account does not fit into a session. The operator has been told.',
  ),
  foreign: words(403, 'LOGIN_FOREIGN', 'Not logged out', 'Log out from a page of this site.'),
}

const common =
  'Cache-Control: no-store, private\r\nX-Robots-Tag: noindex\r\nX-Content-Type-Options: nosniff\r\nVary: Cookie\r\n'

export function redirect(passage: Passage, to: string, more = ''): void {
  answer(passage, 302, `Location: ${to}\r\n${more}`, '')
}

/** @param retry ready path of ours for a button that begins anew; '' = none. */
export function say(passage: Passage, what: LoginWords, nonce: string, retry = '', more = ''): void {
  const wait = what.status === 503 || what.status === 429 ? 'Retry-After: 10\r\n' : ''
  if (!wantsPage(passage)) {
    const { status, code, text } = what
    const body = JSON.stringify({ error: { status, code, message: text, requestId: passage.requestId } })
    answer(passage, status, `Content-Type: application/json\r\n${wait}${more}`, `${body}\n`)
    return
  }
  const button = retry === '' ? '' : `<p><a class="button" href="${escaped(retry)}">Try again</a></p>`
  page(passage, what.status, what.title, `<p>${what.text}</p>${button}`, nonce, wait + more)
}

export function askLogout(passage: Passage, action: string, nonce: string): void {
  const form = `<form method="post" action="${escaped(action)}"><button class="button">Log out</button></form>`
  // With `no-referrer` browsers say of the form that it comes from `null`.
  page(passage, 200, 'Log out?', form, nonce, '', 'same-origin')
}

const style = `:root{color-scheme:light dark}body{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1.5rem}h1{font-size:1.6rem}.button{font:inherit;display:inline-block;padding:.6rem 1.2rem;border:0;border-radius:.5rem;background:#1d4ed8;color:#fff;text-decoration:none;cursor:pointer}small{color:#6b7280}`

function page(
  passage: Passage,
  status: number,
  title: string,
  html: string,
  nonce: string,
  more: string,
  referrer: Referrer = 'no-referrer',
): void {
  const body = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title>
<style nonce="${nonce}">${style}</style></head>
<body><main><h1>${title}</h1>${html}<p><small>${escaped(passage.requestId)}</small></p></main></body></html>
`
  const policy = `Content-Security-Policy: default-src 'none'; style-src 'nonce-${nonce}'; base-uri 'none'; frame-ancestors 'none'\r\n`
  answer(passage, status, `Content-Type: text/html; charset=utf-8\r\n${policy}${more}`, body, referrer)
}

type Referrer = 'no-referrer' | 'same-origin'

function answer(
  passage: Passage,
  status: number,
  fields: string,
  body: string,
  referrer: Referrer = 'no-referrer',
): void {
  const bytes = Buffer.from(body).latin1Slice()
  const id = `Referrer-Policy: ${referrer}\r\nX-Request-Id: ${passage.requestId}\r\n`
  passage.respond(
    status,
    `${fields}Content-Length: ${bytes.length}\r\n${common}${id}${passage.extraFields}`,
    bytes,
  )
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
const escaped = (text: string): string => text.replace(/[&<>"']/g, mark => entities[mark] as string)
