// Whom a ban or an allowance by command would reach that nobody means to: half of the internet, the edge's own host, the
// balancer in front, the operator who types it. Pure; asks nobody.

import type { GuardRuling } from '../guard/part.ts'
import { type AddressBlock, parseBlock } from '../policy/address.ts'

/** In the 16-byte form: /8 of IPv4, /32 of IPv6. What is wider is never one attacker. */
const narrowestBits = { ipv4: 96 + 8, ipv6: 32 }
const loopback = ['127.0.0.0/8', '::1']

export interface ReachQuestion {
  readonly kind: GuardRuling['kind']
  /** In its one spelling. */
  readonly block: string
  readonly trustedProxies: readonly string[]
  /** Where the operator is logged in from, as far as it is known. */
  readonly operatorAt?: string | undefined
}

/** What to think of before it is given, as a sentence; null: nothing. */
export function doubtedReach({ kind, block, trustedProxies, operatorAt }: ReachQuestion): string | null {
  const asked = parseBlock(block)
  if (asked === null) return null
  if (asked.bits < narrowestOf(block))
    return `'${block}' is wider than /8 of IPv4 or /32 of IPv6: ${kind === 'ban' ? 'it locks out people who did nothing' : 'the guard would let nearly everybody pass'}.`
  if (kind === 'allow') return null
  if (overlaps(asked, loopback))
    return `'${block}' holds addresses of this host itself: what asks the edge from here would be refused.`
  const proxy = trustedProxies.find(one => !isEverybody(one) && overlaps(asked, [one]))
  if (proxy !== undefined)
    return `'${block}' meets ${proxy} of edge.trustedProxies: a ban of a proxy can refuse everybody behind it.`
  if (operatorAt !== undefined && overlaps(asked, [operatorAt]))
    return `'${block}' holds ${operatorAt}, where you are logged in from.`
  return null
}

const narrowestOf = (block: string): number => (block.includes(':') ? narrowestBits.ipv6 : narrowestBits.ipv4)

/** Whoever trusts everybody has named no proxy. */
function isEverybody(block: string): boolean {
  const parsed = parseBlock(block)
  return parsed !== null && parsed.bits < narrowestOf(block)
}

/** Does one of the two hold the other? */
function overlaps(asked: AddressBlock, others: readonly string[]): boolean {
  return others.some(text => {
    const other = parseBlock(text)
    return other !== null && sameBits(asked.bytes, other.bytes, Math.min(asked.bits, other.bits))
  })
}

function sameBits(one: Uint8Array, other: Uint8Array, bits: number): boolean {
  for (let at = 0; at < 16; at++) {
    const left = Math.max(0, Math.min(8, bits - at * 8))
    const mask = (255 << (8 - left)) & 255
    if (((one[at] as number) & mask) !== ((other[at] as number) & mask)) return false
  }
  return true
}
