// What instances are told of a client that has shown a valid certificate: the certificate as RFC 9440 writes it, and who
// it is in a field that is signed, so that an instance need not believe everybody who reaches its port. How an instance
// checks it: docs/operate/client-certificates.md. What clients themselves send under these names is always dropped.

import { createHmac } from 'node:crypto'
import type { TlsInfo } from '../io/tls.ts'
import type { CertificateFacts } from '../io/tls-certificate.ts'

/** Field names that no client may set where certificates are asked for. */
export const identityNames = ['client-cert', 'client-cert-chain', 'x-client-identity'] as const

/** Signed anew after this: `at` is never older than this and the request's own way. */
const signedForMs = 20_000

interface Signed {
  readonly at: number
  readonly secret: string
  readonly fields: string
}

const signedOf = new WeakMap<TlsInfo, Signed>()

/** Ready field lines; '' for a client without a valid certificate. @param secret Base64. @param nowMs Wall clock. */
export function identityFields(tls: TlsInfo, secret: string, nowMs: number): string {
  if (!tls.authorized) return ''
  const before = signedOf.get(tls)
  if (before !== undefined && before.secret === secret && Math.abs(nowMs - before.at) < signedForMs)
    return before.fields
  const facts = tls.peerCertificate()
  if (facts === null) return ''
  const fields = signedFields(facts, secret, nowMs)
  signedOf.set(tls, { at: nowMs, secret, fields })
  return fields
}

function signedFields(facts: CertificateFacts, secret: string, nowMs: number): string {
  const claim = `subject="${quotable(facts.subject)}",fingerprint="${facts.fingerprint256}",at=${Math.floor(nowMs / 1000)}`
  const signature = createHmac('sha256', Buffer.from(secret, 'base64'))
    .update(claim, 'latin1')
    .digest('base64')
  // RFC 9440 2.2: a byte sequence of RFC 8941.
  return `Client-Cert: :${facts.der.toString('base64')}:\r\nX-Client-Identity: ${claim};sig=${signature}\r\n`
}

/** Everything but plain ASCII as %XX of its UTF-8: no name can end the quotes or the line. */
function quotable(text: string): string {
  let out = ''
  for (const byte of Buffer.from(text, 'utf8')) {
    const plain = byte >= 32 && byte < 127 && byte !== 0x22 && byte !== 0x25 && byte !== 0x5c
    out += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return out
}
