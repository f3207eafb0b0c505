// What no single key of a database can know: services that it names, servers that copy each other, what its durability
// needs, places that are taken. One small check a rule.

import type { CheckedListen, CheckedSystem } from './checked.ts'
import type { CheckedDatabase, CheckedServer } from './checked-databases.ts'
import type { Findings } from './cross-checks.ts'
import { shardGroups } from './database-shards.ts'
import { fileFailures } from './failures.ts'
import { keyPath } from './plain.ts'
import type { Problem } from './results.ts'
import { nearest } from './values.ts'

type Extra = Pick<Problem, 'allowed' | 'remedy' | 'value'>

export interface Taken extends CheckedListen {
  /** Key path: `edge.listen.http`. */
  readonly key: string
}

/** `taken`: where the edge and the control API listen (TCP). */
export function checkDatabases(system: CheckedSystem, taken: readonly Taken[], found: Findings): void {
  const places: Taken[] = [...taken]
  for (const database of Object.values(system.databases)) {
    const path = keyPath('databases', database.name)
    checkPlace(database, path, places, found)
    checkAccess(system, database, path, found)
    checkCopies(database, path, found)
    checkDurability(database, path, found)
    checkWeights(database, path, found)
    checkPool(database, path, found)
    checkSafety(database, path, found)
    checkReads(database, path, found)
    checkUrls(database, path, found)
    for (const group of shardGroups(database))
      if (system.databases[group.name] !== undefined)
        conflict(found, path, `has a shard that is called '${group.name}', as another database is`, {
          remedy: `Give the database '${group.name}' another name.`,
        })
  }
}

function conflict(found: Findings, path: string, message: string, extra: Extra = {}): void {
  found.problems.push({ code: fileFailures.conflict.code, path, message, ...extra })
}

function doubt(found: Findings, path: string, message: string, remedy: string): void {
  found.warnings.push({ code: fileFailures.doubtful.code, path, message, remedy })
}

const wildcards = ['0.0.0.0', '::']
const isLoopback = (host: string): boolean =>
  host.startsWith('127.') || host === '::1' || host === '[::1]' || host === 'localhost'

/** May two listeners not be there at once? */
export function overlap(a: CheckedListen, b: CheckedListen): boolean {
  if (a.port === 0 || a.port !== b.port) return false
  return a.host === b.host || wildcards.includes(a.host) || wildcards.includes(b.host)
}

function checkPlace({ listen, tls }: CheckedDatabase, path: string, places: Taken[], found: Findings): void {
  const earlier = places.find(place => overlap(place, listen))
  places.push({ ...listen, key: `${path}.listen` })
  if (earlier)
    conflict(found, `${path}.listen`, `and ${earlier.key} both want port ${listen.port}`, {
      remedy: 'Give one of them another port.',
    })
  if (!isLoopback(listen.host) && tls === undefined)
    doubt(
      found,
      `${path}.listen`,
      'can be reached from other machines, and what clients send can be read on the way',
      "Add 'tls', or listen on 127.0.0.1.",
    )
}

function checkAccess(
  system: CheckedSystem,
  { access }: CheckedDatabase,
  path: string,
  found: Findings,
): void {
  const names = Object.keys(system.services)
  for (const name of Object.keys(access ?? {})) {
    const service = system.services[name]
    const key = keyPath(`${path}.access`, name)
    if (service === undefined) {
      const near = nearest(name, names)
      found.problems.push({
        code: fileFailures.unknownService.code,
        path: key,
        message: 'is not a service of this file',
        allowed: names.length > 0 ? names.map(one => `'${one}'`).join(', ') : 'none: `services` is empty',
        ...(near ? { remedy: `Did you mean '${near}'?` } : {}),
      })
    } else if (service.kind === 'addresses')
      conflict(found, key, 'runs elsewhere, where Tenfold gives it no DATABASE_URL', {
        remedy: 'Leave it out.',
      })
  }
}

/** Each copy leads to the primary in the end. */
function checkCopies({ servers }: CheckedDatabase, path: string, found: Findings): void {
  if (servers.kind !== 'embedded') return
  const { members } = servers
  members.slice(1).forEach((member, index) => {
    const key = `${path}.replicas[${index}].from`
    if (member.from === 'primary') return
    if (!members.some(one => one.id === member.from))
      conflict(found, key, 'is not a server of this database', {
        value: JSON.stringify(member.from),
        allowed: ['primary', ...members.map(one => one.id)].map(one => `'${one}'`).join(', '),
      })
    else if (leadsBack(member, members))
      conflict(found, key, 'leads back to the replica itself', { remedy: "Write from: 'primary'." })
  })
}

function leadsBack(member: CheckedServer, members: readonly CheckedServer[]): boolean {
  let at: CheckedServer | undefined = member
  for (let steps = 0; at !== undefined && steps <= members.length; steps++) {
    const { from }: CheckedServer = at
    at = from === 'primary' ? undefined : members.find(one => one.id === from)
  }
  return at !== undefined
}

/** Replicas that the primary can wait for: not delayed, and copying the primary itself. */
function waitedFor(members: readonly CheckedServer[]): number {
  return members.slice(1).filter(one => one.delayMs === 0 && one.from === 'primary').length
}

function checkDurability({ servers, durability }: CheckedDatabase, path: string, found: Findings): void {
  if (servers.kind !== 'embedded' || durability === 'primary') return
  const count = waitedFor(servers.members)
  if (count === 0)
    conflict(
      found,
      `${path}.durability`,
      `is '${durability}', but no replica copies the primary without delay`,
      { remedy: "Write replicas: 2, or durability: 'primary'." },
    )
  else if (count === 1 && durability === 'one-replica')
    doubt(
      found,
      `${path}.durability`,
      "is 'one-replica' with one replica that can be waited for: while it is away, no write is acknowledged",
      'Write replicas: 2.',
    )
}

const idsOf = ({ servers, name }: CheckedDatabase): string[] =>
  servers.kind === 'embedded'
    ? servers.members.map(one => one.id)
    : servers.urls.map((_, index) => `${name}-${index + 1}`)

function checkWeights(database: CheckedDatabase, path: string, found: Findings): void {
  const ids = idsOf(database)
  for (const id of Object.keys(database.weights))
    if (!ids.includes(id))
      conflict(found, keyPath(`${path}.weights`, id), 'is not a server of this database', {
        allowed: ids.map(one => `'${one}'`).join(', '),
      })
}

/** What our servers are made with; of these Tenfold's own connections and reserves take some. */
const connectionsMax = 120
const connectionsKept = 20

function checkPool({ servers, pool }: CheckedDatabase, path: string, found: Findings): void {
  if (servers.kind !== 'embedded') return
  const told = servers.settings.max_connections
  const max = told === undefined ? connectionsMax : Number(told)
  if (!Number.isInteger(max) || pool.sizeMax + connectionsKept <= max) return
  const needed = pool.sizeMax + connectionsKept
  conflict(found, `${path}.pool.size`, `is more than servers with max_connections ${max} can serve`, {
    value: String(pool.sizeMax),
    remedy: `Write settings: { max_connections: ${needed} }, or a smaller pool: clients share it.`,
  })
}

const isOff = (value: string | undefined): boolean => /^(off|false|no|0)$/i.test(value ?? '')

/** What PostgreSQL takes without a word, and what is then not true any more that the file promises. */
function checkSafety({ servers, durability }: CheckedDatabase, path: string, found: Findings): void {
  if (servers.kind !== 'embedded') return
  const { settings } = servers
  for (const name of ['fsync', 'full_page_writes'])
    if (isOff(settings[name]))
      doubt(
        found,
        `${path}.settings.${name}`,
        'is off: when the machine fails, all data may be lost, acknowledged or not',
        'Leave it out, except for data that nobody needs.',
      )
  const commit = settings.synchronous_commit
  if (durability !== 'primary' && (isOff(commit) || commit === 'local'))
    doubt(
      found,
      `${path}.settings.synchronous_commit`,
      `is '${commit}': commits are acknowledged before a replica has them, in spite of durability '${durability}'`,
      "Leave it out, and let single transactions say SET LOCAL synchronous_commit = 'off'.",
    )
}

function checkReads(database: CheckedDatabase, path: string, found: Findings): void {
  const { servers, reads } = database
  const readable =
    servers.kind === 'embedded'
      ? servers.members.slice(1).filter(one => one.delayMs === 0).length
      : servers.urls.length - 1
  if (reads.kind !== 'primary' && readable === 0)
    doubt(
      found,
      `${path}.reads`,
      `is '${reads.kind}', but there is no replica to read from: the primary serves every read`,
      servers.kind === 'embedded' ? 'Write replicas: 2.' : "Name the replicas in 'servers', too.",
    )
}

function checkUrls({ servers, database }: CheckedDatabase, path: string, found: Findings): void {
  if (servers.kind !== 'existing') return
  const seen = new Map<string, number>()
  servers.urls.forEach((url, index) => {
    const key = `${path}.servers[${index}]`
    const place = typeof url === 'string' ? hostAndPort(url) : `secret ${url.secret}`
    const earlier = seen.get(place)
    seen.set(place, index)
    if (earlier !== undefined)
      conflict(found, key, `is the same as servers[${earlier}]`, { remedy: 'Keep one.' })
    if (typeof url !== 'string') return
    const named = /^[a-z]+:\/\/[^/?]*\/([^?]+)/.exec(url)?.[1]
    if (named !== undefined && named !== database)
      conflict(found, key, `names the database '${named}', and clients get '${database}'`, {
        remedy: `Write database: '${named}', or leave '/${named}' out.`,
      })
    if (servers.tls.mode === 'off' && !isLoopback(place.replace(/:\d+$/, '')))
      doubt(
        found,
        key,
        'is on another machine, and what Tenfold sends there can be read on the way',
        "Write serverTls: { mode: 'verify' }.",
      )
    if (/^[a-z]+:\/\/[^/@]*:[^/@]*@/.test(url))
      doubt(found, key, 'holds a password', "Keep it out of the file: secret('NAME').")
  })
}

function hostAndPort(url: string): string {
  const authority = url.replace(/^[a-z]+:\/\//, '').replace(/[/?].*$/, '')
  const place = authority.slice(authority.lastIndexOf('@') + 1).toLowerCase()
  return /:\d+$/.test(place) ? place : `${place}:5432`
}
