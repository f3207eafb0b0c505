// Bits on wires: from requests, through a cache in front, between copies.

import { type Answer, firstWrong, given, notNegative, positive, share } from './answer.ts'
import { secondsPerDay } from './availability.ts'

export interface Bandwidth {
  readonly bitsPerSecond: number
  readonly bytesPerDay: number
}

/** Requests · bytes · 8. 10,000 a second of 100 KB are 8 Gb/s, 86.4 TB a day. */
export function bandwidth(requestsPerSecond: number, bytesEach: number): Answer<Bandwidth> {
  const wrong = firstWrong(
    notNegative('requests per second', requestsPerSecond),
    notNegative('bytes each', bytesEach),
  )
  if (wrong) return wrong
  const bytes = requestsPerSecond * bytesEach
  return given({ bitsPerSecond: bytes * 8, bytesPerDay: bytes * secondsPerDay })
}

/** Behind a cache or CDN: it sends total · hit itself, the origin total · (1 − hit). `byteHitRatio` is by bytes, not by requests. */
export function behindCache(
  total: number,
  byteHitRatio: number,
): Answer<{ readonly cache: number; readonly origin: number }> {
  const wrong = firstWrong(notNegative('total', total), share('byte hit ratio', byteHitRatio))
  return wrong ?? given({ cache: total * byteHitRatio, origin: total * (1 - byteHitRatio) })
}

/** From the primary to its copies: write bytes · (n − 1). @param copies the primary included */
export function replicationBandwidth(writeBytesPerSecond: number, copies: number): Answer<number> {
  const wrong = firstWrong(
    notNegative('write bytes per second', writeBytesPerSecond),
    positive('copies', copies),
    copies < 1 ? `copies is ${copies}; it must be at least 1` : null,
  )
  return wrong ?? given(writeBytesPerSecond * (copies - 1) * 8)
}

/** Seconds to send `bytes` over a link, of which `utilisation` may be used. */
export function transferSeconds(
  bytes: number,
  linkBitsPerSecond: number,
  utilisation: number,
): Answer<number> {
  const wrong = firstWrong(
    notNegative('bytes', bytes),
    positive('link', linkBitsPerSecond),
    positive('utilisation', utilisation),
    share('utilisation', utilisation),
  )
  return wrong ?? given((bytes * 8) / (linkBitsPerSecond * utilisation))
}
