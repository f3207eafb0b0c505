// IP addresses as text and as 16 bytes. Opens nothing, looks nothing up.

/** An address as 16 bytes; IPv4 as IPv4-mapped (RFC 4291 2.5.5.2). Null when it is none. */
export function addressBytes(text: string): Uint8Array | null {
  const zone = text.indexOf('%')
  const plain = zone < 0 ? text : text.slice(0, zone)
  return plain.includes(':') ? bytesOfIpv6(plain) : bytesOfIpv4(plain)
}

/** Four numbers without leading zeros. By character: this is asked for each request that a guard looks at. */
function bytesOfIpv4(text: string): Uint8Array | null {
  if (text.length > 15) return null
  const bytes = new Uint8Array(16)
  bytes[10] = bytes[11] = 255
  let part = 12
  let digits = 0
  let value = 0
  for (let at = 0; at < text.length; at++) {
    const c = text.charCodeAt(at)
    if (c === 46) {
      if (digits === 0 || part === 15) return null
      bytes[part++] = value
      digits = value = 0
      continue
    }
    if (c < 48 || c > 57 || (digits > 0 && value === 0)) return null
    value = value * 10 + c - 48
    digits++
    if (value > 255) return null
  }
  if (digits === 0 || part !== 15) return null
  bytes[15] = value
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

/** The address of 16 bytes at `from`: IPv4 where it is IPv4-mapped, else IPv6 as RFC 5952 writes it. */
export function addressText(bytes: Uint8Array, from = 0): string {
  if (isMapped(bytes, from)) return bytes.subarray(from + 12, from + 16).join('.')
  const groups: number[] = []
  for (let at = from; at < from + 16; at += 2)
    groups.push(((bytes[at] as number) << 8) | (bytes[at + 1] as number))
  const zeros = longestZeros(groups)
  const text = (part: readonly number[]): string => part.map(group => group.toString(16)).join(':')
  if (zeros.length < 2) return text(groups)
  return `${text(groups.slice(0, zeros.from))}::${text(groups.slice(zeros.from + zeros.length))}`
}

/** Are the 16 bytes at `from` an IPv4-mapped address (RFC 4291 2.5.5.2)? */
export function isMapped(bytes: Uint8Array, from = 0): boolean {
  for (let at = from; at < from + 10; at++) if (bytes[at] !== 0) return false
  return bytes[from + 10] === 255 && bytes[from + 11] === 255
}

/** The first of the longest runs of zero groups (RFC 5952 4.2.3). */
function longestZeros(groups: readonly number[]): { from: number; length: number } {
  let best = { from: 0, length: 0 }
  for (let from = 0; from < groups.length; from++) {
    let length = 0
    while (groups[from + length] === 0) length++
    if (length > best.length) best = { from, length }
  }
  return best
}
