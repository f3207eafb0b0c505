// All caches of some Redis servers, for one who knows what has changed but not which caches there are: the change feed.
// Owns a tier for each cache that it found (tiers that only forget). What could not be told is told when the server is
// back, before anything else; and whoever asked is refused meanwhile, so that he asks again.

import { randomBytes } from 'node:crypto'
import { redisFailures } from '../../../io/redis/failures.ts'
import type { LinkSettings, RedisLink } from '../../../io/redis/link.ts'
import { type Clock, systemClock } from '../../../kit/clock.ts'
import { Failure } from '../../../kit/failure.ts'
import { seededRandom } from '../../../kit/random.ts'
import { RedisServers } from '../../redis/servers.ts'
import type { Forgotten } from '../contract.ts'
import { cacheNamesMax, enlist, type NamesFound, namesOn } from './cache-names.ts'
import { RedisTier } from './redis-tier.ts'

/** A server of it that is away is waited for so long each time, and reported then. */
const clusterMsMax = 3_000
const lookEveryMs = 20

export interface EveryCacheAddress {
  readonly urls: readonly string[]
  readonly cluster: boolean
  readonly link?: Partial<LinkSettings>
  readonly clock?: Clock
}

export class EveryCache {
  readonly #address: EveryCacheAddress
  readonly #clock: Clock
  readonly #servers: RedisServers
  readonly #tiers = new Map<string, RedisTier>()
  #closed = false

  constructor(address: EveryCacheAddress) {
    this.#address = address
    this.#clock = address.clock ?? systemClock
    this.#servers = new RedisServers({
      urls: address.urls,
      cluster: address.cluster,
      name: 'every-cache',
      clock: this.#clock,
      random: seededRandom(randomBytes(4).readUInt32LE()),
      listen: false,
      ...(address.link !== undefined && { link: address.link }),
    })
  }

  /** Caches that were found. */
  get names(): readonly string[] {
    return [...this.#tiers.keys()]
  }

  /** Resolves when no process can get from these servers, or holds, what is older. @throws where one was not told */
  async forget(what: Partial<Forgotten>): Promise<void> {
    await this.#connected(this.#servers)
    const { names, cause } = await this.#find()
    if (names.size > cacheNamesMax)
      throw new Error(
        `${names.size} caches have names there, and at most ${cacheNamesMax} are told of changes`,
      )
    this.#follow(names, cause === null)
    const whole: Forgotten = { keys: [], tags: [], everything: false, soft: false, ...what }
    const told = await Promise.allSettled([...this.#tiers.values()].map(tier => this.#tell(tier, whole)))
    for (const one of told) if (one.status === 'rejected') throw one.reason
    if (cause !== null) throw cause
  }

  /** Of the servers that answer; `cause`: why that may not be all of them. */
  async #find(): Promise<{ names: ReadonlySet<string>; cause: Error | null }> {
    const links = this.#servers.links()
    const asked = await Promise.allSettled(links.map(link => namesOn(link, this.#address.cluster)))
    const found: NamesFound[] = []
    let cause: Error | null = null
    for (const [index, one] of asked.entries()) {
      if (one.status === 'rejected') cause = one.reason as Error
      else {
        found.push(one.value)
        await this.#mend(links[index] as RedisLink, one.value)
      }
    }
    // Servers that a cluster replaced stay away for good; whoever has the list now is enough.
    const listed = found.some(one => one.listed !== null)
    if (this.#address.cluster && listed) cause = null
    else if (!listed) cause ??= new Failure(redisFailures.away, 'No server has the list of caches.')
    return { names: new Set(found.flatMap(({ listed, heard }) => [...(listed ?? []), ...heard])), cause }
  }

  /** A list that was evicted or emptied lacks those who are connected. */
  async #mend(link: RedisLink, { listed, heard }: NamesFound): Promise<void> {
    const missing = listed === null ? [] : [...heard].filter(name => !listed.has(name))
    await enlist(link, missing, Math.floor(this.#clock.wall() / 1_000))
  }

  /** @param all these are all; otherwise those that were known stay */
  #follow(names: ReadonlySet<string>, all: boolean): void {
    if (this.#closed) throw new Failure(redisFailures.closed, 'The caches of these servers are told no more.')
    for (const [name, tier] of this.#tiers) {
      if (!all || names.has(name) || tier.missed > 0) continue
      this.#tiers.delete(name)
      void tier.close()
    }
    const { urls, cluster, link } = this.#address
    for (const name of names) {
      if (this.#tiers.has(name)) continue
      const tier = new RedisTier({
        name,
        redis: urls,
        cluster,
        outside: true,
        clock: this.#clock,
        ...(link !== undefined && { link }),
      })
      this.#tiers.set(name, tier)
    }
  }

  async #tell(tier: RedisTier, what: Forgotten): Promise<void> {
    await this.#connected(tier.servers)
    await tier.forget(what)
  }

  /** A cluster's servers are connected once more when it has said who has what. */
  async #connected(servers: RedisServers): Promise<void> {
    await servers.attempted()
    if (!this.#address.cluster) return
    for (let waitedMs = 0; !servers.ready && waitedMs < clusterMsMax; waitedMs += lookEveryMs)
      await new Promise(resolve => setTimeout(resolve, lookEveryMs))
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#servers.close()
    await Promise.all([...this.#tiers.values()].map(tier => tier.close()))
    this.#tiers.clear()
  }
}
