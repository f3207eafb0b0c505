// The operator's pages instead of the edge's own for errors that the edge itself answers, by status or class. An
// instance's error answers are its own and pass as they are; who prefers JSON gets the edge's JSON. Pages are cut at their
// placeholders once, with the snapshot; what is filled in is escaped as the page's type needs it.

import { fieldId } from '../wire/fields.ts'
import { reasonOf } from '../wire/http1/index.ts'
import type { ErrorPages } from './compile.ts'
import type { ClientFailure } from './failures.ts'
import { escapeHtml, prefersJson, type Refusal } from './refusal.ts'
import type { EdgeSnapshot, PageSpec } from './snapshot.ts'

export type FilledPage = (failure: ClientFailure, requestId: string) => Refusal

const placeholder = /\{(status|reason|code|message|requestId)\}/

/** Null: the snapshot has none. */
export function errorPages({ errorPages: specs }: EdgeSnapshot): ErrorPages | null {
  if (specs === undefined) return null
  const pages = new Map(Object.entries(specs).map(([status, spec]) => [status, compilePage(spec)]))
  if (pages.size === 0) return null
  return {
    of: (failure, exchange) => {
      const page = pages.get(`${failure.status}`) ?? pages.get(`${Math.trunc(failure.status / 100)}xx`)
      if (page === undefined || prefersJson(exchange.head.value(fieldId.accept))) return null
      return page(failure, exchange.requestId)
    },
  }
}

/** The body as Latin-1 text of its bytes. */
export function compilePage({ contentType, body }: PageSpec): FilledPage {
  const parts = body.split(placeholder)
  const escaped = escapeOf(contentType)
  return (failure, requestId) => {
    const values: Readonly<Record<string, string>> = {
      status: `${failure.status}`,
      reason: reasonOf(failure.status),
      code: failure.code,
      message: failure.text,
      requestId,
    }
    // Every second part is a placeholder's name.
    const text = parts.map((part, at) => (at % 2 === 0 ? part : escaped(values[part] as string))).join('')
    return { contentType, body: Buffer.from(text).latin1Slice() }
  }
}

function escapeOf(contentType: string): (text: string) => string {
  if (/^(?:text\/html|application\/xhtml\+xml|[\w/+.-]*xml)\b/i.test(contentType)) return escapeHtml
  if (/^application\/(?:[\w.+-]+\+)?json\b/i.test(contentType))
    return text => JSON.stringify(text).slice(1, -1)
  return text => text
}
