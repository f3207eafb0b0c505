// The key `balance`, and keys of a request by which members are hashed or kept. It knows no algorithm: those are policies.

import type { CheckedBalance, CheckedHashKey } from './checked.ts'
import { defined, either, into, strict } from './shapes.ts'
import { choice, decimal, leaf, Refused, type Schema, token } from './values.ts'

const plainKinds = [
  'round-robin',
  'weighted-round-robin',
  'random',
  'least-connections',
  'least-response-time',
  'least-bandwidth',
  'two-choices',
  'resource',
  'ip-hash',
] as const
const hashKinds = ['ring-hash', 'rendezvous-hash', 'maglev-hash'] as const

/** `header:x-user`, `path:id`, ... for the words given; a word without `:name` stands alone. */
export function requestKey<B extends string>(
  about: string,
  named: readonly B[],
  alone: readonly string[],
): Schema<{ readonly by: string; readonly name?: string }> {
  const shown = [...alone.map(word => `'${word}'`), ...named.map(word => `'${word}:name'`)].join(', ')
  return leaf({
    about,
    allowed: `${shown}, of at most 200 characters`,
    json: { type: 'string', minLength: 1, maxLength: 200 },
    type: [...alone.map(word => `'${word}'`), ...named.map(word => `\`${word}:\${string}\``)].join(' | '),
    parse: value => {
      if (typeof value !== 'string' || value.length > 200) return undefined
      if (alone.includes(value)) return { by: value }
      const [by = '', ...rest] = value.split(':')
      const name = rest.join(':')
      if (!named.includes(by as B)) return undefined
      if (!keyName[by]?.test(name)) return new Refused(name ? `names no ${by}` : 'has no name')
      return { by, name: by === 'header' ? name.toLowerCase() : name }
    },
  })
}

const keyName: Readonly<Record<string, RegExp>> = {
  header: token,
  cookie: token,
  path: /^[A-Za-z_][A-Za-z0-9_]*$/,
  query: /^[^\s&=#]+$/,
}

const hashKey = requestKey(
  'What is hashed. `path:id` is the part that `:id` of the route matched.',
  ['header', 'cookie', 'path', 'query'],
  ['ip', 'url'],
) as Schema<CheckedHashKey>

const balanceObject: Schema<CheckedBalance> = into(
  strict(
    {
      kind: choice('The algorithm.', [...plainKinds, ...hashKinds]),
      key: hashKey.optional(),
      loadFactor: decimal(
        'Bounded loads: no member gets more than this multiple of the mean. Left out: unbounded.',
        1.05,
        10,
      ).optional(),
    },
    { about: 'An algorithm with its settings.' },
  ),
  ({ kind, key, loadFactor }) => {
    const hashed = hashKinds.find(name => name === kind)
    if (hashed)
      return defined({ kind: hashed, key: key ?? ({ by: 'ip' } as const), loadFactor }) as CheckedBalance
    return key || loadFactor
      ? new Refused(
          `sets ${key ? "'key'" : "'loadFactor'"}, which '${kind}' does not use`,
          `Use it with ${hashKinds.join(', ')}.`,
        )
      : ({ kind } as CheckedBalance)
  },
)

const balanceWord: Schema<CheckedBalance> = into(
  choice('The algorithm; the hash algorithms hash the client address.', [...plainKinds, ...hashKinds]),
  kind => (hashKinds.find(name => name === kind) ? { kind, key: { by: 'ip' } } : { kind }) as CheckedBalance,
)

export const balance: Schema<CheckedBalance> = either('How members are chosen.', balanceWord, balanceObject)
