// The keys of `guard.rooms` (waiting rooms) and `guard.quotas`, which policies name or hold themselves. Who one person is
// where a room leaves it open is filled in by guard.ts, which knows `identity`.

import type { CheckedQuota, CheckedRoom } from './checked-guard.ts'
import { type Rate, rate } from './guard-limits.ts'
import { quotaSources, requestSources, sourceText } from './guard-sources.ts'
import { pathPattern } from './patterns.ts'
import { defined, into, listOf, strict } from './shapes.ts'
import { filePath } from './tls.ts'
import { choice, duration, flag, leaf, Refused, type Schema, text, token, whole } from './values.ts'

const instantPattern = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,3}))?)?(Z|[+-]\d\d:\d\d)$/

/** Milliseconds since 1970 of `2026-12-01T18:00:00Z` or `...+01:00`; undefined for anything else. */
function parseInstantMs(value: unknown): number | undefined {
  const match = typeof value === 'string' ? instantPattern.exec(value) : null
  if (!match) return undefined
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, fraction = 0] = match
    .slice(1, 8)
    .map((part, index) => Number(index === 6 ? (part ?? '0').padEnd(3, '0') : (part ?? 0)))
  const local = Date.UTC(year, month - 1, day, hour, minute, second, fraction)
  // The 31st of April is the 1st of May to Date.
  if (new Date(local).getUTCDate() !== day || month > 12 || hour > 23 || minute > 59 || second > 59)
    return undefined
  const [, sign, hours = 0, minutes = 0] = /^([+-])(\d\d):(\d\d)$/.exec(match[8] as string) ?? []
  if (Number(hours) > 14 || Number(minutes) > 59) return undefined
  const shift = (Number(hours) * 60 + Number(minutes)) * 60_000
  return local - (sign === '-' ? -shift : shift)
}

/** The opposite. */
export const instantText = (ms: number): string => new Date(ms).toISOString()

export const instant = (about: string): Schema<number> =>
  leaf({
    about,
    allowed: "a time with its offset, such as '2026-12-01T18:00:00Z' or '2026-12-01T19:00:00+01:00'",
    json: { type: 'string', pattern: instantPattern.source },
    parse: value => {
      if (typeof value === 'string' && /^\d{4}-\d\d-\d\d(?:T[\d:.]+)?$/.test(value))
        return new Refused(
          'does not say in which time zone',
          `Write '${value}${value.includes('T') ? '' : 'T00:00:00'}Z'.`,
        )
      return parseInstantMs(value)
    },
  })

const revocation: Schema<CheckedRoom['revokeAfter'][number]> = leaf({
  about: 'A request.',
  allowed:
    "a method and a path such as 'POST /api/orders' or 'POST /api/orders/:id', of at most 1024 characters",
  json: { type: 'string', minLength: 3, maxLength: 1024, pattern: '^[A-Z]+ /' },
  parse: value => {
    if (typeof value !== 'string' || value.length > 1024) return undefined
    const [method = '', path = '', ...rest] = value.split(' ')
    if (value.startsWith('/')) return new Refused('has no method', `Write 'POST ${value}'.`)
    if (!token.test(method) || rest.length > 0 || method !== method.toUpperCase()) return undefined
    const parsed = pathPattern('A path.').safeParse(path)
    return parsed.success ? { method, path } : undefined
  },
})

/** Nothing that leads to another host: browsers take `/\\` for `//`. */
const sitePath = (about: string): Schema<string> =>
  leaf({
    about,
    allowed: "a path of this site such as '/sign-in', of at most 1024 characters",
    json: { type: 'string', maxLength: 1024, pattern: '^/(?![/\\\\])[!-~]*$' },
    parse: value =>
      typeof value === 'string' && value.length <= 1024 && /^\/(?![/\\])[\x21-\x7e]*$/.test(value)
        ? value
        : undefined,
  })

const roomKeys = {
  admit: rate('How many are let in, in which time. Left out: as many as `active` allows.', false).optional(),
  active: whole('How many may be inside at once. Left out: any number.', 1, 10_000_000).optional(),
  opens: instant('When it opens; before that everybody waits. Left out: it is open.').optional(),
  preQueue: duration(
    'How long before it opens people may take a place. Left out: from the start.',
    '1s',
    '31d',
  ).optional(),
  order: choice(
    '`first-come`, or `lottery`: those who are there when it opens are drawn, so that nothing is won by being early, by tabs or by addresses; later ones follow behind.',
    ['first-come', 'lottery'],
  ).prefault('first-come'),
  person: requestSources(
    'Who one person is. Left out: the account, or the session, where `guard.identity` says what they are; else whoever holds the ticket.',
  ).optional(),
  session: duration('How long who was let in may stay.', '1m', '24h').prefault('10m'),
  // What people's networks and sleeping phones need; a minute loses a tenth of them.
  grace: duration('Without a sign of life for so long a place in line is lost.', '30s', '24h').prefault('5m'),
  grant: duration('Who is let in must come within this time.', '10s', '1h').prefault('5m'),
  revokeAfter: listOf(
    "Requests after whose success (2xx) one must wait again: `['POST /api/orders']`.",
    revocation,
    50,
  ).prefault([]),
  title: text('Shown on the page.', 'a text', { lengthMax: 200 }).prefault('You are in line'),
  page: filePath(
    "HTML instead of Tenfold's page; `{position}`, `{estimate}` and `{title}` are filled in",
  ).optional(),
  signIn: sitePath(
    'Where one signs in, such as `/sign-in`: the page links to it where a place needs an account.',
  ).optional(),
  places: whole('People in line at most; further ones are told to come later.', 1, 10_000_000).prefault(
    1_000_000,
  ),
}

/** A room before its name and, where left out, its person are known. */
export type ParsedRoom = Omit<CheckedRoom, 'name' | 'person'> & { readonly person?: CheckedRoom['person'] }

const activeUnbounded = 10_000_000
/** A thousand a millisecond. */
const perMinuteUnbounded = 60_000_000

const perMinuteOf = ({ amount, perMs }: Rate): number => (amount * 60_000) / perMs

export const room: Schema<ParsedRoom> = into(
  strict(roomKeys, {
    about: 'One waiting room.',
    elsewhere: {
      rate: "Did you mean 'admit'?",
      perMinute: "Write admit: '500/min'.",
      activeMax: "Did you mean 'active'?",
      capacity: "Did you mean 'active'?",
      opensAt: "Did you mean 'opens'?",
      start: "Did you mean 'opens'?",
      lottery: "Write order: 'lottery'.",
      ttl: "Did you mean 'session' or 'grant'?",
      template: "Did you mean 'page'?",
      stock: "'stock' is a key of quotas.",
    },
  }),
  (keys): ParsedRoom | Refused => {
    const perMinute = keys.admit === undefined ? perMinuteUnbounded : perMinuteOf(keys.admit)
    if (keys.admit === undefined && keys.active === undefined)
      return new Refused("has neither 'admit' nor 'active': nobody would wait", "Write admit: '50/s'.")
    if (!Number.isInteger(perMinute) || perMinute > perMinuteUnbounded)
      return new Refused(
        `lets in ${Number(perMinute.toFixed(3))} a minute`,
        `Write 'admit' so that it is a whole number of people a minute, up to ${perMinuteUnbounded}.`,
      )
    return wrongOpening(keys) ?? roomOf(keys, perMinute)
  },
)

type RoomKeys = ReturnType<ReturnType<typeof strict<typeof roomKeys>>['parse']>

function wrongOpening({ opens, preQueue, order }: RoomKeys): Refused | undefined {
  if (opens !== undefined) return undefined
  if (preQueue !== undefined) return new Refused("has 'preQueue' without 'opens'", "Write when it 'opens'.")
  return order === 'lottery'
    ? new Refused("has order 'lottery' without 'opens'", "Write when it 'opens': then lots are drawn.")
    : undefined
}

function roomOf(keys: RoomKeys, perMinute: number): ParsedRoom {
  const { opens, preQueue } = keys
  return defined({
    activeMax: keys.active ?? activeUnbounded,
    perMinute,
    opensAt: opens,
    preQueueFrom: opens === undefined || preQueue === undefined ? undefined : opens - preQueue,
    order: keys.order,
    person: keys.person,
    sessionMs: keys.session,
    graceMs: keys.grace,
    grantMs: keys.grant,
    revokeAfter: keys.revokeAfter,
    title: keys.title,
    page: keys.page,
    signIn: keys.signIn,
    placesMax: keys.places,
  }) as ParsedRoom
}

const quotaKey: Schema<CheckedQuota['keys'][number]> = strict(
  {
    by: quotaSources(
      'Who is counted, as `by` of limits, and `field:NAME`: a field of the JSON or form body, such as `field:payment.fingerprint`.',
    ),
    amount: whole('How much each may have in all.', 1, 1_000_000_000),
  },
  { about: 'One key.' },
)

const quotaKeys = {
  by: quotaSources('Who is counted: short for one of `keys`.').optional(),
  amount: whole('How much each may have in all: short for one of `keys`.', 1, 1_000_000_000).optional(),
  keys: listOf(
    'Several, of which each must be kept: an account, a payment, an address.',
    quotaKey,
    5,
    1,
  ).optional(),
  quantity: text(
    'The field of the JSON or form body that says how much is wanted: `quantity`, `items.*.quantity` for the sum over a list. Left out: 1.',
    'the path of a field',
    { pattern: /^[^\s.]+(?:\.[^\s.]+)*$/, lengthMax: 200 },
  ).optional(),
  stock: whole('How much there is in all. Left out: any amount.', 1, 1_000_000_000).optional(),
  hold: duration(
    'What was asked for is free again after this time, where no answer (2xx) has confirmed it.',
    '1s',
    '24h',
  ).prefault('10m'),
  reset: duration('After this time a key counts from 0 again. Left out: never.', '1m', '365d').optional(),
  idempotent: flag(
    'Instances honour Idempotency-Key: a repeated key is passed on, uncounted. Without it a repeated key is refused (409).',
  ).prefault(false),
}

export const quota: Schema<Omit<CheckedQuota, 'name'>> = into(
  strict(quotaKeys, {
    about: 'One quota.',
    elsewhere: {
      max: "Did you mean 'amount'?",
      limit: "Did you mean 'amount'?",
      per: "Did you mean 'by'?",
      key: "Did you mean 'by'?",
      quantityField: "Did you mean 'quantity'?",
      ttl: "Did you mean 'hold'?",
      expires: "Did you mean 'hold'?",
      total: "Did you mean 'stock'?",
    },
  }),
  (told): Omit<CheckedQuota, 'name'> | Refused => {
    const keys = keysOf(told)
    if (keys instanceof Refused) return keys
    const texts = keys.map(({ by }) => by.map(part => sourceText(part)).join(' + '))
    const twice = texts.find((text, index) => texts.indexOf(text) !== index)
    if (twice !== undefined) return new Refused(`counts by '${twice}' twice`, 'Keep one.')
    return defined({
      keys,
      quantityField: told.quantity,
      idempotent: told.idempotent,
      stock: told.stock,
      holdMs: told.hold,
      resetMs: told.reset,
    }) as Omit<CheckedQuota, 'name'>
  },
)

type QuotaKeys = ReturnType<ReturnType<typeof strict<typeof quotaKeys>>['parse']>

function keysOf({ by, amount, keys }: QuotaKeys): CheckedQuota['keys'] | Refused {
  if (keys !== undefined && (by !== undefined || amount !== undefined))
    return new Refused("has 'keys' beside 'by' or 'amount'", 'Put all of them into keys.')
  if (keys !== undefined) return keys
  if (by === undefined || amount === undefined)
    return new Refused(
      "has not both 'by' and 'amount'",
      "Write { by: 'account', amount: 4 }, or keys: [...].",
    )
  return [{ by, amount }]
}
