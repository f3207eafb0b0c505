// A certificate of our own for localhost, so that https works before anybody has a real one. Owns STATE/tls/: one file
// with the key and the certificate, so that one rename replaces both. No browser trusts it, and nothing here makes one.

import { existsSync, readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { checkPair } from '../io/tls-certificate.ts'
import { writePrivate } from './private-file.ts'

const dayMs = 86_400_000
const lifeDays = 90
const renewDays = 7
/** Clocks of clients may be behind ours. */
const backdatedMs = dayMs / 24

export interface SelfSigned {
  /** Absolute: PEM, the key and then the certificate. */
  readonly file: string
  readonly names: readonly string[]
  /** It was not there, or is new. */
  readonly made: boolean
}

/** What this machine is called by those who sit at it. */
export function localNames(): string[] {
  const own = hostname().toLowerCase()
  const name = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(own) && !/^[\d.]+$/.test(own) ? [own] : []
  return [...new Set(['localhost', '127.0.0.1', '::1', ...name])]
}

/** The one that is there, or a new one where it has less than a week left or is for other names. */
export async function selfSigned(folder: string, nowMs: number): Promise<SelfSigned> {
  const file = join(folder, 'self-signed.pem')
  const names = localNames()
  if (isGood(file, names, nowMs)) return { file, names, made: false }
  writePrivate(file, await newPair(names, nowMs))
  return { file, names, made: true }
}

function isGood(file: string, names: readonly string[], nowMs: number): boolean {
  if (!existsSync(file)) return false
  try {
    const text = readFileSync(file, 'utf8')
    const facts = checkPair(text, text, file)
    const known = facts.names.map(shortAddress)
    return facts.notAfter > nowMs + renewDays * dayMs && names.every(name => known.includes(name))
  } catch {
    // Cut short or damaged: a new one takes its place.
    return false
  }
}

/** OpenSSL writes `0:0:0:0:0:0:0:1`. */
const shortAddress = (name: string): string => (/^(0+:){7}0*1$/.test(name) ? '::1' : name)

async function newPair(names: readonly string[], nowMs: number): Promise<string> {
  // Heavy, and needed once in three months.
  await import('reflect-metadata')
  const x509 = await import('@peculiar/x509')
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=localhost, O=Tenfold self-signed',
    serialNumber: serialNumber(),
    notBefore: new Date(nowMs - backdatedMs),
    notAfter: new Date(nowMs + lifeDays * dayMs),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        names.map(value => ({ type: /^[\d.]+$|:/.test(value) ? ('ip' as const) : ('dns' as const), value })),
      ),
    ],
  })
  const key = await crypto.subtle.exportKey('pkcs8', keys.privateKey)
  return `${x509.PemConverter.encode(key, 'PRIVATE KEY')}\n${certificate.toString('pem')}\n`
}

/** Positive, and another one for each: browsers refuse a second certificate with the number of the first. RFC 5280 4.1.2.2. */
function serialNumber(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  bytes[0] = ((bytes[0] as number) & 0x3f) | 0x40
  return Buffer.from(bytes).toString('hex')
}
