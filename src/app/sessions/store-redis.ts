// Sessions in Redis: a hash each, below it a tombstone where it ended. Each call is one script on one server, by that
// server's time. Where the store does not answer it says so; what that means is the caller's word.

import { randomBytes } from 'node:crypto'
import type { LinkSettings, Reply } from '../../io/redis/link.ts'
import { defineScript, type Script } from '../../io/redis/script.ts'
import { type Clock, systemClock } from '../../kit/clock.ts'
import { Failure } from '../../kit/failure.ts'
import { seededRandom } from '../../kit/random.ts'
import { RedisServers } from '../redis/servers.ts'
import { sessionFailures } from './failures.ts'
import type { Opened, Saved, SessionChange, SessionStore, StoreLimits } from './store.ts'

/** Time in ms; `live` gives a session's fields and ends what is older than it may be. `c` is when it was made. */
const library = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function text(n) return string.format('%.0f', n) end
local function live(key, absolute)
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    if all[i] == 'c' then
      if tonumber(all[i + 1]) + absolute > now then return all, tonumber(all[i + 1]) end
      redis.call('UNLINK', key)
    end
  end
  return nil
end
local function use(key, idle, absolute, created)
  redis.call('PEXPIRE', key, text(math.min(idle, created + absolute - now)))
end
`

/** KEYS session, tombstone. ARGV idle, absolute, touch. */
const openScript: Script = defineScript(`#!lua flags=allow-oom
${library}
local all, created = live(KEYS[1], tonumber(ARGV[2]))
if not all then return { redis.call('GET', KEYS[2]) or 'none' } end
local touch = ARGV[1] - redis.call('PTTL', KEYS[1]) >= tonumber(ARGV[3])
if touch then use(KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), created) end
return { 'found', all, touch and 1 or 0 }
`)

/** KEYS session, tombstone. ARGV idle, absolute, create, bytes max, fields max, count set, names and values, removed... */
const saveScript: Script = defineScript(`
${library}
local idle, absolute, sets = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[6])
local all, created = live(KEYS[1], absolute)
if not all and (ARGV[3] == '0' or redis.call('EXISTS', KEYS[2]) == 1) then return 'gone' end
local fields, set, removed = {}, {}, {}
for i = 1, #(all or {}), 2 do fields[all[i]] = all[i + 1] end
for i = 7 + 2 * sets, #ARGV do
  fields['d:' .. ARGV[i]] = nil
  removed[#removed + 1] = 'd:' .. ARGV[i]
end
for i = 7, 6 + 2 * sets, 2 do
  fields['d:' .. ARGV[i]] = ARGV[i + 1]
  set[#set + 1] = 'd:' .. ARGV[i]
  set[#set + 1] = ARGV[i + 1]
end
local bytes, count = 0, 0
for name, value in pairs(fields) do
  if name ~= 'c' then
    bytes = bytes + #name - 2 + #value
    count = count + 1
  end
end
if bytes > tonumber(ARGV[4]) or count > tonumber(ARGV[5]) then return 'too-big' end
if not all then
  created = now
  set[#set + 1] = 'c'
  set[#set + 1] = text(now)
end
if #set > 0 then redis.call('HSET', KEYS[1], unpack(set)) end
if #removed > 0 then redis.call('HDEL', KEYS[1], unpack(removed)) end
use(KEYS[1], idle, absolute, created)
return 'saved'
`)

/** KEYS session, its tombstone, session of the new id. ARGV tombstone's ms, idle, absolute. */
const rotateScript: Script = defineScript(`#!lua flags=allow-oom
${library}
local all = live(KEYS[1], tonumber(ARGV[3]))
redis.call('SET', KEYS[2], 'rotated', 'PX', ARGV[1])
if not all then return 0 end
redis.call('RENAME', KEYS[1], KEYS[3])
redis.call('HSET', KEYS[3], 'c', text(now))
use(KEYS[3], tonumber(ARGV[2]), tonumber(ARGV[3]), now)
return 1
`)

/** KEYS session, tombstone. ARGV tombstone's ms. */
const endScript: Script = defineScript(`#!lua flags=allow-oom
redis.call('SET', KEYS[2], 'ended', 'PX', ARGV[1])
return redis.call('UNLINK', KEYS[1])
`)

export interface RedisStoreOptions {
  readonly name: string
  readonly redis: string | readonly string[]
  readonly cluster?: boolean
  readonly link?: Partial<LinkSettings>
  readonly clock?: Clock
}

export class RedisStore implements SessionStore {
  readonly servers: RedisServers
  readonly #limits: StoreLimits

  constructor(options: RedisStoreOptions, limits: StoreLimits) {
    this.#limits = limits
    this.servers = new RedisServers({
      urls: typeof options.redis === 'string' ? [options.redis] : options.redis,
      cluster: options.cluster ?? false,
      name: options.name,
      clock: options.clock ?? systemClock,
      random: seededRandom(randomBytes(4).readUInt32LE()),
      listen: false,
      ...(options.link !== undefined && { link: options.link }),
    })
    void this.servers.attempted()
  }

  async open(id: string): Promise<Opened> {
    const { idleMs, absoluteMs, touchMs } = this.#limits
    const reply = await this.#run<Reply[]>(id, openScript, this.#keys(id), [idleMs, absoluteMs, touchMs])
    const kind = String(reply[0])
    if (kind !== 'found') return { kind: kind as 'none' | 'ended' | 'rotated' }
    const words = (reply[1] as readonly Buffer[]).map(word => word.utf8Slice())
    const fields = new Map<string, string>()
    for (let i = 0; i < words.length; i += 2) {
      if (words[i]!.startsWith('d:')) fields.set(words[i]!.slice(2), words[i + 1]!)
    }
    return { kind: 'found', fields, touched: reply[2] === 1 }
  }

  async save(id: string, change: SessionChange): Promise<Saved> {
    const { idleMs, absoluteMs, bytesMax, fieldsMax } = this.#limits
    const bounds = [idleMs, absoluteMs, change.create ? 1 : 0, bytesMax, fieldsMax, change.set.size]
    const args = [...bounds, ...[...change.set].flat(), ...change.removed]
    return String(await this.#run<Buffer>(id, saveScript, this.#keys(id), args)) as Saved
  }

  async rotate(id: string, to: string): Promise<boolean> {
    const { tombstoneMs, idleMs, absoluteMs } = this.#limits
    const keys = [...this.#keys(id), this.#keys(to)[0]!]
    return (await this.#run<number>(id, rotateScript, keys, [tombstoneMs, idleMs, absoluteMs])) === 1
  }

  async end(id: string): Promise<void> {
    await this.#run(id, endScript, this.#keys(id), [this.#limits.tombstoneMs])
  }

  together(id: string, to: string): boolean {
    return this.servers.shardOf(id) === this.servers.shardOf(to)
  }

  async close(): Promise<void> {
    this.servers.close()
  }

  #keys(id: string): readonly string[] {
    const prefix = this.servers.prefixOf(this.servers.shardOf(id))
    return [`${prefix}s:${id}`, `${prefix}x:${id}`]
  }

  async #run<T extends Reply>(
    id: string,
    script: Script,
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<T> {
    try {
      return await this.servers.run<T>(this.servers.shardOf(id), script, keys, args.map(String))
    } catch (cause) {
      const sentence = `The session store does not answer: ${(cause as Error).message}`
      throw new Failure(sessionFailures.storeAway, sentence, { cause })
    }
  }
}
