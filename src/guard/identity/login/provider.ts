// One OpenID provider, as a login needs it: where to send a browser, who came back. What the provider says of itself is
// fetched when somebody first wants to log in, so that an edge starts and goes on without it. One fetch at a time; after a
// failed one nobody asks for a few seconds.

import * as openid from 'openid-client'
import { boundedFetch } from '../../../io/bounded-fetch.ts'
import type { LoginSpec } from './login-spec.ts'
import type { LoginFlow } from './session.ts'

export interface LoggedIn {
  readonly sub: string
  readonly scopes: readonly string[]
  readonly claims: Readonly<Record<string, unknown>>
}

/** The provider is out of reach, or says nothing that can be used. */
export class ProviderAway extends Error {}

const answerBytesMax = 262_144
/** What a provider says of itself is asked for again after this, and believed meanwhile. */
const freshMs = 3_600_000
const restMs = 3_000
const responseFields = ['code', 'state', 'iss', 'error', 'error_description', 'session_state']

export class Provider {
  readonly #spec: LoginSpec
  #config: openid.Configuration | null = null
  #fetchedAtMs = -Infinity
  #failedAtMs = -Infinity
  #asking: Promise<openid.Configuration> | null = null

  constructor(spec: LoginSpec) {
    this.#spec = spec
  }

  /** Where the browser goes to log in. Rejects with `ProviderAway`. */
  async loginUrl(flow: LoginFlow, callback: string, nowMs: number): Promise<string> {
    const config = await this.#known(nowMs)
    const { scopes, parameters } = this.#spec
    const wish = {
      ...parameters,
      redirect_uri: callback,
      scope: scopes.join(' '),
      state: flow.state,
      nonce: flow.nonce,
      code_challenge: await openid.calculatePKCECodeChallenge(flow.verifier),
      code_challenge_method: 'S256',
    }
    if (config.serverMetadata().pushed_authorization_request_endpoint === undefined)
      return openid.buildAuthorizationUrl(config, wish).href
    return (await away(openid.buildAuthorizationUrlWithPAR(config, wish))).href
  }

  /** Rejects with `ProviderAway`, or with openid-client's error: what came back is not believed. */
  async finish(flow: LoginFlow, callback: string, query: string, nowMs: number): Promise<LoggedIn> {
    const config = await this.#known(nowMs)
    const tokens = await openid.authorizationCodeGrant(config, callbackUrl(callback, query), {
      expectedState: flow.state,
      expectedNonce: flow.nonce,
      pkceCodeVerifier: flow.verifier,
      idTokenExpected: true,
    })
    const told = tokens.claims() as openid.IDToken
    const claims = await this.#withUserInfo(config, tokens.access_token, told)
    return {
      sub: told.sub,
      scopes: (tokens.scope ?? this.#spec.scopes.join(' ')).split(' ').filter(scope => scope !== ''),
      claims: pick(claims, this.#spec.claims),
    }
  }

  /** Many providers put claims of a profile into no ID token (OpenID Connect Core 5.4). */
  async #withUserInfo(
    config: openid.Configuration,
    accessToken: string,
    told: openid.IDToken,
  ): Promise<Readonly<Record<string, unknown>>> {
    const missing = this.#spec.claims.some(claim => told[claim] === undefined)
    if (!missing || config.serverMetadata().userinfo_endpoint === undefined) return told
    return { ...(await away(openid.fetchUserInfo(config, accessToken, told.sub))), ...told }
  }

  /** Where a browser logs out at the provider too; null: it offers no such thing, or is out of reach. */
  async logoutUrl(landing: string, nowMs: number): Promise<string | null> {
    try {
      const config = await this.#known(nowMs)
      if (config.serverMetadata().end_session_endpoint === undefined) return null
      return openid.buildEndSessionUrl(config, { post_logout_redirect_uri: landing }).href
    } catch {
      return null
    }
  }

  async #known(nowMs: number): Promise<openid.Configuration> {
    if (this.#config !== null && nowMs - this.#fetchedAtMs < freshMs) return this.#config
    const resting = nowMs - this.#failedAtMs < restMs
    if (!resting) this.#asking ??= this.#discover(nowMs)
    if (this.#asking === null) {
      if (this.#config !== null) return this.#config
      throw new ProviderAway('It did not answer a moment ago.')
    }
    try {
      return await this.#asking
    } catch (error) {
      if (this.#config !== null) return this.#config
      throw error
    }
  }

  async #discover(nowMs: number): Promise<openid.Configuration> {
    const { issuer, clientId, clientSecret, timeoutMs, clockToleranceMs } = this.#spec
    const authentication = clientSecret === undefined ? openid.None() : undefined
    const metadata = {
      ...(clientSecret === undefined ? {} : { client_secret: clientSecret }),
      [openid.clockTolerance]: Math.ceil(clockToleranceMs / 1_000),
    }
    const insecure = issuer.startsWith('http:') ? [openid.allowInsecureRequests] : []
    try {
      const config = await openid.discovery(new URL(issuer), clientId, metadata, authentication, {
        // The signature of the ID token is checked too, not only where it came from.
        execute: [...insecure, openid.enableNonRepudiationChecks],
        [openid.customFetch]: boundedFetch(timeoutMs, answerBytesMax) as unknown as openid.CustomFetch,
      })
      this.#config = config
      this.#fetchedAtMs = nowMs
      return config
    } catch (error) {
      this.#failedAtMs = nowMs
      throw new ProviderAway((error as Error).message)
    } finally {
      this.#asking = null
    }
  }
}

async function away<Value>(asked: Promise<Value>): Promise<Value> {
  try {
    return await asked
  } catch (error) {
    throw new ProviderAway((error as Error).message)
  }
}

/** Only what an authorization response has: the rest of the query would end up in what the provider is told. */
function callbackUrl(callback: string, query: string): URL {
  const url = new URL(callback)
  for (const [name, value] of new URLSearchParams(query))
    if (responseFields.includes(name)) url.searchParams.append(name, value)
  return url
}

function pick(
  from: Readonly<Record<string, unknown>>,
  names: readonly string[],
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(names.flatMap(name => (Object.hasOwn(from, name) ? [[name, from[name]]] : [])))
}
