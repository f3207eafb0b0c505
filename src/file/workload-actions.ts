// The keys of one kind of request in a workload: `reads`, `writes` and those under `actions`. How often, by whom, where it
// goes and how much it carries.

import type { CheckedActionLoad } from './checked-workload.ts'
import { perSecond } from './load-values.ts'
import { hostPattern } from './network.ts'
import { share } from './observe.ts'
import { into, strict } from './shapes.ts'
import { choice, decimal, leaf, Refused, type Schema, size, token, whole } from './values.ts'

/** A path of a request, not a pattern. */
const requestPath: Schema<string> = leaf({
  about: 'The path that is asked for; it decides the route, as for a real request.',
  allowed: "a path such as '/films/1', without query, of at most 1024 characters",
  json: { type: 'string', minLength: 1, maxLength: 1024, pattern: '^/[!-~]*$' },
  parse: value => {
    if (typeof value !== 'string' || value.length > 1024) return undefined
    if (!value.startsWith('/')) return new Refused('does not begin with /', `Write '/${value}'.`)
    if (/[*?#]|\/:/.test(value))
      return new Refused(
        'is a pattern or has a query',
        "Write one path that people ask for, such as '/films/1'.",
      )
    return /^[\x21-\x7e]*$/.test(value) ? value : undefined
  },
})

const method: Schema<string> = leaf({
  about: 'Its method. Left out: GET for what reads, POST for what writes.',
  allowed: "a method such as 'GET' or 'POST'",
  json: { type: 'string', maxLength: 32 },
  parse: value =>
    typeof value === 'string' && value.length <= 32 && token.test(value) && value === value.toUpperCase()
      ? value
      : undefined,
})

const actionKeys = {
  kind: choice('What it does to the data. Left out: GET and HEAD read, other methods write.', [
    'read',
    'write',
  ]).optional(),
  perUser: decimal('How many a day each of `dailyUsers` makes, on average.', 0.000001, 1_000_000).optional(),
  rate: perSecond('How many come, as the mean of a day: instead of `perUser`.').optional(),
  method: method.optional(),
  path: requestPath.prefault('/'),
  host: hostPattern('The host that is asked for, where routes have hosts.').optional(),
  request: size('Bytes of a request, head included.', '0B', '1TB').prefault('500B'),
  response: size(
    'Bytes of an answer, head included, without media. Left out: 10KB, of what writes 1KB.',
    '0B',
    '1TB',
  ).optional(),
  stored: size(
    'What one adds to the database, before indexes and bloat. Left out: 1KB of what writes.',
    '0B',
    '1TB',
  ).optional(),
  media: strict(
    {
      share: share('Share of the requests that carry one.'),
      bytes: size('How large it is.', '1B', '1TB'),
    },
    {
      about: 'A photo, a film, a document: carried in by what writes, and out by what reads.',
      elsewhere: { size: "Did you mean 'bytes'?" },
    },
  ).optional(),
  objects: whole('How many different things are asked for. Left out: all are alike.', 1, 1e12).optional(),
  popularity: decimal(
    "How unevenly: the exponent of Zipf's law, the n-th thing asked for n^-popularity times. 0: all alike. Left out: 1.",
    0,
    4,
  ).optional(),
}

type ActionKeys = ReturnType<ReturnType<typeof strict<typeof actionKeys>>['parse']>

const elsewhere = {
  users: "'dailyUsers' is a key of 'workload'.",
  rps: "Write rate: '50/s'.",
  perSecond: "Write rate: '50/s'.",
  perDay: "Write rate: '2000000/d'.",
  size: "Did you mean 'response' or 'stored'?",
  bytes: "Did you mean 'response', 'request' or 'stored'?",
  alpha: "Did you mean 'popularity'?",
  zipf: "Did you mean 'popularity'?",
}

/** @param fixed what `kind` is; null: as the action says, or by its method */
export function actionLoad(
  about: string,
  fixed: CheckedActionLoad['kind'] | null,
): Schema<CheckedActionLoad> {
  return into(strict(actionKeys, { about, elsewhere }), keys => {
    if (fixed !== null && keys.kind !== undefined && keys.kind !== fixed)
      return new Refused(`has kind '${keys.kind}'`, 'Give it a name of its own under `actions`.')
    const reads = keys.method === undefined || keys.method === 'GET' || keys.method === 'HEAD'
    return actionOf(keys, fixed ?? keys.kind ?? (reads ? 'read' : 'write'))
  })
}

function actionOf(keys: ActionKeys, kind: CheckedActionLoad['kind']): CheckedActionLoad | Refused {
  const { perUser, rate, objects, popularity } = keys
  if ((perUser === undefined) === (rate === undefined))
    return perUser === undefined
      ? new Refused("has neither 'perUser' nor 'rate'", "Write perUser: 10, or rate: '50/s'.")
      : new Refused("has both 'perUser' and 'rate'", 'Keep one: each says how many come.')
  if (popularity !== undefined && objects === undefined)
    return new Refused("has 'popularity' without 'objects'", 'Say how many different things there are.')
  if (keys.host?.startsWith('*.'))
    return new Refused("has a pattern as its 'host'", 'Write one host that people ask for.')
  if (kind === 'read' && (keys.stored ?? 0) > 0)
    return new Refused("reads, and has 'stored'", "Leave out 'stored', or write kind: 'write'.")
  return {
    kind,
    perUser: perUser ?? null,
    ratePerSecond: rate ?? null,
    method: keys.method ?? (kind === 'read' ? 'GET' : 'POST'),
    path: keys.path,
    host: keys.host ?? null,
    requestBytes: keys.request,
    responseBytes: keys.response ?? (kind === 'read' ? 10_240 : 1024),
    storedBytes: keys.stored ?? (kind === 'read' ? 0 : 1024),
    media: keys.media ?? null,
    objects: objects === undefined ? null : { count: objects, alpha: popularity ?? 1 },
  }
}
