// The key `guard.challenge`: what is asked of suspicious clients, and for how long an answer holds. Who is asked is said
// by policies.

import type { SecretReference } from './checked.ts'
import type { CheckedChallenge, CheckedProofOfWork, CheckedTurnstile } from './checked-guard.ts'
import { hostPattern } from './network.ts'
import { into, listOf, strict } from './shapes.ts'
import { choice, duration, flag, leaf, Refused, type Schema, text, whole } from './values.ts'

/** A secret that may only be named: what stands in a file is read by everybody who reads the file. */
export function secretOnly(about: string, example: string): Schema<SecretReference> {
  return leaf<SecretReference>({
    about,
    allowed: `secret('NAME'), with a name of letters, digits and _`,
    json: {
      type: 'object',
      properties: {
        secret: {
          type: 'string',
          description: 'Name of the secret.',
          'x-allowed': 'a name of letters, digits and _, of at most 128 characters',
        },
      },
      required: ['secret'],
      additionalProperties: false,
    },
    type: 'SecretReference',
    parse: value => {
      if (typeof value === 'string')
        return new Refused(
          'is a text, and secrets do not stand in the file',
          `Write secret('${example}'), and ${example}=... into secrets.env beside the file.`,
        )
      const { secret, ...others } = (value ?? {}) as { secret?: unknown }
      return typeof secret === 'string' &&
        /^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(secret) &&
        Object.keys(others).length === 0
        ? { secret }
        : undefined
    },
  })
}

const plainUrl = (about: string): Schema<string> =>
  text(about, "a URL such as 'https://challenges.example/verify'", {
    pattern: /^https?:\/\/[^\s/?#@]+(?:\/[!-~]*)?$/,
    lengthMax: 2048,
  })

const turnstile: Schema<CheckedTurnstile> = into(
  strict(
    {
      siteKey: text('The public key of the widget.', 'a site key', { pattern: /^[!-~]+$/, lengthMax: 200 }),
      secret: secretOnly('The secret key of the widget.', 'TURNSTILE_SECRET'),
      hostnames: listOf(
        "Hosts where a challenge may have been solved. Left out: those of the file's routes and certificates.",
        hostPattern('A host.'),
        100,
        1,
      ).optional(),
      verifyUrl: plainUrl('Where answers are verified.').prefault(
        'https://challenges.cloudflare.com/turnstile/v0/siteverify',
      ),
      scriptUrl: plainUrl('Where browsers get the widget.').prefault(
        'https://challenges.cloudflare.com/turnstile/v0/api.js',
      ),
      timeout: duration(
        'How long a verification may take; then the proof of work is asked.',
        '100ms',
        '30s',
      ).prefault('5s'),
      allowTestKeys: flag(
        'Takes the public test keys, with which everybody passes, in the environment `production` too.',
      ).prefault(false),
    },
    {
      about: "Cloudflare's Turnstile. What it does not verify is asked for a proof of work.",
      elsewhere: {
        sitekey: "Did you mean 'siteKey'?",
        secretKey: "Did you mean 'secret'?",
        key: "Did you mean 'siteKey'?",
        hostname: "Did you mean 'hostnames'?",
      },
    },
  ),
  ({ timeout, hostnames, ...keys }): CheckedTurnstile => ({
    ...keys,
    hostnames: [...new Set(hostnames ?? [])],
    timeoutMs: timeout,
  }),
)

const pow: Schema<CheckedProofOfWork> = into(
  strict(
    {
      // 2,000 keys are half a second of a desktop's one core and about two of an old phone.
      costMin: whole(
        'Keys that a client derives on average at risk 0 (PBKDF2-SHA-256, 1,000 rounds each: about 0.25 ms of a core).',
        100,
        1_000_000,
      ).prefault(2000),
      costMax: whole('The same at risk 100, or under full load.', 100, 1_000_000).prefault(20_000),
      expires: duration('How long a challenge may be worked on.', '10s', '30m').prefault('5m'),
    },
    {
      about: 'The proof of work that Tenfold itself asks for; no other host is needed.',
      elsewhere: { cost: "Did you mean 'costMin'?", difficulty: "Did you mean 'costMin'?" },
    },
  ),
  ({ costMin, costMax, expires }): CheckedProofOfWork | Refused =>
    costMin > costMax
      ? new Refused(`has 'costMin' ${costMin} above 'costMax' ${costMax}`, 'Swap them.')
      : { costMin, costMax, expiresMs: expires },
)

/** The texts of our own pages are there in these. */
const languages = ['en', 'de', 'fr', 'es', 'it', 'nl', 'pt', 'pl', 'ja', 'zh'] as const

export const challenge: Schema<CheckedChallenge> = into(
  strict(
    {
      provider: choice(
        'What is asked first. Left out: Turnstile where it has keys, else the proof of work.',
        ['pow', 'turnstile'],
      ).optional(),
      turnstile: turnstile.optional(),
      pow: pow.prefault({}),
      clearance: duration('How long who has passed is not asked again.', '1m', '7d').prefault('30m'),
      languages: listOf(
        'Languages of the page, the first where none fits the browser.',
        choice('A language.', languages),
        languages.length,
        1,
      ).prefault([...languages]),
    },
    {
      about: 'What suspicious clients are asked; who is asked is `challenge` of policies.',
      elsewhere: {
        siteKey: "'siteKey' is a key of 'turnstile'.",
        secret: "'secret' is a key of 'turnstile'.",
        cost: "'costMin' and 'costMax' are keys of 'pow'.",
        altcha: "Did you mean 'pow'?",
        recaptcha: "Did you mean 'turnstile'?",
        hcaptcha: "Did you mean 'turnstile'?",
      },
    },
  ),
  (keys): CheckedChallenge => ({
    provider: keys.provider ?? (keys.turnstile ? 'turnstile' : 'pow'),
    ...(keys.turnstile ? { turnstile: keys.turnstile } : {}),
    pow: keys.pow,
    clearanceMs: keys.clearance,
    languages: [...new Set(keys.languages)],
  }),
)
