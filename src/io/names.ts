// Names to addresses, asked of DNS directly so that the time-to-live is known: A, AAAA and SRV. One question, one
// answer: when to ask again and what to keep meanwhile is decided by whoever asks.

import { promises as dns, Resolver } from 'node:dns'
import { isIP } from 'node:net'

export interface ResolvedAddress {
  readonly address: string
  /** Null for A and AAAA answers. */
  readonly port: number | null
  /** RFC 2782: lower is used first. 0 for A and AAAA answers. */
  readonly priority: number
  /** RFC 2782, at least 1. 1 for A and AAAA answers. */
  readonly weight: number
}

/** Empty only where SRV says that the service is decidedly not there. */
export interface NameAnswer {
  readonly addresses: readonly ResolvedAddress[]
  /** How long it may be used; null where nobody said (SRV records, the hosts file). */
  readonly ttlMs: number | null
}

export interface Names {
  /** A and AAAA of a host name, in a stable order. Rejects with a sentence when no server gave an answer. */
  host(name: string): Promise<NameAnswer>
  /** SRV, with the addresses of every target. */
  service(name: string): Promise<NameAnswer>
  /** Ends questions in flight; they reject. */
  close(): void
}

export interface NamesOptions {
  /** `10.0.0.2`, `10.0.0.2:53`; absent: those of the machine, and its hosts file for names that DNS does not know. */
  readonly servers?: readonly string[]
  /** For one server, one try; there are two tries. */
  readonly timeoutMs?: number
}

const targetsMax = 64
const noSuchRecord = new Set(['ENODATA', 'ENOTFOUND'])

export function createNames(options: NamesOptions = {}): Names {
  const resolver = new Resolver({ timeout: options.timeoutMs ?? 2000, tries: 2 })
  if (options.servers) resolver.setServers([...options.servers])
  const host = (name: string): Promise<NameAnswer> =>
    resolveHost(resolver, name, options.servers === undefined)
  return {
    host,
    service: name => resolveService(resolver, name, host),
    close: () => resolver.cancel(),
  }
}

interface TimedAddress {
  readonly address: string
  readonly ttl: number
}
type Outcome = { readonly found: readonly TimedAddress[] } | { readonly error: NodeJS.ErrnoException }

async function resolveHost(resolver: Resolver, name: string, hostsFile: boolean): Promise<NameAnswer> {
  if (isIP(name)) return { addresses: [plain(name)], ttlMs: null }
  // RFC 6761 section 6.3: never asked of DNS.
  if (name === 'localhost' || name.endsWith('.localhost')) return lookup(name)
  const outcomes = await Promise.all([ask(resolver, 'A', name), ask(resolver, 'AAAA', name)])
  const found = outcomes.flatMap(outcome => ('found' in outcome ? outcome.found : []))
  const errors = outcomes.flatMap(outcome => ('error' in outcome ? [outcome.error] : []))
  // One family that could not be asked makes the answer a part of the truth: members would come and go with it.
  const broken = errors.find(error => !noSuchRecord.has(error.code ?? ''))
  if (broken) throw new Error(`${name}: ${explain(broken)}`, { cause: broken })
  if (found.length > 0) return answer(found)
  const missing = errors.every(error => error.code === 'ENOTFOUND')
  if (hostsFile && missing) return lookup(name)
  throw new Error(`${name}: ${missing ? 'no such name (NXDOMAIN)' : 'has no address (NODATA)'}`)
}

function ask(resolver: Resolver, kind: 'A' | 'AAAA', name: string): Promise<Outcome> {
  return new Promise(resolve => {
    const done = (error: NodeJS.ErrnoException | null, found: TimedAddress[]): void =>
      resolve(error ? { error } : { found })
    if (kind === 'A') resolver.resolve4(name, { ttl: true }, done)
    else resolver.resolve6(name, { ttl: true }, done)
  })
}

function answer(found: readonly TimedAddress[]): NameAnswer {
  const addresses = [...new Set(found.map(entry => entry.address))].sort().map(plain)
  return { addresses, ttlMs: Math.min(...found.map(entry => entry.ttl)) * 1000 }
}

function plain(address: string): ResolvedAddress {
  return { address, port: null, priority: 0, weight: 1 }
}

/** The machine's own way (hosts file and what else it is set up for). Only for names of which DNS knows nothing. */
async function lookup(name: string): Promise<NameAnswer> {
  try {
    const found = await dns.lookup(name, { all: true })
    return { addresses: [...new Set(found.map(entry => entry.address))].sort().map(plain), ttlMs: null }
  } catch (error) {
    throw new Error(`${name}: ${explain(error as NodeJS.ErrnoException)}`, { cause: error })
  }
}

function explain(error: NodeJS.ErrnoException): string {
  const code = error.code ?? error.message
  if (code === 'ENODATA') return 'has no such record (NODATA)'
  if (code === 'ENOTFOUND') return 'no such name (NXDOMAIN)'
  if (code === 'ETIMEOUT') return 'no name server answered in time'
  if (code === 'ECONNREFUSED') return 'no name server could be reached'
  if (code === 'ESERVFAIL') return 'the name server failed (SERVFAIL)'
  return `the name server answered ${code}`
}

interface ServiceRecord {
  readonly name: string
  readonly port: number
  readonly priority: number
  readonly weight: number
}

async function resolveService(
  resolver: Resolver,
  name: string,
  host: (name: string) => Promise<NameAnswer>,
): Promise<NameAnswer> {
  const records = (await askService(resolver, name)).filter(
    record => record.name !== '' && record.name !== '.',
  )
  const kept = records.sort(byRank).slice(0, targetsMax)
  const answers = await Promise.all(kept.map(record => host(record.name)))
  const addresses = kept.flatMap((record, index) =>
    (answers[index] as NameAnswer).addresses.map(({ address }) => ({
      address,
      port: record.port,
      priority: record.priority,
      weight: Math.max(1, record.weight),
    })),
  )
  const ttls = answers.flatMap(found => found.ttlMs ?? [])
  return { addresses, ttlMs: ttls.length > 0 ? Math.min(...ttls) : null }
}

/** A target of "." means that the service is decidedly not there (RFC 2782): an empty answer, not a failure. */
function askService(resolver: Resolver, name: string): Promise<ServiceRecord[]> {
  return new Promise((resolve, reject) => {
    resolver.resolveSrv(name, (error, records) => {
      if (error === null) resolve(records)
      else reject(new Error(`${name}: ${explain(error)}`, { cause: error }))
    })
  })
}

function byRank(a: ServiceRecord, b: ServiceRecord): number {
  return a.priority - b.priority || a.name.localeCompare(b.name) || a.port - b.port
}
