// Whom PostgreSQL's processes run as: it refuses to run as root. Not who services are, so that they can't read its files.

import { userIds } from '../../io/process.ts'
import type { ServersOptions } from './contract.ts'

/** Debian's packages make the first; `daemon` is on every system and owns nothing. */
const candidates = ['postgres', '_postgres', 'daemon', 'nobody']

/** Null: ourselves, because we are not root (or the machine knows none of them). @param services uids that services run as */
export function chooseServerUser(
  own: number | undefined,
  services: readonly (number | null)[],
): ServersOptions['user'] {
  if (own !== 0) return null
  const known = candidates.flatMap(name => {
    const ids = userIds(name)
    return ids === null ? [] : [{ name, uid: ids.uid, gid: ids.gid }]
  })
  return known.find(user => !services.includes(user.uid)) ?? known[0] ?? null
}
