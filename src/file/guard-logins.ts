// The key `guard.identity.oidc`: logins at OpenID providers. What the session is, is not written here but made by the edge.

import type { CheckedOidc } from './checked-guard.ts'
import { secretOnly } from './guard-challenge.ts'
import { safeOrigin, safeUrl } from './guard-credentials.ts'
import { defined, into, listOf, mapOf, strict } from './shapes.ts'
import { duration, Refused, type Schema, text } from './values.ts'

export const oidc: Schema<CheckedOidc> = into(
  strict(
    {
      issuer: safeUrl('The provider; what else is needed it says itself.', 'https://login.example'),
      clientId: text('Our name there.', 'a text without spaces', { pattern: /^[!-~]+$/, lengthMax: 500 }),
      clientSecret: secretOnly(
        'Our password there. Left out: a public client, by PKCE alone.',
        'OIDC_SECRET',
      ).optional(),
      scopes: listOf(
        'What is asked for; `openid` always is. `offline_access` is of no use: refresh tokens are not kept.',
        text('A scope.', 'a text without spaces', { pattern: /^[!-~]+$/, lengthMax: 200 }),
        50,
      ).prefault(['openid', 'profile', 'email']),
      claims: listOf(
        'Claims of the ID token that the session keeps, for rules and instances; `sub` always is kept.',
        text('A claim.', 'a name', { lengthMax: 200 }),
        20,
      ).prefault(['name', 'email', 'email_verified']),
      origins: listOf(
        'Where people log in: its callback has to be known to the provider. Left out: the host that is asked.',
        safeOrigin('An origin.'),
        20,
      ).prefault([]),
      idle: duration('A session that nobody uses ends after this.', '1m', '30d').prefault('1h'),
      absolute: duration('Every session ends after this.', '1m', '90d').prefault('12h'),
      afterLogout: text('Where people land who have logged out.', 'a path that begins with /', {
        pattern: /^\/(?![/\\])[!-~]*$/,
      }).prefault('/'),
      timeout: duration('Of each request to the provider.', '100ms', '30s').prefault('5s'),
      clockTolerance: duration('By how much clocks may differ.', '0s', '5m').prefault('30s'),
      parameters: mapOf(text('Its value.', 'a text', { lengthMax: 500 }), {
        about: "Further parameters of the login's address, such as `prompt` or `acr_values`.",
        names: 'parameter names of OpenID Connect',
        pattern:
          /^(?!(?:client_id|redirect_uri|response_type|response_mode|scope|state|nonce|code_challenge|code_challenge_method|request|request_uri)$)[A-Za-z0-9_.-]{1,100}$/,
        entriesMax: 20,
      }).prefault({}),
    },
    {
      about: 'Logins at an OpenID provider.',
      elsewhere: {
        client_id: "Did you mean 'clientId'?",
        client_secret: "Did you mean 'clientSecret'?",
        scope: "Did you mean 'scopes'?",
        redirectUri:
          "The callback is ORIGIN/.tenfold/guard/login/NAME/callback; 'origins' says which origins.",
        hosts: "Did you mean 'origins'?",
        session: "'idle' and 'absolute' say how long sessions last.",
      },
    },
  ),
  (keys): CheckedOidc | Refused => {
    if (keys.idle > keys.absolute)
      return new Refused("has 'idle' longer than 'absolute'", "Lower 'idle', or raise 'absolute'.")
    return defined({
      issuer: keys.issuer,
      clientId: keys.clientId,
      clientSecret: keys.clientSecret,
      scopes: [...new Set(['openid', ...keys.scopes])],
      claims: [...new Set(keys.claims)].filter(claim => claim !== 'sub'),
      origins: [...new Set(keys.origins)],
      idleMs: keys.idle,
      absoluteMs: keys.absolute,
      afterLogout: keys.afterLogout,
      timeoutMs: keys.timeout,
      clockToleranceMs: keys.clockTolerance,
      parameters: keys.parameters,
    }) as CheckedOidc
  },
)
