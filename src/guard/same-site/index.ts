// The part `sameSite`: requests that change something must come from our own pages. Browsers say where a request comes
// from (Sec-Fetch-Site, else Origin), and no page can make them say otherwise; who says neither is no browser, and carries
// nobody's cookies against their will. Keeps nothing.
//
// The fields are Fetch's (https://fetch.spec.whatwg.org/#origin-header) and W3C Fetch Metadata's. Sec-Fetch-Site is sent
// to https and localhost only, so that Origin is what remains on plain http.

import type { CheckedGuardPolicy } from '../../file/checked-guard.ts'
import { fieldId } from '../../wire/fields.ts'
import type { RequestHead } from '../../wire/head.ts'
import type { GuardPart, GuardStep } from '../part.ts'
import { type Passage, type PassageRefusal, verdict } from '../passage.ts'
import type { GuardVisit } from '../visit.ts'

export function createPart(): GuardPart {
  return { name: 'sameSite', step: policy => (policy.sameSite ? sameSiteStep(policy) : null) }
}

function sameSiteStep(policy: CheckedGuardPolicy): GuardStep {
  const detectOnly = policy.detectOnly.includes('sameSite')
  const friends: ReadonlySet<string> = new Set(policy.sameSiteOrigins)
  return {
    name: 'sameSite',
    enter: ({ head }: Passage, visit: GuardVisit): number => {
      const wrong = changesSomething(head) && !isFriend(head, friends) ? foreignOrigin(head) : null
      if (wrong === null) return verdict.pass
      return visit.refuse(
        { step: 'sameSite', rule: wrong.rule, text: wrong.text, would },
        crossSite,
        detectOnly,
      )
    },
  }
}

const would = 'The same request from a page of this site, or from a program that is no browser.'

/** To clients. */
export const crossSite: PassageRefusal = {
  code: 'GUARD_CROSS_SITE',
  status: 403,
  text: 'This request came from a page of another site. Open the page here, and try again.',
}

const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])
const upgradeId = fieldId.upgrade

/** A WebSocket begins with a GET, with the cookies of whoever opens it, from whatever page. */
const changesSomething = (head: RequestHead): boolean =>
  !safeMethods.has(head.method) || head.firstOf(upgradeId) !== -1

/** Browsers write origins in one way (RFC 6454 6.2), and several are none. */
function isFriend(head: RequestHead, friends: ReadonlySet<string>): boolean {
  const origin = friends.size === 0 ? undefined : head.find('origin')
  return origin !== undefined && friends.has(origin)
}

interface Foreign {
  readonly rule: string
  readonly text: string
}

/** Null: from our own pages, or from no browser. Several values of one field are none of those that browsers send. */
function foreignOrigin(head: RequestHead): Foreign | null {
  const site = head.find('sec-fetch-site')
  if (site !== undefined)
    return ownSites.has(site)
      ? null
      : { rule: 'sec-fetch-site', text: 'Sec-Fetch-Site says that a page of another site sent it.' }
  const origin = head.find('origin')
  if (origin === undefined || isOwn(origin, head.authority)) return null
  return { rule: 'origin', text: 'Origin names another host than the request asks.' }
}

/** `none`: a person typed the address, or followed a bookmark. */
const ownSites: ReadonlySet<string> = new Set(['same-origin', 'same-site', 'none'])
const originForm = /^https?:\/\/([^/\s]{1,300})$/i

/** By host and port: what stands in front of the edge may have ended TLS. `null` (a sandbox, a redirect) is nobody's own. */
function isOwn(origin: string, authority: string): boolean {
  const host = originForm.exec(origin)?.[1]
  return host !== undefined && withoutDefaultPort(host) === withoutDefaultPort(authority)
}

const withoutDefaultPort = (host: string): string => host.toLowerCase().replace(/:(?:80|443)$/, '')
