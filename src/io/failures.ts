// What can go wrong in the world that `io` touches and that a person must mend.

import { type Catalogue, defineFailures } from '../kit/failure.ts'

type Names = 'tlsCertificateUnreadable' | 'tlsKeyUnreadable' | 'tlsKeyMismatch' | 'tlsPairRefused'

export const ioFailures: Catalogue<Names> = defineFailures<Names>('io', {
  tlsCertificateUnreadable: {
    when: 'A certificate, or a list of authorities, is not PEM text with at least one certificate.',
    advice:
      'Give the file with `-----BEGIN CERTIFICATE-----` blocks: the server certificate first, then those between it and the root.',
  },
  tlsKeyUnreadable: {
    when: 'A private key is not PEM text, or is locked by a passphrase.',
    advice: 'Give an unlocked key, for example made by `openssl pkey -in locked.pem -out key.pem`.',
  },
  tlsKeyMismatch: {
    when: 'A private key does not belong to the certificate beside it.',
    advice:
      'Give the two files of one pair. `openssl x509 -noout -pubkey -in cert.pem` and `openssl pkey -pubout -in key.pem` must print the same.',
  },
  tlsPairRefused: {
    when: 'OpenSSL refuses a certificate, for example because its key is too short.',
    advice: 'Make a new certificate: ECDSA P-256, or RSA with at least 2048 bits.',
  },
})
