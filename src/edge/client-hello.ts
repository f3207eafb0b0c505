// Fingerprints of how a client began TLS: the texts of `wire/client-hello` hashed. A fingerprint is a sign of the library
// that a client uses, which anybody can imitate; it proves nothing.

import { hash } from 'node:crypto'
import { type ClientHelloFields, ja3Text, ja4Text } from '../wire/client-hello.ts'

export interface ClientHello {
  /** `t13d1516h2_8daaf6152771_02713d6af862` (FoxIO's JA4, TLS client). */
  readonly ja4: string
  /** MD5 of JA3's text, hexadecimal. */
  readonly ja3: string
}

export function fingerprint(fields: ClientHelloFields): ClientHello {
  const { first, ciphers, rest } = ja4Text(fields)
  return {
    ja4: `${first}_${shortHash(ciphers)}_${shortHash(rest)}`,
    ja3: hash('md5', ja3Text(fields), 'hex'),
  }
}

/** JA4: what is empty is told by zeros. */
function shortHash(text: string): string {
  return text === '' ? '000000000000' : hash('sha256', text, 'hex').slice(0, 12)
}
