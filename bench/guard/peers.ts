// One edge each: without a guard, with one that the route does not use, with one limit, with three, with limits and risk.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { EdgeSnapshot } from '../../src/edge/snapshot.ts'
import type { CheckedGuardPolicy } from '../../src/file/checked-guard.ts'
import { policyOf, specOf } from '../../src/guard/testing/spec.ts'
import { edgeAlone, proxyTo } from '../lib/edge-alone.ts'
import type { Peer } from '../lib/peers.ts'
import { benchRisk, oneLimit, threeLimits } from './policies.ts'

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
  guarded('one limit', { limits: oneLimit }),
  guarded('three limits', { limits: threeLimits }),
  guarded('one limit and risk', { limits: oneLimit, risk: benchRisk }),
  guarded('three limits and risk', { limits: threeLimits, risk: benchRisk }),
]
