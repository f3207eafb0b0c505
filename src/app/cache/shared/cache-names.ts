// Which caches live on Redis servers, for whoever has to tell all of them. A tier writes its cache's name to each server
// when it connects; besides, whoever listens is known by his channel. Owns the form of both; keeps nothing.
//
// The list is one key without a hash tag. In a cluster one server has it, and the others say MOVED: each is asked.

import { isServerError, type RedisLink, type Reply } from '../../../io/redis/link.ts'

const listKey = 'tf:caches'
/** Those that connected longest ago leave the list first. */
export const cacheNamesMax = 256

/** @param atMs wall clock: by it the oldest go */
export async function enlist(link: RedisLink, names: readonly string[], atMs: number): Promise<void> {
  if (names.length === 0) return
  try {
    await link.ask(['ZADD', listKey, ...names.flatMap(name => [String(atMs), name])])
    await link.ask(['ZREMRANGEBYRANK', listKey, '0', String(-cacheNamesMax - 1)])
  } catch (error) {
    if (!isServerError(error, 'MOVED')) throw error
  }
}

export interface NamesFound {
  /** Null: another server of the cluster has the list. */
  readonly listed: ReadonlySet<string> | null
  /** Somebody listens now. */
  readonly heard: ReadonlySet<string>
}

export async function namesOn(link: RedisLink, cluster: boolean): Promise<NamesFound> {
  const asked = cluster ? 'SHARDCHANNELS' : 'CHANNELS'
  const [listed, channels] = await Promise.all([
    link.ask<readonly Reply[]>(['ZRANGE', listKey, '0', '-1']).catch((error: Error) => {
      if (isServerError(error, 'MOVED')) return null
      throw error
    }),
    link.ask<readonly Reply[]>(['PUBSUB', asked, 'tf:{*}:channel']),
  ])
  const heard = channels.flatMap(channel => nameOfChannel(String(channel), cluster) ?? [])
  return { listed: listed === null ? null : new Set(listed.map(String)), heard: new Set(heard) }
}

/** `tf:{NAME}:channel`; in a cluster `tf:{NAME.SHARD.TRY}:channel`. */
export function nameOfChannel(channel: string, cluster: boolean): string | null {
  const form = cluster ? /^tf:\{([\w.-]{1,64})\.\d+\.\d+\}:channel$/ : /^tf:\{([\w.-]{1,64})\}:channel$/
  return form.exec(channel)?.[1] ?? null
}
