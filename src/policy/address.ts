// IP addresses and CIDR blocks as numbers: who is a trusted proxy. Knows text only; opens nothing.

/** An address as 16 bytes; IPv4 as IPv4-mapped (RFC 4291 2.5.5.2). Null when it is none. */
export function addressBytes(text: string): Uint8Array | null {
  const zone = text.indexOf('%')
  const plain = zone < 0 ? text : text.slice(0, zone)
  return plain.includes(':') ? bytesOfIpv6(plain) : bytesOfIpv4(plain)
}

function bytesOfIpv4(text: string): Uint8Array | null {
  const parts = text.split('.')
  if (parts.length !== 4) return null
  const bytes = new Uint8Array(16)
  bytes[10] = bytes[11] = 255
  for (const [at, part] of parts.entries()) {
    if (!/^(?:0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return null
    bytes[12 + at] = Number(part)
  }
  return bytes
}

function bytesOfIpv6(text: string): Uint8Array | null {
  const halves = text.split('::')
  if (halves.length > 2) return null
  const head = groupsOf(halves[0] as string)
  const tail = halves.length === 2 ? groupsOf(halves[1] as string) : []
  if (head === null || tail === null) return null
  const missing = 8 - head.length - tail.length
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail]
  const bytes = new Uint8Array(16)
  for (const [at, group] of groups.entries()) {
    bytes[at * 2] = group >> 8
    bytes[at * 2 + 1] = group & 255
  }
  return bytes
}

function groupsOf(text: string): number[] | null {
  if (text === '') return []
  const groups: number[] = []
  const parts = text.split(':')
  for (const [at, part] of parts.entries()) {
    if (part.includes('.')) {
      const mapped = at === parts.length - 1 ? bytesOfIpv4(part) : null
      if (mapped === null) return null
      groups.push(((mapped[12] as number) << 8) | (mapped[13] as number))
      groups.push(((mapped[14] as number) << 8) | (mapped[15] as number))
    } else if (/^[0-9A-Fa-f]{1,4}$/.test(part)) groups.push(Number.parseInt(part, 16))
    else return null
  }
  return groups
}

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
