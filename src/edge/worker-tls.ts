// TLS of one worker: the servers that its listeners hand connections to and the clients that its pools connect with, made
// of what the main thread has read (certificates.ts). New material is for new handshakes; what is open goes on.

import {
  type AlpnProtocol,
  createTlsClient,
  createTlsServer,
  type TlsClient,
  type TlsServer,
  type TlsServerSettings,
} from '../io/tls.ts'
import type { ServerMaterial, TlsMaterial, UpstreamMaterial } from './certificates.ts'

/** What a listener offers by ALPN: HTTP/2 and HTTP/1.1, only that, or nothing (bytes are passed on). */
export type TlsOffer = 'http2' | 'http1' | 'none'

const offers: Readonly<Record<TlsOffer, readonly AlpnProtocol[]>> = {
  http2: ['h2', 'http/1.1'],
  http1: ['http/1.1'],
  none: [],
}

interface Outgoing {
  readonly material: string
  readonly client: TlsClient
}

export class WorkerTls {
  #server: ServerMaterial | null = null
  readonly #servers = new Map<TlsOffer, TlsServer>()
  readonly #clients = new Map<string, Outgoing>()

  constructor(material: TlsMaterial) {
    this.update(material)
  }

  update({ server, upstreams }: TlsMaterial): void {
    this.#server = server
    if (server === null) this.#servers.clear()
    else for (const [offer, one] of this.#servers) one.update(settingsOf(server, offer))
    for (const name of this.#clients.keys()) if (!upstreams.has(name)) this.#clients.delete(name)
    for (const [name, material] of upstreams) this.#keepClient(name, material)
  }

  /** One whose material is the same keeps its sessions. */
  #keepClient(name: string, material: UpstreamMaterial): void {
    const text = JSON.stringify(material)
    if (this.#clients.get(name)?.material === text) return
    this.#clients.set(name, { material: text, client: createTlsClient(material) })
  }

  /** Null: there are no certificates. */
  server(offer: TlsOffer): TlsServer | null {
    const material = this.#server
    if (material === null) return null
    let server = this.#servers.get(offer)
    if (server === undefined)
      this.#servers.set(offer, (server = createTlsServer(settingsOf(material, offer))))
    return server
  }

  /** For connections to the members of this upstream; undefined: they are reached without TLS. */
  client(upstream: string): TlsClient | undefined {
    return this.#clients.get(upstream)?.client
  }

  /** Would a client that asks for `host` be shown what the one that asked for `serverName` was? */
  sameCertificate(serverName: string, host: string): boolean {
    for (const server of this.#servers.values()) return server.sameCertificate(serverName, host)
    return true
  }
}

function settingsOf(material: ServerMaterial, offer: TlsOffer): TlsServerSettings {
  // A message between threads makes plain bytes of a Buffer.
  return { ...material, ticketKeys: Buffer.from(material.ticketKeys), alpn: offers[offer] }
}
