// Policies that are measured: so much is allowed that everything passes, and nothing is done with the risk.

import type { CheckedGuardPolicy, CheckedLimit } from '../../src/file/checked-guard.ts'

/** So much that everything passes: what is measured is the decision, not the refusal. */
function limitOf(name: string, by: CheckedLimit['by'], change: Partial<CheckedLimit> = {}): CheckedLimit {
  return {
    name,
    kind: 'rate',
    algorithm: 'gcra',
    amount: 1_000_000,
    perMs: 1_000,
    burst: 1_000_000,
    by,
    missingShare: 1,
    adaptiveShare: 1,
    local: false,
    banAfter: 0,
    detectOnly: false,
    ...change,
  }
}

const byAddress = limitOf('address', [{ by: 'ip' }])
export const oneLimit: readonly CheckedLimit[] = [byAddress]
export const threeLimits: readonly CheckedLimit[] = [
  byAddress,
  limitOf('route', [{ by: 'route' }], { algorithm: 'sliding', amount: 500_000 }),
  limitOf('client', [{ by: 'ip' }, { by: 'header', name: 'user-agent' }]),
]
export const benchRisk: NonNullable<CheckedGuardPolicy['risk']> = {
  slowAt: 101,
  challengeAt: 101,
  queueAt: 101,
  refuseAt: 101,
  slowMs: 0,
}
