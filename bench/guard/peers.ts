// One edge each: without a guard, with one that the route does not use, with one limit, with three, with limits and risk.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { EdgeSnapshot } from '../../src/edge/snapshot.ts'
import type { CheckedGuardPolicy, CheckedLimit } from '../../src/file/checked-guard.ts'
import { policyOf, specOf } from '../../src/guard/testing/spec.ts'
import { edgeAlone, proxyTo } from '../lib/edge-alone.ts'
import type { Peer } from '../lib/peers.ts'

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
const three = [
  byAddress,
  limitOf('route', [{ by: 'route' }], { algorithm: 'sliding', amount: 500_000 }),
  limitOf('client', [{ by: 'ip' }, { by: 'header', name: 'user-agent' }]),
]
const risk = { slowAt: 101, challengeAt: 101, queueAt: 101, refuseAt: 101, slowMs: 0 }

function guarded(name: string, change: Partial<CheckedGuardPolicy> | null): Peer {
  const snapshotOf = (originPort: number): Partial<EdgeSnapshot> => {
    const { routes, upstreams } = proxyTo(originPort)
    if (name === 'none') return { routes, upstreams }
    const guard = specOf([policyOf('bench', change ?? {})]) as unknown as NonNullable<EdgeSnapshot['guard']>
    const asked = change === null ? routes : routes.map(route => ({ ...route, guard: 'bench' }))
    return { routes: asked, upstreams, guard }
  }
  const alone = edgeAlone(({ originPort }) => snapshotOf(originPort))
  return {
    ...alone,
    name,
    start: place => {
      const folder = join(place.folder, name.replaceAll(' ', '-'))
      mkdirSync(folder, { recursive: true })
      return alone.start({ ...place, folder })
    },
  }
}

export const peers: readonly Peer[] = [
  guarded('none', null),
  guarded('unused', null),
  guarded('one limit', { limits: [byAddress] }),
  guarded('three limits', { limits: three }),
  guarded('one limit and risk', { limits: [byAddress], risk }),
  guarded('three limits and risk', { limits: three, risk }),
]
