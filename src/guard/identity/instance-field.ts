// What the instance gets of a verified request: `Tenfold-Identity`, signed for this request, and the credential itself only
// where the policy forwards it. Nothing that a client sends under the names of ours gets this far (edge/compile.ts).

import { createHmac } from 'node:crypto'
import type { CheckedIdentity, CheckedRequirement } from '../../file/checked-guard.ts'
import type { Clock } from '../../kit/clock.ts'
import { identityField, writeIdentity } from '../../wire/identity-header.ts'
import type { Passage } from '../passage.ts'
import type { VerifiedIdentity } from './contract.ts'
import { cookiesWithout, hasOwnCookies } from './credentials.ts'

/** @param key as instances have it in TENFOLD_GUARD_KEY. */
export function instanceField(
  key: Buffer,
  clock: Clock,
  passage: Passage,
  { method: by, source, subject: sub, scopes, claims, untilMs }: VerifiedIdentity,
): string {
  const { method, authority: host } = passage.head
  const mac = (text: string): string => createHmac('sha256', key).update(text, 'utf8').digest('base64url')
  const request = { method, host, path: passage.path, rid: passage.requestId }
  const all = { by, source, sub, scopes, claims, until: Math.floor(untilMs / 1_000), ...request }
  const nowMs = clock.wall() / 1_000
  // Who it is matters more than what else is known: claims that don't fit are left out, all of them.
  const token = writeIdentity(all, nowMs, mac) ?? writeIdentity({ ...all, claims: {} }, nowMs, mac)
  return token === null ? '' : `Tenfold-Identity: ${token}\r\n`
}

/** Fields and cookies that carry credentials of these ways. */
export function credentialNames(
  identity: CheckedIdentity,
  { any, forward }: CheckedRequirement,
): { readonly fields: readonly string[]; readonly cookies: ReadonlySet<string> } {
  const fields = new Set<string>([identityField])
  const cookies = new Set<string>()
  for (const { method, name } of forward ? [] : any) {
    const places =
      method === 'jwt' ? [identity.jwt?.[name]?.from] : method === 'key' ? identity.keys?.[name]?.from : []
    if (method === 'basic') fields.add('authorization')
    for (const place of places ?? [])
      if (place?.by === 'bearer') fields.add('authorization')
      else if (place?.by === 'header') fields.add(place.name)
      else if (place?.by === 'cookie') cookies.add(place.name)
  }
  return { fields: [...fields], cookies }
}

/** The request without these cookies and those of logins: what is dropped, and what comes in its place. */
export function withoutCookies(
  passage: Passage,
  cookies: ReadonlySet<string>,
): { drop: readonly string[]; add: string } {
  const { head } = passage
  if (head.find('cookie') === undefined || (cookies.size === 0 && !hasOwnCookies(head)))
    return { drop: [], add: '' }
  const rest = cookiesWithout(head, cookies)
  return { drop: ['cookie'], add: rest === '' ? '' : `Cookie: ${rest}\r\n` }
}
