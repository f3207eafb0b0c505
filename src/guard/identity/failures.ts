// What clients and operators are told of who somebody is.

import { type Catalogue, defineFailures } from '../../kit/failure.ts'

export const identityFailures: Catalogue<'fileUnreadable' | 'fileMalformed'> = defineFailures('identity', {
  fileUnreadable: {
    when: 'A file of keys or passwords that the system file names can not be read.',
    advice: 'Let the user that Tenfold runs as read it, or correct the path in guard.identity.',
  },
  fileMalformed: {
    when: 'A file of keys or passwords has a line that is none, or keys that can not verify anything.',
    advice:
      'API keys: `tenfold guard key`. Passwords: `tenfold guard password`. Tokens: a JWKS (RFC 7517) or a public key in PEM.',
  },
})

interface Told {
  readonly code: string
  readonly status: number
  readonly text: string
}

/** To clients. */
export const identityRefusals: Readonly<Record<'missing' | 'invalid' | 'scope' | 'claim' | 'outage', Told>> =
  {
    missing: {
      code: 'IDENTITY_MISSING',
      status: 401,
      text: 'Who you are has to be known here, and the request does not say so.',
    },
    invalid: {
      code: 'IDENTITY_INVALID',
      status: 401,
      text: 'What the request says about who you are does not hold, or not any more. Log in again, or use a new key.',
    },
    scope: {
      code: 'IDENTITY_SCOPE',
      status: 403,
      text: 'Who you are is known, and this needs a permission (scope) that you do not have.',
    },
    claim: {
      code: 'IDENTITY_CLAIM',
      status: 403,
      text: 'Who you are is known, and this is for others.',
    },
    outage: {
      code: 'IDENTITY_OUTAGE',
      status: 503,
      text: 'Who you are can not be verified at the moment. Try again in a few seconds.',
    },
  }
