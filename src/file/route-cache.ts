// The keys of `routes[].cache`: what of a route's answers the edge keeps, under which key, for how long. What depends on
// the rest of the route is checked in cache-checks.ts.

import type { CheckedBypass, CheckedCacheKey, CheckedRouteCache } from './checked-caches.ts'
import { headerName } from './headers.ts'
import { share } from './observe.ts'
import { defined, either, into, listOf, mapOf, strict } from './shapes.ts'
import { choice, duration, flag, leaf, off, Refused, type Schema, text, token } from './values.ts'

const parameter = text('A parameter of the query.', 'the name of a parameter', {
  pattern: /^[^&=#\s]+$/,
  lengthMax: 200,
})
const parameters = (about: string): Schema<readonly string[]> => listOf(about, parameter, 100, 1)
const cookie = text('A cookie.', 'the name of a cookie', { pattern: token, lengthMax: 200 })
const names = (list: readonly string[] | undefined): readonly string[] => [...new Set(list ?? [])]

const query: Schema<CheckedCacheKey['query']> = either(
  'Which parameters tell pages apart. Their order never does.',
  choice('All of them, or none.', ['all', 'none']),
  into(
    strict(
      {
        only: parameters('Only these.').optional(),
        except: parameters('All but these, such as those of advertisers.').optional(),
      },
      { about: 'Some of them.' },
    ),
    ({ only, except }): CheckedCacheKey['query'] | Refused => {
      if ((only === undefined) === (except === undefined))
        return new Refused("has not one of 'only' and 'except'", "Write { only: ['page'] }.")
      return only === undefined ? { except: names(except) } : { only: names(only) }
    },
  ),
)

/** Fields that say who asks, or how: by them every answer would be one of its own. */
const neverInKey: Readonly<Record<string, string>> = {
  cookie: "Name single cookies: key: { cookies: ['theme'] }.",
  authorization: 'What is behind a login is not for a shared cache: leave out the cache.',
  range: 'Ranges are made of the whole answer: leave it out.',
  'user-agent': 'There are thousands: write key: { device: true }.',
  'accept-language': "There are thousands: write key: { languages: ['en', 'de'] }.",
}

const keyHeader: Schema<string> = into(headerName('A header.', true), name =>
  neverInKey[name] === undefined
    ? name
    : new Refused(`is '${name}', by which no two answers are alike`, neverInKey[name]),
)

const language = text('A language.', "a language such as 'en' or 'de-AT'", {
  pattern: /^[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*$/,
  lengthMax: 35,
})

const key: Schema<CheckedCacheKey> = into(
  strict(
    {
      query: query.prefault('all'),
      headers: listOf(
        'Request headers whose values tell pages apart; instances get them as they came.',
        keyHeader,
        20,
      ).optional(),
      cookies: listOf('Cookies whose values tell pages apart, such as a theme.', cookie, 20).optional(),
      device: flag('One page each for mobile, tablet and desktop.').prefault(false),
      country: headerName(
        "One page a country: the header in which a trusted proxy tells it, such as 'cf-ipcountry'.",
        true,
      ).optional(),
      languages: listOf(
        'One page a language: of these the one that fits Accept-Language best; the first where none fits.',
        language,
        50,
      ).optional(),
    },
    {
      about: 'What an answer depends on beside method, host and path.',
      elsewhere: {
        params: "Did you mean 'query'?",
        parameters: "Did you mean 'query'?",
        header: "Did you mean 'headers'?",
        cookie: "Did you mean 'cookies'?",
        language: "Did you mean 'languages'?",
      },
    },
  ),
  ({ query: parts, headers, cookies, device, country, languages }) =>
    defined({
      query: parts,
      headers: names(headers),
      cookies: names(cookies),
      device,
      countryHeader: country,
      languages: names(languages),
    }) as CheckedCacheKey,
)

const ignoreQuery: Schema<CheckedCacheKey['query']> = either(
  'Short for `key.query`: `true` for none, or parameters that do not count.',
  into(flag('None count, or all.'), on => (on ? ('none' as const) : ('all' as const))) as Schema<
    CheckedCacheKey['query']
  >,
  into(parameters('These do not count.'), list => ({ except: names(list) })),
)

/** Errors of 4xx that anybody who asks for the same gets; the others one client's own fields or rights cause. */
const everybodys = [404, 405, 410, 451]

const negative: Schema<Readonly<Record<string, number>>> = into(
  mapOf(duration('How long it is kept.', '100ms', '30d'), {
    about:
      "How long errors are kept, by status or class: `{ 404: '10s', '5xx': '1s' }`. `'4xx'` means 404, 405, 410 and 451: the others one client's own request causes. Left out: as the origin says.",
    names: "statuses such as 404 or '5xx' with durations",
    pattern: /^(?:[45]\d\d|[45]xx)$/,
    entriesMax: 30,
  }),
  map => {
    const own = Object.keys(map).find(one => /^4\d/.test(one) && !everybodys.includes(Number(one)))
    if (own !== undefined)
      return new Refused(
        `has ${own}, which one client's own request causes`,
        'Leave it out: anybody could have it served to everybody.',
      )
    const { '4xx': all, ...rest } = map
    return all === undefined
      ? rest
      : { ...Object.fromEntries(everybodys.map(status => [status, all])), ...rest }
  },
)

const tagPattern = /^[!-+\--~]+$/

export const tag: Schema<string> = leaf<string>({
  about: 'A tag.',
  allowed: "a tag such as 'films' or 'film:{id}', without spaces and commas, of at most 200 characters",
  json: { type: 'string', minLength: 1, maxLength: 200, pattern: tagPattern.source },
  parse: value =>
    typeof value === 'string' && value.length <= 200 && tagPattern.test(value) ? value : undefined,
})

const bypass: Schema<CheckedBypass> = into(
  strict(
    {
      headers: listOf('With one of these headers.', headerName('A header.', true), 50).optional(),
      cookies: listOf('With one of these cookies, such as the one of a session.', cookie, 50).optional(),
      query: listOf('With one of these parameters, such as `preview`.', parameter, 50).optional(),
    },
    {
      about: 'Requests that go past the cache: neither answered from it nor kept.',
      elsewhere: { cookie: "Did you mean 'cookies'?", header: "Did you mean 'headers'?" },
    },
  ),
  ({ headers, cookies, query: parts }) => ({
    headers: names(headers),
    cookies: names(cookies),
    query: names(parts),
  }),
)

const cacheKeys = {
  ttl: duration(
    'Fresh for so long, whatever the origin says, unless it says private or no-store or sets a cookie. Left out: as the origin says.',
    '0s',
    '365d',
  ).optional(),
  key: key.optional(),
  ignoreQuery: ignoreQuery.optional(),
  swr: duration(
    'So long after it became stale an answer is still given at once, while it is validated in the background.',
    '0s',
    '365d',
  ).optional(),
  staleIfError: duration(
    'So long after it became stale an answer is given where the service fails or cannot be reached.',
    '0s',
    '365d',
  ).optional(),
  negative: negative.optional(),
  tags: listOf(
    "Names by which answers are purged, beside those of the origin (`Surrogate-Key`, `Cache-Tag`). `{name}` of the route's path are filled in.",
    tag,
    50,
  ).optional(),
  bypass: bypass.optional(),
  browserTtl: duration(
    'What browsers are told (max-age) instead of what the origin says.',
    '0s',
    '365d',
  ).optional(),
  immutable: flag('Browsers are told that it never changes, so that a reload does not ask.').prefault(false),
  heuristics: flag(
    'Answers that say nothing of their freshness are fresh for 10 % of the time since they were changed, a day at most.',
  ).prefault(false),
  stripCookies: flag('Answers that set cookies may be shared, without their cookies.').prefault(false),
  refreshAhead: either(
    'In this last part of its life an answer that is asked for is fetched anew in the background. `false`: not.',
    share('Part of its life.'),
    off('Not.'),
  ).prefault(false),
  collapse: either(
    'How long a request waits for the answer to another one for the same; `false`: each asks for itself.',
    duration('How long.', '0s', '10m'),
    off('Not.'),
  ).prefault('10s'),
}

export const routeCache: Schema<CheckedRouteCache | undefined> = either(
  'Keeps answers of the service and gives them to others who ask for the same (RFC 9111, a shared cache). `true`: as the origin says.',
  into(flag('As the origin says, or not.'), on => (on ? whole(strict(cacheKeys).parse({})) : undefined)),
  into(
    strict(cacheKeys, {
      about: 'With rules of your own.',
      elsewhere: {
        maxAge: "Did you mean 'ttl' or 'browserTtl'?",
        staleWhileRevalidate: "Did you mean 'swr'?",
        vary: "'headers' is a key of 'key'.",
        headers: "'headers' is a key of 'key' and of 'bypass'.",
        cookies: "'cookies' is a key of 'key' and of 'bypass'.",
        query: "'query' is a key of 'key' and of 'bypass'.",
        memory: "'memory' is a key of 'edge.cache'.",
        size: "'memory' is a key of 'edge.cache'.",
        lock: "Did you mean 'collapse'?",
        grace: "Did you mean 'swr' or 'staleIfError'?",
      },
    }),
    (keys): CheckedRouteCache | Refused =>
      keys.ignoreQuery !== undefined && keys.key !== undefined && keys.key.query !== 'all'
        ? new Refused("has 'ignoreQuery' and 'key.query'", 'Keep one of them.')
        : whole(keys),
  ),
)

type Keys = ReturnType<ReturnType<typeof strict<typeof cacheKeys>>['parse']>

function whole(keys: Keys): CheckedRouteCache {
  const parsedKey = keys.key ?? key.parse({})
  return defined({
    ttlMs: keys.ttl,
    key: keys.ignoreQuery === undefined ? parsedKey : { ...parsedKey, query: keys.ignoreQuery },
    staleWhileRevalidateMs: keys.swr,
    staleIfErrorMs: keys.staleIfError,
    negativeMs: keys.negative,
    tags: names(keys.tags),
    bypass: keys.bypass ?? bypass.parse({}),
    browserTtlMs: keys.browserTtl,
    immutable: keys.immutable,
    heuristics: keys.heuristics,
    stripCookies: keys.stripCookies,
    refreshAhead: keys.refreshAhead === false ? 0 : keys.refreshAhead,
    collapseMs: keys.collapse === false ? 0 : keys.collapse,
  }) as CheckedRouteCache
}
