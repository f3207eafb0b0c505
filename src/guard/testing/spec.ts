// The guard's part of a snapshot for tests: everything off but what a test asks for.

import type { CheckedGuardPolicy } from '../../file/checked-guard.ts'
import type { GuardSpec } from '../part.ts'

export function policyOf(name: string, change: Partial<CheckedGuardPolicy> = {}): CheckedGuardPolicy {
  return { name, detectOnly: [], limits: [], sameSite: false, ...change }
}

export function specOf(
  policies: readonly CheckedGuardPolicy[] = [],
  change: Partial<GuardSpec> = {},
): GuardSpec {
  return {
    identity: { account: [], session: [], key: [] },
    allow: [],
    ban: [],
    banStepsMs: [60_000, 600_000],
    connectionsPerAddress: 4_096,
    ipv6PrefixBits: 64,
    audit: { file: null, bytesMax: 8 << 20, sample: 1 },
    bots: {
      crawlers: 'allow',
      aiCrawlers: { search: 'allow', training: 'allow', user: 'allow' },
      crawlerFiles: [],
      signatureAgents: [],
      dataCentreAsns: [],
      dataCentreFiles: [],
      honeypots: [],
      honeypotFields: [],
    },
    challenge: {
      provider: 'pow',
      pow: { costMin: 1, costMax: 2, expiresMs: 300_000 },
      clearanceMs: 1_800_000,
      languages: ['en'],
    },
    rooms: {},
    quotas: {},
    policies: Object.fromEntries(policies.map(policy => [policy.name, policy])),
    secretKey: Buffer.from('a secret of the tests of 32 byte').toString('base64'),
    rulings: [],
    production: false,
    hosts: [],
    ...change,
  }
}
