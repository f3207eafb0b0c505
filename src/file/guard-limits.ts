// The key `limit` of a policy: how much may come, by whom, in which time. Rates are texts ('5/min', '10MB/min'). Names
// that people leave out are made from what is counted by, so that counters are found again after a reload.

import type { CheckedLimit } from './checked-guard.ts'
import { requestSources, sourceText } from './guard-sources.ts'
import { share } from './observe.ts'
import { either, into, listOf, mapOf, strict } from './shapes.ts'
import {
  choice,
  flag,
  leaf,
  parseSizeBytes,
  Refused,
  type Schema,
  text,
  token,
  whole,
  writtenText,
} from './values.ts'

const ratePattern =
  /^(\d{1,12}(?:\.\d{1,3})?)(B|KB|MB|GB)?\/(\d{1,4})?(s|sec|second|m|min|minute|h|hour|d|day)$/
const periodsMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
/** Counters of longer windows would seldom live to their end. */
const periodMsMax = 31 * 86_400_000
/** Above it nobody needs more at once by default: `burst` says so where it is meant. */
const burstDefaultMax = 10_000

export interface Rate {
  readonly kind: 'rate' | 'bytes'
  readonly amount: number
  readonly perMs: number
}

/** `5/min`, `100/10s`, `10MB/min`; undefined for anything else. */
export function parseRate(value: unknown): Rate | undefined {
  const match = typeof value === 'string' ? ratePattern.exec(value) : null
  if (!match) return undefined
  const [, number = '', unit, count = '1', period = ''] = match
  const amount = unit === undefined ? Number(number) : (parseSizeBytes(`${number}${unit}`) as number)
  return {
    kind: unit === undefined ? 'rate' : 'bytes',
    amount,
    perMs: Number(count) * (periodsMs[period[0] as string] as number),
  }
}

/** A rate of requests, or where `bytes` is said of bytes too. */
export function rate(about: string, bytes: boolean): Schema<Rate> {
  const units = bytes ? "; '10MB/min' counts bytes" : ''
  return leaf({
    about,
    allowed: `a rate such as '50/s', '5/min', '100/10s', '1000/h' or '5000/d'${units}, of at most 64 characters`,
    json: { type: 'string', minLength: 3, maxLength: 64, pattern: ratePattern.source },
    type: bytes ? 'Rate | ByteRate' : 'Rate',
    parse: value => {
      const parsed = parseRate(value)
      if (parsed === undefined)
        return typeof value === 'number' || /^\d+$/.test(writtenText(value))
          ? new Refused('has no time', `Write '${writtenText(value)}/s' or '${writtenText(value)}/min'.`)
          : undefined
      return wrongRate(parsed, bytes) ?? parsed
    },
  })
}

function wrongRate({ kind, amount, perMs }: Rate, bytes: boolean): Refused | undefined {
  if (kind === 'bytes' && !bytes) return new Refused('counts bytes', "Write requests: '5/min'.")
  if (!Number.isInteger(amount)) return new Refused('is not whole', "Write '1/2s' for one in two seconds.")
  if (amount === 0) return new Refused('is 0: nobody would pass', 'Leave the route out instead.')
  if (amount > 1e12) return new Refused('is above 1000000000000')
  if (perMs === 0) return new Refused('has a time of 0')
  return perMs > periodMsMax ? new Refused('has a time longer than 31d') : undefined
}

const rateUnits = { d: 'd', h: 'h', m: 'min', s: 's' } as const

/** The shortest exact text: `5/min`, `100/10s`, `10485760B/min`. */
export function rateText({ kind, amount, perMs }: Rate): string {
  const unit = (['d', 'h', 'm', 's'] as const).find(name => perMs % (periodsMs[name] as number) === 0) ?? 's'
  const count = perMs / (periodsMs[unit] as number)
  return `${amount}${kind === 'bytes' ? 'B' : ''}/${count === 1 ? '' : count}${rateUnits[unit]}`
}

const costs: Schema<Readonly<Record<string, number>>> = into(
  mapOf(whole('What it costs.', 0, 1_000_000), {
    about: "What a request counts for, by method; '*' is every other: `{ POST: 5, '*': 1 }`. Left out: 1.",
    names: "methods such as POST, or '*'",
    pattern: /^(?:\*|[!#$%&'*+.^_`|~0-9A-Za-z-]+)$/,
    entriesMax: 20,
  }),
  map => {
    const lower = Object.keys(map).find(method => method !== '*' && method !== method.toUpperCase())
    return lower === undefined && Object.keys(map).every(method => method === '*' || token.test(method))
      ? map
      : new Refused(`names '${lower}'`, `Methods are written in capitals: '${lower?.toUpperCase()}'.`)
  },
)

const limitKeys = {
  name: text(
    'Of RateLimit fields, metrics and explanations; counters are kept by it. Left out: made of `by`.',
    'a name of small letters, digits and -',
    { pattern: /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/, lengthMax: 80 },
  ).optional(),
  rate: rate('How many requests, or how many bytes of requests and answers, in which time.', true).optional(),
  concurrency: whole('How many requests may be under way at once.', 1, 1_000_000).optional(),
  algorithm: choice(
    'How a rate is counted. `gcra`: evenly, without an edge of a window; `sliding`: this window and the last one, weighted; `fixed`: windows of the calendar, at whose edge twice as much can come.',
    ['gcra', 'sliding', 'fixed'],
  ).prefault('gcra'),
  burst: whole(
    'Of `gcra`: how much may come at once above the even flow. Left out: the whole amount, of requests 10000 at most.',
    1,
    1_000_000_000_000,
  ).optional(),
  by: requestSources(
    "Who is counted: one source, or several that are the key together (`['account', 'ip/24']`). `ip` is the client's address, IPv6 by its prefix; `account`, `session` and `key` are what `guard.identity` says; `path:id` is what `:id` of the route matched.",
  ).prefault('ip'),
  cost: costs.optional(),
  // Half of it: who leaves out a cookie or header shares what is left with everybody else behind the address, and never
  // gets more than by showing it.
  missingShare: share(
    'Where a part of the key is missing, the address is counted instead, with this share of the amount.',
  ).prefault(0.5),
  adaptive: share(
    'Tightens with risk and load: at risk 100 or full load only this share of the amount is left. 1: never.',
  ).prefault(1),
  local: flag(
    'This edge counts alone even where `guard.shared` is there: cheaper, not exact over hosts.',
  ).prefault(false),
  banAfter: whole(
    'After so many refusals in a row within a minute the client is banned for the first of `guard.banSteps`. 0: never.',
    0,
    1_000_000,
  ).prefault(0),
  detectOnly: flag('Only records what it would have refused.').prefault(false),
}

/** A limit whose name may still have to be made. */
type ParsedLimit = Omit<CheckedLimit, 'name'> & { readonly name?: string | undefined }

const limitObject: Schema<ParsedLimit> = into(
  strict(limitKeys, {
    about: 'One limit: a `rate`, or a `concurrency`.',
    elsewhere: {
      limit: "Did you mean 'rate'?",
      max: "Write rate: '5/min', or concurrency: 5.",
      window: "The time stands in the rate: '5/min', '100/10s'.",
      windowMs: "The time stands in the rate: '5/min', '100/10s'.",
      per: "The time stands in the rate: '5/min'. Did you mean 'by'?",
      key: "Did you mean 'by'?",
      requests: "Write rate: '5/min'.",
      bytes: "Write rate: '10MB/min'.",
      bandwidth: "Write rate: '10MB/min'.",
      period: "The time stands in the rate: '5/min'.",
      inFlight: "Did you mean 'concurrency'?",
      dryRun: "Did you mean 'detectOnly'?",
      delay: "Did you mean 'burst'?",
      ban: "Did you mean 'banAfter'?",
    },
  }),
  (keys): ParsedLimit | Refused => {
    if (keys.rate === undefined && keys.concurrency === undefined)
      return new Refused("has neither 'rate' nor 'concurrency'", "Write { rate: '5/min', by: 'ip' }.")
    if (keys.rate !== undefined && keys.concurrency !== undefined)
      return new Refused(
        "has both 'rate' and 'concurrency'",
        "Write two limits: [{ rate: '5/min' }, { concurrency: 4 }].",
      )
    return wrongLimit(keys) ?? limitOf(keys)
  },
)

type LimitKeys = ReturnType<ReturnType<typeof strict<typeof limitKeys>>['parse']>

function wrongLimit({ rate, algorithm, burst, cost }: LimitKeys): Refused | undefined {
  if (burst !== undefined && (rate === undefined || algorithm !== 'gcra'))
    return new Refused(
      "has 'burst', which only rates by 'gcra' have",
      rate === undefined ? 'Leave it out.' : "Leave it out, or write algorithm: 'gcra'.",
    )
  if (rate === undefined && algorithm !== 'gcra')
    return new Refused("has 'algorithm', which only rates have", 'Leave it out.')
  if (cost !== undefined && rate?.kind !== 'rate')
    return new Refused("has 'cost', which only rates of requests have", 'Leave it out.')
  const most = Math.max(0, ...Object.values(cost ?? {}))
  const room = rate === undefined ? most : algorithm === 'gcra' ? burstOf(rate, burst) : rate.amount
  return most > room
    ? new Refused(
        `has a cost of ${most}, and at most ${room} may come at once`,
        'Raise the burst, or lower the cost.',
      )
    : undefined
}

const burstOf = ({ kind, amount }: Rate, burst: number | undefined): number =>
  burst ?? (kind === 'rate' ? Math.min(amount, burstDefaultMax) : amount)

function limitOf(keys: LimitKeys): ParsedLimit {
  const { rate: told } = keys
  return {
    name: keys.name,
    kind: told?.kind ?? 'concurrency',
    algorithm: keys.algorithm,
    amount: told?.amount ?? (keys.concurrency as number),
    perMs: told?.perMs ?? 0,
    burst: told === undefined ? 1 : keys.algorithm === 'gcra' ? burstOf(told, keys.burst) : 1,
    by: keys.by,
    ...(keys.cost === undefined ? {} : { cost: keys.cost }),
    missingShare: keys.missingShare,
    adaptiveShare: keys.adaptive,
    local: keys.local,
    banAfter: keys.banAfter,
    detectOnly: keys.detectOnly,
  }
}

const oneLimit: Schema<ParsedLimit> = either(
  'A limit; a rate alone counts by address.',
  into(rate('Of each address.', true), told => limitOf(limitKeysOf(told))),
  limitObject,
)

function limitKeysOf(told: Rate): LimitKeys {
  const { rate: _, ...keys } = strict(limitKeys).parse({})
  return { ...keys, rate: told }
}

export const limits: Schema<readonly CheckedLimit[]> = either(
  "How much may come: a rate ('5/min', of each address), a limit, or several of which each must be kept.",
  into(oneLimit, one => withNames([one])),
  into(listOf('Several limits.', oneLimit, 20), many => withNames(many)),
)

/** `account-ip-24` for `['account', 'ip/24']`; the second one of a name gets its place. */
function withNames(limits: readonly ParsedLimit[]): readonly CheckedLimit[] | Refused {
  const told = limits.flatMap(one => one.name ?? [])
  const twice = told.find((name, index) => told.indexOf(name) !== index)
  if (twice !== undefined)
    return new Refused(`has two limits of the name '${twice}'`, 'Give each its own name.')
  const taken = new Set(told)
  return limits.map(one => {
    const name = one.name ?? freeName(one, taken)
    taken.add(name)
    return { ...one, name }
  })
}

function freeName({ by, kind }: ParsedLimit, taken: ReadonlySet<string>): string {
  const words = by.map(part => sourceText(part)).join('-')
  const suffix = kind === 'rate' ? '' : `-${kind}`
  const name = `${words}${suffix}`
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
    .slice(0, 60)
  if (!taken.has(name)) return name
  for (let number = 2; ; number++) if (!taken.has(`${name}-${number}`)) return `${name}-${number}`
}
