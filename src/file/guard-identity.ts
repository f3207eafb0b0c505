// The key `guard.identity`: what names whom a request is from, and what verifies who somebody is: tokens, API keys,
// passwords; logins are in guard-logins.ts. Which of these a route asks for is `require` of policies (guard-require.ts).

import type { CheckedBasic, CheckedIdentity, CheckedJwt, CheckedKeys, JwtAlgorithm } from './checked-guard.ts'
import { secretOnly } from './guard-challenge.ts'
import { credentialPlace, oneOrMore, onLoopback, safeUrl } from './guard-credentials.ts'
import { oidc } from './guard-logins.ts'
import { identitySources } from './guard-sources.ts'
import { servicePattern } from './services.ts'
import { defined, either, into, listOf, mapOf, strict } from './shapes.ts'
import { filePath } from './tls.ts'
import { duration, leaf, Refused, type Schema, text } from './values.ts'

const algorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'HS256',
  'HS384',
  'HS512',
] as const satisfies readonly JwtAlgorithm[]

const algorithm = leaf<JwtAlgorithm>({
  about: 'An algorithm of RFC 7518 or RFC 8037.',
  allowed: `one of ${algorithms.map(one => `'${one}'`).join(', ')}`,
  json: { enum: [...algorithms] },
  type: algorithms.map(one => `'${one}'`).join(' | '),
  parse: value => {
    if (typeof value !== 'string') return undefined
    if (value.toLowerCase() === 'none')
      return new Refused(
        'is no signature: anybody could write such a token',
        'Name what the issuer signs with.',
      )
    return algorithms.find(one => one === value)
  },
})

const asymmetric: readonly JwtAlgorithm[] = ['RS256', 'PS256', 'ES256', 'EdDSA']

const keyFile = into(
  strict(
    { file: filePath('A JWKS (RFC 7517), or a public key (PEM)') },
    {
      about: 'Keys in a file; read again when it changes.',
      elsewhere: { url: "Write keys: 'https://...'." },
    },
  ),
  ({ file }) => ({ kind: 'file', file }) as const,
)

const keyUrl = into(
  safeUrl('Where the keys are (JWKS).', 'https://login.example/jwks.json'),
  url => ({ kind: 'url', url }) as const,
)

const jwtObject = strict(
  {
    issuer: text(
      'Who signs: `iss` of a token must be exactly this.',
      "a text without spaces, such as 'https://login.example'",
      { pattern: /^[!-~]+$/, lengthMax: 2048 },
    ),
    audience: oneOrMore(
      'For whom: `aud` of a token must be, or hold, one of these.',
      text('An audience.', 'a text without spaces', { pattern: /^[!-~]+$/, lengthMax: 500 }),
      20,
    ),
    algorithms: listOf(
      "What may have signed. Left out: RS256, PS256, ES256 and EdDSA; with a 'secret': HS256.",
      algorithm,
      algorithms.length,
      1,
    ).optional(),
    keys: either(
      "A URL, or { file: '...' }. Left out: the issuer says where, in /.well-known/openid-configuration.",
      keyUrl,
      keyFile,
    ).optional(),
    secret: secretOnly(
      'Of HS256 and its like, instead of keys: 32 characters at least. Who verifies can sign too: prefer keys.',
      'JWT_SECRET',
    ).optional(),
    from: credentialPlace.prefault('bearer'),
    clockTolerance: duration('By how much clocks may differ.', '0s', '5m').prefault('30s'),
    maxAge: duration(
      'Older tokens (`iat`) are refused, whatever they say of themselves.',
      '1m',
      '365d',
    ).optional(),
    staleMax: duration('How long keys are believed while the issuer is out of reach.', '1m', '7d').prefault(
      '24h',
    ),
    timeout: duration('Of one fetch of keys.', '100ms', '30s').prefault('5s'),
    typ: text(
      'Only tokens of this type, such as `at+jwt` (RFC 9068): an ID token is then no key to an API.',
      'a media type without application/',
      { pattern: /^[A-Za-z0-9.+-]+$/, lengthMax: 100 },
    ).optional(),
  },
  {
    about: 'Tokens of one issuer (JWT).',
    elsewhere: {
      jwks: "Did you mean 'keys'?",
      jwksUri: "Did you mean 'keys'?",
      jwks_uri: "Did you mean 'keys'?",
      aud: "Did you mean 'audience'?",
      iss: "Did you mean 'issuer'?",
      alg: "Did you mean 'algorithms'?",
      algorithm: "Did you mean 'algorithms'?",
      leeway: "Did you mean 'clockTolerance'?",
      cookie: "Write from: 'cookie:NAME'.",
      header: "Write from: 'header:NAME'.",
    },
  },
)

const jwt: Schema<CheckedJwt> = into(jwtObject, (keys): CheckedJwt | Refused => {
  const { secret, maxAge, typ } = keys
  const allowed = keys.algorithms ?? (secret ? (['HS256'] as const) : asymmetric)
  const shared = allowed.filter(one => one.startsWith('HS'))
  if (secret === undefined && shared.length > 0)
    return new Refused(
      `has the algorithm ${shared[0]}, and no 'secret'`,
      `Write secret: secret('JWT_SECRET'), or leave out ${shared[0]}: with public keys it lets anybody sign.`,
    )
  if (secret !== undefined && shared.length !== allowed.length)
    return new Refused(
      "has a 'secret' and algorithms of public keys",
      "Write only HS256, or leave out 'secret'.",
    )
  if (secret !== undefined && keys.keys !== undefined)
    return new Refused("has both 'secret' and 'keys'", 'Keep one of them.')
  if (secret === undefined && keys.keys === undefined && !isSafeIssuer(keys.issuer))
    return new Refused(
      "has no 'keys', and its 'issuer' is no https:// URL that could say where they are",
      "Write keys: 'https://...', or keys: { file: '...' }.",
    )
  return defined({
    issuer: keys.issuer,
    audience: keys.audience,
    algorithms: [...new Set(allowed)],
    keys: secret ? ({ kind: 'secret', secret } as const) : (keys.keys ?? ({ kind: 'discover' } as const)),
    from: keys.from,
    clockToleranceMs: keys.clockTolerance,
    ageMaxMs: maxAge,
    staleMaxMs: keys.staleMax,
    timeoutMs: keys.timeout,
    typ: typ?.toLowerCase(),
  }) as CheckedJwt
})

const isSafeIssuer = (issuer: string): boolean =>
  URL.canParse(issuer) && (issuer.startsWith('https://') || onLoopback(issuer))

const keysObject = strict(
  {
    file: filePath('Hashes of the keys, as `tenfold guard key new` writes them'),
    from: oneOrMore('Where keys stand.', credentialPlace, 5).prefault(['header:x-api-key', 'bearer']),
  },
  { about: 'API keys.', elsewhere: { path: "Did you mean 'file'?", header: "Write from: 'header:NAME'." } },
)

const keys: Schema<CheckedKeys> = either(
  "API keys: `{ file: 'keys.jsonl' }`, or the file alone.",
  into(filePath('Hashes of the keys'), file => keysObject.parse({ file }) as CheckedKeys),
  into(keysObject, ({ file, from }) => ({ file, from })),
)

const realm = text('What browsers show.', 'a text of plain ASCII without quotes', {
  pattern: /^[ !#-[\]-~]+$/,
  lengthMax: 200,
})

const basic: Schema<CheckedBasic> = into(
  strict(
    {
      file: filePath('Lines of NAME:HASH, as `tenfold guard password` writes them'),
      realm: realm.optional(),
    },
    {
      about: 'User names and passwords.',
      elsewhere: { users: "Did you mean 'file'?", htpasswd: "Did you mean 'file'?" },
    },
  ),
  keys => ({ file: keys.file, realm: keys.realm ?? 'Tenfold' }),
)

const byName = <T>(one: Schema<T>, about: string, example: string): Schema<Record<string, T>> =>
  mapOf(one, {
    about,
    names: `names such as '${example}': small letters, digits and -, at most 40, beginning with a letter`,
    pattern: servicePattern,
    entriesMax: 20,
  })

const someOf = <T>(map: Readonly<Record<string, T>> | undefined): Readonly<Record<string, T>> | undefined =>
  map === undefined || Object.keys(map).length === 0 ? undefined : map

export const identity: Schema<CheckedIdentity> = into(
  strict(
    {
      account: identitySources(
        'Where the account is found. Several: the first that has a value. Left out: who was verified, where a policy requires it.',
      ).optional(),
      session: identitySources('Where the session is found, such as `cookie:sid`.').optional(),
      key: identitySources('Where API keys are found, such as `header:x-api-key`.').optional(),
      jwt: byName(
        jwt,
        'Tokens that others signed, by name: policies have `require: "jwt:NAME"`.',
        'staff',
      ).optional(),
      oidc: byName(oidc, 'Logins at OpenID providers, by name: `require: "oidc:NAME"`.', 'web').optional(),
      keys: byName(
        keys,
        'API keys that are verified, by name: `require: "key:NAME"`.',
        'partners',
      ).optional(),
      basic: byName(basic, 'User names and passwords, by name: `require: "basic:NAME"`.', 'ops').optional(),
    },
    {
      about: 'Who a request is from, for limits, rooms and quotas, and what verifies it.',
      elsewhere: {
        user: "Did you mean 'account'?",
        apiKey: "Did you mean 'key'?",
        apiKeys: "Did you mean 'keys'?",
        ip: 'The address is always known: edge.trustedProxies says who is believed about it.',
        mtls: "Policies have require: 'mtls'; edge.tls.clientCertificates says who signs.",
        openid: "Did you mean 'oidc'?",
        instanceKey: 'Instances get TENFOLD_GUARD_KEY, from guard.secret.',
      },
    },
  ),
  ({ account = [], session = [], key = [], ...ways }): CheckedIdentity =>
    defined({
      account,
      session,
      key,
      jwt: someOf(ways.jwt),
      oidc: someOf(ways.oidc),
      keys: someOf(ways.keys),
      basic: someOf(ways.basic),
    }) as CheckedIdentity,
)
