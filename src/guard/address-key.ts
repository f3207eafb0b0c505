// Addresses as the guard counts them: IPv4 whole, IPv6 by prefix, because one customer has a whole prefix of addresses.
// Text in, text out; what was read lately is remembered, because it is asked several times for each request.

import { addressBytes, addressText, isMapped } from '../kit/address.ts'

/** What a trusted proxy sent in place of an address: all of it counts as one client. */
export const unknownAddress = 'unknown'

/** Over all lengths of prefixes; beyond it the memory begins anew. */
const remembered = 8_192
/** The longest text of an address without a zone (RFC 4291 2.2). */
const addressCharsMax = 45

/** By lengths of prefixes, then by address. */
const known = new Map<number, Map<string, string>>()
let count = 0

/** `192.0.2.7`, `192.0.2.0/24`, `2001:db8:1:2::/64`; `unknown` for text that is no address. */
export function addressKey(address: string, ipv4Bits: number, ipv6Bits: number): string {
  const bits = ipv4Bits * 256 + ipv6Bits
  const found = known.get(bits)?.get(address)
  if (found !== undefined) return found
  const key = readKey(address, ipv4Bits, ipv6Bits)
  if (key !== unknownAddress && address.length <= addressCharsMax) remember(bits, address, key)
  return key
}

function remember(bits: number, address: string, key: string): void {
  if (count >= remembered) {
    known.clear()
    count = 0
  }
  let keys = known.get(bits)
  if (keys === undefined) {
    keys = new Map()
    known.set(bits, keys)
  }
  // A slice would keep the whole head that it was cut from alive.
  const text = Buffer.from(address, 'latin1').latin1Slice()
  keys.set(text, key === address ? text : key)
  count++
}

function readKey(address: string, ipv4Bits: number, ipv6Bits: number): string {
  // The usual case, without looking at its bytes: our own text of an IPv4 address.
  if (ipv4Bits === 32 && isPlainIpv4(address)) return address
  const bytes = addressBytes(address)
  if (bytes === null) return unknownAddress
  return isMapped(bytes) ? keyOf(bytes, ipv4Bits + 96, ipv4Bits, 32) : keyOf(bytes, ipv6Bits, ipv6Bits, 128)
}

const plainIpv4 = /^\d{1,3}(?:\.\d{1,3}){3}$/

function isPlainIpv4(address: string): boolean {
  return plainIpv4.test(address) && addressBytes(address) !== null
}

function keyOf(bytes: Uint8Array, kept: number, bits: number, width: number): string {
  if (bits >= width) return addressText(bytes)
  for (let at = 0; at < 16; at++) {
    const left = kept - at * 8
    if (left < 8) bytes[at] = (bytes[at] as number) & (left <= 0 ? 0 : (255 << (8 - left)) & 255)
  }
  return `${addressText(bytes)}/${bits}`
}
