// Which parts there are, in the order in which a request meets them, and when a policy needs one. A part is loaded when a
// route's policy first wants it; what nobody wants costs nothing. One line a part.

import type { CheckedGuardPolicy } from '../file/checked-guard.ts'
import type { GuardSpec, PartModule } from './part.ts'

export interface PartLoader {
  /** As in a policy's `detectOnly`. */
  readonly name: string
  wanted(policy: CheckedGuardPolicy, spec: GuardSpec): boolean
  load(): Promise<PartModule>
}

/** Order: identity, geo (before who counts by it), limit, bots, shed, challenge, body, waf, room, quota, headers. */
export const partLoaders: readonly PartLoader[] = [
  {
    name: 'identity',
    wanted: policy => policy.require !== undefined,
    load: () => import('./identity/index.ts'),
  },
  {
    name: 'login',
    // Also where nobody is asked for: browsers send sessions to every route, and no service may have one.
    wanted: (_policy, { identity }) => identity.oidc !== undefined,
    load: () => import('./identity/login/index.ts'),
  },
  {
    name: 'geo',
    wanted: (_policy, spec) => spec.geo !== undefined,
    load: () => import('./geo/index.ts'),
  },
  {
    name: 'limit',
    wanted: policy => policy.limits.length > 0,
    load: () => import('./limit/index.ts'),
  },
  {
    name: 'sameSite',
    wanted: policy => policy.sameSite,
    load: () => import('./same-site/index.ts'),
  },
  {
    name: 'bots',
    wanted: policy => policy.risk !== undefined,
    load: () => import('./bots/index.ts'),
  },
  {
    name: 'shed',
    wanted: ({ shed, limits }) => shed !== undefined || limits.some(({ adaptiveShare }) => adaptiveShare < 1),
    load: () => import('./shed/index.ts'),
  },
  {
    name: 'challenge',
    wanted: policy => policy.challenge !== undefined,
    load: () => import('./challenge/index.ts'),
  },
  {
    name: 'body',
    wanted: ({ waf, uploads }) => waf !== undefined || uploads !== undefined,
    load: () => import('./body/index.ts'),
  },
  {
    name: 'waf',
    wanted: policy => policy.waf !== undefined,
    load: () => import('./waf/index.ts'),
  },
  {
    name: 'responses',
    wanted: ({ waf }) => waf?.responses === true,
    load: () => import('./waf/responses/index.ts'),
  },
  {
    name: 'room',
    wanted: policy => policy.room !== undefined,
    load: () => import('./room/index.ts'),
  },
  {
    name: 'quota',
    wanted: policy => policy.quota !== undefined,
    load: () => import('./quota/index.ts'),
  },
  {
    name: 'headers',
    wanted: policy => policy.headers !== undefined,
    load: () => import('./headers/index.ts'),
  },
]

/** Those that the policies of these names want. */
export function wantedParts(spec: GuardSpec, policies: Iterable<string>): readonly PartLoader[] {
  const used = [...new Set(policies)].flatMap(name => spec.policies[name] ?? [])
  return partLoaders.filter(loader => used.some(policy => loader.wanted(policy, spec)))
}
