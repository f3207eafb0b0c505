// The keys of `edge` that name pages: `errorPages` and `maintenance`. Files stay as they are written: they are read when
// the system is loaded.

import type { CheckedMaintenance } from './checked.ts'
import { cidrBlocks } from './network.ts'
import { into, listOf, mapOf, strict } from './shapes.ts'
import { filePath } from './tls.ts'
import { duration, type Schema } from './values.ts'

export const errorPages: Schema<Readonly<Record<string, string>>> = mapOf(
  filePath('A page: HTML, text or JSON of at most 64KB'),
  {
    about:
      "Pages instead of the edge's own where it answers itself with an error, by status (`404`) or class (`5xx`): `{status}`, `{reason}`, `{code}`, `{message}` and `{requestId}` are filled in. What instances answer passes as it is.",
    names: "statuses from 400 to 599, '4xx' or '5xx', with their files",
    pattern: /^[45](?:\d\d|xx)$/,
    entriesMax: 50,
  },
)

export const maintenance: Schema<CheckedMaintenance> = into(
  strict(
    {
      page: filePath('The page: HTML, text or JSON of at most 64KB').optional(),
      retryAfter: duration('What Retry-After says.', '1s', '30d').prefault('5m'),
      allow: listOf('Who is let through meanwhile.', cidrBlocks('A block of addresses.'), 1000).prefault([]),
    },
    {
      about: 'What clients get (503) while `tenfold maintenance on` is in force.',
      elsewhere: { on: 'It is switched by the command `tenfold maintenance on`, not by the file.' },
    },
  ),
  keys => ({
    page: keys.page ?? null,
    retryAfterSeconds: Math.ceil(keys.retryAfter / 1000),
    allow: [...new Set(keys.allow.flat())],
  }),
)
