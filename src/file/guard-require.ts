// The key `require` of policies: who must say, and prove, who they are. Whether the names are there is checked in
// identity-checks.ts.

import type { CheckedIdentityWay, CheckedRequirement } from './checked-guard.ts'
import { oneOrMore } from './guard-credentials.ts'
import { either, into, mapOf, strict } from './shapes.ts'
import { flag, leaf, nearest, Refused, type Schema, text } from './values.ts'

const methods = ['jwt', 'oidc', 'key', 'basic'] as const
const methodWords: Readonly<Record<string, string>> = {
  keys: 'key',
  apikey: 'key',
  'api-key': 'key',
  token: 'jwt',
  bearer: 'jwt',
  login: 'oidc',
  password: 'basic',
}

const way = leaf<CheckedIdentityWay>({
  about: 'One way to say who one is.',
  allowed:
    "'jwt:NAME', 'oidc:NAME', 'key:NAME', 'basic:NAME' (of guard.identity) or 'mtls', of at most 60 characters",
  json: { type: 'string', minLength: 1, maxLength: 60 },
  type: [...methods.map(method => `\`${method}:\${string}\``), "'mtls'"].join(' | '),
  parse: value => {
    if (typeof value !== 'string' || value.length > 60) return undefined
    if (value === 'mtls') return { method: 'mtls', name: '' }
    const [by = '', ...rest] = value.split(':')
    const method = methods.find(one => one === by)
    if (method !== undefined)
      return rest.length === 1 && rest[0] !== ''
        ? { method, name: rest[0] as string }
        : new Refused(
            'has no name',
            `Write '${method}:NAME', a name of guard.identity.${method === 'key' ? 'keys' : method}.`,
          )
    const near = methodWords[by] ?? nearest(by, [...methods, 'mtls'])
    return near === undefined ? undefined : new Refused('is not one of the ways', `Did you mean '${near}'?`)
  },
})

const ways = into(oneOrMore('Who may pass: whoever one of these verifies.', way, 10), list =>
  uniqueWays(list),
)

const uniqueWays = (list: readonly CheckedIdentityWay[]): readonly CheckedIdentityWay[] =>
  list.filter((one, index) => list.findIndex(other => wayText(other) === wayText(one)) === index)

const word = (about: string): Schema<string> => text(about, 'a text', { lengthMax: 500 })

const requirementObject: Schema<CheckedRequirement> = into(
  strict(
    {
      any: ways,
      scopes: oneOrMore(
        'Scopes that are all needed.',
        text('A scope.', 'a text without spaces', { pattern: /^[!-~]+$/, lengthMax: 200 }),
        50,
      ).optional(),
      claims: mapOf(oneOrMore('Its value, or one of several.', word('A value.'), 100), {
        about: 'Claims that are all needed, with the values that will do.',
        names: 'names of claims, at most 200 characters',
        pattern: /^[^\x00-\x1f]{1,200}$/,
        entriesMax: 20,
      }).prefault({}),
      optional: flag(
        'Whoever carries no credential passes, unknown; a wrong one is refused all the same.',
      ).prefault(false),
      forward: flag('The credential itself reaches the instance too, not only who was verified.').prefault(
        true,
      ),
    },
    {
      about: 'With what is asked of them.',
      elsewhere: {
        all: "Did you mean 'any'?",
        of: "Did you mean 'any'?",
        scope: "Did you mean 'scopes'?",
        roles: "Write claims: { role: ['admin'] }.",
      },
    },
  ),
  (keys): CheckedRequirement | Refused => {
    if (keys.optional && (keys.scopes !== undefined || Object.keys(keys.claims).length > 0))
      return new Refused(
        "is 'optional', and asks for scopes or claims: who carries nothing would pass, and who carries too little would not",
        "Leave out 'optional', or give what needs scopes a route of its own.",
      )
    return {
      any: keys.any,
      scopes: keys.scopes ?? [],
      claims: keys.claims,
      optional: keys.optional,
      forward: keys.forward,
    }
  },
)

export const requirement: Schema<CheckedRequirement> = either(
  "Who must say, and prove, who they are: `'jwt:staff'`, a list of which one is enough, or an object with scopes and claims.",
  into(ways, any => ({ any, scopes: [], claims: {}, optional: false, forward: true }) as CheckedRequirement),
  requirementObject,
)

export const wayText = ({ method, name }: CheckedIdentityWay): string =>
  method === 'mtls' ? 'mtls' : `${method}:${name}`
