// Where a value of a request is found, as `by` of limits, rooms and quotas and the keys of `guard.identity` write it:
// texts in, sources out. Whether a route has the path's part, or the file what a source needs, is checked in
// guard-checks.ts.

import type { CheckedQuotaSource, CheckedSource } from './checked-guard.ts'
import { either, into, listOf } from './shapes.ts'
import { leaf, nearest, Refused, type Schema, token } from './values.ts'

const words = ['account', 'session', 'key', 'fingerprint', 'country', 'asn', 'route', 'all'] as const

/** What each named source may be called. */
const namePatterns: Readonly<Record<string, RegExp>> = {
  header: token,
  cookie: token,
  query: /^[^\s&=#]+$/,
  path: /^[A-Za-z_][A-Za-z0-9_]*$/,
  jwt: /^[!-~]+$/,
  field: /^[^\s.]+(?:\.[^\s.]+)*$/,
}

const requestNames = ['header', 'cookie', 'query', 'path', 'jwt'] as const
/** Parts of one key: more tell nobody apart any better. */
const partsMax = 5

interface Grammar {
  readonly about: string
  readonly alone: readonly string[]
  readonly named: readonly string[]
  readonly address: boolean
}

function source<S>({ about, alone, named, address }: Grammar): Schema<S> {
  const plain = [...(address ? ['ip', 'ip/24', 'ip/24/48'] : []), ...alone]
  const shown = [...plain, ...named.map(word => `${word}:NAME`)].map(word => `'${word}'`).join(', ')
  const types = [
    // biome-ignore-start lint/suspicious/noTemplateCurlyInString: they are types.
    ...(address ? ["'ip'", '`ip/${string}`'] : []),
    ...alone.map(word => `'${word}'`),
    ...named.map(word => `\`${word}:\${string}\``),
    // biome-ignore-end lint/suspicious/noTemplateCurlyInString: they are types.
  ]
  return leaf<S>({
    about,
    allowed: `${shown}, of at most 200 characters`,
    json: { type: 'string', minLength: 1, maxLength: 200 },
    type: types.join(' | '),
    parse: value => {
      if (typeof value !== 'string' || value.length > 200) return undefined
      if (address && /^ip(?:\/|$)/.test(value)) return addressSource(value) as S | Refused
      if (alone.includes(value)) return { by: value } as S
      return namedSource(value, alone, named) as S | Refused | undefined
    },
  })
}

/** `ip`, `ip/24` (bits of IPv4), `ip/24/48` (and of IPv6). */
function addressSource(value: string): CheckedSource | Refused {
  const match = /^ip(?:\/(\d{1,2})(?:\/(\d{1,3}))?)?$/.exec(value)
  const [ipv4, ipv6] = [match?.[1], match?.[2]].map(bits => (bits === undefined ? undefined : Number(bits)))
  if (!match) return new Refused('is not an address with its bits', "Write 'ip', 'ip/24' or 'ip/24/48'.")
  if (ipv4 !== undefined && (ipv4 < 8 || ipv4 > 32))
    return new Refused(`has ${ipv4} bits of IPv4`, 'Write 8 to 32.')
  if (ipv6 !== undefined && (ipv6 < 16 || ipv6 > 128))
    return new Refused(`has ${ipv6} bits of IPv6`, 'Write 16 to 128.')
  return {
    by: 'ip',
    ...(ipv4 === undefined ? {} : { ipv4Bits: ipv4 }),
    ...(ipv6 === undefined ? {} : { ipv6Bits: ipv6 }),
  }
}

function namedSource(
  value: string,
  alone: readonly string[],
  named: readonly string[],
): CheckedQuotaSource | Refused | undefined {
  const [by = '', ...rest] = value.split(':')
  if (!named.includes(by)) {
    if (requestNames.some(word => word === value)) return new Refused('has no name', `Write '${value}:NAME'.`)
    const near = value.includes(':') ? nearest(by, named) : nearWord(value, alone)
    return near ? new Refused('is not one of the sources', `Did you mean '${near}'?`) : undefined
  }
  const name = rest.join(':')
  if (!namePatterns[by]?.test(name)) return new Refused(name ? `names no ${by}` : 'has no name')
  return { by, name: by === 'header' ? name.toLowerCase() : name } as CheckedQuotaSource
}

/** What others call them. */
const synonyms: Readonly<Record<string, (typeof words)[number] | 'ip'>> = {
  address: 'ip',
  client: 'ip',
  remote_addr: 'ip',
  user: 'account',
  'user-id': 'account',
  'api-key': 'key',
  apikey: 'key',
  ja3: 'fingerprint',
  ja4: 'fingerprint',
  geo: 'country',
  global: 'all',
  path: 'route',
}

function nearWord(value: string, alone: readonly string[]): string | undefined {
  const near = nearest(value, ['ip', ...alone, ...Object.keys(synonyms)])
  return near === undefined ? undefined : (synonyms[near] ?? near)
}

/** One, or several that are the key together. */
function composite<S>(about: string, one: Schema<S>): Schema<readonly S[]> {
  return either(
    about,
    into(one, part => [part] as readonly S[]),
    into(listOf('All of them together.', one, partsMax, 1), parts => {
      const texts = parts.map(part => sourceText(part as CheckedQuotaSource))
      const twice = texts.find((text, index) => texts.indexOf(text) !== index)
      return twice === undefined ? parts : new Refused(`names '${twice}' twice`, 'Keep one.')
    }),
  )
}

export const requestSources = (about: string): Schema<readonly CheckedSource[]> =>
  composite(
    about,
    source<CheckedSource>({ about: 'One source.', alone: words, named: requestNames, address: true }),
  )

/** Of quotas: fields of the body too. */
export const quotaSources = (about: string): Schema<readonly CheckedQuotaSource[]> =>
  composite(
    about,
    source<CheckedQuotaSource>({
      about: 'One source.',
      alone: words,
      named: [...requestNames, 'field'],
      address: true,
    }),
  )

/** Of `identity`: what a request carries. The first that has a value names whom it is from. */
export const identitySources = (about: string): Schema<readonly CheckedSource[]> =>
  composite(
    about,
    source<CheckedSource>({
      about: 'One source.',
      alone: [],
      named: ['header', 'cookie', 'query', 'jwt'],
      address: false,
    }),
  )

/** As the file writes it. */
export function sourceText(one: CheckedQuotaSource): string {
  if (one.by === 'ip')
    return one.ipv4Bits === undefined && one.ipv6Bits === undefined
      ? 'ip'
      : `ip/${one.ipv4Bits ?? 32}${one.ipv6Bits === undefined ? '' : `/${one.ipv6Bits}`}`
  return 'name' in one ? `${one.by}:${one.name}` : one.by
}
