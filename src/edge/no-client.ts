// A client that takes everything and wants nothing: of copies of requests (mirror.ts), of what the cache asks for itself,
// and of exchanges that go on without theirs. Says who the original's client was. Never writes anywhere.

import type { TlsInfo } from '../io/tls.ts'
import type { ExchangeClient, TunnelSide } from './client.ts'
import type { WorkerContext } from './context.ts'

/** What instances are told of the client. */
export type KnownClient = Pick<
  ExchangeClient,
  'remoteAddress' | 'trusted' | 'tls' | 'httpVersion' | 'forwardedText' | 'aboutText'
>

/** Says who the original's client is, and takes everything without a trace. */
export class NoClient implements ExchangeClient {
  readonly #worker: WorkerContext
  readonly #original: KnownClient
  readonly #whenOver: () => void
  readonly remoteAddress: string
  readonly trusted: boolean
  readonly tls: TlsInfo | null
  /** No route of a copy asks for it. */
  readonly hello = null
  readonly listener = ''
  readonly httpVersion: string
  readonly forwardedText: string
  readonly bodyOpen = false
  closing = false
  readonly side: TunnelSide = nowhere
  #over = false

  constructor(worker: WorkerContext, original: KnownClient, whenOver: () => void) {
    this.#worker = worker
    this.#original = original
    this.#whenOver = whenOver
    this.remoteAddress = original.remoteAddress
    this.trusted = original.trusted
    this.tls = original.tls
    this.httpVersion = original.httpVersion
    this.forwardedText = original.forwardedText
  }

  aboutText(authority: string): string {
    return this.#original.aboutText(authority)
  }
  exchangeDone(): void {
    if (this.#over) return
    this.#over = true
    this.#whenOver()
  }
  exchangeCut(): void {
    this.exchangeDone()
  }
  bodyBytes(): boolean {
    return true
  }
  flush(): boolean {
    return true
  }
  /** Nothing was written, so nothing reads from it any more. */
  lend(buffer: Buffer): void {
    this.#worker.buffers.give(buffer)
  }
  startBody(): void {}
  pauseBody(): void {}
  resumeBody(): void {}
  sendInterim(): void {}
  beginResponse(): void {}
  beginOwnResponse(): void {}
  bodyText(): void {}
  endResponse(): void {}
  becomeTunnel(): void {}
}

const nowhere: TunnelSide = {
  write: () => true,
  writeBytes: () => true,
  pause: () => {},
  resume: () => {},
  end: () => {},
  destroy: () => {},
}
