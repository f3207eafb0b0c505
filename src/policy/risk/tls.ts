// Does how a client began TLS fit the browser that it claims to be? By JA4's readable part and the hash of its ciphers. Only
// what no version of the claimed browser does counts: a match proves nothing, because anybody can imitate a browser.

import type { Agent } from './agent.ts'

/** Since these versions a browser has TLS 1.3, HTTP/2 and a number of ciphers in this range (GREASE not counted). */
const expected: Readonly<Record<string, { since: number; from: number; to: number }>> = {
  // 15; a build with another crypto policy has 14 to 17.
  chromium: { since: 90, from: 14, to: 17 },
  // 17; 18 with 3DES.
  firefox: { since: 90, from: 15, to: 19 },
  // 20; 26 before 3DES and CBC-SHA256 went.
  safari: { since: 15, from: 17, to: 27 },
}

/** Cipher lists of libraries that no browser uses, as measured: OpenSSL 3 (curl), Node 26, Python 3.11. */
const libraryCiphers: ReadonlySet<string> = new Set(['e8f1e7e78f70', 'b262b3658495', '85036bcba153'])

export const tlsFit = { fits: 0, anotherLibrary: 1, noProtocols: 2 } as const

/**
 * One of `tlsFit`.
 * @param ja4 '' = unknown, which fits everything.
 * @param upgrading It becomes a WebSocket: such connections offer HTTP/1.1 alone.
 */
export function tlsFitOf({ family, version }: Agent, ja4: string, upgrading: boolean): number {
  const range = expected[family]
  if (ja4 === '' || range === undefined) return tlsFit.fits
  if (libraryCiphers.has(ja4.slice(11, 23))) return tlsFit.anotherLibrary
  // A browser on iOS, or one that is older than what is known here.
  if (version < range.since) return tlsFit.fits
  const ciphers = Number(ja4.slice(4, 6))
  if (ja4.slice(1, 3) !== '13' || ciphers < range.from || ciphers > range.to) return tlsFit.anotherLibrary
  return ja4.slice(8, 10) === 'h2' || upgrading ? tlsFit.fits : tlsFit.noProtocols
}
