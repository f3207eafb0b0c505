// What clients and operators are told in fields: Cache-Status (RFC 9211), and Cache-Control for browsers in place of the
// origin's (RFC 9111 5.2.2, RFC 8246).

import type { CacheRules, Fields } from './contract.ts'

export interface CacheStatus {
  /** Of this cache. */
  readonly name: string
  readonly hit?: boolean
  readonly forward?: 'bypass' | 'method' | 'uri-miss' | 'vary-miss' | 'miss' | 'request' | 'stale' | 'partial'
  /** What the origin answered to us, where the client got something else. */
  readonly forwardStatus?: number
  /** Left of its life; negative when it is stale. */
  readonly ttlSeconds?: number
  readonly stored?: boolean
  readonly collapsed?: boolean
  readonly key?: string
  readonly detail?: string
}

/** Value of the field: `before`, what caches nearer to the origin said, then ours (RFC 9211 2). */
export function cacheStatusText(said: CacheStatus, before?: string): string {
  let text = itemOf(said.name)
  if (said.hit === true) text += '; hit'
  else if (said.forward !== undefined) text += `; fwd=${said.forward}`
  if (said.forwardStatus !== undefined) text += `; fwd-status=${said.forwardStatus}`
  if (said.ttlSeconds !== undefined) text += `; ttl=${Math.trunc(said.ttlSeconds)}`
  if (said.stored === true) text += '; stored'
  if (said.collapsed === true) text += '; collapsed'
  if (said.key !== undefined) text += `; key=${stringOf(said.key)}`
  if (said.detail !== undefined) text += `; detail=${itemOf(said.detail)}`
  return before === undefined || before === '' ? text : `${before}, ${text}`
}

const tokenForm = /^[a-zA-Z*][!#$%&'*+\-.^_`|~0-9a-zA-Z:/]*$/
const itemOf = (text: string): string => (tokenForm.test(text) ? text : stringOf(text))

const charsMax = 512

/** RFC 8941 3.3.3: printable ASCII; others become `?`. */
function stringOf(text: string): string {
  let quoted = '"'
  for (let i = 0; i < text.length && i < charsMax; i++) {
    const code = text.charCodeAt(i)
    if (code === 34 || code === 92) quoted += '\\'
    quoted += code >= 32 && code < 127 ? text[i] : '?'
  }
  return `${quoted}"`
}

/**
 * Cache-Control for clients in place of the origin's; null: as the origin has it. Only for answers that may be shared:
 * of a personal one not a word is changed.
 */
export function browserCacheControl(rules: CacheRules, answer: Fields, personal = false): string | null {
  if (personal) return null
  if (rules.browserTtlMs !== undefined) {
    const seconds = Math.floor(rules.browserTtlMs / 1_000)
    if (seconds === 0) return 'no-cache'
    return `max-age=${seconds}${rules.immutable ? ', immutable' : ''}`
  }
  if (!rules.immutable) return null
  const said = answer.find('cache-control')
  if (said === undefined || said === '') return `max-age=${yearSeconds}, immutable`
  return said.toLowerCase().includes('immutable') ? null : `${said}, immutable`
}

const yearSeconds = 31_536_000
