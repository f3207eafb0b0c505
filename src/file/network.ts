// Addresses as a system file writes them: listening places, members' addresses, CIDR blocks, host patterns. Text in,
// values out; it resolves no name.

import type { CheckedAddress, CheckedListen } from './checked.ts'
import { leaf, Refused, type Schema } from './values.ts'

const hostName =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?$/i

export function isIpv4(text: string): boolean {
  const parts = text.split('.')
  return parts.length === 4 && parts.every(part => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)
}

/** RFC 4291 2.2, without zone index. */
export function isIpv6(text: string): boolean {
  if (!/^[0-9a-f:.]{2,45}$/i.test(text) || text.split('::').length > 2) return false
  const short = text.includes('::')
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'))
  const [left = '', right = ''] = short ? text.split('::') : [text]
  const all = [...groups(left), ...groups(right)]
  const last = all.at(-1)
  const embedded = last?.includes('.') ?? false
  if (embedded && !(isIpv4(last as string) && text.endsWith(last as string))) return false
  const plain = embedded ? all.slice(0, -1) : all
  const count = plain.length + (embedded ? 2 : 0)
  return plain.every(group => /^[0-9a-f]{1,4}$/i.test(group)) && (short ? count < 8 : count === 8)
}

export function isIp(text: string): boolean {
  return isIpv4(text) || isIpv6(text)
}

/** Names without dots that are all digits, or end like an IPv4 address, are typing errors rather than names. */
export function isHostName(text: string): boolean {
  return hostName.test(text) && !/(^|\.)\d+\.?$/.test(text)
}

function parsePort(text: string, min: number): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
  return port >= min && port <= 65_535 ? port : undefined
}

/** `host:port` or `[ipv6]:port`; the host as written, without brackets. */
function splitHostPort(text: string, portMin: number): { host: string; port: number } | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text)
  const port = match ? parsePort(match[3] as string, portMin) : undefined
  if (!match || port === undefined) return undefined
  if (match[1] !== undefined) return isIpv6(match[1]) ? { host: match[1].toLowerCase(), port } : undefined
  return { host: match[2] as string, port }
}

const portKind = "a port from 0 to 65535 (0 = any free one) or 'host:port' with an IP address or localhost"

/** Where to listen: a port (on `host`), or 'host:port'. */
export function listenAt(about: string, host: string): Schema<CheckedListen> {
  return leaf({
    about,
    allowed: `${portKind}, such as 8080 or '127.0.0.1:8080'`,
    json: {
      anyOf: [
        { type: 'integer', minimum: 0, maximum: 65_535 },
        { type: 'string', maxLength: 64 },
      ],
    },
    parse: value => {
      if (typeof value === 'number')
        return Number.isInteger(value) && value >= 0 && value <= 65_535 ? { host, port: value } : undefined
      if (typeof value !== 'string' || value.length > 64) return undefined
      if (/^\d{1,5}$/.test(value))
        return new Refused('is a text', `Write the port as a number: ${Number(value)}.`)
      const at = splitHostPort(value, 0)
      if (at?.host === 'localhost') return { host: '127.0.0.1', port: at.port }
      return at && isIp(at.host) ? at : undefined
    },
  })
}

/** One address of a service; weight and tier are filled in by the caller. */
export function memberAddress(about: string): Schema<CheckedAddress> {
  return leaf({
    about,
    allowed:
      "'host:port' (an IP address, or a name that is looked up again and again), 'dns:name:port' or 'srv:_service._tcp.name', of at most 300 characters",
    json: { type: 'string', minLength: 1, maxLength: 300 },
    parse: value => {
      if (typeof value !== 'string' || value.length > 300) return undefined
      if (/^https?:\/\//.test(value)) return new Refused('is a URL', 'Leave out the scheme and the path.')
      return value.startsWith('srv:') ? serviceRecord(value.slice(4)) : hostAddress(value)
    },
  })
}

function serviceRecord(name: string): CheckedAddress | undefined {
  return isHostName(name) && /^_[^.]+\._(tcp|udp)\./i.test(name)
    ? { kind: 'srv', host: name.toLowerCase(), tier: 0 }
    : undefined
}

function hostAddress(text: string): CheckedAddress | Refused | undefined {
  const named = text.startsWith('dns:')
  const at = splitHostPort(named ? text.slice(4) : text, 1)
  if (!at) return withoutPort(text)
  const { port } = at
  if (isIp(at.host)) return named ? undefined : { kind: 'static', host: at.host, port, weight: 1, tier: 0 }
  return isHostName(at.host)
    ? { kind: 'dns', host: at.host.toLowerCase(), port, weight: 1, tier: 0 }
    : undefined
}

function withoutPort(text: string): Refused | undefined {
  if (isIpv6(text)) return new Refused('has no port', `Write '[${text}]:80'.`)
  return isIpv4(text) || isHostName(text) ? new Refused('has no port', `Write '${text}:80'.`) : undefined
}

const blocksByName: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1/128'],
  private: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
}

/** A CIDR block, an address (a block of one), or the name of a group of blocks. Gives blocks. */
export function cidrBlocks(about: string): Schema<readonly string[]> {
  return leaf({
    about,
    allowed:
      "a block such as '10.0.0.0/8' or 'fd00::/8', an IP address, 'loopback' or 'private', of at most 64 characters",
    json: { type: 'string', minLength: 1, maxLength: 64 },
    parse: value => {
      if (typeof value !== 'string') return undefined
      if (Object.hasOwn(blocksByName, value)) return blocksByName[value]
      const [address = '', bits, ...rest] = value.split('/')
      const width = isIpv4(address) ? 32 : isIpv6(address) ? 128 : undefined
      if (width === undefined || rest.length > 0) return undefined
      if (bits === undefined) return [`${address.toLowerCase()}/${width}`]
      if (!/^\d{1,3}$/.test(bits) || Number(bits) > width) return undefined
      return [`${address.toLowerCase()}/${Number(bits)}`]
    },
  })
}

/** `tickets.example`, `*.example`, or an IP address; given in lower case. */
export function hostPattern(about: string): Schema<string> {
  return leaf({
    about,
    allowed: "a host name without port, such as 'tickets.example' or '*.example', of at most 253 characters",
    json: { type: 'string', minLength: 1, maxLength: 253 },
    parse: value => {
      if (typeof value !== 'string') return undefined
      if (/:\d+$/.test(value) && !isIpv6(value)) return new Refused('holds a port', 'Leave out the port.')
      // As requests carry it in Host: IPv6 in brackets, names without the final dot.
      const bare = value.replace(/^\[(.*)\]$/, '$1')
      if (isIpv6(bare)) return `[${bare.toLowerCase()}]`
      const name = value.startsWith('*.') ? value.slice(2) : value
      return isIpv4(value) || isHostName(name) ? value.toLowerCase().replace(/\.$/, '') : undefined
    },
  })
}
