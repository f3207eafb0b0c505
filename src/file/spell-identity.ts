// What verifies who somebody is, and what policies require of them, written back as a system file has it. spell-guard.ts
// has the rest.

import type {
  CheckedBasic,
  CheckedIdentity,
  CheckedJwt,
  CheckedKeys,
  CheckedOidc,
  CheckedRequirement,
} from './checked-guard.ts'
import { placeText } from './guard-credentials.ts'
import { wayText } from './guard-require.ts'
import { defined } from './shapes.ts'
import { ms, msOf } from './spell-values.ts'

/** Without sources. */
export function spellIdentity({ jwt, oidc, keys, basic }: CheckedIdentity): object {
  return defined({
    jwt: mapped(jwt, spellJwt),
    oidc: mapped(oidc, spellOidc),
    keys: mapped(keys, spellKeys),
    basic: mapped(basic, (one: CheckedBasic) => ({ ...one })),
  })
}

const mapped = <T>(
  map: Readonly<Record<string, T>> | undefined,
  spell: (one: T) => object,
): object | undefined =>
  map && Object.fromEntries(Object.entries(map).map(([name, one]) => [name, spell(one)]))

function spellJwt(one: CheckedJwt): object {
  const { keys } = one
  return defined({
    issuer: one.issuer,
    audience: one.audience,
    algorithms: one.algorithms,
    keys: keys.kind === 'url' ? keys.url : keys.kind === 'file' ? { file: keys.file } : undefined,
    secret: keys.kind === 'secret' ? keys.secret : undefined,
    from: placeText(one.from),
    clockTolerance: ms(one.clockToleranceMs),
    maxAge: msOf(one.ageMaxMs),
    staleMax: ms(one.staleMaxMs),
    timeout: ms(one.timeoutMs),
    typ: one.typ,
  })
}

function spellOidc(one: CheckedOidc): object {
  return defined({
    issuer: one.issuer,
    clientId: one.clientId,
    clientSecret: one.clientSecret,
    scopes: one.scopes,
    claims: one.claims,
    origins: one.origins,
    idle: ms(one.idleMs),
    absolute: ms(one.absoluteMs),
    afterLogout: one.afterLogout,
    timeout: ms(one.timeoutMs),
    clockTolerance: ms(one.clockToleranceMs),
    parameters: one.parameters,
  })
}

const spellKeys = ({ file, from }: CheckedKeys): object => ({ file, from: from.map(placeText) })

export function spellRequirement(one: CheckedRequirement): object {
  return {
    any: one.any.map(wayText),
    ...(one.scopes.length === 0 ? {} : { scopes: one.scopes }),
    claims: one.claims,
    optional: one.optional,
    forward: one.forward,
  }
}
