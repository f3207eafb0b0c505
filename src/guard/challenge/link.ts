// This worker's connection to the Redis that the system's edges share, for what may be used once. Made when a snapshot first
// names one; made anew when it names another.

import { RedisLink } from '../../io/redis/link.ts'
import type { GuardSpec, GuardSurroundings } from '../part.ts'
import type { SharedSpent } from './spent.ts'

export interface SpentLinkHolder {
  take(spec: GuardSpec): Promise<SharedSpent | null>
  close(): void
}

export function createLink({ clock, random }: Pick<GuardSurroundings, 'clock' | 'random'>): SpentLinkHolder {
  let link: RedisLink | null = null
  let url = ''
  const drop = (): void => {
    link?.close()
    link = null
    url = ''
  }
  return {
    take: async ({ shared }) => {
      if (shared === undefined) {
        drop()
        return null
      }
      if (link === null || url !== shared.redis) {
        drop()
        url = shared.redis
        link = new RedisLink({ url, clock, random, settings: { timeoutMs: shared.timeoutMs } })
        await link.attempted
      }
      return { link, prefix: shared.prefix, whenAway: shared.whenAway }
    },
    close: drop,
  }
}
