// Which server of a Redis Cluster has which shard, as the cluster's servers tell it (CLUSTER SLOTS). Asks through
// connections that it is handed; opens none, and never decides that a server is dead.

import type { RedisLink } from '../../io/redis/link.ts'

/** Enough for 16 servers with four shards each; a purge by tag costs so many small commands. */
export const clusterShards = 64

interface Range {
  readonly from: number
  readonly to: number
  readonly server: string
}

export class ClusterMap {
  readonly #slots: readonly number[]
  #owners: readonly (string | null)[]
  #refreshing: Promise<void> | null = null

  /** @param slots slot of each shard */
  constructor(slots: readonly number[]) {
    this.#slots = slots
    this.#owners = slots.map(() => null)
  }

  /** `host:port`, or null: nobody has told. */
  serverOf(shard: number): string | null {
    return this.#owners[shard] ?? null
  }

  /** Is the server of every shard known? */
  get complete(): boolean {
    return this.#owners.every(owner => owner !== null)
  }

  shardsOf(server: string): readonly number[] {
    return this.#owners.flatMap((owner, shard) => (owner === server ? [shard] : []))
  }

  servers(): readonly string[] {
    return [...new Set(this.#owners.filter(owner => owner !== null))]
  }

  /** Asks the first server that answers; keeps what was known when none does. One at a time. */
  refresh(links: readonly RedisLink[]): Promise<void> {
    this.#refreshing ??= this.#ask(links).finally(() => {
      this.#refreshing = null
    })
    return this.#refreshing
  }

  async #ask(links: readonly RedisLink[]): Promise<void> {
    for (const link of links.filter(one => one.ready)) {
      const ranges = await link.ask(['CLUSTER', 'SLOTS']).then(
        reply => rangesOf(reply, link.name),
        () => null,
      )
      if (ranges === null || ranges.length === 0) continue
      this.#owners = this.#slots.map(
        slot => ranges.find(range => range.from <= slot && slot <= range.to)?.server ?? null,
      )
      return
    }
  }
}

/** `[[from, to, [host, port, id, ...], replicas...], ...]`; an empty host is the one who answers. */
function rangesOf(reply: unknown, teller: string): readonly Range[] {
  if (!Array.isArray(reply)) return []
  return reply.map(([from, to, primary]: [number, number, [Buffer | null, number]]) => {
    const host = String(primary[0] ?? '')
    const known = host === '' || host === '?' ? teller.slice(0, teller.lastIndexOf(':')) : host
    return { from, to, server: `${known}:${primary[1]}` }
  })
}
