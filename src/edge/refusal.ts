// The edge's own error answers: small HTML or JSON by Accept, a stable code, the request id, never a stack or an address.

import { reasonOf } from '../wire/http1/index.ts'
import type { ClientFailure } from './failures.ts'

export interface Refusal {
  readonly contentType: string
  readonly body: string
}

/** JSON when the client prefers it, HTML for browsers and everybody who names nothing. */
export function refusalFor(failure: ClientFailure, requestId: string, accept: string | undefined): Refusal {
  if (prefersJson(accept)) {
    const error = { status: failure.status, code: failure.code, message: failure.text, requestId }
    return { contentType: 'application/json', body: `${JSON.stringify({ error })}\n` }
  }
  return { contentType: 'text/html; charset=utf-8', body: page(failure, requestId) }
}

export function prefersJson(accept: string | undefined): boolean {
  if (accept === undefined) return false
  const json = qualityOf(accept, /^application\/(?:[\w.+-]+\+)?json$/)
  return json > 0 && json >= qualityOf(accept, /^text\/html$|^application\/xhtml\+xml$/)
}

function qualityOf(accept: string, type: RegExp): number {
  let best = 0
  for (const part of accept.toLowerCase().split(',', 32)) {
    const [range, ...parameters] = part.split(';').map(piece => piece.trim())
    if (range === undefined || !type.test(range)) continue
    const q = parameters.find(piece => piece.startsWith('q='))
    best = Math.max(best, q === undefined ? 1 : Number.parseFloat(q.slice(2)) || 0)
  }
  return best
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)
}

function page({ status, code, text }: ClientFailure, requestId: string): string {
  const title = `${status} ${reasonOf(status)}`.trim()
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:15vh auto;padding:0 1rem;color:#222;background:#fff}
h1{font-size:1.4rem}small{color:#666}@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}small{color:#999}}</style>
</head><body><h1>${escapeHtml(title)}</h1><p>${escapeHtml(text)}</p>
<p><small>Code ${escapeHtml(code)}, request ${escapeHtml(requestId)}</small></p></body></html>
`
}
