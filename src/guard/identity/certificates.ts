// Clients that have shown a certificate: what the listener verified. Never believed of what stands in front of the edge.

import type { Passage, PassageTls } from '../passage.ts'
import type { IdentityAnswer, IdentityVerifier } from './contract.ts'

/** What the edge's connections know beside. */
interface PeerTls extends PassageTls {
  readonly authorized?: boolean
  peerCertificate?(): {
    readonly subject: string
    readonly fingerprint256: string
    readonly notAfter: number
  } | null
}

export const certificateVerifier: IdentityVerifier = {
  method: 'mtls',
  source: '',
  verify: ({ client }: Passage): IdentityAnswer => {
    const tls: PeerTls | null = client?.tls ?? null
    if (tls?.authorized !== true || client?.trusted === true) return null
    const facts = tls.peerCertificate?.() ?? null
    if (facts === null) return null
    const claims = { sub: facts.subject, fingerprint: facts.fingerprint256 }
    return { method: 'mtls', source: '', subject: facts.subject, scopes: [], claims, untilMs: facts.notAfter }
  },
  challenge: () => null,
}
