// What a certificate says, and whether a key belongs to it: told from PEM text. Reads no files, keeps no key.

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { Failure } from '../kit/failure.ts'
import { ioFailures } from './failures.ts'

export interface CertificateFacts {
  /** DNS names and addresses that it is valid for, in lower case. */
  readonly names: readonly string[]
  readonly subject: string
  readonly issuer: string
  readonly serialNumber: string
  /** SHA-256 of the certificate, hexadecimal with colons. */
  readonly fingerprint256: string
  /** Milliseconds since 1970. */
  readonly notBefore: number
  readonly notAfter: number
  readonly der: Buffer
}

const certificateBlock = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g

/** The leaf's facts. @param where Names the certificate in the failure: a file or an option. */
export function readCertificate(certPem: string, where: string): CertificateFacts {
  return certificateFacts(leafOf(certPem, where))
}

/** Throws a Failure unless the key belongs to the first certificate; its facts otherwise. Dates are not judged. */
export function checkPair(certPem: string, keyPem: string, where: string): CertificateFacts {
  const leaf = leafOf(certPem, where)
  if (!leaf.checkPrivateKey(readKey(keyPem, where)))
    throw new Failure(ioFailures.tlsKeyMismatch, `The key does not belong to the certificate of ${where}.`)
  return certificateFacts(leaf)
}

/** Throws a Failure unless every block is a certificate, and there is one at least. */
export function checkAuthorities(pem: string, where: string): void {
  const blocks = pem.match(certificateBlock)
  if (blocks === null) throw unreadable(where, 'it holds no certificate in PEM')
  for (const block of blocks) parse(block, where)
}

function leafOf(pem: string, where: string): X509Certificate {
  const [first, ...rest] = pem.match(certificateBlock) ?? []
  if (first === undefined) throw unreadable(where, 'it holds no certificate in PEM')
  for (const block of rest) parse(block, where)
  return parse(first, where)
}

function parse(block: string, where: string): X509Certificate {
  try {
    return new X509Certificate(block)
  } catch (cause) {
    throw unreadable(where, (cause as Error).message, cause)
  }
}

function unreadable(where: string, why: string, cause?: unknown): Failure {
  const sentence = `The certificate of ${where} can't be read: ${why}.`
  return new Failure(ioFailures.tlsCertificateUnreadable, sentence, { cause })
}

function readKey(pem: string, where: string): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch (cause) {
    // OpenSSL's words say nothing of the key's content.
    const sentence = `The key of ${where} can't be read: ${(cause as Error).message}.`
    throw new Failure(ioFailures.tlsKeyUnreadable, sentence, { cause })
  }
}

export function certificateFacts(certificate: X509Certificate): CertificateFacts {
  return {
    names: namesOf(certificate),
    subject: oneLine(certificate.subject),
    issuer: oneLine(certificate.issuer),
    serialNumber: certificate.serialNumber,
    fingerprint256: certificate.fingerprint256,
    notBefore: Date.parse(certificate.validFrom),
    notAfter: Date.parse(certificate.validTo),
    der: certificate.raw,
  }
}

/** Node gives a name's parts as lines; undefined for an empty name. */
function oneLine(name: string | undefined): string {
  return (name ?? '').split('\n').join(', ')
}

/** `DNS:a.example, IP Address:::1`; a name with odd characters comes in quotes and is no host. RFC 6125 6.4.4: no CN. */
function namesOf(certificate: X509Certificate): string[] {
  return (certificate.subjectAltName ?? '')
    .split(', ')
    .map(entry => /^(?:DNS|IP Address):([^"]+)$/.exec(entry)?.[1]?.toLowerCase())
    .filter(name => name !== undefined)
}
