// The shared tier: entries, leases, fences and tags of one cache in Redis servers, and word of what is forgotten to every
// process. Each call is one script on one shard (scripts.ts). What a server could not be told is told before anything of
// it is served again (missed.ts). Decides nothing about loading: the core does.

import { randomBytes } from 'node:crypto'
import { redisFailures } from '../../../io/redis/failures.ts'
import { isServerError, type LinkSettings, type RedisLink, type Reply } from '../../../io/redis/link.ts'
import { type Clock, systemClock } from '../../../kit/clock.ts'
import { Failure } from '../../../kit/failure.ts'
import { type Random, seededRandom } from '../../../kit/random.ts'
import { channelOf, RedisServers } from '../../redis/servers.ts'
import type {
  FenceNames,
  Forgotten,
  SetOutcome,
  Tier,
  TierAnswer,
  TierEntry,
  TierListener,
} from '../contract.ts'
import { enlist } from './cache-names.ts'
import { entryHead, packedValue, readEntry, tagText } from './entry-text.ts'
import { MissedWords } from './missed.ts'
import { QuickLook } from './quick-look.ts'
import { changeScript, getScript, releaseScript, setScript } from './scripts.ts'

export interface RedisTierOptions {
  /** Of the cache: processes that use the same name share entries. 1-64 of A-Z, a-z, 0-9, `.`, `_`, `-`. */
  readonly name: string
  /** `redis://host:port`; several: by consistent hashing. In a cluster: some of its servers. */
  readonly redis: string | readonly string[]
  readonly cluster?: boolean
  /** A lease ends after this, and another asker may load: 10,000. */
  readonly leaseMs?: number
  /** Values above are compressed: 16 KB. */
  readonly compressAboveBytes?: number
  /** Larger values (compressed, where they are) are refused: 1 MB. */
  readonly valueBytesMax?: number
  readonly link?: Partial<LinkSettings>
  readonly onEvent?: (event: RedisTierEvent) => void
  readonly clock?: Clock
  readonly random?: Random
  /** Forgets for others and keeps nothing: hears of no changes, and makes no name known. */
  readonly outside?: boolean
}

export type RedisTierEvent =
  | { readonly kind: 'server-away'; readonly server: string; readonly cause: Error }
  | { readonly kind: 'all-ready' }
  /** Leases and fences share the memory with entries and may be evicted: safe, but loads may repeat. */
  | { readonly kind: 'evicts-control'; readonly server: string; readonly policy: string }

export interface RedisTierCounts {
  hits: number
  misses: number
  stale: number
  waits: number
  fenced: number
  stored: number
  refused: number
  failed: number
  /** Names that a server could not be told, and later was. */
  toldLater: number
}

/** Keys in one script: a long one would hold up everybody else's commands. */
const keysPerChange = 200
const waitMsMax = 25

interface Message {
  /** Who caused it. */
  readonly o: string
  readonly k?: readonly string[]
  readonly t?: readonly string[]
  readonly e?: boolean
  readonly s?: boolean
  /** Set anew, not gone: the setter has the new value. */
  readonly n?: boolean
}

interface Change {
  readonly what: 'forget' | 'fence' | 'lift'
  readonly names: Forgotten
  readonly token: string
  readonly ttlMs: number
  readonly floor: number
}

export class RedisTier implements Tier {
  readonly name: string
  readonly counts: RedisTierCounts = {
    hits: 0,
    misses: 0,
    stale: 0,
    waits: 0,
    fenced: 0,
    stored: 0,
    refused: 0,
    failed: 0,
    toldLater: 0,
  }
  readonly servers: RedisServers
  readonly #quick: QuickLook
  readonly #options: RedisTierOptions
  readonly #leaseMs: number
  readonly #compressAboveBytes: number
  readonly #valueBytesMax: number
  readonly #origin = randomBytes(9).toString('base64url')
  readonly #listeners = new Set<TierListener>()
  readonly #missed = new MissedWords()
  /** Shards that are being told what they missed. */
  readonly #settling = new Set<number>()
  #heard = false
  #tokens = 0
  #closed = false

  constructor(options: RedisTierOptions) {
    this.name = options.name
    this.#options = options
    this.#leaseMs = options.leaseMs ?? 10_000
    this.#compressAboveBytes = options.compressAboveBytes ?? 16 * 1024
    this.#valueBytesMax = options.valueBytesMax ?? 1024 * 1024
    this.servers = new RedisServers({
      urls: typeof options.redis === 'string' ? [options.redis] : options.redis,
      cluster: options.cluster ?? false,
      name: options.name,
      clock: options.clock ?? systemClock,
      random: options.random ?? seededRandom(randomBytes(4).readUInt32LE()),
      listen: options.outside !== true,
      ...(options.link !== undefined && { link: options.link }),
      events: {
        onReady: shards => this.#onReady(shards),
        onAllReady: () => {
          this.#options.onEvent?.({ kind: 'all-ready' })
          this.#hear()
        },
        onAway: (server, cause) => this.#onAway(server, cause),
        onMessage: message => this.#onMessage(message),
        onFlushed: () => {
          this.#tell({ keys: [], tags: [], everything: true, soft: false })
          for (const link of this.servers.links()) this.#enlist(link)
        },
        onTakenOver: shard => this.#missed.add(shard, [], [], true),
      },
    })
    this.#quick = new QuickLook(this.servers)
  }

  /** Resolves when each server was tried once: then it is usable, or Redis is away. */
  attempted(): Promise<void> {
    return this.servers.attempted()
  }

  get usable(): boolean {
    return this.servers.anyReady
  }

  /** Names that some server was not told yet. */
  get missed(): number {
    return this.#missed.size
  }

  async get(key: string, leased: boolean): Promise<TierAnswer> {
    const shard = this.#trusted(key)
    const keys = this.#keysOf(shard, key)
    try {
      const found = await this.#quick.fresh(shard, keys[0])
      if (found !== null) {
        const read = readEntry(found.head, found.raw, found.nowMs, false, this.#valueBytesMax)
        const entry = read instanceof Promise ? await read : read
        if (entry !== null) {
          this.counts.hits++
          return { kind: 'hit', entry }
        }
      }
      const token = leased ? this.#newToken() : ''
      const args = [leased ? '1' : '0', token, String(this.#leaseMs)]
      return await this.#answer(await this.servers.run<Reply[]>(shard, getScript, keys, args), token)
    } catch (error) {
      this.counts.failed++
      throw error
    }
  }

  async set(key: string, entry: TierEntry, lease: string | null): Promise<SetOutcome> {
    const packed = await packedValue(entry.value, this.#compressAboveBytes, this.#valueBytesMax)
    if (packed === null) return this.#tooBig(key, lease)
    const shard = this.#trusted(key, lease)
    const [mode, token, epoch, counter] = [...leaseWords(lease), '', '0', '0'] as [
      string,
      string,
      string,
      string,
    ]
    const tags = entry.tags.map(tagText)
    const prefix = this.servers.prefixOf(shard)
    const keys = [...this.#keysOf(shard, key), ...tags.map(tag => `${prefix}f:${tag}`)]
    const numbers = [entry.version, entry.freshMs, entry.graceMs, entry.loadMs].map(n =>
      String(Math.round(n)),
    )
    const message: Message = { o: this.#origin, k: [key], n: true }
    const args = [
      mode,
      token,
      epoch,
      counter,
      ...numbers,
      entry.format,
      packed.kind,
      tags.join(','),
      packed.value,
    ]
    try {
      const outcome = await this.#counted(
        this.servers.run<Buffer>(shard, setScript, keys, [...args, ...this.#publish(shard, message)]),
      )
      if (String(outcome) === 'stored') this.counts.stored++
      else this.counts.refused++
      return String(outcome) as SetOutcome
    } catch (error) {
      // What stands there may be older than what the caller knows.
      if (mode !== 'lease') await this.#forgetAfter(key, error as Error)
      throw error
    }
  }

  async lease(key: string): Promise<string | null> {
    const shard = this.#trusted(key)
    const token = this.#newToken()
    const args = ['2', token, String(this.#leaseMs)]
    const reply = await this.#counted(
      this.servers.run<Reply[]>(shard, getScript, this.#keysOf(shard, key), args),
    )
    const kind = String(reply[0])
    if (kind === 'stale') return leaseText(token, reply[4], reply[5])
    return kind === 'miss' ? leaseText(token, reply[1], reply[2]) : null
  }

  async release(key: string, lease: string): Promise<void> {
    const shard = this.#trusted(key)
    const [, token = ''] = leaseWords(lease)
    await this.#counted(this.servers.run(shard, releaseScript, [this.#keysOf(shard, key)[1]!], [token]))
  }

  forget(what: Forgotten): Promise<void> {
    return this.#change({ what: 'forget', names: what, token: '', ttlMs: 0, floor: -1 })
  }

  fence(names: FenceNames, token: string, ttlMs: number): Promise<void> {
    return this.#change({ what: 'fence', names: hard(names), token, ttlMs, floor: -1 })
  }

  lift(names: FenceNames, token: string, floor: number): Promise<void> {
    return this.#change({ what: 'lift', names: hard(names), token, ttlMs: 0, floor })
  }

  subscribe(listener: TierListener): () => void {
    this.#listeners.add(listener)
    if (!this.#heard) listener.lost()
    return () => this.#listeners.delete(listener)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#listeners.clear()
    this.servers.close()
  }

  /** The shard of a key, if what it says can be relied on. A writer's own set may go ahead of what was missed. */
  #trusted(key: string, lease: string | null = ''): number {
    const shard = this.servers.shardOf(key)
    const settled = this.#missed.none(shard) && !this.#settling.has(shard)
    if (this.servers.isReady(shard) && settled) return shard
    this.counts.failed++
    if (lease === null) this.#missed.add(shard, [key], [], false)
    if (this.servers.isReady(shard)) void this.#settle(shard)
    const server = this.servers.nameOf(shard)
    throw new Failure(redisFailures.away, `Redis at ${server} is away, or is being told what it missed.`)
  }

  #keysOf(shard: number, key: string): [entry: string, control: string, clock: string] {
    const prefix = this.servers.prefixOf(shard)
    return [`${prefix}e:${key}`, `${prefix}c:${key}`, `${prefix}clock`]
  }

  #newToken(): string {
    this.#tokens++
    return `${this.#origin}${this.#tokens.toString(36)}`
  }

  async #counted<T>(call: Promise<T>): Promise<T> {
    try {
      return await call
    } catch (error) {
      this.counts.failed++
      throw error
    }
  }

  async #answer(reply: readonly Reply[], token: string): Promise<TierAnswer> {
    const kind = String(reply[0])
    if (kind === 'hit' || kind === 'stale') {
      const raw = reply[1] as Buffer
      const head = entryHead(raw)
      const softly = reply[3] === 1
      const entry =
        head === null ? null : await readEntry(head, raw, Number(reply[2]), softly, this.#valueBytesMax)
      const lease = kind === 'stale' ? leaseText(token, reply[4], reply[5]) : null
      if (entry === null) {
        this.counts.misses++
        return { kind: 'miss', lease }
      }
      if (kind === 'stale') this.counts.stale++
      else this.counts.hits++
      return kind === 'stale' ? { kind, entry, lease } : { kind: 'hit', entry }
    }
    if (kind === 'wait') {
      this.counts.waits++
      return { kind, retryMs: Math.min(waitMsMax, Number(reply[1])) }
    }
    if (kind === 'fenced') {
      this.counts.fenced++
      return { kind }
    }
    this.counts.misses++
    return { kind: 'miss', lease: leaseText(token, reply[1], reply[2]) }
  }

  /** What is too large is not stored, and what was there is no longer the truth. */
  async #tooBig(key: string, lease: string | null): Promise<SetOutcome> {
    this.counts.refused++
    if (leaseWords(lease)[0] === 'lease') await this.release(key, lease!)
    else await this.forget({ keys: [key], tags: [], everything: false, soft: false })
    return 'too-big'
  }

  async #forgetAfter(key: string, cause: Error): Promise<void> {
    const names = { keys: [key], tags: [], everything: false, soft: false }
    if (isServerError(cause)) await this.forget(names).catch(() => {})
    else this.#missedBy(this.servers.shardOf(key), names, cause)
  }

  #publish(shard: number, message: Message): [command: string, channel: string, message: string] {
    const command = this.#options.cluster === true ? 'SPUBLISH' : 'PUBLISH'
    return [command, channelOf(this.servers.prefixOf(shard)), JSON.stringify(message)]
  }

  /** Keys go to their shards; tags and everything to all shards: each has its own clock. */
  async #change(change: Change): Promise<void> {
    const { keys, tags, everything } = change.names
    const byShard = new Map<number, string[]>()
    if (tags.length > 0 || everything) for (const shard of this.#all()) byShard.set(shard, [])
    for (const key of keys) {
      const shard = this.servers.shardOf(key)
      const list = byShard.get(shard)
      if (list === undefined) byShard.set(shard, [key])
      else list.push(key)
    }
    const told = await Promise.allSettled(
      [...byShard].map(([shard, own]) => this.#changeShard(shard, change, own)),
    )
    for (const one of told) if (one.status === 'rejected') throw one.reason
  }

  async #changeShard(shard: number, change: Change, keys: readonly string[]): Promise<void> {
    const names: Forgotten = { ...change.names, keys }
    const settled = this.#missed.none(shard) && !this.#settling.has(shard)
    try {
      // Behind what it missed, or a fence would be lifted before it stood.
      if (!settled) {
        const server = this.servers.nameOf(shard)
        throw new Failure(redisFailures.away, `Redis at ${server} is being told what it missed.`)
      }
      await this.#counted(this.#sendChange(shard, { ...change, names }))
    } catch (error) {
      this.#missedBy(shard, names, error as Error)
      throw error
    }
  }

  async #sendChange(shard: number, change: Change): Promise<void> {
    const { keys, tags, everything } = change.names
    const pieces: (readonly string[])[] = []
    for (let at = 0; at < keys.length || at === 0; at += keysPerChange) {
      pieces.push(keys.slice(at, at + keysPerChange))
    }
    await Promise.all(
      pieces.map((piece, index) => {
        const first = index === 0
        const names = {
          ...change.names,
          keys: piece,
          tags: first ? tags : [],
          everything: first && everything,
        }
        return this.#sendPiece(shard, { ...change, names })
      }),
    )
  }

  #sendPiece(shard: number, { what, names, token, ttlMs, floor }: Change): Promise<Reply> {
    const prefix = this.servers.prefixOf(shard)
    const tags = names.tags.map(tagText)
    const keys = [`${prefix}clock`]
    if (what !== 'forget') for (const tag of tags) keys.push(`${prefix}f:${tag}`)
    for (const key of names.keys) keys.push(`${prefix}e:${key}`, `${prefix}c:${key}`)
    const message: Message = {
      o: this.#origin,
      ...(names.keys.length > 0 && { k: names.keys }),
      ...(names.tags.length > 0 && { t: names.tags }),
      ...(names.everything && { e: true }),
      ...(names.soft && { s: true }),
    }
    const flags = [names.soft ? '1' : '0', names.everything ? '1' : '0']
    const args = [
      what,
      token,
      String(ttlMs),
      String(floor),
      ...flags,
      ...this.#publish(shard, message),
      ...tags,
    ]
    return this.servers.run(shard, changeScript, keys, args)
  }

  /** A server that may not have heard is not asked again before it has: its connection is given up. */
  #missedBy(shard: number, names: Forgotten, cause: Error): void {
    this.#missed.add(shard, names.keys, names.tags, names.everything)
    this.servers.distrust(shard, cause)
  }

  #onReady(shards: readonly number[]): void {
    for (const shard of shards) if (!this.#missed.none(shard)) void this.#settle(shard)
    const [first] = shards
    if (first === undefined) return
    void this.#look(first)
    this.#enlist(this.servers.linkOf(first))
  }

  /** For who tells all caches of changes; until it is written, our channel says that we are there. */
  #enlist(link: RedisLink): void {
    if (this.#options.outside === true) return
    const now = (this.#options.clock ?? systemClock).wall()
    enlist(link, [this.name], Math.floor(now / 1_000)).catch(() => {})
  }

  async #settle(shard: number): Promise<void> {
    if (this.#settling.has(shard) || this.#closed) return
    this.#settling.add(shard)
    let names = this.#missed.take(shard)
    try {
      for (; names !== null; names = this.#missed.take(shard)) {
        await this.#sendChange(shard, { what: 'forget', names, token: '', ttlMs: 0, floor: -1 })
        this.counts.toldLater += names.everything ? 1 : names.keys.length + names.tags.length
      }
    } catch (error) {
      this.#missedBy(shard, names!, error as Error)
    } finally {
      this.#settling.delete(shard)
      this.#hear()
    }
  }

  #onAway(server: string, cause: Error): void {
    this.#options.onEvent?.({ kind: 'server-away', server, cause })
    if (!this.#heard) return
    this.#heard = false
    for (const listener of this.#listeners) listener.lost()
  }

  /** Everything is heard again once all servers are back and know what they missed. */
  #hear(): void {
    if (this.#heard || this.#closed || !this.servers.ready) return
    if (this.#missed.size > 0 || this.#settling.size > 0) return
    this.#heard = true
    for (const listener of this.#listeners) listener.regained()
  }

  #onMessage(text: string): void {
    const message = JSON.parse(text) as Message
    if (message.n === true && message.o === this.#origin) return
    this.#tell({
      keys: message.k ?? [],
      tags: message.t ?? [],
      everything: message.e ?? false,
      soft: message.s ?? false,
    })
  }

  #tell(what: Forgotten): void {
    for (const listener of this.#listeners) listener.forget(what)
  }

  /** Some services of Redis allow no CONFIG: then nothing is known, and nothing said. */
  async #look(shard: number): Promise<void> {
    const reply = await this.servers
      .ask<Reply>(shard, ['CONFIG', 'GET', 'maxmemory-policy'])
      .catch(() => null)
    const policy = String(
      Array.isArray(reply) ? reply[1] : (reply as Record<string, Reply>)?.['maxmemory-policy'],
    )
    if (!policy.startsWith('allkeys-')) return
    this.#options.onEvent?.({ kind: 'evicts-control', server: this.servers.nameOf(shard), policy })
  }

  *#all(): Iterable<number> {
    for (let shard = 0; shard < this.servers.shards; shard++) yield shard
  }
}

function hard(names: FenceNames): Forgotten {
  return { keys: names.keys, tags: names.tags, everything: false, soft: false }
}

/** Ours begin with `lease:`; whatever else a caller hands in is a fence's token. */
function leaseText(token: string, epoch: Reply | undefined, counter: Reply | undefined): string | null {
  const known = epoch === undefined ? '' : String(epoch)
  return known === '' ? null : `lease:${token}:${known}:${String(counter)}`
}

function leaseWords(lease: string | null): readonly string[] {
  if (lease === null) return ['plain']
  return lease.startsWith('lease:') ? lease.split(':') : ['fence', lease]
}

/** A tier in Redis for `createCache({ tier })`. It is usable at once; until Redis answers, calls are refused. */
export function createRedisTier(options: RedisTierOptions): RedisTier {
  const tier = new RedisTier(options)
  void tier.attempted()
  return tier
}
