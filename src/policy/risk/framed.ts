// Could somebody else have made this client ask? An image on another site, a link, a form that sends itself: what a browser
// was led to do says nothing about who sits in front of it. Asked before a trap counts.

import type { AgentFamily } from './agent.ts'

export interface RequestOrigin {
  readonly family: AgentFamily
  /** Sec-Fetch-Site, Sec-Fetch-Dest; '' = not sent: not over TLS, an old browser, a program. */
  readonly fetchSite: string
  readonly fetchDest: string
  /** '' = not sent. */
  readonly referer: string
  readonly origin: string
  readonly accept: string
  /** Of this request, with its port. */
  readonly authority: string
}

const browsers: readonly AgentFamily[] = ['chromium', 'firefox', 'safari', 'browser']
/** What a page loads by itself: also an image that another user has put there. */
const pageLoads: readonly string[] = ['document', 'empty']

export function couldBeFramed(request: RequestOrigin): boolean {
  const { fetchSite, fetchDest, family, accept } = request
  if (isForeign(request.referer, request.authority) || isForeign(request.origin, request.authority))
    return true
  if (fetchSite === 'none') return false
  if (fetchSite === 'same-origin') return !pageLoads.includes(fetchDest)
  if (fetchSite !== '') return true
  // A browser that goes to a page says that it would like one. Without Sec-Fetch fields an image's address alone is told so.
  return browsers.includes(family) && !accept.includes('text/html')
}

/** Names another host than this one; what can't be read as an address does, too. */
function isForeign(address: string, authority: string): boolean {
  if (address === '') return false
  const from = address.indexOf('://')
  if (from < 0) return true
  const rest = address.slice(from + 3)
  const end = rest.search(/[/?#]/)
  return (end < 0 ? rest : rest.slice(0, end)).toLowerCase() !== authority.toLowerCase()
}
