// Which client a proof belongs to: a short text that is the same for one client's requests and, mostly, no other's. What
// is signed with it (clearances, solved challenges, tickets) is worth nothing at another address, with another User-Agent
// or from another TLS library. Never a proof of who somebody is: all three can be shared or forged.

import { hash } from 'node:crypto'
import { addressBytes, isMapped } from '../kit/address.ts'
import { fieldId } from '../wire/fields.ts'
import type { ClientHello, Passage } from './passage.ts'

/** Of 16 bytes (IPv4-mapped): people behind a carrier's NAT leave from several addresses of one block. */
const ipv4Kept = 15
const ipv6Kept = 8

type Bound = Pick<Passage, 'address' | 'head'> & { readonly client: { hello: ClientHello | null } | null }

/** 22 characters of base64url: SHA-256 of address prefix (/24, /64), TLS library and User-Agent, cut to 128 bits. */
export function clientBinding(passage: Bound): string {
  const hello = passage.client?.hello ?? null
  const library = hello === null ? '' : tlsLibrary(hello.ja4)
  const agent = passage.head.value(fieldId['user-agent']) ?? ''
  return hash('sha256', `${addressPrefix(passage.address)}\n${library}\n${agent}`, 'base64url').slice(0, 22)
}

/**
 * The part of JA4 that one client keeps: transport, highest version, ciphers. Its extensions come and go (a resumed
 * session adds pre_shared_key, a long name takes padding away), and a browser's WebSockets offer another ALPN.
 */
export function tlsLibrary(ja4: string): string {
  return `${ja4.slice(0, 3)}${ja4.slice(4, 6)}${ja4.slice(10, 23)}`
}

function addressPrefix(address: string): string {
  const bytes = addressBytes(address)
  if (bytes === null) return address
  return Buffer.from(bytes.subarray(0, isMapped(bytes) ? ipv4Kept : ipv6Kept)).toString('hex')
}
