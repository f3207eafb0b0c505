// Why a request looks automatic: one bit and some points a reason, so that a score is a sum over a set and no reason counts
// twice. The sentences are made for people; bits are never written to disk or sent to another version.

export interface RiskReason {
  readonly bit: number
  /** Stable, for logs and metrics: `fake-crawler`. */
  readonly name: string
  /** Of 100. */
  readonly points: number
  /** What was seen, without a full stop. */
  readonly text: string
}

const table = [
  // what the request says of itself
  ['no-agent', 25, 'it names no User-Agent'],
  ['tool-agent', 20, 'its User-Agent is that of a tool or library'],
  ['headless', 30, 'it says that it is a browser without a window'],
  ['no-hints', 30, 'a Chromium of this version sends Sec-CH-UA over TLS'],
  ['no-fetch-metadata', 25, 'a browser of this version sends Sec-Fetch-Site over TLS'],
  ['hints-disagree', 30, 'Sec-CH-UA and User-Agent name different browsers'],
  ['impossible-fetch-metadata', 20, 'its Sec-Fetch fields contradict each other'],
  ['no-accept', 15, 'a browser sends Accept'],
  ['no-language', 15, 'a browser sends Accept-Language'],
  ['no-encoding', 10, 'a browser sends Accept-Encoding'],
  ['field-order', 15, 'the fields are not in the order of this browser'],
  ['field-case', 15, 'the names of fields are not written as browsers write them'],
  ['old-protocol', 20, 'a browser of this version does not speak HTTP/1.0'],
  // how it began TLS
  ['tls-of-another', 35, 'it begins TLS as no browser of this kind does'],
  ['tls-without-protocols', 15, 'a browser of this version offers HTTP/2 in its TLS handshake'],
  // where it comes from
  ['data-centre', 20, 'its address belongs to a data centre'],
  ['fake-crawler', 90, 'it claims to be a crawler that it is not'],
  ['unproven-crawler', 20, 'it claims to be a crawler, which is not proven'],
  // what it did before
  ['honeypot', 60, 'it asked for something that no person is led to'],
  ['honeypot-field', 60, 'it filled in a field that people do not see'],
  ['high-rate', 15, 'it asks faster than people do'],
  ['very-high-rate', 20, 'it asks many times faster than people do'],
  ['regular', 25, 'it asks for pages as regularly as a clock'],
  ['no-cookies', 15, 'it never returned a cookie that it was given'],
  ['failed-challenges', 25, 'it failed challenges lately'],
  ['many-challenges', 25, 'it passed more challenges than one client needs'],
  ['ignored-challenges', 25, 'it is asked for proof again and again and never gives any'],
  ['busy-network', 10, 'hundreds of challenges an hour are passed from its network'],
  ['many-accounts', 15, 'many accounts are used from this client'],
  ['many-addresses', 25, 'its account is used from many addresses'],
  ['young-account', 5, 'its account was never seen before today'],
] as const

export type RiskName = (typeof table)[number][0]

/** In the order in which they are told. At most 31. */
export const riskReasons: readonly RiskReason[] = table.map(([name, points, text], at) => ({
  bit: 1 << at,
  name,
  points,
  text,
}))

/** The bit of each reason: `riskBit['no-agent']`. */
export const riskBit: Readonly<Record<RiskName, number>> = Object.fromEntries(
  riskReasons.map(({ name, bit }) => [name, bit]),
) as Record<RiskName, number>

/** A full score: nothing can be worse. */
export const riskMax = 100

/** 0 to 100: the sum of the points of a set of bits. */
export function riskOf(bits: number): number {
  let sum = 0
  for (let left = bits; left !== 0; left &= left - 1)
    sum += (riskReasons[31 - Math.clz32(left & -left)] as RiskReason).points
  return Math.min(riskMax, sum)
}

/** The reasons of a set of bits. */
export function reasonsOf(bits: number): RiskReason[] {
  const reasons: RiskReason[] = []
  for (let left = bits; left !== 0; left &= left - 1)
    reasons.push(riskReasons[31 - Math.clz32(left & -left)] as RiskReason)
  return reasons
}
