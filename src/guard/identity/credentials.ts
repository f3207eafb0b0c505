// Where credentials stand in a request, read so that the instance can't read another one: a field that comes twice, or a
// cookie of one name with two values, is nobody's. Never decides what a credential is worth.

import type { CheckedCredentialPlace } from '../../file/checked-guard.ts'
import { fieldId, fieldIdOf } from '../../wire/fields.ts'
import type { RequestHead } from '../../wire/head.ts'

/** There is more than one: which one counts is anybody's guess. */
export const several: unique symbol = Symbol('several')

export type Carried = string | typeof several | null

/** Keys of ours begin so, also where tokens stand. */
export const keyPrefix = 'tfk_'

export function carriedAt(head: RequestHead, place: CheckedCredentialPlace): Carried {
  if (place.by === 'bearer') return ofScheme(head, 'bearer')
  return place.by === 'header' ? fieldOf(head, place.name) : cookieOf(head, place.name)
}

/** What stands behind the scheme of `Authorization` (RFC 9110 11.4); null also for another scheme. */
export function ofScheme(head: RequestHead, scheme: string): Carried {
  const value = fieldOf(head, 'authorization')
  if (value === null || value === several) return value
  const blank = value.indexOf(' ')
  const name = blank < 0 ? value : value.slice(0, blank)
  if (name.toLowerCase() !== scheme) return null
  return blank < 0 ? '' : value.slice(blank + 1).trim()
}

/** @param name lower case. */
function fieldOf(head: RequestHead, name: string): Carried {
  const id = fieldIdOf(name)
  if (id !== 0 && head.firstOf(id) < 0) return null
  let found: string | null = null
  for (let at = 0; at < head.count; at++) {
    if (head.idAt(at) !== id || (id === 0 && head.nameAt(at).toLowerCase() !== name)) continue
    if (found !== null) return several
    found = head.valueAt(at)
  }
  return found
}

/** RFC 6265 5.2: names are case-sensitive. Frameworks differ on which of two they take. */
function cookieOf(head: RequestHead, name: string): Carried {
  if (head.firstOf(fieldId.cookie) < 0) return null
  let found: string | null = null
  for (const part of (head.find('cookie') ?? '').split(';')) {
    const equals = part.indexOf('=')
    if (equals < 0 || part.slice(0, equals).trim() !== name) continue
    const value = part.slice(equals + 1).trim()
    if (found !== null && found !== value) return several
    found = value
  }
  return found
}

/** Sessions of logins and logins under way: who has one can use it at the edge, and services have no use for it. */
const ownCookie = /^(?:__Host-)?tenfold_(?:session|login)_/

export const hasOwnCookies = (head: RequestHead): boolean =>
  (head.find('cookie') ?? '').split(';').some(part => ownCookie.test(nameOf(part)))

/** The field `Cookie` without these cookies and those of logins; '' when nothing else is in it. */
export function cookiesWithout(head: RequestHead, names: ReadonlySet<string>): string {
  const parts = (head.find('cookie') ?? '').split(';').map(part => part.trim())
  return parts.filter(part => part !== '' && !names.has(nameOf(part)) && !ownCookie.test(part)).join('; ')
}

const nameOf = (part: string): string => (part.split('=', 1)[0] as string).trim()
