// The way of a hit: GET of the entry, and behind it on the same connection what the shard's clock says, shared by all
// looks of one turn of the event loop. A tenth of the server's work of a script. It only ever says "fresh and valid" or
// "ask the script": the clock is read after the entry, so what was forgotten before the answer is never taken for valid.

import type { Reply } from '../../../io/redis/link.ts'
import type { RedisServers } from '../../redis/servers.ts'
import { type EntryHead, entryHead } from './entry-text.ts'

interface ClockReading {
  /** Null: the shard has no clock, and no valid entry. */
  readonly epoch: number | null
  readonly counter: number
  /** Counter of the last soft invalidation of everything. */
  readonly soft: number
  readonly nowMs: number
}

export interface FreshEntry {
  readonly head: EntryHead
  readonly raw: Buffer
  readonly nowMs: number
}

export class QuickLook {
  readonly #servers: RedisServers
  /** Readings that this turn's looks wait for. */
  readonly #readings = new Map<number, Promise<ClockReading>>()

  constructor(servers: RedisServers) {
    this.#servers = servers
  }

  async fresh(shard: number, entryKey: string): Promise<FreshEntry | null> {
    const asked = this.#servers.ask<Buffer | null>(shard, ['GET', entryKey])
    const [raw, clock] = await Promise.all([asked, this.#reading(shard)])
    const head = raw === null || clock.epoch === null ? null : entryHead(raw)
    if (head === null) return null
    const { counter, tags } = head
    const timely = head.freshAtMs > clock.nowMs && head.goneAtMs > clock.nowMs
    if (!timely || head.epoch !== clock.epoch || clock.soft > counter) return null
    const untouched = tags === '' || clock.counter <= counter
    if (!untouched && !(await this.#tagsHold(shard, head))) return null
    return { head, raw: raw!, nowMs: clock.nowMs }
  }

  async #tagsHold(shard: number, { tags, epoch, counter }: EntryHead): Promise<boolean> {
    const names = tags.split(',').flatMap(tag => [`t:${tag}`, `s:${tag}`])
    const asked = this.#servers.ask<readonly Reply[]>(shard, ['ZMSCORE', this.#clock(shard), '!', ...names])
    const [era, ...scores] = await asked
    // The epoch again: a clock that began anew in between knows of no tag.
    return Number(era ?? 0) === epoch && scores.every(score => score === null || Number(score) <= counter)
  }

  #reading(shard: number): Promise<ClockReading> {
    const known = this.#readings.get(shard)
    if (known !== undefined) return known
    const reading = new Promise<ClockReading>((resolve, reject) => {
      // After all entries that are asked for in this turn, so that one reading stands behind each of them.
      process.nextTick(() => {
        this.#readings.delete(shard)
        this.#read(shard).then(resolve, reject)
      })
    })
    // Whoever waits hears of a failure; nobody may be left when it comes.
    reading.catch(() => {})
    this.#readings.set(shard, reading)
    return reading
  }

  async #read(shard: number): Promise<ClockReading> {
    const [scores, time] = await Promise.all([
      this.#servers.ask<readonly Reply[]>(shard, ['ZMSCORE', this.#clock(shard), '!', '#', '*']),
      this.#servers.ask<readonly Reply[]>(shard, ['TIME']),
    ])
    const [epoch, counter, soft] = scores
    return {
      epoch: epoch === null ? null : Number(epoch),
      counter: Number(counter ?? 0),
      soft: Number(soft ?? 0),
      nowMs: Number(time[0]) * 1_000 + Math.floor(Number(time[1]) / 1_000),
    }
  }

  #clock(shard: number): string {
    return `${this.#servers.prefixOf(shard)}clock`
  }
}
