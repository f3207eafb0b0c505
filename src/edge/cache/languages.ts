// A variant in a language is also found by who likes that language best, whatever else his Accept-Language says: the
// origin had it, and negotiation can't do better (RFC 9110 12.5.4). Under the key of `Accept-Language: LANGUAGE` alone
// stands where it is stored.

import { type Fields, varyText } from '../../policy/freshness/index.ts'
import type { Http1ResponseHead } from '../../wire/http1/index.ts'

const tagForm = /^[a-z]{1,8}(?:-[a-z0-9]{1,8}){0,3}$/
const membersMax = 32

/** Null: the answer does not vary by language, or is not in one. */
export function aliasOf(vary: readonly string[], request: Fields, head: Http1ResponseHead): string | null {
  if (!vary.includes('accept-language')) return null
  const language = head.find('content-language')?.trim().toLowerCase() ?? ''
  return tagForm.test(language) ? varyText(vary, asking(request, language)) : null
}

/** Where an alias of the best answer for this request would stand. */
export function aliasFor(vary: readonly string[], request: Fields): string | null {
  if (!vary.includes('accept-language')) return null
  const language = likedBest(request.find('accept-language') ?? '')
  return language === null ? null : varyText(vary, asking(request, language))
}

/** Under the words for a language may stand what the origin gave for want of it. */
export function isInLikedLanguage(request: Fields, stored: Fields): boolean {
  const liked = likedBest(request.find('accept-language') ?? '')
  return liked !== null && stored.find('content-language')?.trim().toLowerCase() === liked
}

const asking = (request: Fields, language: string): Fields => ({
  find: name => (name === 'accept-language' ? language : request.find(name)),
})

/** Null where there is none, or it is not wanted without reserve (q below 1). */
function likedBest(field: string): string | null {
  for (const member of field.toLowerCase().split(',', membersMax)) {
    const [tag = '', weight = ''] = member.split(';', 2).map(part => part.trim())
    if (!/^(?:|q=1(?:\.0{0,3})?)$/.test(weight)) continue
    return tagForm.test(tag) ? tag : null
  }
  return null
}
