// TLS for the streams of `net.ts`: which certificate a client gets, what is asked of it, what of a server, and what a
// handshake agreed on. Sockets stay with the driver: it hands one in and gets the same connection back under TLS.
// Never reads files, never keeps time: who is above owns deadlines, renewal and the rotation of ticket keys.
//
// A `TlsServer` belongs to one thread. Give all threads the same `ticketKeys`, and a session begun on one is resumed on
// any. `update` is for new handshakes only; what is open goes on with what it began with.

import { constants, createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import tls, { type SecureContext } from 'node:tls'
import { Failure } from '../kit/failure.ts'
import { ioFailures } from './failures.ts'
import { type CertificateFacts, certificateFacts, checkAuthorities, checkPair } from './tls-certificate.ts'

export type AlpnProtocol = 'h2' | 'http/1.1' | 'postgresql'
export type TlsVersion = 'TLSv1.2' | 'TLSv1.3'

/** What a handshake agreed on. */
export interface TlsInfo {
  /** The name that the client asked for (SNI), in lower case; '' if it named none. */
  readonly serverName: string
  /** By ALPN; '' if nothing was agreed. */
  readonly protocol: AlpnProtocol | ''
  readonly version: TlsVersion
  /** '' where nobody asked before the connection ended. */
  readonly cipher: string
  readonly resumed: boolean
  /** Is the peer's certificate valid? False also where none was asked for or given. */
  readonly authorized: boolean
  /** Why a certificate that was given is not valid, in OpenSSL's words (CERT_HAS_EXPIRED, ...); else ''. */
  readonly authorizationError: string
  peerCertificate(): CertificateFacts | null
}

export interface TlsCertificate {
  /** Exact names, and `*.parent` for one label more; empty: those that the certificate itself is for. */
  readonly hosts: readonly string[]
  /** PEM, the leaf first, then the chain. */
  readonly cert: string
  /** PEM. Never shown, logged or put into a failure. */
  readonly key: string
  /** How a failure names this pair: a file, an option. */
  readonly where: string
}

export interface TlsClientAuthentication {
  /** PEM: who may have signed a client's certificate. */
  readonly ca: string
  /** `required`: without a valid one there is no connection. `optional`: `TlsInfo.authorized` tells. */
  readonly mode: 'optional' | 'required'
}

export interface TlsServerSettings {
  /** The first one is for clients that name no host or an unknown one. At least one. */
  readonly certificates: readonly TlsCertificate[]
  /** In the order of our preference; empty: none is agreed on. */
  readonly alpn: readonly AlpnProtocol[]
  readonly minVersion: TlsVersion
  /** 48 bytes, the same in all threads. A session begun with others costs a full handshake. */
  readonly ticketKeys: Buffer
  readonly clients: TlsClientAuthentication | null
}

export interface TlsClientSettings {
  /** SNI, and the name that the certificate must be for. Left out: none is sent, and it must be for the IP address. */
  readonly serverName?: string
  /** PEM; left out: the roots that Node brings. */
  readonly ca?: string
  /** false: any certificate is taken; `TlsInfo.authorized` still tells. */
  readonly verify: boolean
  /** Our own certificate and key, PEM, where the server asks for one. */
  readonly cert?: string
  readonly key?: string
  readonly alpn?: readonly AlpnProtocol[]
}

/** AEAD with forward secrecy only; ECDSA and RSA certificates both find a suite. RFC 9325 4.2. */
const ciphers: string = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':')

/** Keys are agreed on by curves alone, also against those who record now and decipher later where this OpenSSL can. */
const curves: string = keyAgreement('X25519MLKEM768:X25519:P-256:P-384')

function keyAgreement(wanted: string): string {
  try {
    tls.createSecureContext({ ecdhCurve: wanted })
    return wanted
  } catch {
    return 'X25519:P-256:P-384'
  }
}

/** Our order of ciphers, but ChaCha20 for clients that prefer it (no AES hardware); no renegotiation: RFC 9325 3.5. */
const secureOptions: number = constants.SSL_OP_PRIORITIZE_CHACHA | constants.SSL_OP_NO_RENEGOTIATION

/** Sessions that a client keeps, one a server's address; beyond it the oldest goes. */
const clientSessionsMax = 1024

/** RFC 7301 3.1: each name behind its length. */
function alpnBytes(names: readonly string[]): Buffer | undefined {
  if (names.length === 0) return undefined
  return Buffer.from(names.map(name => String.fromCharCode(name.length) + name).join(''), 'latin1')
}

interface ServerState {
  readonly contexts: readonly SecureContext[]
  /** Host, or `*.parent`, to the place of its certificate; the earlier certificate wins. */
  readonly byHost: ReadonlyMap<string, number>
  readonly alpn: Buffer | undefined
  readonly clients: TlsClientAuthentication | null
}

/**
 * A session may be resumed only under the same demands on the client's certificate: a ticket from a listener that asks
 * for none must not open one that does. At most 32 bytes.
 */
function sessionContext(settings: TlsServerSettings): string {
  const { clients } = settings
  const demands = clients === null ? 'none' : `${clients.mode}\n${clients.ca}`
  return createHash('sha256').update(demands).digest('hex').slice(0, 32)
}

function serverContext(pair: TlsCertificate, settings: TlsServerSettings, sessions: string): SecureContext {
  try {
    return tls.createSecureContext({
      cert: pair.cert,
      key: pair.key,
      ...(settings.clients === null ? {} : { ca: settings.clients.ca }),
      ciphers,
      ecdhCurve: curves,
      honorCipherOrder: true,
      minVersion: settings.minVersion,
      secureOptions,
      sessionIdContext: sessions,
      ticketKeys: settings.ticketKeys,
    })
  } catch (cause) {
    const sentence = `OpenSSL refuses the certificate of ${pair.where}: ${(cause as Error).message}.`
    throw new Failure(ioFailures.tlsPairRefused, sentence, { cause })
  }
}

function serverState(settings: TlsServerSettings): ServerState {
  if (settings.clients !== null) checkAuthorities(settings.clients.ca, 'the client authorities')
  const byHost = new Map<string, number>()
  for (const [index, pair] of settings.certificates.entries()) {
    const facts = checkPair(pair.cert, pair.key, pair.where)
    for (const host of pair.hosts.length > 0 ? pair.hosts : facts.names) {
      const name = host.toLowerCase()
      if (!byHost.has(name)) byHost.set(name, index)
    }
  }
  const sessions = sessionContext(settings)
  return {
    contexts: settings.certificates.map(pair => serverContext(pair, settings, sessions)),
    byHost,
    alpn: alpnBytes(settings.alpn),
    clients: settings.clients,
  }
}

export class TlsServer {
  #state: ServerState
  readonly #select = (name: string, done: (error: null, context?: SecureContext) => void): void =>
    done(null, this.#state.contexts[this.#place(name)])

  constructor(settings: TlsServerSettings) {
    this.#state = serverState(settings)
  }

  /** For handshakes from now on. Throws a Failure, and changes nothing, if any part of the settings is unusable. */
  update(settings: TlsServerSettings): void {
    this.#state = serverState(settings)
  }

  /** Would a client that asks for `host` get the certificate that one which asked for `serverName` got? */
  sameCertificate(serverName: string, host: string): boolean {
    return serverName === host || this.#place(serverName) === this.#place(host)
  }

  /** Are clients asked for certificates? */
  get clientsAsked(): boolean {
    return this.#state.clients !== null
  }

  /** Must a client show a valid certificate? OpenSSL sees to it that there is one; whether it is valid is for the driver. */
  get clientsRequired(): boolean {
    return this.#state.clients?.mode === 'required'
  }

  #place(name: string): number {
    const { byHost } = this.#state
    const host = name.toLowerCase()
    const exact = byHost.get(host)
    if (exact !== undefined) return exact
    const dot = host.indexOf('.')
    return (dot > 0 ? byHost.get(`*${host.slice(dot)}`) : undefined) ?? 0
  }

  /** For the driver: the connection under TLS; what was read and unshifted is its first bytes. */
  wrap(socket: Socket): tls.TLSSocket {
    const { contexts, alpn, clients } = this.#state
    return new tls.TLSSocket(socket, {
      isServer: true,
      secureContext: contexts[0] as SecureContext,
      ...(contexts.length > 1 ? { SNICallback: this.#select } : {}),
      ...(alpn === undefined ? {} : { ALPNProtocols: alpn }),
      requestCert: clients !== null,
      rejectUnauthorized: clients?.mode === 'required',
    })
  }
}

/** Throws a Failure if a certificate, key or list of authorities is unusable. */
export function createTlsServer(settings: TlsServerSettings): TlsServer {
  return new TlsServer(settings)
}

export class TlsClient {
  readonly #context: SecureContext
  readonly #settings: TlsClientSettings
  readonly #alpn: Buffer | undefined
  /** By address: the newest session, in Node's form. */
  readonly #sessions = new Map<string, Buffer>()

  constructor(settings: TlsClientSettings) {
    const { ca, cert, key } = settings
    if (ca !== undefined) checkAuthorities(ca, 'the authorities of instances')
    if (cert !== undefined) checkPair(cert, key ?? '', 'the certificate for instances')
    this.#context = tls.createSecureContext({
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert, key }),
      ciphers,
      minVersion: 'TLSv1.2',
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    })
    this.#settings = settings
    this.#alpn = alpnBytes(settings.alpn ?? [])
  }

  /** For the driver: TLS over a socket that is connected or about to be. */
  wrap(socket: Socket, host: string, port: number): tls.TLSSocket {
    const { serverName, verify } = this.#settings
    const address = `${host} ${port}`
    const session = this.#sessions.get(address)
    const secure = tls.connect({
      socket,
      host: serverName ?? host,
      ...(serverName === undefined ? {} : { servername: serverName }),
      secureContext: this.#context,
      rejectUnauthorized: verify,
      ...(this.#alpn === undefined ? {} : { ALPNProtocols: this.#alpn }),
      ...(session === undefined ? {} : { session }),
    })
    return secure.on('session', next => this.#remember(address, next))
  }

  #remember(address: string, session: Buffer): void {
    this.#sessions.delete(address)
    if (this.#sessions.size >= clientSessionsMax) {
      for (const oldest of this.#sessions.keys()) {
        this.#sessions.delete(oldest)
        break
      }
    }
    this.#sessions.set(address, session)
  }
}

/** Throws a Failure if a certificate, key or list of authorities is unusable. */
export function createTlsClient(settings: TlsClientSettings): TlsClient {
  return new TlsClient(settings)
}

/** What OpenSSL says of the peer's certificate; not in Node's types. */
interface Verified {
  readonly _handle: { verifyError(): { code?: string; message: string } | null | undefined } | null
}

/** What was agreed on a socket whose handshake is done. For the driver. @param asked Was a certificate asked for? */
export function tlsInfo(socket: tls.TLSSocket, asked: boolean): TlsInfo {
  return new Agreed(socket, asked)
}

class Agreed implements TlsInfo {
  readonly serverName: string
  readonly protocol: AlpnProtocol | ''
  readonly version: TlsVersion
  readonly resumed: boolean
  readonly authorized: boolean
  readonly authorizationError: string
  readonly #socket: tls.TLSSocket
  readonly #peer: CertificateFacts | null
  #cipher = ''

  constructor(socket: tls.TLSSocket, asked: boolean) {
    const { alpnProtocol } = socket
    const name = (socket as unknown as { servername: unknown }).servername
    const peer = asked ? socket.getPeerX509Certificate() : undefined
    this.#socket = socket
    this.#peer = peer === undefined ? null : certificateFacts(peer)
    this.serverName = typeof name === 'string' ? name.toLowerCase() : ''
    this.protocol = isKnown(alpnProtocol) ? alpnProtocol : ''
    this.version = (socket.getProtocol() ?? 'TLSv1.3') as TlsVersion
    this.resumed = socket.isSessionReused() === true
    this.authorizationError = this.#peer === null ? '' : reasonOf(socket)
    this.authorized = this.#peer !== null && this.authorizationError === ''
  }

  /** Asked of OpenSSL when somebody wants to know: few do. */
  get cipher(): string {
    this.#cipher ||= this.#socket.getCipher()?.name ?? ''
    return this.#cipher
  }

  peerCertificate(): CertificateFacts | null {
    return this.#peer
  }
}

function isKnown(protocol: string | false | null): protocol is AlpnProtocol {
  return protocol === 'h2' || protocol === 'http/1.1' || protocol === 'postgresql'
}

function reasonOf(socket: tls.TLSSocket): string {
  const error = (socket as unknown as Verified)._handle?.verifyError()
  return error ? (error.code ?? error.message) : String(socket.authorizationError ?? '')
}
