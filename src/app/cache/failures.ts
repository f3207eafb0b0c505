// What can go wrong in the world of the application cache. A source's own errors are not here: they reach the caller as
// they were thrown.

import { type Catalogue, defineFailures } from '../../kit/failure.ts'

export const cacheFailures: Catalogue<
  | 'option'
  | 'key'
  | 'loadTimeout'
  | 'loadsFull'
  | 'tierAway'
  | 'closed'
  | 'journalHeld'
  | 'journalWrite'
  | 'feedUrl'
  | 'behindFull'
  | 'readOnly'
> = defineFailures('cache', {
  option: {
    when: 'An option of a cache, an entry or a store is outside of its bounds.',
    advice: 'The message names the option, its value and what is allowed.',
  },
  key: {
    when: 'A key or a tag is empty, too long, or no text.',
    advice: 'Use texts of 1 to 1,024 characters; hash what is longer.',
  },
  loadTimeout: {
    when: 'A load took longer than hardTimeoutMs and nothing stale could be served.',
    advice:
      'Look at the source; its signal was aborted. Raise hardTimeoutMs only if the source is meant to take so long.',
    status: 504,
    retry: true,
  },
  loadsFull: {
    when: 'More loads are under way than loadsMax allows, and nothing stale could be served.',
    advice: 'The source is slower than misses come: look at it, give entries grace, or raise loadsMax.',
    status: 503,
    retry: true,
  },
  tierAway: {
    when: 'An update was to be refused while the shared tier is away (withoutTier: refuse), and it is.',
    advice: 'Look at the shared tier; nothing was written.',
    status: 503,
    retry: true,
  },
  closed: {
    when: 'A cache or store was used after it was closed.',
    advice: 'Close it last, after what uses it has ended.',
  },
  journalHeld: {
    when: 'The journal of a write-behind store is held by another process.',
    advice: 'Give each process a journal of its own: two would overwrite each other.',
  },
  journalWrite: {
    when: 'A write can not be put into the journal of a write-behind store, so it is not accepted.',
    advice: 'Look at the disk: space, rights, health.',
    status: 503,
    retry: true,
  },
  behindFull: {
    when: 'Too many writes of a write-behind store wait to be saved, or the oldest has for too long.',
    advice: 'The source is away or slower than writes come: look at it, or raise dirtyMax and waitMs.',
    status: 503,
    retry: true,
  },
  readOnly: {
    when: 'Something is put into a store that only reads: read-through, or a source without save.',
    advice: 'Choose another strategy and give the source a save.',
  },
  feedUrl: {
    when: "The change feed's address is not of the form tcp://HOST:PORT?token=TOKEN.",
    advice: 'Pass on what CACHE_FEED holds in a service that Tenfold started.',
  },
})
