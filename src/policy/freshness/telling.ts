// What browsers are told in Cache-Control in place of the origin's words (RFC 9111 5.2.2, RFC 8246).

import type { CacheRules, Fields } from './contract.ts'

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
