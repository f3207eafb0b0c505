// What can go wrong with rooms: to operators as failures, to clients as refusals.

import { type Catalogue, defineFailures } from '../../kit/failure.ts'
import type { RoomState } from '../../policy/room/index.ts'
import type { PassageRefusal } from '../passage.ts'

export const roomFailures: Catalogue<'page' | 'unknown' | 'journal'> = defineFailures('room', {
  page: {
    when: "A waiting room's own page can't be read.",
    advice: 'Let `page` name an HTML file that the user Tenfold runs as may read, of at most 1 MB.',
  },
  unknown: {
    when: 'A command names a waiting room that is not in use.',
    advice: 'Look at `tenfold guard rooms` for those that are.',
    status: 404,
  },
  journal: {
    when: "A waiting room's journal in the state directory can't be read or written.",
    advice:
      'Let the user that Tenfold runs as write to guard/rooms in the state directory, and look whether the disk is full.',
  },
})

interface RoomWords {
  readonly code: string
  /** Of the answer to an app, and of the page where it is not that of the line. */
  readonly status: number
  readonly pageStatus: number
  readonly text: string
  readonly would: string
}

const line = 'A request with the grant that the line ends with.'
const words = (code: string, status: number, pageStatus: number, text: string, would = line): RoomWords => ({
  code: `ROOM_${code}`,
  status,
  pageStatus,
  text,
  would,
})

/** The room's own answers have a budget too. */
export const roomBusy: PassageRefusal = {
  code: 'ROOM_BUSY',
  status: 429,
  text: 'Too many questions about this room come from here.',
}

/** What somebody is told who does not pass. */
export const roomWords: Readonly<Record<Exclude<RoomState, 'in'>, RoomWords>> = {
  waiting: words('WAITING', 429, 200, 'There is a line. Your place is kept.'),
  early: words(
    'WAITING',
    429,
    200,
    'It has not opened yet. You are in, and will be told your place when it opens.',
  ),
  before: words('WAITING', 429, 200, 'It is too early to line up.', 'The same request later.'),
  granted: words('GRANTED', 429, 200, 'It is your turn.', 'The same request with this grant.'),
  full: words(
    'FULL',
    503,
    503,
    'The line is full. Please try again in a few minutes.',
    'The same request when the line is shorter.',
  ),
  closed: words(
    'CLOSED',
    429,
    200,
    'This is closed at the moment.',
    'The same request when it is opened again.',
  ),
  'sold-out': words('SOLD_OUT', 429, 200, 'Everything is sold out.', 'Nothing: it is sold out.'),
  person: words(
    'PERSON',
    403,
    403,
    'Please sign in first: places are given to accounts.',
    'The same request with an account.',
  ),
  used: words('GRANT_USED', 403, 403, 'This admission was used before.', 'A grant that was not used yet.'),
  moved: words(
    'MOVED',
    403,
    403,
    'This admission is used elsewhere.',
    'A request of the client that was let in.',
  ),
  gone: words('GONE', 429, 200, 'Your turn is over, or was never here. You can line up again.'),
  away: words(
    'AWAY',
    503,
    503,
    'Nobody can be let in at the moment. If you have a place, it is kept.',
    'The same request later.',
  ),
}
