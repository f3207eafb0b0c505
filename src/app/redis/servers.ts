// Several Redis servers as one thing that has shards: which server a key's shard is on, what a shard's keys begin with, and
// commands to it. All keys of a shard share a prefix with one hash tag, so a script may touch any of them, in a
// cluster too. One server is one shard; several plain ones are a shard each (ring.ts); a cluster has 64 shards on slots
// that are spread evenly (cluster-map.ts). Knows connections; knows nothing of what is stored.

import { redisFailures } from '../../io/redis/failures.ts'
import {
  type Argument,
  isServerError,
  type LinkSettings,
  RedisLink,
  type Reply,
  serverName,
} from '../../io/redis/link.ts'
import type { Script } from '../../io/redis/script.ts'
import type { Clock } from '../../kit/clock.ts'
import { assert, Failure } from '../../kit/failure.ts'
import type { Random } from '../../kit/random.ts'
import { ClusterMap, clusterShards } from './cluster-map.ts'
import { createRing, ringServersMax } from './ring.ts'
import { slotOf } from './slots.ts'

export interface ServersEvents {
  /** A server of these shards is connected; what it holds may be old. */
  onReady?(shards: readonly number[]): void
  /** Every shard can be asked and heard. */
  onAllReady?(): void
  /** Was ready; at least one shard no longer is. */
  onAway?(server: string, cause: Error): void
  onMessage?(message: string): void
  onFlushed?(): void
  /** In a cluster: another server has the shard since its former one was lost; it may lack its last writes. */
  onTakenOver?(shard: number): void
}

export interface ServersOptions {
  /** `redis://...` one server; several: a shard each, by consistent hashing. For a cluster: some of its servers. */
  readonly urls: readonly string[]
  readonly cluster: boolean
  /** First part of every key: letters, digits, `.`, `_`, `-`. */
  readonly name: string
  readonly clock: Clock
  readonly random: Random
  readonly link?: Partial<LinkSettings>
  readonly events?: ServersEvents
  /** Subscribe to the channel of each shard. */
  readonly listen: boolean
}

export class RedisServers {
  readonly shards: number
  readonly #options: ServersOptions
  readonly #links = new Map<string, RedisLink>()
  readonly #plain: readonly RedisLink[]
  readonly #cluster: ClusterMap | null
  readonly #prefixes: readonly string[]
  readonly #ownerOf: (key: string) => number
  #allReady = false
  #closed = false

  constructor(options: ServersOptions) {
    const { urls, cluster, name } = options
    assert(
      /^[\w.-]{1,64}$/.test(name),
      `a cache or session store is named by 1-64 of A-Z a-z 0-9 . _ -, not ${name}`,
    )
    assert(
      urls.length >= 1 && urls.length <= ringServersMax,
      `1 to ${ringServersMax} Redis servers, not ${urls.length}`,
    )
    this.#options = options
    const names = urls.map(serverName)
    assert(
      new Set(names).size === names.length,
      `a Redis server stands twice in the list: ${names.join(', ')}`,
    )
    this.shards = cluster ? clusterShards : urls.length
    this.#prefixes = cluster ? clusterPrefixes(name) : urls.map(() => `tf:{${name}}:`)
    this.#cluster = cluster ? new ClusterMap(this.#prefixes.map(slotOf)) : null
    const ring = createRing(cluster ? this.#prefixes : names)
    this.#ownerOf = this.shards === 1 ? () => 0 : key => ring.ownerOf(key)
    this.#plain = urls.map(url => this.#linkTo(url))
  }

  /** Resolves when each server was tried once. */
  async attempted(): Promise<void> {
    await Promise.all(this.#plain.map(link => link.attempted))
    await this.#refresh()
    await Promise.all([...this.#links.values()].map(link => link.attempted))
  }

  get ready(): boolean {
    return this.#allReady
  }

  shardOf(key: string): number {
    return this.#ownerOf(key)
  }

  /** What every key of the shard begins with; its hash tag is inside. */
  prefixOf(shard: number): string {
    return this.#prefixes[shard]!
  }

  isReady(shard: number): boolean {
    return this.#link(shard)?.ready === true
  }

  /** Can any server be asked? */
  get anyReady(): boolean {
    for (const link of this.#links.values()) if (link.ready) return true
    return false
  }

  nameOf(shard: number): string {
    return this.#link(shard)?.name ?? `shard ${shard} (no server known)`
  }

  /** Servers by name, for status. */
  links(): readonly RedisLink[] {
    return [...this.#links.values()]
  }

  linkOf(shard: number): RedisLink {
    const link = this.#link(shard)
    if (link === undefined) {
      throw new Failure(redisFailures.away, `No server of the cluster is known for shard ${shard}.`)
    }
    return link
  }

  /** The script on the shard's server. In a cluster a shard that moved is followed. */
  run<T extends Reply>(
    shard: number,
    script: Script,
    keys: readonly Argument[],
    args: readonly Argument[],
  ): Promise<T> {
    return this.#follow(shard, link => link.run<T>(script, keys, args))
  }

  ask<T extends Reply>(shard: number, args: readonly Argument[]): Promise<T> {
    if (this.#cluster === null) return this.#plain[shard]!.ask<T>(args)
    return this.#follow(shard, link => link.ask<T>(args))
  }

  /** What was sent to the shard may not have been heard. */
  distrust(shard: number, cause: Error): void {
    this.#link(shard)?.distrust(cause)
  }

  close(): void {
    this.#closed = true
    for (const link of this.#links.values()) link.close()
  }

  #link(shard: number): RedisLink | undefined {
    if (this.#cluster === null) return this.#plain[shard]
    const name = this.#cluster.serverOf(shard)
    return name === null ? undefined : this.#links.get(name)
  }

  #follow<T>(shard: number, send: (link: RedisLink) => Promise<T>): Promise<T> {
    return this.#cluster === null ? send(this.#plain[shard]!) : this.#followCluster(shard, send)
  }

  async #followCluster<T>(shard: number, send: (link: RedisLink) => Promise<T>): Promise<T> {
    try {
      return await send(this.linkOf(shard))
    } catch (error) {
      if (isServerError(error, 'MOVED') || isServerError(error, 'CLUSTERDOWN') || error instanceof Failure) {
        const moved = isServerError(error, 'MOVED')
        await this.#refresh()
        if (moved) return send(this.linkOf(shard))
      }
      // ASK, TRYAGAIN: the slot is being moved just now. The caller goes without; the next MOVED tells where it is.
      throw error
    }
  }

  async #refresh(): Promise<void> {
    if (this.#closed || this.#cluster === null) return
    const before = Array.from({ length: this.shards }, (_, shard) => this.#link(shard))
    await this.#cluster.refresh([...this.#links.values()])
    this.#followMap()
    const moved = before.flatMap((link, shard) => (link !== this.#link(shard) ? [shard] : []))
    for (const shard of moved) {
      if (before[shard]?.state === 'away') this.#options.events?.onTakenOver?.(shard)
    }
    // Their channels are heard elsewhere from now on: connect anew, subscribe, put right, trust.
    for (const link of new Set(moved.map(shard => this.#link(shard)))) {
      link?.distrust(new Error('the cluster gave it other shards'))
    }
  }

  #followMap(): void {
    for (const name of this.#cluster!.servers()) if (!this.#links.has(name)) this.#linkTo(this.#urlOf(name))
  }

  /** Servers that only the cluster named are reached as the first one is: same user, password and TLS. */
  #urlOf(name: string): string {
    const url = new URL(this.#options.urls[0]!)
    const colon = name.lastIndexOf(':')
    url.hostname = name.slice(0, colon)
    url.port = name.slice(colon + 1)
    return url.href
  }

  #linkTo(url: string): RedisLink {
    const { clock, random, events, listen } = this.#options
    const name = serverName(url)
    const link: RedisLink = new RedisLink({
      url,
      clock,
      random,
      ...(this.#options.link !== undefined && { settings: this.#options.link }),
      ...(listen && { channels: () => this.#channelsOf(name) }),
      events: {
        onReady: () => this.#nowReady(name),
        onAway: (cause, wasReady) => {
          this.#allReady = false
          if (wasReady) events?.onAway?.(name, cause)
          // A cluster chooses another primary within its own time-out; commands find out too (#follow).
          if (this.#cluster !== null) void this.#refresh()
        },
        onMessage: message => events?.onMessage?.(message),
        onFlushed: () => events?.onFlushed?.(),
      },
    })
    this.#links.set(name, link)
    return link
  }

  #nowReady(name: string): void {
    if (this.#cluster?.complete === false) void this.#refresh()
    this.#options.events?.onReady?.(this.#shardsOf(name))
    const ready = Array.from({ length: this.shards }, (_, shard) => shard).every(shard => this.isReady(shard))
    if (!ready || this.#allReady) return
    this.#allReady = true
    this.#options.events?.onAllReady?.()
  }

  #shardsOf(name: string): readonly number[] {
    if (this.#cluster !== null) return this.#cluster.shardsOf(name)
    const shard = this.#options.urls.findIndex(url => serverName(url) === name)
    return [shard]
  }

  #channelsOf(name: string): { names: readonly string[]; sharded: boolean } {
    return {
      names: this.#shardsOf(name).map(shard => channelOf(this.#prefixes[shard]!)),
      sharded: this.#cluster !== null,
    }
  }
}

export function channelOf(prefix: string): string {
  return `${prefix}channel`
}

/** Prefixes whose slots lie in the middle of 64 equal parts of the slots: they spread over servers as slots do. */
function clusterPrefixes(name: string): readonly string[] {
  return Array.from({ length: clusterShards }, (_, shard) => {
    const part = 16_384 / clusterShards
    for (let tries = 0; ; tries++) {
      const prefix = `tf:{${name}.${shard}.${tries}}:`
      if (Math.floor(slotOf(prefix) / part) === shard) return prefix
    }
  })
}
