// Servers that run elsewhere and belong to somebody else: looked at, asked, followed when they change roles among
// themselves. Nothing is started, ended, copied or promoted: who can't fence may not promote.

import { textOf } from '../../io/owned-files.ts'
import { Failure } from '../../kit/failure.ts'
import type { DatabaseRole, DatabaseSpec, LogPosition, ServerTls } from '../contract.ts'
import { databaseFailures } from '../failures.ts'
import type {
  DatabaseServers,
  FoundServer,
  IsolatedServer,
  ServerAddress,
  ServerObservation,
  ServersOptions,
} from './contract.ts'
import { lookOf, lookSql, problemOf, silent } from './look.ts'
import { Places } from './places.ts'
import { keptRoles } from './roles.ts'
import { type Row, Session, type SessionTarget } from './session.ts'

interface Existing {
  readonly id: string
  readonly target: SessionTarget
  readonly look: Session
  readonly work: Session
}

const usualPort = 5432

export class ExistingServers implements DatabaseServers {
  readonly canFence = false
  readonly #options: ServersOptions
  readonly #places: Places
  #spec: DatabaseSpec
  #servers = new Map<string, Existing>()
  #roles: readonly DatabaseRole[] = []
  readonly #listeners: ((id: string) => void)[] = []

  constructor(options: ServersOptions) {
    this.#options = options
    this.#spec = options.spec
    const { stateDirectory, spec } = options
    this.#places = new Places({ stateDirectory, name: spec.name, user: null, directories: {} })
  }

  /** Services' own logins are between them and the router; the servers know one user, that of the addresses. */
  get roles(): readonly DatabaseRole[] {
    return this.#roles
  }

  async open(): Promise<readonly FoundServer[]> {
    this.#take(this.#spec)
    return [...this.#servers.values()].map(({ id, target }) => ({
      id,
      host: target.host,
      port: target.port,
      disk: 'primary' as const,
      running: true,
    }))
  }

  #take(spec: DatabaseSpec): void {
    if (spec.servers.kind !== 'existing') throw new Error(`databases.${spec.name} has servers of our own`)
    const { urls, tls } = spec.servers
    this.#spec = spec
    for (const server of this.#servers.values()) closeBoth(server)
    const targets = urls.map(url => targetOf(url, tls, spec.database))
    this.#servers = new Map(
      targets.map((target, at) => {
        const id = `${spec.name}-${at + 1}`
        const look = new Session(
          () => target,
          () => this.#tell(id),
        )
        return [id, { id, target, look, work: new Session(() => target) }]
      }),
    )
    this.#roles = rolesOf(this.#places.roles, spec, targets)
  }

  #tell(id: string): void {
    for (const listener of this.#listeners) listener(id)
  }

  #server(id: string): Existing {
    const server = this.#servers.get(id)
    if (server !== undefined) return server
    const known = [...this.#servers.keys()].join(', ')
    throw new Failure(
      databaseFailures.serverUnknown,
      `databases.${this.#spec.name} has no server '${id}'; it has ${known}.`,
    )
  }

  address(id: string): ServerAddress {
    const { target } = this.#server(id)
    return { id, host: target.host, port: target.port }
  }

  pid(): null {
    return null
  }

  watch(listener: (id: string) => void): void {
    this.#listeners.push(listener)
  }

  async observe(id: string, timeoutMs: number): Promise<ServerObservation> {
    const { look } = this.#server(id)
    const { clock } = this.#options
    const startUs = clock.monotonic()
    try {
      const { receives: _, ...found } = lookOf((await look.query(lookSql, timeoutMs))[0] as Row)
      const leftMs = Math.max(1, timeoutMs - (clock.monotonic() - startUs) / 1000)
      const readOnly = found.inRecovery ? true : await this.#readOnly(look, leftMs)
      return {
        id,
        processAlive: null,
        answers: true,
        problem: '',
        ...found,
        // Nothing of ours is in a database of others, so nothing is written there to see whether it can be.
        writes: !readOnly,
        tookUs: clock.monotonic() - startUs,
      }
    } catch (error) {
      return silent(id, problemOf(error), null, clock.monotonic() - startUs)
    }
  }

  async #readOnly(look: Session, timeoutMs: number): Promise<boolean> {
    return (await look.query('SHOW default_transaction_read_only', timeoutMs))[0]?.[0] === 'on'
  }

  async query(id: string, sql: string, timeoutMs: number): Promise<readonly Row[]> {
    return this.#server(id).work.query(sql, timeoutMs)
  }

  async change(spec: DatabaseSpec): Promise<{ readonly restart: readonly string[] }> {
    this.#take(spec)
    return { restart: [] }
  }

  release(): void {
    for (const server of this.#servers.values()) closeBoth(server)
    this.#listeners.length = 0
  }

  /** They run already, or somebody else starts them. */
  async start(): Promise<void> {}

  /** They run on: we only stop looking. */
  async stop(): Promise<void> {}

  async create(id: string): Promise<void> {
    throw this.#notOurs(`make ${id}`)
  }

  async fence(id: string): Promise<void> {
    throw this.#notOurs(`fence ${id}`)
  }

  async clone(id: string): Promise<void> {
    throw this.#notOurs(`copy ${id}`)
  }

  async promote(id: string): Promise<LogPosition> {
    throw this.#notOurs(`promote ${id}`)
  }

  async follow(id: string): Promise<'streams' | 'diverged'> {
    throw this.#notOurs(`point ${id} to another server`)
  }

  async setSynchronous(id: string): Promise<void> {
    throw this.#notOurs(`change the durability of ${id}`)
  }

  async keepSlots(id: string): Promise<void> {
    throw this.#notOurs(`keep slots on ${id}`)
  }

  async remove(id: string): Promise<void> {
    throw this.#notOurs(`remove ${id}`)
  }

  async isolate(id: string): Promise<IsolatedServer> {
    throw this.#notOurs(`isolate ${id}`)
  }

  #notOurs(what: string): Failure {
    const sentence = `Tenfold does not ${what}: databases.${this.#spec.name} names servers that run elsewhere, which it can't fence.`
    const remedy =
      'Do it where they are run (`pg_promote()`, Patroni, the provider): Tenfold follows by itself.'
    return new Failure(databaseFailures.notOurs, sentence, { details: { remedy } })
  }
}

function closeBoth({ look, work }: Existing): void {
  look.close()
  work.close()
}

/** The database is the one that the router serves, also where the URL is a secret and names another. */
function targetOf(url: string, tls: ServerTls, database: string): SessionTarget {
  const { hostname, port, username, password } = new URL(url)
  const user = decodeURIComponent(username)
  // An IPv6 address stands in brackets in a URL, and nowhere else.
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  const ssl = sslOf(tls, host)
  return {
    host,
    port: port === '' ? usualPort : Number(port),
    user,
    password: decodeURIComponent(password),
    database,
    ...(ssl === undefined ? {} : { ssl }),
  }
}

function sslOf({ mode, caFile }: ServerTls, host: string): SessionTarget['ssl'] {
  if (mode === 'off') return undefined
  if (mode === 'require') return { rejectUnauthorized: false }
  const ca = caFile === undefined ? null : textOf(caFile)
  if (caFile !== undefined && ca === null)
    throw new Failure(
      databaseFailures.directoryUnusable,
      `The file ${caFile} with the authorities of the database servers can't be read.`,
    )
  // `pg` names the server in the handshake; for an address, this is what its certificate must be for.
  return { rejectUnauthorized: true, host, ...(ca === null ? {} : { ca }) }
}

/** The addresses' own user, and a login at the router for each service. */
function rolesOf(
  path: string,
  spec: DatabaseSpec,
  targets: readonly SessionTarget[],
): readonly DatabaseRole[] {
  const [first] = targets
  const theirs: DatabaseRole[] =
    first === undefined
      ? []
      : [{ name: first.user, password: first.password, access: 'owner', service: null }]
  const services = keptRoles(path, spec.access, false).filter(role => role.service !== null)
  return [...theirs, ...services]
}
