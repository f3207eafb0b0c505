// Certificates for tests: an authority, and leaves that it signs; valid, expired, for other names, for clients. Made in
// this process with `@peculiar/x509`; nothing is kept unless `writePair` puts it into a directory.

import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as x509 from '@peculiar/x509'

x509.cryptoProvider.set(webcrypto as unknown as Crypto)

const dayMs = 86_400_000
const ecdsa = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const rsa = {
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  publicExponent: new Uint8Array([1, 0, 1]),
  modulusLength: 2048,
}

/** PEM texts of a certificate (the leaf first, then its chain) and its key. */
export interface Pair {
  readonly cert: string
  readonly key: string
}

export interface LeafOptions {
  /** DNS names, or IP addresses as `ip:127.0.0.1`. */
  readonly hosts: readonly string[]
  /** Common name; the first host otherwise. */
  readonly name?: string
  /** From now, negative = the past. Default -1 and 90. */
  readonly fromDays?: number
  readonly untilDays?: number
  readonly rsa?: boolean
  readonly client?: boolean
}

export interface Authority {
  /** PEM, for those who are to trust it. */
  readonly ca: string
  sign(options: LeafOptions): Promise<Pair>
}

type Keys = webcrypto.CryptoKeyPair

function keysOf(kind: typeof ecdsa | typeof rsa): Promise<Keys> {
  return webcrypto.subtle.generateKey(kind, true, ['sign', 'verify']) as Promise<Keys>
}

async function keyPem(keys: Keys): Promise<string> {
  const bytes = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
  return `${x509.PemConverter.encode(bytes, 'PRIVATE KEY')}\n`
}

let serial = 0
function nextSerial(): string {
  return (0x10_0000 + ++serial).toString(16)
}

export async function createAuthority(name = 'Test Authority'): Promise<Authority> {
  const keys = await keysOf(ecdsa)
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: nextSerial(),
    name: `CN=${name}`,
    notBefore: new Date(Date.now() - 365 * dayMs),
    notAfter: new Date(Date.now() + 365 * dayMs),
    signingAlgorithm: ecdsa,
    keys: keys as never,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey as never),
    ],
  })
  return { ca: `${root.toString('pem')}\n`, sign: options => signLeaf(root, keys, options) }
}

async function signLeaf(root: x509.X509Certificate, authority: Keys, options: LeafOptions): Promise<Pair> {
  const keys = await keysOf(options.rsa ? rsa : ecdsa)
  const usage = options.client ? x509.ExtendedKeyUsage.clientAuth : x509.ExtendedKeyUsage.serverAuth
  const names = options.hosts.map(host =>
    host.startsWith('ip:')
      ? { type: 'ip' as const, value: host.slice(3) }
      : { type: 'dns' as const, value: host },
  )
  const leaf = await x509.X509CertificateGenerator.create({
    serialNumber: nextSerial(),
    subject: [{ CN: [options.name ?? options.hosts[0] ?? 'nobody'] }],
    issuer: root.subject,
    notBefore: new Date(Date.now() + (options.fromDays ?? -1) * dayMs),
    notAfter: new Date(Date.now() + (options.untilDays ?? 90) * dayMs),
    signingAlgorithm: ecdsa,
    publicKey: keys.publicKey as never,
    signingKey: authority.privateKey as never,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([usage]),
      await x509.AuthorityKeyIdentifierExtension.create(authority.publicKey as never),
      ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []),
    ],
  })
  return { cert: `${leaf.toString('pem')}\n`, key: await keyPem(keys) }
}

export interface PairFiles {
  readonly certFile: string
  readonly keyFile: string
}

/** `NAME.cert.pem` and `NAME.key.pem` in the directory, which is made if need be. */
export function writePair(directory: string, name: string, pair: Pair): PairFiles {
  mkdirSync(directory, { recursive: true })
  const certFile = join(directory, `${name}.cert.pem`)
  const keyFile = join(directory, `${name}.key.pem`)
  writeFileSync(certFile, pair.cert)
  writeFileSync(keyFile, pair.key, { mode: 0o600 })
  return { certFile, keyFile }
}
