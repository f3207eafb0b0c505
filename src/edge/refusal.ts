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
<style>:root{color-scheme:light dark}body{font:1.0625rem/1.55 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1.5rem;color:#16191d;background:#f6f7f9}
main{background:#fff;border:1px solid #dfe3e8;border-radius:1rem;padding:2rem}h1{margin:0 0 .75rem;font-size:1.6rem;line-height:1.25}small{color:#565d66;overflow-wrap:anywhere}
@media(prefers-color-scheme:dark){body{color:#eef1f4;background:#101317}main{background:#191d23;border-color:#2c333b}small{color:#a7b0ba}}</style>
</head><body><main><h1>${escapeHtml(title)}</h1><p>${escapeHtml(text)}</p>
<p><small>Code ${escapeHtml(code)}, request ${escapeHtml(requestId)}</small></p></main></body></html>
`
}
