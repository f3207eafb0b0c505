// What is odd about one request by itself: fields that the claimed browser would send, their order and case, how TLS was
// begun. Demands nothing of clients that claim no browser, and nothing of what a proxy before us may have changed.

import { type Agent, numberAfter } from './agent.ts'
import { riskBit } from './reasons.ts'
import { tlsFit, tlsFitOf } from './tls.ts'

/** What is looked at. Places are indexes of fields, -1 = absent; values are '' where absent. Filled anew each time. */
export interface RequestShape {
  agent: Agent
  /** `1.0`, `1.1` or `2.0`. */
  httpVersion: string
  /** TLS ends here: the browser knows the site as secure. */
  secure: boolean
  /** OPTIONS: a browser sends no Sec-CH-UA with what it asks before a request to another origin. */
  preflight: boolean
  /** The peer is a proxy that is trusted: what the connection shows is that proxy's. */
  proxied: boolean
  ja4: string
  /** It asks to become a WebSocket. */
  upgrading: boolean
  agentAt: number
  acceptAt: number
  languageAt: number
  encodingAt: number
  originAt: number
  /** Is `User-Agent` written with capitals? */
  capitals: boolean
  fetchSite: string
  fetchMode: string
  fetchDest: string
  fetchUser: string
  /** Sec-CH-UA. */
  hints: string
}

/** Since these versions fields are sent over TLS; Sec-CH-UA by Chromium alone. */
const fetchMetadataSince: Readonly<Record<string, number>> = { chromium: 80, firefox: 90, safari: 17 }
const hintsSince = 90

/** A set of bits of `riskBit`. */
export function shapeRisk(shape: RequestShape): number {
  const { agent } = shape
  const headless = agent.headless ? riskBit.headless : 0
  if (agent.family === 'none') return riskBit['no-agent']
  if (agent.family === 'tool') return riskBit['tool-agent'] | headless
  if (agent.family === 'app') return headless
  return headless | fieldRisk(shape) | (shape.proxied ? 0 : connectionRisk(shape))
}

/** Fields that a proxy passes on. */
function fieldRisk(shape: RequestShape): number {
  const { agent, upgrading } = shape
  const { family } = agent
  // Browsers send neither with the handshake of a WebSocket, but an Origin.
  let bits = upgrading ? (shape.originAt < 0 ? riskBit['no-accept'] : 0) : 0
  if (!upgrading && shape.acceptAt < 0) bits |= riskBit['no-accept']
  if (family === 'browser') return bits
  if (shape.languageAt < 0) bits |= riskBit['no-language']
  if (shape.encodingAt < 0) bits |= riskBit['no-encoding']
  if (hintsDisagree(shape)) bits |= riskBit['hints-disagree']
  if (isImpossible(shape)) bits |= riskBit['impossible-fetch-metadata']
  return upgrading || !shape.secure ? bits : bits | secureRisk(shape)
}

/** Fields that browsers send to secure sites only. */
function secureRisk({ agent, fetchSite, hints, preflight }: RequestShape): number {
  const { family, version } = agent
  let bits = 0
  const since = fetchMetadataSince[family]
  if (since !== undefined && version >= since && fetchSite === '') bits |= riskBit['no-fetch-metadata']
  if (family === 'chromium' && version >= hintsSince && hints === '' && !preflight)
    bits |= riskBit['no-hints']
  return bits
}

/** Firefox and Safari send no Sec-CH-UA; a Chromium names its own version there. */
function hintsDisagree({ agent, hints }: RequestShape): boolean {
  if (hints === '') return false
  if (agent.family !== 'chromium') return true
  const named = numberAfter(hints, '"Chromium";v="')
  return named !== 0 && named !== agent.version
}

/** W3C Fetch Metadata 2: a navigation has a destination, and only a navigation is begun by a user. */
function isImpossible({ fetchMode, fetchDest, fetchUser, fetchSite }: RequestShape): boolean {
  if (fetchSite === '') return fetchMode !== '' || fetchDest !== ''
  if (fetchMode === 'navigate') return fetchDest === 'empty'
  return fetchUser !== '' || fetchDest === 'document'
}

/** What only the connection of the client itself can show. */
function connectionRisk(shape: RequestShape): number {
  const { agent, httpVersion } = shape
  let bits = 0
  if (httpVersion === '1.0' && agent.version > 0) bits |= riskBit['old-protocol']
  if (httpVersion === '1.1' && !shape.capitals) bits |= riskBit['field-case']
  if (isOutOfOrder(shape)) bits |= riskBit['field-order']
  const fit = tlsFitOf(agent, shape.ja4, shape.upgrading)
  if (fit === tlsFit.anotherLibrary) bits |= riskBit['tls-of-another']
  else if (fit === tlsFit.noProtocols) bits |= riskBit['tls-without-protocols']
  return bits
}

/** Chromium's network stack adds encoding, then language, behind the rest; Firefox language, then encoding. */
function isOutOfOrder({ agent, agentAt, languageAt, encodingAt }: RequestShape): boolean {
  if (languageAt < 0 || encodingAt < 0) return false
  if (agent.family === 'chromium') return encodingAt > languageAt || agentAt > encodingAt
  if (agent.family === 'firefox') return languageAt > encodingAt || agentAt > languageAt
  return false
}
