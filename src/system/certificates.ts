// Which certificates the edge serves beside those that the file names: automatic ones (acme.ts) and, where there is none,
// a self-signed one. Sees to it that the files are there before a snapshot names them, and that the edge reads them anew
// when they change. Certificates of the file's own are their owner's and the edge's.

import { isAbsolute, join } from 'node:path'
import type { CertificateSpec } from '../edge/snapshot.ts'
import type { CheckedAcme, CheckedSystem } from '../file/index.ts'
import type { Random } from '../kit/random.ts'
import { Acme } from './acme.ts'
import type { AcmeHostView } from './control/views.ts'
import { localNames, selfSigned } from './self-signed.ts'

export interface CertificatesOptions {
  /** Absolute. */
  readonly stateDirectory: string
  /** Absolute: the folder of the system file, from which its paths are meant. */
  readonly baseDirectory: string
  readonly random: Random
  /** Resolves when the edge answers these ACME challenges, and no others. */
  answer(tokens: Readonly<Record<string, string>>): Promise<void>
  /** The edge reads the files of its certificates anew. */
  reload(): Promise<void>
  /** The edge gets a snapshot with the certificates of now. */
  publish(): Promise<void>
  tell(level: 'info' | 'warn', subject: string, sentence: string): void
}

const selfSignedLookMs = 3_600_000

export class Certificates {
  readonly #options: CertificatesOptions
  readonly #acme: Acme
  readonly #timer: NodeJS.Timeout
  /** Absolute; null: nobody needed one yet. */
  #ownFile: string | null = null
  #told = false

  constructor(options: CertificatesOptions) {
    this.#options = options
    this.#acme = new Acme({
      folder: join(options.stateDirectory, 'acme'),
      random: options.random,
      nowMs: () => Date.now(),
      answer: tokens => options.answer(tokens),
      installed: (_, first) => (first ? options.publish() : options.reload()),
      tell: (level, host, sentence) => options.tell(level, host, sentence),
    })
    this.#timer = setInterval(() => void this.#renewOwn(), selfSignedLookMs)
    this.#timer.unref()
  }

  /** What a snapshot of this system names is there afterwards. Without effect where nothing listens for TLS. */
  async prepare({ edge }: CheckedSystem): Promise<void> {
    this.#acme.follow(edge.tls?.acme === undefined ? null : this.#absolute(edge.tls.acme))
    if (edge.tls === undefined || !this.#needsOwn(edge.tls.certificates.length)) return
    const { file } = await selfSigned(this.#ownFolder, Date.now())
    this.#ownFile = file
    if (!this.#told) this.#options.tell('info', 'https', selfSignedText(edge.tls.acme))
    this.#told = true
  }

  /** After `prepare` of the same system. */
  specsOf({ edge }: CheckedSystem): readonly CertificateSpec[] {
    if (edge.tls === undefined) return []
    const { issued, missing } = this.#acme.files
    const automatic = issued.map(({ host, file }): CertificateSpec => {
      return { hosts: [host], certFile: file, keyFile: file, source: 'acme' }
    })
    const file = this.#ownFile
    if (file === null || !this.#needsOwn(edge.tls.certificates.length)) return automatic
    const own: CertificateSpec = {
      hosts: [...localNames(), ...missing],
      certFile: file,
      keyFile: file,
      source: 'self-signed',
    }
    return [...automatic, own]
  }

  /** The edge is there to answer challenges. */
  begin(): void {
    this.#acme.begin()
  }

  renew(host: string | null): Promise<readonly string[]> {
    return this.#acme.renew(host)
  }

  get view(): readonly AcmeHostView[] {
    return this.#acme.view
  }

  close(): void {
    clearInterval(this.#timer)
    this.#acme.close()
  }

  get #ownFolder(): string {
    return join(this.#options.stateDirectory, 'tls')
  }

  /** Where there is no certificate at all, and for hosts whose first one has not come yet. */
  #needsOwn(filesOfTheirs: number): boolean {
    const { issued, missing } = this.#acme.files
    return missing.length > 0 || filesOfTheirs + issued.length === 0
  }

  async #renewOwn(): Promise<void> {
    if (this.#ownFile === null) return
    try {
      const { made } = await selfSigned(this.#ownFolder, Date.now())
      if (made) await this.#options.reload()
    } catch (cause) {
      this.#options.tell('warn', 'https', `no new self-signed certificate: ${(cause as Error).message}`)
    }
  }

  #absolute(acme: CheckedAcme): CheckedAcme {
    const { caFile } = acme
    if (caFile === undefined || isAbsolute(caFile)) return acme
    return { ...acme, caFile: join(this.#options.baseDirectory, caFile) }
  }
}

function selfSignedText(acme: CheckedAcme | undefined): string {
  const why = 'serves a self-signed certificate, which browsers do not trust'
  return acme === undefined
    ? `${why}: give a real one with \`edge.tls.certificates\`, or \`edge.tls.acme\` to get one by itself`
    : `${why}, until the first automatic one is there`
}
