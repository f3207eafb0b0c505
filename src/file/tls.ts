// The key `edge.tls` (certificates, ACME, client certificates, HSTS) and the key `tls` of services (TLS to instances).
// Files stay as they are written: whether they are there is looked at when the system is loaded.

import type { CheckedAcme, CheckedCertificate, CheckedTls, CheckedUpstreamTls } from './checked.ts'
import { hostPattern, isHostName, isIp } from './network.ts'
import { defined, either, into, listOf, strict } from './shapes.ts'
import { choice, duration, flag, leaf, Refused, type Schema, text } from './values.ts'

export const filePath = (about: string): Schema<string> =>
  text(`${about}, relative to the system file's folder.`, 'a path', { lengthMax: 4096 })

const certificate: Schema<CheckedCertificate> = into(
  strict(
    {
      hosts: listOf(
        'Which hosts it is for: exact names, and `*.example` for one label. Left out: those that it names itself.',
        hostPattern('A host.'),
        100,
      ).prefault([]),
      certFile: filePath('The certificate with its chain (PEM)'),
      keyFile: filePath('Its private key (PEM)'),
    },
    {
      about: 'One certificate.',
      elsewhere: {
        cert: "Did you mean 'certFile'?",
        key: "Did you mean 'keyFile'?",
        ssl_certificate: "Did you mean 'certFile'?",
        ssl_certificate_key: "Did you mean 'keyFile'?",
      },
    },
  ),
  keys => ({ hosts: [...new Set(keys.hosts)], certFile: keys.certFile, keyFile: keys.keyFile }),
)

const authorities: Readonly<Record<string, string>> = {
  letsencrypt: 'https://acme-v02.api.letsencrypt.org/directory',
  'letsencrypt-staging': 'https://acme-staging-v02.api.letsencrypt.org/directory',
}

const directory = leaf<string>({
  about:
    "The authority: `'letsencrypt'`, `'letsencrypt-staging'` for tries, or the URL of an ACME directory.",
  allowed: "'letsencrypt', 'letsencrypt-staging' or an https URL, of at most 2048 characters",
  json: { type: 'string', minLength: 1, maxLength: 2048 },
  parse: value => {
    if (typeof value !== 'string' || value.length > 2048) return undefined
    if (Object.hasOwn(authorities, value)) return authorities[value]
    return /^https:\/\/[!-~]+$/.test(value) ? value : undefined
  },
})

const acmeHost = leaf<string>({
  about: 'A host.',
  allowed: "a host name such as 'tickets.example', of at most 253 characters",
  json: { type: 'string', minLength: 1, maxLength: 253 },
  parse: value => {
    if (typeof value !== 'string') return undefined
    if (value.startsWith('*.'))
      return new Refused(
        'is a wildcard, which cannot be proved by HTTP-01',
        'Name each host, or give a certificate by its files.',
      )
    if (isIp(value)) return new Refused('is an address', 'Name hosts.')
    return isHostName(value) ? value.toLowerCase().replace(/\.$/, '') : undefined
  },
})

const acme: Schema<CheckedAcme> = into(
  strict(
    {
      directory: directory.prefault('letsencrypt'),
      email: text('Where the authority writes to about the account.', 'an e-mail address', {
        pattern: /^[^\s@]+@[^\s@]+$/,
        lengthMax: 254,
      }).optional(),
      hosts: listOf('The hosts that certificates are for. Each must lead here on port 80.', acmeHost, 100, 1),
      agreeTerms: leaf<true>({
        about: "You agree to the authority's terms of service.",
        allowed: 'true',
        json: { const: true },
        parse: value => (value === true ? true : undefined),
      }),
      caFile: filePath("The authority that a private directory's own certificate is from (PEM)").optional(),
      renewBefore: duration(
        'How long before its end a certificate is renewed. Left out: when a third of its life is left.',
        '1h',
        '365d',
      ).optional(),
    },
    {
      about: 'Certificates by ACME (HTTP-01), issued and renewed by Tenfold itself.',
      elsewhere: {
        domains: "Did you mean 'hosts'?",
        server: "Did you mean 'directory'?",
        tos: "Did you mean 'agreeTerms'?",
      },
    },
  ),
  keys =>
    defined({
      directory: keys.directory,
      email: keys.email,
      hosts: [...new Set(keys.hosts)],
      caFile: keys.caFile,
      renewBeforeMs: keys.renewBefore,
    }),
)

const yearSeconds = 31_536_000

/** RFC 6797 6.1, and what the browsers' preload lists ask for. */
const hsts: Schema<string | undefined> = either(
  'Strict-Transport-Security on every HTTPS answer: browsers then refuse plain HTTP for this host. `true`: for a year. Left out: none.',
  into(flag('For a year, or none.'), on => (on ? `max-age=${yearSeconds}` : undefined)),
  into(
    strict(
      {
        maxAge: duration('How long browsers remember it. 0s: forget it.', '0s', '730d').prefault('365d'),
        includeSubDomains: flag('For all names below, too.').prefault(false),
        preload: flag("Asks for a place in the browsers' own lists; hard to take back.").prefault(false),
      },
      { about: 'Its parts.' },
    ),
    ({ maxAge, includeSubDomains, preload }) => {
      const seconds = Math.floor(maxAge / 1000)
      if (preload && (!includeSubDomains || seconds < yearSeconds))
        return new Refused(
          "has 'preload' without what the lists ask for",
          'Write maxAge of at least 365d and includeSubDomains: true.',
        )
      const parts = [`max-age=${seconds}`, includeSubDomains && 'includeSubDomains', preload && 'preload']
      return parts.filter(Boolean).join('; ')
    },
  ),
)

export const tls: Schema<CheckedTls> = into(
  strict(
    {
      certificates: listOf(
        'Certificates by their files, chosen by the name that a client asks for; the first where none fits. The files are read again when they change.',
        certificate,
        1000,
      ).prefault([]),
      acme: acme.optional(),
      minVersion: choice('The oldest version of TLS.', ['1.2', '1.3']).prefault('1.2'),
      clientCertificates: strict(
        {
          caFile: filePath('Authorities that client certificates must be from (PEM)'),
          mode: choice(
            '`optional`: clients without one pass, without identity. One that does not verify is always refused.',
            ['optional', 'required'],
          ).prefault('required'),
        },
        { about: 'Asks clients for certificates; instances are told who they are in signed headers.' },
      ).optional(),
      hsts: hsts.optional(),
    },
    {
      about: 'TLS at the edge. Without certificates and `acme`, a self-signed one for localhost is made.',
      elsewhere: {
        cert: 'Write certificates: [{ certFile, keyFile }].',
        certFile: 'Write certificates: [{ certFile, keyFile }].',
        key: 'Write certificates: [{ certFile, keyFile }].',
        ciphers: 'Only sound cipher suites are ever used: there is nothing to choose.',
        letsencrypt: "Did you mean 'acme'?",
        clientAuth: "Did you mean 'clientCertificates'?",
        protocols: "Did you mean 'minVersion'?",
      },
    },
  ),
  keys => defined(keys) as CheckedTls,
)

/** A service's `tls`. */
export const upstreamTls: Schema<CheckedUpstreamTls | undefined> = either(
  'TLS to the members, their certificates verified. Left out: none.',
  into(flag('With or without.'), on => (on ? { verify: true } : undefined)),
  into(
    strict(
      {
        serverName: text(
          "Whose certificate is expected. Left out: the member's host as written.",
          'a host name',
          { pattern: /^[A-Za-z0-9._-]+$/, lengthMax: 253 },
        ).optional(),
        caFile: filePath("Authorities to trust (PEM) instead of the system's").optional(),
        verify: flag('`false`: any certificate is taken. Only for tries.').prefault(true),
        certFile: filePath('The certificate that the edge shows to members (PEM)').optional(),
        keyFile: filePath('Its private key (PEM)').optional(),
      },
      { about: 'With settings.' },
    ),
    (keys): CheckedUpstreamTls | Refused =>
      (keys.certFile === undefined) === (keys.keyFile === undefined)
        ? (defined(keys) as CheckedUpstreamTls)
        : new Refused(
            `has '${keys.certFile === undefined ? 'keyFile' : 'certFile'}' without the other`,
            "Give both 'certFile' and 'keyFile', or neither.",
          ),
  ),
)
