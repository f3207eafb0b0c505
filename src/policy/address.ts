// CIDR blocks: who is a trusted proxy, who must begin with a PROXY header. Knows text only; opens nothing.

import { addressBytes } from '../kit/address.ts'

export interface AddressBlock {
  readonly bytes: Uint8Array
  /** 0..128, counted in the 16-byte form. */
  readonly bits: number
}

/** `10.0.0.0/8`, `2001:db8::/32`, or one address. Null when it is neither. */
export function parseBlock(text: string): AddressBlock | null {
  const slash = text.indexOf('/')
  const bytes = addressBytes(slash < 0 ? text : text.slice(0, slash))
  if (bytes === null) return null
  const isIpv4 = !text.includes(':')
  const width = isIpv4 ? 32 : 128
  const given =
    slash < 0 ? width : /^\d{1,3}$/.test(text.slice(slash + 1)) ? Number(text.slice(slash + 1)) : -1
  if (given < 0 || given > width) return null
  return { bytes, bits: isIpv4 ? given + 96 : given }
}

/** Is the address in one of the blocks? False for text that is no address. */
export function isInBlocks(address: string, blocks: readonly AddressBlock[]): boolean {
  if (blocks.length === 0) return false
  const bytes = addressBytes(address)
  return bytes !== null && blocks.some(block => isInBlock(bytes, block))
}

function isInBlock(bytes: Uint8Array, block: AddressBlock): boolean {
  const whole = block.bits >> 3
  for (let at = 0; at < whole; at++) if (bytes[at] !== block.bytes[at]) return false
  const rest = block.bits & 7
  if (rest === 0) return true
  const mask = (255 << (8 - rest)) & 255
  return ((bytes[whole] as number) & mask) === ((block.bytes[whole] as number) & mask)
}
