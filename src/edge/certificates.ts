// The edge's certificates, on the main thread: reads the files that the snapshot names, checks that keys belong to
// certificates, and gives the texts to the workers. Reads anew when files change or somebody asks; a pair that does not fit
// (one file is written, the other not yet) leaves the one in use where it is, and an event says why. Keys are in memory
// and in messages to workers, never in a snapshot, a status, an event or a log.

import { randomBytes } from 'node:crypto'
import {
  type AlpnProtocol,
  createTlsClient,
  createTlsServer,
  type TlsCertificate,
  type TlsClientAuthentication,
  type TlsVersion,
} from '../io/tls.ts'
import { type CertificateFacts, checkAuthorities, readCertificate } from '../io/tls-certificate.ts'
import { readTlsFile, tlsFileStamp } from '../io/tls-files.ts'
import { Failure } from '../kit/failure.ts'
import type { CertificateStatus } from './control-protocol.ts'
import { edgeFailures } from './failures.ts'
import type { CertificateSpec, EdgeSnapshot } from './snapshot.ts'

/** What workers make their TLS of. */
export interface TlsMaterial {
  /** Grows with each change. */
  readonly serial: number
  /** Null: nobody speaks TLS to us. */
  readonly server: ServerMaterial | null
  /** By name of those that are reached over TLS. */
  readonly upstreams: ReadonlyMap<string, UpstreamMaterial>
}

export interface ServerMaterial {
  readonly certificates: readonly TlsCertificate[]
  readonly minVersion: TlsVersion
  readonly ticketKeys: Uint8Array
  readonly clients: TlsClientAuthentication | null
}

export interface UpstreamMaterial {
  /** `h2` where the members speak HTTP/2; others are offered nothing, and speak what they speak. */
  readonly alpn: readonly AlpnProtocol[]
  readonly serverName?: string
  readonly verify: boolean
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

/** Tickets sealed with older keys cost their clients a full handshake. */
const ticketKeysMs = 12 * 3_600_000
const dayMs = 86_400_000
/** Whoever must act hears of it from then on, with each change. */
const soonDays = 14

/** One certificate with its key, or one file of authorities: what must fit together. */
interface Unit {
  readonly paths: readonly string[]
  /** Throws a Failure when the texts do not fit. */
  check(texts: readonly string[]): void
}
interface Loaded {
  readonly unit: Unit
  readonly texts: readonly string[]
  stamps: readonly string[]
  /** Why newer files are not in use; '' = these are the newest. */
  problem: string
}
type Loads = Map<string, Loaded>

const separator = '\n'
const keyOf = (paths: readonly string[]): string => paths.join(separator)

export class Certificates {
  readonly #tell: (subject: string, text: string) => void
  #snapshot: EdgeSnapshot | null = null
  #loads: Loads = new Map()
  #serial = 0
  #ticketKeys: Buffer = randomBytes(48)
  #keysAt: number = Date.now()
  #busy = false
  material: TlsMaterial = { serial: 0, server: null, upstreams: new Map() }

  constructor(tell: (subject: string, text: string) => void) {
    this.#tell = tell
  }

  /** What a snapshot needs, read and checked; rejects with a Failure where a file is new and unusable. */
  async prepare(snapshot: EdgeSnapshot): Promise<Loads> {
    const loads: Loads = new Map()
    for (const unit of unitsOf(snapshot)) {
      const key = keyOf(unit.paths)
      const before = this.#loads.get(key)
      try {
        loads.set(key, await load(unit))
      } catch (error) {
        if (before === undefined) throw error
        loads.set(key, before)
        this.#note(before, error as Error)
      }
    }
    return loads
  }

  take(snapshot: EdgeSnapshot, loads: Loads): void {
    this.#snapshot = snapshot
    this.#loads = loads
    this.#make()
  }

  #make(): void {
    const snapshot = this.#snapshot as EdgeSnapshot
    this.material = {
      serial: ++this.#serial,
      server: this.#server(snapshot),
      upstreams: this.#upstreams(snapshot),
    }
  }

  #text(...paths: string[]): readonly string[] {
    return (this.#loads.get(keyOf(paths)) as Loaded).texts
  }

  #server({ tls }: EdgeSnapshot): ServerMaterial | null {
    if (tls === undefined || tls.certificates.length === 0) return null
    const clients = tls.clientCertificates
    return {
      certificates: tls.certificates.map(({ hosts, certFile, keyFile }) => {
        const [cert, key] = this.#text(certFile, keyFile) as [string, string]
        return { hosts, cert, key, where: certFile }
      }),
      minVersion: `TLSv${tls.minVersion}`,
      ticketKeys: this.#ticketKeys,
      clients: clients ? { ca: this.#text(clients.caFile)[0] as string, mode: clients.mode } : null,
    }
  }

  #upstreams({ upstreams }: EdgeSnapshot): Map<string, UpstreamMaterial> {
    const made = new Map<string, UpstreamMaterial>()
    for (const { name, tls, protocol } of upstreams) {
      if (tls === undefined) continue
      const { serverName, verify, caFile, certFile, keyFile } = tls
      const pair = certFile === undefined || keyFile === undefined ? null : this.#text(certFile, keyFile)
      made.set(name, {
        alpn: protocol === 'h2' ? ['h2'] : [],
        verify,
        ...(serverName === undefined ? {} : { serverName }),
        ...(caFile === undefined ? {} : { ca: this.#text(caFile)[0] as string }),
        ...(pair === null ? {} : { cert: pair[0] as string, key: pair[1] as string }),
      })
    }
    return made
  }

  /** Looks whether files have changed, and whether ticket keys are old. True: `material` is another. */
  async look(): Promise<boolean> {
    if (this.#busy) return false
    this.#busy = true
    try {
      return (await this.#renew(false)).length > 0
    } finally {
      this.#busy = false
    }
  }

  /** Reads every file anew; answers which are in use anew and what is wrong with others. */
  async reload(): Promise<{ changed: string[]; problems: string[] }> {
    const changed = await this.#renew(true)
    const problems = [...this.#loads.values()].map(one => one.problem).filter(text => text !== '')
    return { changed, problems }
  }

  async #renew(everything: boolean): Promise<string[]> {
    const changed: string[] = []
    for (const [key, loaded] of this.#loads) {
      const stamps = await Promise.all(loaded.unit.paths.map(tlsFileStamp))
      if (!everything && keyOf(stamps) === keyOf(loaded.stamps)) continue
      const next = await this.#again(loaded, stamps)
      // A snapshot that came meanwhile has read the files itself.
      if (next === null || this.#loads.get(key) !== loaded) continue
      this.#loads.set(key, next)
      if (keyOf(next.texts) !== keyOf(loaded.texts)) changed.push(loaded.unit.paths[0] as string)
    }
    const keysOld = this.#renewKeys()
    if (changed.length > 0 || keysOld) this.#make()
    for (const path of changed) this.#tell('certificates', this.#said(path))
    return keysOld ? [...changed, 'ticket keys'] : changed
  }

  /** True: they are others now. */
  #renewKeys(): boolean {
    if (Date.now() - this.#keysAt < ticketKeysMs) return false
    this.#ticketKeys = randomBytes(48)
    this.#keysAt = Date.now()
    return true
  }

  /** Null: the newer files do not fit, and what is in use stays. */
  async #again(loaded: Loaded, stamps: readonly string[]): Promise<Loaded | null> {
    try {
      return await load(loaded.unit)
    } catch (error) {
      // Looked at again when a file changes further; the other half of a pair mostly follows at once.
      loaded.stamps = stamps
      this.#note(loaded, error as Error)
      return null
    }
  }

  #note(loaded: Loaded, error: Error): void {
    if (loaded.problem === error.message) return
    loaded.problem = error.message
    this.#tell('certificates', `${error.message} What was read before stays in use.`)
  }

  #said(path: string): string {
    const facts = this.#factsOf(path)
    if (facts === null) return `${path} was read anew`
    const days = daysLeft(facts)
    const until = new Date(facts.notAfter).toISOString().slice(0, 10)
    if (days < 0) return `${path} was read anew; it expired on ${until}`
    return `${path} was read anew: valid until ${until}${days < soonDays ? `, ${days} days` : ''}`
  }

  #factsOf(certFile: string): CertificateFacts | null {
    for (const { unit, texts } of this.#loads.values()) {
      if (unit.paths[0] === certFile && unit.paths.length === 2)
        return readCertificate(texts[0] as string, certFile)
    }
    return null
  }

  status(): CertificateStatus[] {
    const certificates = this.#snapshot?.tls?.certificates ?? []
    return certificates.map(spec => this.#statusOf(spec))
  }

  #statusOf(spec: CertificateSpec): CertificateStatus {
    const loaded = this.#loads.get(keyOf([spec.certFile, spec.keyFile])) as Loaded
    const facts = readCertificate(loaded.texts[0] as string, spec.certFile)
    return {
      hosts: spec.hosts.length > 0 ? spec.hosts : facts.names,
      file: spec.certFile,
      source: spec.source,
      subject: facts.subject,
      issuer: facts.issuer,
      fingerprint256: facts.fingerprint256,
      notAfterMs: facts.notAfter,
      daysLeft: daysLeft(facts),
      problem: loaded.problem,
    }
  }
}

function daysLeft({ notAfter }: CertificateFacts): number {
  return Math.floor((notAfter - Date.now()) / dayMs)
}

async function load(unit: Unit): Promise<Loaded> {
  const files = await Promise.all(unit.paths.map(read))
  const texts = files.map(file => file.text)
  unit.check(texts)
  return { unit, texts, stamps: files.map(file => file.stamp), problem: '' }
}

async function read(path: string): ReturnType<typeof readTlsFile> {
  try {
    return await readTlsFile(path)
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    const sentence = `${path} can't be read: ${code ?? message}.`
    throw new Failure(edgeFailures.certificateFile, sentence, { cause })
  }
}

/** Every pair and list of authorities once. */
function unitsOf({ tls, upstreams }: EdgeSnapshot): Unit[] {
  const units = new Map<string, Unit>()
  const add = (unit: Unit): void => void units.set(keyOf(unit.paths), unit)
  for (const { certFile, keyFile } of tls?.certificates ?? [])
    add(pairUnit(certFile, keyFile, checkServerPair))
  if (tls?.clientCertificates !== undefined) add(authoritiesUnit(tls.clientCertificates.caFile))
  for (const { tls: own } of upstreams) {
    if (own?.caFile !== undefined) add(authoritiesUnit(own.caFile))
    if (own?.certFile !== undefined && own.keyFile !== undefined)
      add(pairUnit(own.certFile, own.keyFile, checkClientPair))
  }
  return [...units.values()]
}

type PairCheck = (cert: string, key: string, where: string) => void

function pairUnit(certFile: string, keyFile: string, check: PairCheck): Unit {
  return {
    paths: [certFile, keyFile],
    check: ([cert, key]) => check(cert as string, key as string, certFile),
  }
}

function authoritiesUnit(path: string): Unit {
  return { paths: [path], check: ([pem]) => checkAuthorities(pem as string, path) }
}

/** As a worker will use it: what OpenSSL refuses is refused here, where nothing depends on it yet. */
function checkServerPair(cert: string, key: string, where: string): void {
  createTlsServer({
    certificates: [{ hosts: [], cert, key, where }],
    alpn: [],
    minVersion: 'TLSv1.2',
    ticketKeys: randomBytes(48),
    clients: null,
  })
}

function checkClientPair(cert: string, key: string): void {
  createTlsClient({ verify: true, cert, key })
}
