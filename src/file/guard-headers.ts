// The key `headers` of a policy: fields by which browsers are told what a page may do. Presets, and single fields over
// them; `nosniff` goes with all of them.

import type { CheckedSecurityHeaders } from './checked-guard.ts'
import { headerValue } from './headers.ts'
import { either, into, strict } from './shapes.ts'
import { choice, off, Refused, type Schema } from './values.ts'

type Fields = Omit<CheckedSecurityHeaders, 'usesNonce'>

/** Breaks no page that does not open others' windows, and none that is not framed elsewhere. */
const basic: Fields = {
  contentSecurityPolicy: '',
  contentSecurityPolicyReportOnly: '',
  referrerPolicy: 'strict-origin-when-cross-origin',
  permissionsPolicy: '',
  crossOriginOpenerPolicy: 'same-origin-allow-popups',
  crossOriginResourcePolicy: '',
  frameOptions: 'SAMEORIGIN',
}

/** Everything from the site itself; scripts and styles within a page only with the answer's nonce. */
const strictest: Fields = {
  contentSecurityPolicy: [
    "default-src 'self'",
    "script-src 'self' 'nonce-{nonce}'",
    "style-src 'self' 'nonce-{nonce}'",
    "img-src 'self' data:",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join('; '),
  contentSecurityPolicyReportOnly: '',
  referrerPolicy: 'same-origin',
  permissionsPolicy:
    'accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), usb=()',
  crossOriginOpenerPolicy: 'same-origin',
  crossOriginResourcePolicy: 'same-origin',
  frameOptions: 'DENY',
}

const presets = { basic, strict: strictest }
const presetWords = ['basic', 'strict'] as const

const finished = (fields: Fields): CheckedSecurityHeaders => ({
  ...fields,
  usesNonce: `${fields.contentSecurityPolicy}${fields.contentSecurityPolicyReportOnly}`.includes('{nonce}'),
})

/** A field's value; `false`: not sent; left out: the preset's. */
function field(about: string): Schema<string | undefined> {
  return either(
    about,
    headerValue,
    into(off('Not sent.'), () => ''),
  ).optional() as Schema<string | undefined>
}

function word<const W extends string>(about: string, words: readonly W[]): Schema<string | undefined> {
  return either(
    about,
    choice('The value.', words),
    into(off('Not sent.'), () => ''),
  ).optional() as Schema<string | undefined>
}

const custom: Schema<CheckedSecurityHeaders> = into(
  strict(
    {
      preset: choice('What is not written here.', presetWords).prefault('basic'),
      csp: field(
        'Content-Security-Policy. `{nonce}` is a fresh one for each answer, which instances get in `Tenfold-Nonce`.',
      ),
      cspReportOnly: field('Content-Security-Policy-Report-Only: only reported, for trying one out.'),
      referrerPolicy: word('Referrer-Policy.', [
        'no-referrer',
        'same-origin',
        'origin',
        'strict-origin',
        'origin-when-cross-origin',
        'strict-origin-when-cross-origin',
        'no-referrer-when-downgrade',
        'unsafe-url',
      ]),
      permissionsPolicy: field('Permissions-Policy: what pages may use, such as `camera=()`.'),
      openerPolicy: word('Cross-Origin-Opener-Policy.', [
        'same-origin',
        'same-origin-allow-popups',
        'noopener-allow-popups',
        'unsafe-none',
      ]),
      resourcePolicy: word('Cross-Origin-Resource-Policy.', ['same-origin', 'same-site', 'cross-origin']),
      frameOptions: word('X-Frame-Options.', ['DENY', 'SAMEORIGIN']),
    },
    {
      about: 'Fields of your own over a preset.',
      elsewhere: {
        contentSecurityPolicy: "Did you mean 'csp'?",
        'Content-Security-Policy': "Did you mean 'csp'?",
        'Referrer-Policy': "Did you mean 'referrerPolicy'?",
        'Permissions-Policy': "Did you mean 'permissionsPolicy'?",
        'X-Frame-Options': "Did you mean 'frameOptions'?",
        hsts: "'hsts' is a key of 'edge.tls'.",
        coop: "Did you mean 'openerPolicy'?",
        corp: "Did you mean 'resourcePolicy'?",
        set: 'Other fields: responseHeaders: { set: { ... } } in the route.',
      },
    },
  ),
  (keys): CheckedSecurityHeaders | Refused => {
    const preset = presets[keys.preset]
    const unknown = /\{(?!nonce\})\w*\}/.exec(`${keys.csp ?? ''} ${keys.cspReportOnly ?? ''}`)
    if (unknown)
      return new Refused(`has ${unknown[0]}, which nothing is filled in for`, 'Only {nonce} is filled in.')
    return finished({
      contentSecurityPolicy: keys.csp ?? preset.contentSecurityPolicy,
      contentSecurityPolicyReportOnly: keys.cspReportOnly ?? preset.contentSecurityPolicyReportOnly,
      referrerPolicy: keys.referrerPolicy ?? preset.referrerPolicy,
      permissionsPolicy: keys.permissionsPolicy ?? preset.permissionsPolicy,
      crossOriginOpenerPolicy: keys.openerPolicy ?? preset.crossOriginOpenerPolicy,
      crossOriginResourcePolicy: keys.resourcePolicy ?? preset.crossOriginResourcePolicy,
      frameOptions: keys.frameOptions ?? preset.frameOptions,
    })
  },
)

export const securityHeaders: Schema<CheckedSecurityHeaders> = either(
  'Fields that tell browsers what pages may do. `basic` breaks nothing usual; `strict` takes scripts and styles only from the site itself, or with a nonce.',
  into(choice('A preset.', presetWords), name => finished(presets[name])),
  custom,
)
