// Automatic certificates: which host's is due, one order after another, and what came of it. Each host has a certificate
// of its own, so that a name that does not lead here yet holds up no other. What the tries came to is kept over restarts:
// a supervisor that dies again and again does not hammer the authority.
//
// A host is `waiting` (none yet, its turn comes) -> `issuing` -> `valid` -> `issuing` (renewal) -> ...; a try that fails
// makes it `failed` until the next one, and a certificate that is still valid is served meanwhile.

import { readFileSync } from 'node:fs'
import type { CheckedAcme } from '../file/index.ts'
import { Failure } from '../kit/failure.ts'
import type { Random } from '../kit/random.ts'
import { hashText } from '../policy/hash.ts'
import { renewAtMs, retryAtMs } from '../policy/renew.ts'
import { type AcmeOrder, type IssuedCertificate, orderCertificate } from './acme-order.ts'
import { type AcmeStore, type HostTrouble, openAcmeStore } from './acme-store.ts'
import type { AcmeHostView } from './control/views.ts'
import { systemFailures } from './failures.ts'

export interface AcmeOptions {
  /** STATE/acme. */
  readonly folder: string
  readonly random: Random
  /** Milliseconds since 1970. */
  nowMs(): number
  order?(order: AcmeOrder): Promise<IssuedCertificate>
  /** Resolves when the edge answers these challenges, and no others. */
  answer(tokens: Readonly<Record<string, string>>): Promise<void>
  /** A host's certificate is new on disk; `first`: it had none. */
  installed(host: string, first: boolean): Promise<void>
  tell(level: 'info' | 'warn', host: string, sentence: string): void
}

/** What is served of it now. */
export interface AcmeFile {
  readonly host: string
  readonly file: string
}

/** Times are looked at again at least this often: the clock may be set, a laptop may sleep. */
const lookMs = 60_000

interface Forced {
  readonly done: Promise<void>
  resolve(): void
  reject(cause: unknown): void
}

export class Acme {
  readonly #options: AcmeOptions
  readonly #order: (order: AcmeOrder) => Promise<IssuedCertificate>
  readonly #tokens = new Map<string, string>()
  /** Asked for by a person, whatever the times say. */
  readonly #forced = new Map<string, Forced>()
  #settings: CheckedAcme | null = null
  #store: AcmeStore | null = null
  #issuing: string | null = null
  #timer: NodeJS.Timeout | null = null
  #begun = false
  #closed = false

  constructor(options: AcmeOptions) {
    this.#options = options
    this.#order = options.order ?? orderCertificate
  }

  /** By these settings from now on; null: none. `caFile` is absolute. */
  follow(settings: CheckedAcme | null): void {
    if (JSON.stringify(settings) === JSON.stringify(this.#settings)) return
    const before = this.#settings
    this.#settings = settings
    if (settings === null) this.#store = null
    else if (this.#store === null || before?.directory !== settings.directory)
      this.#store = openAcmeStore(this.#options.folder, settings.directory)
    for (const [host, { reject }] of this.#forced) {
      if (settings?.hosts.includes(host)) continue
      this.#forced.delete(host)
      reject(unknownHost(host, settings?.hosts ?? []))
    }
    this.#look()
  }

  /** The edge is there to answer: orders may begin. */
  begin(): void {
    this.#begun = true
    this.#look()
  }

  close(): void {
    this.#closed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    for (const { reject } of this.#forced.values())
      reject(new Failure(systemFailures.stopping, 'The system is stopping.'))
    this.#forced.clear()
  }

  /** Certificates that are there, in the order of the file; and the hosts that have none yet. */
  get files(): { readonly issued: readonly AcmeFile[]; readonly missing: readonly string[] } {
    const store = this.#store
    const hosts = this.#settings?.hosts ?? []
    if (store === null) return { issued: [], missing: [] }
    const issued = hosts.filter(host => store.lifeOf(host) !== null)
    return {
      issued: issued.map(host => ({ host, file: store.fileOf(host) })),
      missing: hosts.filter(host => !issued.includes(host)),
    }
  }

  get view(): AcmeHostView[] {
    return (this.#settings?.hosts ?? []).map(host => this.#viewOf(host))
  }

  /**
   * Now, not when it is due. Throws when it can't begin; resolves when all have new certificates, rejects with what the
   * first one failed of.
   */
  renew(host: string | null): Promise<readonly string[]> {
    const hosts = this.#settings?.hosts ?? []
    if (host !== null && !hosts.includes(host)) throw unknownHost(host, hosts)
    const wanted = host === null ? hosts : [host]
    if (wanted.length === 0) throw unknownHost('*', hosts)
    for (const one of wanted) this.#throwWhenAskedToWait(one)
    return this.#renewAll(wanted)
  }

  async #renewAll(wanted: readonly string[]): Promise<readonly string[]> {
    const orders = wanted.map(one => this.#force(one).done)
    this.#look()
    // Each is waited for, so that no rejection is left alone.
    const ends = await Promise.allSettled(orders)
    for (const end of ends) if (end.status === 'rejected') throw end.reason
    return wanted
  }

  #force(host: string): Forced {
    const known = this.#forced.get(host)
    if (known !== undefined) return known
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const forced = { done: promise, resolve, reject }
    this.#forced.set(host, forced)
    return forced
  }

  #throwWhenAskedToWait(host: string): void {
    const untilMs = this.#store?.troubleOf(host)?.askedToWaitUntilMs ?? 0
    if (untilMs <= this.#options.nowMs()) return
    const sentence = `The authority asked for no further request for ${host} before ${new Date(untilMs).toISOString()}.`
    throw new Failure(systemFailures.acmeLimited, sentence)
  }

  #viewOf(host: string): AcmeHostView {
    const store = this.#store as AcmeStore
    const life = store.lifeOf(host)
    const trouble = store.troubleOf(host)
    const dueAt = new Date(this.#dueAtMs(host)).toISOString()
    const validUntil = life === null ? null : new Date(life.notAfterMs).toISOString()
    const base = { host, validUntil, nextTryAt: dueAt }
    if (this.#issuing === host) return { ...base, state: 'issuing', text: 'the authority is being asked' }
    if (trouble !== null && trouble.why !== '')
      return { ...base, state: 'failed', text: `${trouble.why} ${triesText(trouble.failures)}` }
    if (life !== null) return { ...base, state: 'valid', text: 'renewed by itself' }
    return { ...base, state: 'waiting', text: 'its turn comes' }
  }

  // ---- when

  #dueAtMs(host: string): number {
    const store = this.#store as AcmeStore
    const trouble = store.troubleOf(host)
    if (trouble !== null) return trouble.nextTryAtMs
    const life = store.lifeOf(host)
    if (life === null) return 0
    // The same over restarts, another one for each host.
    const unit = hashText(`${host} ${life.notAfterMs}`) / 2 ** 32
    return renewAtMs(life, this.#settings?.renewBeforeMs ?? null, unit)
  }

  /** Begins with the host that is due first, or waits until it is. */
  #look(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    if (!this.#begun || this.#closed || this.#issuing !== null || this.#settings === null) return
    const nowMs = this.#options.nowMs()
    const hosts = this.#settings.hosts
    const forced = hosts.find(host => this.#forced.has(host))
    const due = hosts
      .map(host => ({ host, atMs: host === forced ? -1 : this.#dueAtMs(host) }))
      .sort((a, b) => a.atMs - b.atMs)[0]
    if (due === undefined) return
    if (due.atMs <= nowMs) {
      void this.#issue(due.host)
      return
    }
    this.#timer = setTimeout(() => this.#look(), Math.min(due.atMs - nowMs, lookMs))
    this.#timer.unref()
  }

  // ---- one try

  async #issue(host: string): Promise<void> {
    const store = this.#store as AcmeStore
    const settings = this.#settings as CheckedAcme
    const first = store.lifeOf(host) === null
    const forced = this.#forced.get(host)
    this.#issuing = host
    try {
      this.#noteBegun(store, host)
      this.#options.tell('info', host, first ? 'asking for a certificate' : 'asking for a new certificate')
      const issued = await this.#order(this.#orderOf(store, settings, host))
      store.keepCertificate(host, issued.pem)
      store.keepTrouble(host, null)
      await this.#options.installed(host, first)
      this.#options.tell('info', host, `certificate valid until ${new Date(issued.notAfterMs).toISOString()}`)
      forced?.resolve()
    } catch (cause) {
      this.#failed(store, host, cause)
      forced?.reject(cause)
    } finally {
      if (forced !== undefined && this.#forced.get(host) === forced) this.#forced.delete(host)
      this.#issuing = null
      this.#look()
    }
  }

  #orderOf(store: AcmeStore, settings: CheckedAcme, host: string): AcmeOrder {
    return {
      host,
      directory: settings.directory,
      email: settings.email ?? null,
      ca: settings.caFile === undefined ? null : caText(settings.caFile),
      account: store.account,
      keepAccount: url => store.keepAccount(url),
      answer: (token, keyAuthorization) => {
        this.#tokens.set(token, keyAuthorization)
        return this.#options.answer(Object.fromEntries(this.#tokens))
      },
      forget: token => {
        this.#tokens.delete(token)
        return this.#options.answer(Object.fromEntries(this.#tokens))
      },
    }
  }

  /**
   * A try that a dying supervisor leaves unfinished is made good at once by the next one; one that never gets to an end
   * is made ever more rarely, as one that fails.
   */
  #noteBegun(store: AcmeStore, host: string): void {
    const nowMs = this.#options.nowMs()
    const before = store.troubleOf(host) ?? noTrouble
    const nextTryAtMs = before.unfinished === 0 ? nowMs : retryAtMs(nowMs, before.unfinished, 0, 0.5)
    store.keepTrouble(host, { ...before, unfinished: before.unfinished + 1, nextTryAtMs })
  }

  #failed(store: AcmeStore, host: string, cause: unknown): void {
    const nowMs = this.#options.nowMs()
    const failures = (store.troubleOf(host)?.failures ?? 0) + 1
    const retryAfterMs = cause instanceof Failure ? Number(cause.details.retryAfterMs ?? 0) : 0
    const nextTryAtMs = retryAtMs(nowMs, failures, retryAfterMs, this.#options.random.float())
    const why = String((cause as Error)?.message ?? cause)
    const askedToWaitUntilMs = nowMs + retryAfterMs
    try {
      store.keepTrouble(host, { failures, why, unfinished: 0, nextTryAtMs, askedToWaitUntilMs })
    } catch {
      // A full disk: then it is known until this process ends.
    }
    const next = new Date(nextTryAtMs).toISOString()
    this.#options.tell('warn', host, `no certificate: ${why} Tried again at ${next}`)
  }
}

const noTrouble: HostTrouble = {
  failures: 0,
  why: '',
  unfinished: 0,
  nextTryAtMs: 0,
  askedToWaitUntilMs: 0,
}

function caText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    const sentence = `The authority's own certificate ${file} cannot be read (${(cause as NodeJS.ErrnoException).code}).`
    throw new Failure(systemFailures.acmeUnreachable, sentence, { cause })
  }
}

function triesText(failures: number): string {
  return failures === 1 ? '(1 try)' : `(${failures} tries in a row)`
}

function unknownHost(host: string, hosts: readonly string[]): Failure {
  const there = hosts.length === 0 ? 'the system file names none' : `there are ${hosts.join(', ')}`
  const sentence =
    host === '*'
      ? `There are no automatic certificates: ${there}.`
      : `${host} has no automatic certificate; ${there}.`
  return new Failure(systemFailures.certificateUnknown, sentence)
}
