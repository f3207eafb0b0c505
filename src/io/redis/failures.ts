// What can go wrong between a service and its Redis servers. A cache answers from the source then; sessions say so.

import { type Catalogue, defineFailures } from '../../kit/failure.ts'

export const redisFailures: Catalogue<'away' | 'late' | 'busy' | 'closed' | 'addressWrong'> = defineFailures(
  'redis',
  {
    away: {
      when: 'There is no connection to the Redis server that holds a key, or it answered too late too often and rests.',
      advice:
        'Look at the server (`redis-cli ping`, its log, its memory). Connecting is tried again at most every 2 seconds.',
      status: 503,
      retry: true,
    },
    late: {
      when: 'A Redis server did not answer a command within its time.',
      advice:
        'Look for slow commands (`redis-cli slowlog get`), swapping and large values; or raise `timeoutMs`.',
      status: 503,
      retry: true,
    },
    busy: {
      when: 'So many commands wait for one Redis server that another one is refused.',
      advice: 'The server is too slow for the load: add servers, or let the in-process tier hold more.',
      status: 503,
      retry: true,
    },
    closed: {
      when: 'A Redis connection is used after its cache or session store was closed.',
      advice: 'Close caches and sessions last, when no request is under way.',
      status: 500,
    },
    addressWrong: {
      when: 'A Redis address is not a URL that can be used.',
      advice:
        'Write redis://HOST:PORT, or rediss:// for TLS, with user and password where the server asks for them.',
      status: 500,
    },
  },
)
