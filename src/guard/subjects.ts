// Whom a ban is about: who was verified, wherever they come from; who only says so, together with the address that they
// come from, so that nobody can have somebody else banned by sending their name.

import { parseBlock } from '../policy/address.ts'
import { unknownAddress } from './address-key.ts'
import type { BanWish } from './messages.ts'
import type { RequestVisit } from './request-visit.ts'

const kinds = ['account', 'session', 'key'] as const

/** What may be banned of this request beside its address; the most certain first. */
export function subjectsOf(visit: RequestVisit): string[] {
  const subjects: string[] = []
  for (const kind of kinds) {
    const name = visit[kind]
    if (name === '') continue
    if (visit.isVerified(kind)) subjects.unshift(`${kind}:${name}`)
    else subjects.push(`${kind}:${name}@${visit.addressKey}`)
  }
  return subjects
}

/** The accounts among keys of bans that were verified. */
export function verifiedAccounts(keys: readonly string[]): string[] {
  return keys.flatMap(key => {
    if (!key.startsWith('account:')) return []
    const at = key.lastIndexOf('@')
    const named = at >= 0 && parseBlock(key.slice(at + 1)) !== null
    return named ? [] : [key.slice('account:'.length)]
  })
}

/** Null: nobody is known well enough. */
export function wishOf(visit: RequestVisit, rule: string, reason: string): BanWish | null {
  const subject = subjectsOf(visit)[0] ?? ''
  const address = visit.addressKey
  if (subject === '' && address === unknownAddress) return null
  return { address, subject, rule, reason, id: visit.passage.requestId }
}
